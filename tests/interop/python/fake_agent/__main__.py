"""A Workload API at a Unix socket that says what it is told to say.

Each line on the standard input is a command. Each answer is a line of JSON on the standard output:
`{"ok": ...}` or `{"error": ...}`. It ends with its standard input.

usage: fake_agent SOCKET
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from spiffe._proto import workload_pb2_grpc

from agent import Agent
from workload_api import WorkloadApi

agent = Agent()
commands = {
    "svids": agent.set_svids,
    "misfit": agent.misfit,
    "keys": agent.set_keys,
    "federate": agent.federate,
    "garble": agent.garble,
    "mend": agent.mend,
    "rotate-authority": agent.rotate_authority,
    "retire-authority": agent.retire_authority,
    "bundle": agent.bundle,
    "send": agent.send,
    "tokens": agent.set_tokens,
    "refuse": agent.refuse,
    "hold": agent.hold,
    "answer": agent.answer,
    "end": agent.end,
    "calls": agent.calls,
    "await": agent.wait_for_calls,
}


def execute(line):
    verb, *words = line.split()
    try:
        return {"ok": commands[verb](*words)}
    except Exception as error:  # whoever told it should hear of it, whatever it is
        return {"error": f"{line.strip()}: {error!r}"}


# An open stream holds a thread.
server = grpc.server(ThreadPoolExecutor(max_workers=32))
workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server(WorkloadApi(agent), server)
server.add_insecure_port(f"unix:{sys.argv[1]}")
server.start()
print("listening", flush=True)
for line in sys.stdin:
    print(json.dumps(execute(line)), flush=True)
server.stop(grace=None).wait()
