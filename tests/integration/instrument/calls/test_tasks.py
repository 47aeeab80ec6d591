# ruff: noqa: ANN001, ANN201, ARG001, PLC0415  fixtures are known by name; libraries are imported when they are hooked
"""What is enqueued in a request and run by a worker is one trace, whichever queue is between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.app import open_store
from pitstop.instrument import tasks
from pitstop.instrument.live import faults
from pitstop.instrument.options import OPTIONS
from pitstop.model import Match, Window
from pitstop.model.record import named
from pitstop.record import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "canary-51cc"
TRACE_ID = "ab" * 16
CALLER = f"00-{TRACE_ID}-{'cd' * 8}-01".encode()
SERVICES = Path(__file__).parents[1] / "services"
SOURCE = Path(__file__).parents[4] / "src"
BIN = Path(sys.executable).parent


@pytest.fixture
def shop(hooked, redis_url, monkeypatch) -> str:
    """The shop's tasks can be imported; the URL of their broker."""
    import redis

    redis.Redis.from_url(redis_url).flushall()
    monkeypatch.setenv("SHOP_REDIS", redis_url)
    monkeypatch.syspath_prepend(SERVICES)
    for name in ("shop_tasks", "shop_actors"):
        sys.modules.pop(name, None)
    hooked("celery", "rq", "dramatiq")
    return redis_url


class Worker:
    """A worker under `pitstop run`, and what it stored."""

    def __init__(self, process: subprocess.Popen[bytes], store: str, log: Path) -> None:
        self.process, self.store, self.log = process, store, log

    def counts(self, kind: str) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        if not Path(self.store.removeprefix("sqlite:///")).exists():
            return counts
        store = open_store(self.store)
        try:
            rows = store.rollups(Window(0, int(time.time()) + 10), Match(kind=kind), hist=False)
        finally:
            store.close()
        for series, count in zip(rows.series, rows.count, strict=True):
            counts[series.name, series.outcome] += count
        return counts

    def failed_below(self, trace_id: str) -> set[tuple[str, int]]:
        """Names of the failed runs of one trace, and the spans that are their parents."""
        store = open_store(self.store)
        try:
            parts = store.trace(trace_id)
        finally:
            store.close()
        rows = zip(parts.name, parts.parent_id, parts.outcome, strict=True)
        return {(name, int(parent, 16)) for name, parent, outcome in rows if outcome == "error"}

    def counts_become(self, kind: str, expected: dict[tuple[str, str], int]) -> Counter[tuple[str, str]]:
        deadline_s = time.monotonic() + 20
        while (counts := self.counts(kind)) != expected and time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        return counts


@pytest.fixture
def worker(tmp_path, shop) -> Iterator[Callable[..., Any]]:
    """Runs a command as a worker for a block, and ends it by SIGTERM."""

    @contextmanager
    def start(*command: str) -> Iterator[Worker]:
        store, log = f"sqlite:///{tmp_path}/pitstop.db", tmp_path / "worker.log"
        env = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{SOURCE}{os.pathsep}{SERVICES}",
            "PITSTOP_STORE": store,
            "PITSTOP_OVERHEAD_BUDGET": "1",
            "PITSTOP_TRACES_PER_S": "1000",
            "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
        }
        argv = [sys.executable, "-m", "pitstop.instrument.run", "--", *command]
        with log.open("wb") as out:
            process = subprocess.Popen(argv, env=env, cwd=SERVICES, stdout=out, stderr=out, start_new_session=True)
        running = Worker(process, store, log)
        try:
            yield running
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise

    return start


def stored_bytes(worker: Worker) -> bytes:
    folder = Path(worker.store.removeprefix("sqlite:///")).parent
    return b"".join(path.read_bytes() for path in folder.glob("pitstop.db*"))


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_celery_runs_are_tasks_with_their_outcomes_and_waits(worker, in_request, pool):
    from shop_tasks import again, chained, fail, ship

    with in_request(traceparent=CALLER) as seen:
        for _ in range(5):
            ship.delay(CANARY)
        fail.delay(CANARY)
        again.delay(CANARY)
        chained.delay(CANARY)
    assert seen.outcomes("queue") == {
        ("publish shop.ship", "ok"): 5,
        ("publish shop.fail", "ok"): 1,
        ("publish shop.again", "ok"): 1,
        ("publish shop.chained", "ok"): 1,
    }
    expected = {
        ("shop.ship", "ok"): 6,
        ("shop.fail", "error"): 1,
        ("shop.again", "retry"): 1,
        ("shop.again", "ok"): 1,
        ("shop.chained", "ok"): 1,
    }
    with worker("celery", "-A", "shop_tasks", "worker", "-P", pool, "-c", "2", "-l", "warning") as running:
        assert running.counts_become("task", expected) == expected
    waits = running.counts("queue")
    assert waits["waited", "ok"] == 10
    assert waits["publish shop.ship", "ok"] == waits["publish shop.again", "ok"] == 1
    (published,) = [child for child in seen.children if child.name == "publish shop.fail"]
    assert running.failed_below(TRACE_ID) == {("shop.fail", published.start_ns)}
    assert CANARY.encode() not in stored_bytes(running)


