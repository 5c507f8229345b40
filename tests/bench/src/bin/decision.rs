//! What a decision costs, beside other engines with the same policy.

use std::env::args;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use allocation_counter::measure;
use bench::decision::casbin::Casbin;
use bench::decision::cedar::Cedar;
use bench::decision::linear::Linear;
use bench::decision::ours::{self, Ours};
use bench::decision::regorus::{Paths, Regorus};
use bench::decision::{Asked, EACH, Engine, Failure, Grant, policy, requests};
use bench::{Gate, Report, Row, callgrind, publish, taking_turns, thread_cpu};
use casbin::{CachedEnforcer, Enforcer};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const ROUNDS: usize = 31;

/// What a round with one engine takes at least, by many decisions of a quick one; a slow one makes a
/// few.
const ROUND: Duration = Duration::from_millis(2);
const FEWEST: usize = 2;

/// What is counted under callgrind.
const COUNTED: [&str; 1] = ["decide_all_under_watch"];

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<_> = args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    if let ["--rules", rules, "--count", count] = args[..] {
        only(rules.parse()?, count.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for size in SIZES {
        rows.extend(measured(size)?);
    }
    rows.extend(instructions()?);
    Ok(publish(&Report::new("decision", ROUNDS, rows))?)
}

/// An engine, ready to decide, and what it took to load.
struct Contender {
    name: &'static str,
    engine: Box<dyn Engine>,
    load: Duration,
    bytes: i64,
    gate: Gate,
}

fn measured(size: usize) -> Result<Vec<Row>, Failure> {
    let policy = policy(size);
    let requests = requests(&policy);
    let mut contenders = contenders(&policy, &requests)?;
    for contender in &mut contenders {
        agrees(contender, &policy, &requests)?;
    }
    let allocations: Vec<_> = contenders
        .iter_mut()
        .map(allocations)
        .collect::<Result<_, _>>()?;
    let took = times(&mut contenders)?;

    let largest = size == SIZES[SIZES.len() - 1];
    let only_there = |gate| if largest { gate } else { Gate::None };
    let what = |what: &str| format!("{what}, {size} rules");
    let decision = what("a decision");
    let mut rows = vec![
        Row::alone(&decision, took[0], "ns", only_there(Gate::AtMost(100.0))),
        Row::alone(
            &what("a decision with the search for the caller"),
            took[1],
            "ns",
            only_there(Gate::AtMost(100.0)),
        ),
        Row::alone(&decision, allocations[0], "allocations", Gate::AtMost(0.0)),
        Row::alone(
            &what("loading a YAML file"),
            contenders[0].load.as_secs_f64() * 1e3,
            "ms",
            only_there(Gate::AtMost(500.0)),
        ),
    ];
    for (index, peer) in contenders.iter().enumerate().skip(1) {
        let name = peer.name;
        rows.push(Row::new(
            &decision,
            took[0],
            (name, took[index]),
            "ns",
            only_there(peer.gate),
        ));
        rows.push(Row::new(
            &decision,
            allocations[0],
            (name, allocations[index]),
            "allocations",
            Gate::None,
        ));
        let ms = |load: Duration| load.as_secs_f64() * 1e3;
        rows.push(Row::new(
            &what("loading"),
            ms(contenders[0].load),
            (name, ms(peer.load)),
            "ms",
            Gate::None,
        ));
        rows.push(Row::new(
            &what("memory after loading"),
            contenders[0].bytes as f64 / 1024.0,
            (name, peer.bytes as f64 / 1024.0),
            "KiB",
            Gate::None,
        ));
    }
    Ok(rows)
}

/// Every engine; ours is the first.
fn contenders(policy: &[Grant], requests: &[Asked]) -> Result<Vec<Contender>, Failure> {
    let mut all = Vec::new();
    let yaml = ours::yaml(policy);
    let (engine, load, bytes) = loaded(|| Ours::load(&yaml))?;
    let engine = Box::new(engine.with(requests)?);
    all.push(contender("ours", engine, load, bytes, Gate::None));

    let (engine, load, bytes) = loaded(|| Ours::load(&yaml))?;
    let engine = Box::new(engine.with(requests)?.finding_callers());
    let name = "ours, with the search for the caller";
    all.push(contender(name, engine, load, bytes, Gate::None));

    let (engine, load, bytes) = loaded(|| Casbin::<CachedEnforcer>::load(policy))?;
    let (engine, gate) = (Box::new(engine.with(requests)), Gate::AtMostTimes(0.1));
    all.push(contender("casbin, its cache", engine, load, bytes, gate));

    let (engine, load, bytes) = loaded(|| Casbin::<Enforcer>::load(policy))?;
    let engine = Box::new(engine.with(requests));
    all.push(contender("casbin", engine, load, bytes, Gate::None));

    let (engine, load, bytes) = loaded(|| Cedar::load_idiomatic(policy))?;
    let (engine, gate) = (
        Box::new(engine.with(requests)?),
        Gate::AtMostTimes(1.0 / 40.0),
    );
    all.push(contender("cedar, idiomatic", engine, load, bytes, gate));

    let (engine, load, bytes) = loaded(|| Cedar::load_each(policy))?;
    let engine = Box::new(engine.with(requests)?);
    let name = "cedar, a policy per rule";
    all.push(contender(name, engine, load, bytes, Gate::None));

    let gate = Gate::AtMostTimes(1.0 / 80.0);
    for (paths, interpreter, machine) in [
        (
            Paths::Glob,
            "regorus, globs, interpreter",
            "regorus, globs, RVM",
        ),
        (
            Paths::Prefix,
            "regorus, prefixes, interpreter",
            "regorus, prefixes, RVM",
        ),
    ] {
        let (engine, load, bytes) = loaded(|| Regorus::load(policy, paths))?;
        let engine = Box::new(engine.interpreter(requests)?);
        all.push(contender(interpreter, engine, load, bytes, gate));
        let (engine, load, bytes) = loaded(|| Regorus::load(policy, paths))?;
        let engine = Box::new(engine.machine(requests)?);
        all.push(contender(machine, engine, load, bytes, gate));
    }

    let (engine, load, bytes) = loaded(|| Ok(Linear::load(policy)))?;
    let engine = Box::new(engine.with(requests));
    all.push(contender("a linear scan", engine, load, bytes, Gate::None));
    Ok(all)
}

fn contender(
    name: &'static str,
    engine: Box<dyn Engine>,
    load: Duration,
    bytes: i64,
    gate: Gate,
) -> Contender {
    Contender {
        name,
        engine,
        load,
        bytes,
        gate,
    }
}

/// What is loaded, the CPU time that this took, and the bytes that it keeps.
fn loaded<T>(load: impl Fn() -> Result<T, Failure>) -> Result<(T, Duration, i64), Failure> {
    let begun = thread_cpu();
    drop(load()?);
    let took = thread_cpu() - begun;
    let mut loaded = None;
    let counted = measure(|| loaded = Some(load()));
    let loaded = loaded.ok_or("nothing was loaded")??;
    Ok((loaded, took, counted.bytes_current))
}

/// Holds every answer to what the policy says by construction.
fn agrees(contender: &mut Contender, policy: &[Grant], requests: &[Asked]) -> Result<(), Failure> {
    let mut linear = Linear::load(policy).with(requests);
    let mut allowed = 0;
    for (number, request) in requests.iter().enumerate() {
        let expected = linear.decide(number)?;
        allowed += usize::from(expected);
        if contender.engine.decide(number)? != expected {
            let name = contender.name;
            return Err(format!("{name} does not agree that {request:?} gives {expected}").into());
        }
    }
    if allowed == EACH && requests.len() == 2 * EACH {
        Ok(())
    } else {
        Err("the requests are not half and half".into())
    }
}

/// Allocations for one decision, on average over some of the requests.
fn allocations(contender: &mut Contender) -> Result<f64, Failure> {
    const REQUESTS: usize = 16;
    let mut done = Ok(());
    let counted = measure(|| done = contender.engine.decide_in_turn(0, REQUESTS));
    done?;
    Ok(counted.count_total as f64 / REQUESTS as f64)
}

/// Nanoseconds of CPU time for one decision, in medians of interleaved rounds.
fn times(contenders: &mut [Contender]) -> Result<Vec<f64>, Failure> {
    let mut rounds = Vec::new();
    for contender in contenders {
        let engine = &mut *contender.engine;
        engine.decide_in_turn(0, FEWEST)?;
        let begun = thread_cpu();
        engine.decide_in_turn(0, FEWEST)?;
        let each = (thread_cpu() - begun) / FEWEST as u32;
        let fits = ROUND.as_nanos() / each.as_nanos().max(1);
        // All requests or an even number of them, since allowed and denied ones take turns.
        let decisions = match usize::try_from(fits)? {
            few if few < EACH / 8 => (few / 2 * 2).max(FEWEST),
            many => (many / (2 * EACH)).max(8) * (2 * EACH),
        };
        let mut next = 0;
        rounds.push(move || {
            // Whoever was before has filled the processor's caches with its own.
            engine.decide_in_turn(next, decisions.min(2 * EACH))?;
            let begun = thread_cpu();
            engine.decide_in_turn(next, decisions)?;
            let took = thread_cpu() - begun;
            next += decisions;
            Ok::<_, Failure>(took.as_secs_f64() * 1e9 / decisions as f64)
        });
    }
    let mut rounds: Vec<&mut dyn FnMut() -> Result<f64, Failure>> = rounds
        .iter_mut()
        .map(|round| round as &mut dyn FnMut() -> _)
        .collect();
    taking_turns(ROUNDS, &mut rounds)
}

/// Instructions of a decision in the largest policy, beside those in the smallest.
fn instructions() -> Result<Vec<Row>, Failure> {
    let [smallest, .., largest] = SIZES;
    let what = format!("a decision, {largest} rules");
    let (peer, gate) = (format!("ours, {smallest} rules"), Gate::AtMostTimes(1.05));
    if !callgrind::is_installed() {
        return Ok(vec![Row::absent(&what, &peer, callgrind::ABSENT, gate)]);
    }
    let each = |rules: usize| -> Result<f64, Failure> {
        let all = callgrind::instructions_each(&["--rules", &rules.to_string()], &COUNTED)?;
        Ok(all / (2 * EACH) as f64)
    };
    let (ours, theirs) = (each(largest)?, each(smallest)?);
    Ok(vec![Row::new(
        &what,
        ours,
        (&peer, theirs),
        "instructions",
        gate,
    )])
}

/// Our engine alone, so many times with every request: to be watched by a tool.
fn only(rules: usize, count: usize) -> Result<(), Failure> {
    let policy = policy(rules);
    let engine = Ours::load(&ours::yaml(&policy))?.with(&requests(&policy))?;
    for _ in 0..count {
        if decide_all_under_watch(&engine) != EACH {
            return Err("not what the policy says".into());
        }
    }
    Ok(())
}

#[inline(never)]
fn decide_all_under_watch(engine: &ours::WithRequests) -> usize {
    black_box(engine).decide_all()
}
