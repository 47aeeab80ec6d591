# ruff: noqa: ANN001, ANN201, ANN202, ARG001  fixtures are known by name, applications by their protocol
"""The gauges of a process say what the machine says, and reading them is cheap."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time

import pytest

from pitstop.instrument import runtime
from pitstop.instrument.asgi import RecordingMiddleware
from pitstop.instrument.loop import LoopBeat
from pitstop.instrument.probe import Probe
from pitstop.instrument.runtime import RuntimeSampler
from pitstop.model.record import named


@pytest.fixture
def sampler():
    sampler = RuntimeSampler(LoopBeat())
    yield sampler
    sampler.close()


def test_memory_threads_and_files_are_the_processs(sampler, tmp_path):
    before = sampler.sample()
    held = bytearray(os.urandom(1 << 20)) * 32
    files = [(tmp_path / str(i)).open("w") for i in range(5)]
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    after = sampler.sample()
    release.set()
    thread.join()
    assert after["process.memory.rss_bytes"] - before["process.memory.rss_bytes"] > 0.9 * len(held)
    assert after["process.memory.peak_bytes"] >= after["process.memory.rss_bytes"]
    assert after["process.open_files"] - before["process.open_files"] == 5
    assert after["process.threads"] - before["process.threads"] == 1
    for file in files:
        file.close()


def test_cpu_is_a_share_of_the_time_since_the_last_sample(sampler):
    sampler.sample()
    cpu_s, at_s = time.process_time(), time.perf_counter()
    while time.process_time() - cpu_s < 0.1:
        pass
    ratio = sampler.sample()["process.cpu_ratio"]
    assert ratio == pytest.approx((time.process_time() - cpu_s) / (time.perf_counter() - at_s), rel=0.2)


def test_garbage_collections_are_counted_by_generation_since_the_last_sample(sampler):
    gc.collect(0)
    gc.collect(2)
    gauges = sampler.sample()
    assert gauges["gc.collections.gen0"] >= 1
    assert gauges["gc.collections.gen2"] >= 1
    assert 0 < gauges["gc.pause_max_s"] <= gauges["gc.pause_s"]
    gc.disable()
    try:
        sampler.sample()
        assert sampler.sample()["gc.pause_s"] == 0
    finally:
        gc.enable()


def test_closing_leaves_the_collector_alone():
    before = list(gc.callbacks)
    RuntimeSampler(LoopBeat()).close()
    assert gc.callbacks == before


def test_a_blocked_event_loop_shows_as_lag():
    lag = LoopBeat()
    lag.wanted = True

    async def serve():
        lag.watch()
        await asyncio.sleep(0.02)
        assert lag.take() < 0.05
        await asyncio.sleep(0.11)
        time.sleep(0.3)  # noqa: ASYNC251  what a careless host does
        await asyncio.sleep(0.01)
        return lag.take()

    assert 0.15 < asyncio.run(serve()) < 2
    assert lag.take() is None
    assert lag.wanted


def test_the_loop_is_watched_from_the_first_request(recorder, ask, http_scope, monkeypatch):
    lag = LoopBeat()
    lag.wanted = True
    monkeypatch.setattr("pitstop.instrument.asgi.LOOP", lag)

    async def app(scope, receive, send):
        assert lag.take() is not None

    ask(RecordingMiddleware(app, recorder), http_scope())
    assert not named(recorder.drain().records)[0].attrs


def test_outside_of_a_loop_there_is_no_lag():
    lag = LoopBeat()
    lag.watch()
    assert lag.take() is None


def test_running_requests_and_open_sockets_are_counted(recorder, ask, http_scope, sampler):
    counted = []

    async def app(scope, receive, send):
        counted.append(sampler.sample())

    middleware = RecordingMiddleware(app, recorder)
    ask(middleware, http_scope())
    ask(middleware, {"type": "websocket", "path": "/", "headers": []})
    assert [(g["requests.in_flight"], g["websockets.open"]) for g in counted] == [(1, 0), (0, 1)]
    assert sampler.sample()["requests.in_flight"] == 0


def test_without_proc_the_peak_and_the_threads_are_still_known(monkeypatch):
    monkeypatch.setattr(runtime, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError), raising=False)
    gauges = runtime._memory()
    assert set(gauges) == {"process.memory.peak_bytes", "process.threads"}
    assert gauges["process.memory.peak_bytes"] > 1 << 20


def test_the_probe_measures_a_few_microseconds_and_leaves_nothing_behind():
    probe = Probe()
    assert 2e-7 < probe() < 5e-4
    assert probe._recorder.buffer == []
