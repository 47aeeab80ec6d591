"""Inside a request: what five SQLAlchemy queries add with everything on, beside three peers; and where it goes.

Each variant is a process of its own, because drivers are hooked for a whole process; a parent lets them work in turns,
so that all meet the same machine, and subtracts the mean of the two bare ones of each round. CPU of the whole process,
so background threads and flushes count. Median over rounds. Run: ``python bench/inside.py [rounds]``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pitstop
from pitstop.model.record import Child, Record
from pitstop.record import CURRENT, RECORDER, Operation, leaf
from pitstop.record.caller import line_attrs
from pitstop.record.failure import failure_of
from pitstop.rollup.fold import Fold
from pitstop.rollup.keep import Keeper
from pitstop.rollup.parts import parts_of
from pitstop.rollup.repeated import repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BLOCK = 1000  # requests between two turns: what one core serves in a second, after which a worker flushes
QUERIES = 5
VARIANTS = ("bare 1", "bare 2", "pitstop", "opentelemetry", "ddtrace", "sentry")
CALLS = 2000
RUNS = 15


def service(framework: str, variant: str) -> Callable[[], None]:
    """One request of an application whose only route runs `QUERIES` queries by the ORM."""
    from sqlalchemy import Column, Integer, String, create_engine, select  # noqa: PLC0415  after what hooks it
    from sqlalchemy.orm import Session, declarative_base  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    base: Any = declarative_base()

    class Item(base):  # type: ignore[misc]  # made here
        __tablename__ = "item"
        id = Column(Integer, primary_key=True)
        name = Column(String)

    base.metadata.create_all(
        engine := create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    )
    with Session(engine) as session:
        session.add_all(Item(id=i, name=f"item {i}") for i in range(QUERIES))
        session.commit()

    def items() -> list[str]:
        with Session(engine) as session:
            return [session.scalars(select(Item).where(Item.id == i)).one().name for i in range(QUERIES)]

    ask = (fastapi if framework == "FastAPI" else flask)(items, variant)
    if variant == "opentelemetry":
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415

        from requests import opentelemetry_providers  # noqa: PLC0415  bench/requests.py

        SQLAlchemyInstrumentor().instrument(engine=engine, **PROVIDERS or opentelemetry_providers())
    return ask


PROVIDERS: dict[str, Any] = {}


def fastapi(items: Callable[[], list[str]], variant: str) -> Callable[[], None]:
    """By its event loop, without a server."""
    from fastapi import FastAPI  # noqa: PLC0415

    from requests import opentelemetry_providers, scope  # noqa: PLC0415

    app: Any = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> list[str]:  # noqa: ARG001
        return items()

    if variant == "pitstop":
        pitstop.instrument(app)
    elif variant == "opentelemetry":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415

        PROVIDERS.update(opentelemetry_providers())
        FastAPIInstrumentor.instrument_app(app, **PROVIDERS)
    loop = asyncio.new_event_loop()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: dict[str, Any]) -> None:
        pass

    async def block() -> None:
        for _ in range(BLOCK):
            await app(scope(), receive, send)

    return lambda: loop.run_until_complete(block())


def flask(items: Callable[[], list[str]], variant: str) -> Callable[[], None]:
    """Called as a WSGI server would."""
    from flask import Flask  # noqa: PLC0415

    from requests import environ, opentelemetry_providers  # noqa: PLC0415

    app = Flask("bench")
    app.get("/items/<int:item_id>")(lambda item_id: items())  # noqa: ARG005
    if variant == "pitstop":
        pitstop.instrument(app)
    elif variant == "opentelemetry":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415

        PROVIDERS.update(opentelemetry_providers())
        FlaskInstrumentor().instrument_app(app, **PROVIDERS)

    def block() -> None:
        for _ in range(BLOCK):
            body = app(environ(), lambda *_: None)  # type: ignore[arg-type,return-value]  # a server's
            for _piece in body:
                pass
            body.close()  # type: ignore[attr-defined]

    return block


def work(framework: str, variant: str) -> None:
    """The child: a block for each line on stdin; CPU of a request, µs, on stdout."""
    if variant == "pitstop":
        folder = tempfile.mkdtemp(prefix="pitstop-bench-")
        pitstop.init(service="bench", store=f"sqlite:///{folder}/bench.db", overhead_budget=1, profile_hz=0)
    elif variant in PEERS:
        PEERS[variant]()
    block = service(framework, variant)
    block()
    for _ in sys.stdin:
        start_ns = time.process_time_ns()
        block()
        pitstop.flush(5)
        print((time.process_time_ns() - start_ns) / BLOCK / 1000, flush=True)
    if variant == "pitstop":
        print(f"dropped {RECORDER.drain().dropped}", file=sys.stderr)
    elif variant in PEERS:
        assert min(recorded.values()) > QUERIES, f"{variant} recorded {recorded}"


recorded: Counter[str] = Counter(spans=0)
"""What a peer made, so that one that silently records nothing is not called fast."""


def ddtrace() -> None:
    """Its tracer with every integration, its payloads encoded, and nobody who takes them."""
    os.environ |= {
        "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    }
    logging.disable(logging.CRITICAL)  # it complains of the agent that is not there
    import ddtrace as package  # noqa: PLC0415
    from ddtrace.trace import TraceFilter, tracer  # noqa: PLC0415

    class Seen(TraceFilter):
        def process_trace(self, trace: list[Any]) -> list[Any]:
            recorded["spans"] += len(trace)
            return trace

    tracer.configure(trace_processors=[Seen()])
    with warnings.catch_warnings(action="ignore"):  # what it recommends instead works by an import hook only
        package.patch_all()


def sentry() -> None:
    """Its SDK with every request traced, its envelopes encoded, and nobody who takes them."""
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.transport import Transport  # noqa: PLC0415

    class Encoding(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            envelope.serialize()
            transaction = envelope.get_transaction_event()
            recorded["spans"] += len(transaction["spans"]) if transaction else 0

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=Encoding)


PEERS: Mapping[str, Callable[[], None]] = {"ddtrace": ddtrace, "sentry": sentry}


def compare(framework: str, rounds: int) -> None:
    """Let the variants work in turns, and print what each adds."""
    children = {
        variant: subprocess.Popen(
            [sys.executable, __file__, framework, variant], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for variant in VARIANTS
    }
    taken: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, child in children.items():
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            taken[variant].append(float(child.stdout.readline()))
    for child in children.values():
        child.communicate()
    bare = [(a + b) / 2 for a, b in zip(taken["bare 1"], taken["bare 2"], strict=True)]
    added = {name: statistics.median(x - b for x, b in zip(of, bare, strict=True)) for name, of in taken.items()}
    print(f"\n{framework}, {QUERIES} SQLAlchemy queries: bare {statistics.median(bare):.0f} µs")
    for name, us in added.items():
        ratio = "" if name == "pitstop" or name.startswith("bare") else f"{us / added['pitstop']:7.1f} × ours"
        print(f"  {name:<42} {us:+8.2f} µs {ratio}")


def best_us(run: Callable[[], object], calls: int = CALLS) -> float:
    """CPU of one call, µs: the best of `RUNS` blocks."""
    best = float("inf")
    for _ in range(RUNS):
        start_ns = time.thread_time_ns()
        for _ in range(calls):
            run()
        best = min(best, (time.thread_time_ns() - start_ns) / calls)
    return best / 1000


def request(at_ns: int, queries: int = QUERIES) -> Record:
    """A request of 1 ms with queries of 20 µs, one after the other."""
    line = {"line": "shop/orders.py:12 in list_orders"}
    below = [
        Child("db", "SELECT item", "ok", at_ns + i * 30_000, at_ns + i * 30_000 + 20_000, 1, line, at_ns)
        for i in range(queries)
    ]
    return Record("", "http", "GET /items", "", "200", at_ns, at_ns + 1_000_000, 7, 1, below, None)


def pieces() -> None:
    """What the parts cost, each by itself."""
    five, many = request(1), request(1, 50)
    assert five.children is not None
    assert many.children is not None
    below, loop = [tuple(child) for child in five.children], [tuple(child) for child in many.children]
    thousand = [tuple(request(i * 2_000_000)) for i in range(1000)]
    plain = [tuple(request(i * 2_000_000, 0)) for i in range(1000)]
    fold, keeper = Fold("bench"), Keeper("bench", "w")
    seen = fold.add(thousand, 0)  # type: ignore[arg-type]  # bare tuples, as the hot path writes them
    base = {"db.system": "sqlite"}
    overlapping = [*below, ("template", "a.html", "ok", 1, 900_000, 0, None, 1)]

    def file_five() -> None:
        root = Operation("http", 1)
        CURRENT.set(root)
        for _ in range(QUERIES):
            leaf("db", "SELECT item", "ok", 1, 2, 1, base)

    def error() -> None:
        try:
            int("x")
        except ValueError as problem:
            failure_of(problem)

    moment = iter(range(10**9))
    rows = {
        "five queries filed, with their root": best_us(file_five),
        "their code line": best_us(lambda: line_attrs(base)) * QUERIES,
        "folded: a request with five": best_us(lambda: fold.add(thousand, 0), 5) / 1000,  # type: ignore[arg-type]
        "folded: a request with none": best_us(lambda: fold.add(plain, 0), 5) / 1000,  # type: ignore[arg-type]
        "  of that: its time divided": best_us(lambda: parts_of(below, 1, 1_000_001)),  # type: ignore[arg-type]
        "  the same where they overlap": best_us(lambda: parts_of(overlapping, 1, 1_000_001)),  # type: ignore[arg-type]
        "  repeated statements among fifty": best_us(lambda: repeated(loop, 1_000_000)),  # type: ignore[arg-type]
        "the choice of traces, a request": best_us(
            lambda: keeper.look(thousand, seen, next(moment), 0),  # type: ignore[arg-type]
            20,
        )
        / 1000,
        "an exception's failure": best_us(error, 200),
    }
    CURRENT.set(None)
    print("\nWhere it goes")
    for name, us in rows.items():
        print(f"  {name:<42} {us:8.2f} µs")


def main() -> None:
    """Print the tables."""
    if len(sys.argv) > 2:
        work(sys.argv[1], sys.argv[2])
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    for framework in ("FastAPI", "Flask"):
        compare(framework, rounds)
    pieces()


if __name__ == "__main__":
    main()