def test_what_a_celery_child_has_done_is_stored_when_the_worker_ends_at_once(worker, shop):
    import redis
    from shop_tasks import counted

    broker = redis.Redis.from_url(shop)

    def run_become(runs: int) -> int:
        deadline_s = time.monotonic() + 15
        while int(broker.get("counted") or 0) < runs and time.monotonic() < deadline_s:
            time.sleep(0.001)
        return int(broker.get("counted") or 0)

    with worker("celery", "-A", "shop_tasks", "worker", "-P", "prefork", "-c", "1", "-l", "warning") as running:
        counted.delay()
        assert run_become(1) == 1
        for _ in range(20):
            counted.delay()
        assert run_become(21) == 21
    assert running.counts("task") == {("shop.counted", "ok"): 21}
    assert running.counts("cache")["INCRBY", "ok"] == 21  # what redis-py sends for `incr`


def test_an_eager_celery_task_is_part_of_its_request(shop, in_request):
    from shop_tasks import ship

    with in_request() as seen:
        assert ship.apply(args=(CANARY,)).get() == len(CANARY)
    assert seen.counts("task") == {"shop.ship": 1}
    assert not seen.counts("queue")


def test_a_celery_broker_that_is_gone_is_an_error_of_the_publishing(hooked, in_request):
    hooked("celery")
    from celery import Celery
    from kombu.exceptions import OperationalError

    app = Celery("gone", broker="redis://127.0.0.1:1/0")
    app.conf.broker_transport_options = {"max_retries": 0, "socket_connect_timeout": 1}
    with in_request() as seen, pytest.raises(OperationalError):
        app.send_task("shop.ship", args=(CANARY,), retry=False)
    assert seen.outcomes("queue") == {("publish shop.ship", "error"): 1}


def test_rq_runs_are_tasks_even_in_the_child_that_is_forked_for_each(worker, shop, in_request):
    import redis
    from rq import Queue

    queue = Queue(connection=redis.Redis.from_url(shop))
    with in_request() as seen:
        for _ in range(3):
            queue.enqueue("shop_tasks.rq_ship", CANARY)
        queue.enqueue("shop_tasks.rq_fail", CANARY)
    assert seen.outcomes("queue") == {
        ("publish shop_tasks.rq_ship", "ok"): 3,
        ("publish shop_tasks.rq_fail", "ok"): 1,
    }
    expected = {("shop_tasks.rq_ship", "ok"): 3, ("shop_tasks.rq_fail", "error"): 1}
    with worker("rq", "worker", "--url", shop, "--quiet") as running:
        assert running.counts_become("task", expected) == expected
    assert running.counts("queue")["waited", "ok"] == 4
    assert CANARY.encode() not in stored_bytes(running)


def test_dramatiq_runs_are_tasks(worker, shop, in_request):
    import shop_actors

    with in_request(traceparent=CALLER) as seen:
        for _ in range(3):
            shop_actors.ship.send(CANARY)
        shop_actors.fail.send(CANARY)
        shop_actors.again.send(CANARY)
    assert seen.counts("queue") == {"publish ship": 3, "publish fail": 1, "publish again": 1}
    expected = {("ship", "ok"): 3, ("fail", "error"): 1, ("again", "retry"): 1, ("again", "error"): 1}
    with worker("dramatiq", "shop_actors", "-p", "1", "-t", "2") as running:
        assert running.counts_become("task", expected) == expected
    assert running.counts("queue")["waited", "ok"] == 6
    (published,) = [child for child in seen.children if child.name == "publish fail"]
    assert ("fail", published.start_ns) in running.failed_below(TRACE_ID)
    assert CANARY.encode() not in stored_bytes(running)


@pytest.mark.parametrize("delayed", [False, True])
def test_a_run_knows_who_enqueued_it(shop, in_request, delayed):
    """Publishing and running in one process, as the message's own fields carry it."""
    import redis
    from rq import Queue, SimpleWorker
    from rq.scheduler import RQScheduler
    from rq.timeouts import TimerDeathPenalty

    class InProcess(SimpleWorker):  # type: ignore[misc]  # rq is not typed here
        death_penalty_class = TimerDeathPenalty

    connection = redis.Redis.from_url(shop)
    queue = Queue(connection=connection)
    with in_request(traceparent=CALLER) as seen:
        if delayed:
            queue.enqueue_in(timedelta(0), "shop_tasks.rq_fail", CANARY)
        else:
            queue.enqueue("shop_tasks.rq_fail", CANARY)
    (published,) = [child for child in seen.children if child.kind == "queue"]
    RECORDER.drain()
    scheduler = RQScheduler([queue], connection=connection)
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    InProcess([queue], connection=connection).work(burst=True)
    scheduler.release_locks()
    records = named(RECORDER.drain().records)
    (run,) = [record for record in records if record.kind == "task"]
    assert not [record for record in records if record.name.startswith("publish")]
    assert run.caller is not None
    assert run.caller[1] == f"00-{TRACE_ID}-{published.start_ns:016x}-01".encode()
    assert [child.name for child in run.children or () if child.kind == "queue"] == ["waited"]
    assert run.failure is not None
    assert (run.failure.type, CANARY in repr(run)) == ("builtins.ValueError", False)


