"""What recording adds to a Redis GET and to a call by httpx and urllib3, µs of CPU, beside OpenTelemetry's.

Run: ``python bench/calls.py``. Redis and the upstream answer on loopback in processes of their own; counted is this
process's CPU, writing what was recorded included: our fold into histograms, their export into nothing. Bare, ours and
theirs take turns in one run; shown is the median of what a block takes more than the bare one beside it.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import redis
import redis.client
import redis.connection
import urllib3
import urllib3.connectionpool
import urllib3.response
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from pitstop.instrument import httpx as ours_httpx
from pitstop.instrument import redis as ours_redis
from pitstop.instrument import urllib3 as ours_urllib3
from pitstop.record import RECORDER, Operation
from pitstop.record.operation import set_current
from pitstop.rollup.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = 100  # a block
ROUNDS = 60
UPSTREAM = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    while connection.recv(65536):
        connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok")
"""


class Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, _spans: Any) -> SpanExportResult:
        """Of the protocol."""
        return SpanExportResult.SUCCESS


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """`command` for the time of a block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
        yield
    finally:
        process.terminate()
        process.wait()


class Ours:
    """Our integrations, in a request."""

    modules = (
        (ours_redis, redis.client),
        (ours_redis, redis.connection),
        (ours_httpx, httpx._client),  # noqa: SLF001
        (ours_urllib3, urllib3.connectionpool),
        (ours_urllib3, urllib3.response),
    )

    def attach(self) -> None:
        """Begin."""
        for integration, module in self.modules:
            integration.attach(module)
        RECORDER.on = True

    def detach(self) -> None:
        """Leave no trace."""
        RECORDER.on = False
        for integration, module in self.modules:
            integration.detach(module)

    def block(self, call: Callable[[], object], calls: int) -> None:
        """Requests of ten calls each, folded at the end."""
        fold = Fold("bench")
        for _ in range(calls // 10):
            root = Operation("http", time.perf_counter_ns())
            root.name, root.host = "GET /", "127.0.0.1"
            set_current(root)
            for _ in range(10):
                call()
            set_current(None)
            RECORDER.finish(root, time.perf_counter_ns())
        fold.add(RECORDER.drain().records, 0)


class Theirs:
    """OpenTelemetry's integrations, in a span."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.processor = BatchSpanProcessor(Nowhere(), max_queue_size=100_000)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("bench")
        self.instrumentors = (RedisInstrumentor(), HTTPXClientInstrumentor(), URLLib3Instrumentor())

    def attach(self) -> None:
        """Begin."""
        for instrumentor in self.instrumentors:
            instrumentor.instrument(tracer_provider=self.provider)

    def detach(self) -> None:
        """Leave no trace."""
        for instrumentor in self.instrumentors:
            instrumentor.uninstrument()

    def block(self, call: Callable[[], object], calls: int) -> None:
        """Requests of ten calls each, exported at the end."""
        for _ in range(calls // 10):
            with self.tracer.start_as_current_span("GET /"):
                for _ in range(10):
                    call()
        self.provider.force_flush()


class Bare:
    """Nothing."""

    def attach(self) -> None:
        """Begin."""

    def detach(self) -> None:
        """End."""

    def block(self, call: Callable[[], object], calls: int) -> None:
        """The calls alone."""
        for _ in range(calls):
            call()


def measured(calls: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """µs of CPU of one call, by call and by who records it: bare, and what each adds to the bare block beside it."""
    ways: dict[str, Any] = {"bare": Bare(), "pitstop": Ours(), "opentelemetry": Theirs()}
    taken: dict[str, dict[str, list[float]]] = {name: {way: [] for way in ways} for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            for way, recording in ways.items():
                recording.attach()
                recording.block(call, 10)
                start_ns = time.process_time_ns()
                recording.block(call, CALLS)
                taken[name][way].append((time.process_time_ns() - start_ns) / CALLS / 1e3)
                recording.detach()
    return {
        name: {
            way: statistics.median(map(float.__sub__, blocks, by_way["bare"]) if way != "bare" else blocks)
            for way, blocks in by_way.items()
        }
        for name, by_way in taken.items()
    }


def main() -> None:
    """Print the table."""
    redis_port, http_port, other_port = free_port(), free_port(), free_port()
    with (
        running(["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", ""], redis_port),
        running([sys.executable, "-c", UPSTREAM, str(http_port)], http_port),
        running([sys.executable, "-c", UPSTREAM, str(other_port)], other_port),
        httpx.Client() as client,
    ):
        cache = redis.Redis(port=redis_port)
        cache.set("key", "value")
        pool = urllib3.PoolManager()
        url, other_url = f"http://127.0.0.1:{http_port}/", f"http://127.0.0.1:{other_port}/"
        table = measured(
            {
                "redis GET": lambda: cache.get("key"),
                "httpx GET": lambda: client.get(url),
                "urllib3 GET": lambda: pool.request("GET", other_url),
            }
        )
    print(f"{'':<14}{'bare':>10}{'pitstop adds':>16}{'OpenTelemetry adds':>22}{'ratio':>10}")
    for name, taken in table.items():
        ours, theirs = taken["pitstop"], taken["opentelemetry"]
        print(f"{name:<14}{taken['bare']:>7.1f} µs{ours:>13.2f} µs{theirs:>19.2f} µs{theirs / ours:>8.1f} ×")


if __name__ == "__main__":
    main()
