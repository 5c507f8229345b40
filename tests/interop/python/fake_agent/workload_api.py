"""The Workload API of the fake agent, on the protobuf classes of the package spiffe."""

import grpc
import jwt
from google.protobuf import struct_pb2
from spiffe import JwtBundle, JwtSvid, TrustDomain
from spiffe._proto import workload_pb2, workload_pb2_grpc
from spiffe.errors import PySpiffeError

from agent import trust_domain_of

HEADER = "workload.spiffe.io"


class Stream:
    def __init__(self, method):
        self.method = method


class WorkloadApi(workload_pb2_grpc.SpiffeWorkloadAPIServicer):
    def __init__(self, agent):
        self.agent = agent

    def FetchX509SVID(self, request, context):
        yield from self._follow("FetchX509SVID", request, context, lambda published: published.x509_svids)

    def FetchX509Bundles(self, request, context):
        yield from self._follow("FetchX509Bundles", request, context, lambda published: published.x509_bundles)

    def FetchJWTBundles(self, request, context):
        yield from self._follow("FetchJWTBundles", request, context, lambda published: published.jwt_bundles)

    def FetchJWTSVID(self, request, context):
        published = self._published("FetchJWTSVID", request, context)
        if not request.audience:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an audience is needed")
        wanted = [
            (spiffe_id, hint)
            for spiffe_id, hint in published.identities
            if request.spiffe_id in ("", spiffe_id)
        ]
        if not wanted:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "this identity is not the caller's")
        return workload_pb2.JWTSVIDResponse(
            svids=[
                workload_pb2.JWTSVID(spiffe_id=spiffe_id, svid=self._token(spiffe_id, request.audience), hint=hint)
                for spiffe_id, hint in wanted
            ]
        )

    def ValidateJWTSVID(self, request, context):
        published = self._published("ValidateJWTSVID", request, context)
        try:
            svid = validate(request.svid, request.audience, published.jwt_bundles.bundles)
        except PySpiffeError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        claims = struct_pb2.Struct()
        claims.update(jwt.decode(svid.token, options={"verify_signature": False}))
        return workload_pb2.ValidateJWTSVIDResponse(spiffe_id=str(svid.spiffe_id), claims=claims)

    def _token(self, spiffe_id, audience):
        authority = self.agent.authority(trust_domain_of(spiffe_id))
        return authority.issue_token(spiffe_id, audience, self.agent.token_ttl, self.agent.tokens)

    def _published(self, method, request, context):
        """What holds for a call of a method that is no stream, as soon as it may be answered."""
        agent = self.agent
        context.add_callback(agent.wake)
        with agent.changed:
            refusal = self._admit(method, request, context)
            agent.changed.wait_for(lambda: refusal or method not in agent.held or not context.is_active())
            published = agent.published
        if refusal:
            context.abort(*refusal)
        return published

    def _follow(self, method, request, context, message_of):
        """Answers at once and with each revision, until the caller goes or the agent ends it."""
        agent, stream, seen = self.agent, Stream(method), None
        context.add_callback(agent.wake)
        with agent.changed:
            refusal = self._admit(method, request, context)
            if not refusal:
                agent.streams.add(stream)
        try:
            while not refusal:
                with agent.changed:
                    agent.changed.wait_for(
                        lambda: not context.is_active()
                        or stream in agent.ending
                        or (method not in agent.held and agent.revision != seen)
                    )
                    if not context.is_active():
                        return
                    if stream in agent.ending:
                        refusal = self._refusal(method)
                        break
                    seen, message = agent.revision, message_of(agent.published)
                yield message
        finally:
            with agent.changed:
                agent.streams.discard(stream)
                agent.ending.discard(stream)
                agent.changed.notify_all()
        if refusal:
            context.abort(*refusal)

    def _admit(self, method, request, context):
        """Under the lock: notes a call, and says with what status it is refused, if it is."""
        header = [value for key, value in context.invocation_metadata() if key == HEADER]
        self.agent.note(method, header, request)
        if header != ["true"]:
            return grpc.StatusCode.INVALID_ARGUMENT, "the security header is missing"
        return self._refusal(method)

    def _refusal(self, method):
        if method in self.agent.refusals:
            return self.agent.refusals[method], "the agent was told to answer so"
        if not self.agent.revision:
            return grpc.StatusCode.PERMISSION_DENIED, "no identity issued"
        return None


def validate(token, audience, bundles):
    """The package's own validation, with the bundle of the token's own trust domain."""
    trust_domain = JwtSvid.parse_insecure(token, {audience}).spiffe_id.trust_domain
    bundle = bundles.get(f"spiffe://{trust_domain.name}")
    return JwtSvid.parse_and_validate(token, JwtBundle.parse(TrustDomain(trust_domain.name), bundle), {audience})