@pytest.mark.parametrize("name", ["celery", "rq", "dramatiq"])
def test_everything_can_be_put_back(shop, in_request, name):
    import celery.app.base
    import dramatiq.broker
    import rq.job
    import rq.queue
    from celery import signals

    from pitstop.instrument import celery as ours_celery
    from pitstop.instrument import dramatiq as ours_dramatiq
    from pitstop.instrument import rq as ours_rq

    integration, modules = {
        "celery": (ours_celery, [celery.app.base]),
        "rq": (ours_rq, [rq.job, rq.queue]),
        "dramatiq": (ours_dramatiq, [dramatiq.broker]),
    }[name]
    for module in modules:
        integration.detach(module)
    replaced = (celery.app.base.Celery.send_task, rq.job.Job.perform, dramatiq.broker.Broker.emit_before)
    assert hasattr(replaced[("celery", "rq", "dramatiq").index(name)], "__wrapped__") is False
    assert bool(signals.task_prerun.receivers) == (name != "celery")
    for module in modules:
        integration.attach(module)


def test_waits_by_two_clocks_that_disagree_are_not_believed(hooked):
    hooked()
    for sent_s in (time.time() + 60, time.time() - 30 * 86_400, "yesterday", None):
        tasks.end(tasks.begin("job", None, sent_s), tasks.OK)
    assert all(not record.children for record in named(RECORDER.drain().records))
    tasks.end(tasks.begin("job", None, time.time() - 5), tasks.OK)
    (record,) = named(RECORDER.drain().records)
    assert record.children is not None
    assert 5 <= record.children[0].duration_ns / 1e9 < 6


def test_a_fault_of_ours_is_noted_and_the_task_runs(shop, in_request, monkeypatch):
    import redis
    from rq import Queue, SimpleWorker
    from rq.timeouts import TimerDeathPenalty
    from shop_tasks import celery_app, ship

    class InProcess(SimpleWorker):  # type: ignore[misc]  # rq is not typed here
        death_penalty_class = TimerDeathPenalty

    monkeypatch.setattr(tasks, "time", lambda: 1 / 0)
    queue = Queue(connection=redis.Redis.from_url(shop))
    with in_request() as seen:
        assert ship.apply_async((CANARY,), countdown=1)
        job = queue.enqueue("shop_tasks.rq_ship", CANARY)
    InProcess([queue], connection=queue.connection).work(burst=True)
    assert job.latest_result().return_value == len(CANARY)
    assert "tasks.send_along" in faults()
    assert sum(seen.counts("queue").values()) == 2
    celery_app.control.purge()


def test_nothing_is_added_to_messages_while_recording_is_off(shop):
    import redis
    import shop_actors
    from rq import Queue
    from shop_tasks import celery_app, ship

    RECORDER.on = False
    job = Queue(connection=redis.Redis.from_url(shop)).enqueue("shop_tasks.rq_ship", CANARY)
    assert job.meta == {}
    assert tasks.SENT not in shop_actors.ship.send(CANARY).options
    ship.delay(CANARY)
    assert tasks.SENT.encode() not in redis.Redis.from_url(shop).lrange("celery", 0, -1)[0]
    assert tasks.begin("job", None, None) is None
    celery_app.control.purge()


def test_a_message_is_not_told_where_nobody_may_be(shop, in_request):
    from shop_tasks import celery_app, ship

    OPTIONS.configure(exclude=(), exec_time=False, server_timing=False, propagate=("none",))
    try:
        with in_request():
            ship.delay(CANARY)
    finally:
        OPTIONS.configure(exclude=(), exec_time=False, server_timing=False)
    import redis

    (message,) = redis.Redis.from_url(shop).lrange("celery", 0, -1)
    assert tasks.SENT.encode() in message
    assert b"traceparent" not in message
    celery_app.control.purge()


@pytest.mark.parametrize(
    ("eta", "due_s"),
    [
        (None, 1_000.0),
        ("1970-01-01T00:33:20+00:00", 2_000.0),
        ("1970-01-01T01:33:20+01:00", 2_000.0),
        ("1970-01-01T00:00:01+00:00", 1_000.0),
        ("1970-01-01T00:33:20", None),  # of a zone that nobody knows
    ],
)
def test_a_delay_is_no_waiting(eta, due_s):
    from pitstop.instrument.celery import _due_s

    assert _due_s(SimpleNamespace(eta=eta), 1_000.0) == due_s
    assert _due_s(SimpleNamespace(eta=eta), None) is None
