"""What instruments of OpenTelemetry become in our recorder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation, _internal

from pitstop.instrument.otel import meter as module
from pitstop.instrument.otel.naming import MOST_NAMES
from pitstop.record import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECRET = "hunter2-canary"


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    RECORDER.drain()
    RECORDER.on = True
    yield
    RECORDER.on = False
    RECORDER.drain()
    RECORDER._gauges.clear()


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Any:
    provider = module.MeterProvider()
    monkeypatch.setattr(_internal, "_METER_PROVIDER", provider)
    monkeypatch.setattr(module, "_observables", [])
    return provider.get_meter("test")


def test_counters_count_and_their_names_have_only_what_no_user_sent(meter: Any) -> None:
    counter = meter.create_counter("orders")
    counter.add(2, {"messaging.system": "kafka", "user.id": SECRET})
    counter.add(1)
    counter.add(-5)
    assert RECORDER.drain().counts == [("orders{messaging.system=kafka}", 2), ("orders", 1)]


def test_sums_and_gauges_are_gauges(meter: Any) -> None:
    depth = meter.create_up_down_counter("depth")
    depth.add(5)
    depth.add(-2)
    meter.create_gauge("level").set(7.5, {"state": "hot"})
    assert RECORDER.drain().gauges == {"depth": 3, "level{state=hot}": 7.5}


@pytest.mark.parametrize(
    ("unit", "amount", "ns"), [("s", 0.25, 250_000_000), ("ms", 5, 5_000_000), ("By", 3, 3 * 10**9)]
)
def test_histograms_are_series_in_their_unit(meter: Any, unit: str, amount: float, ns: int) -> None:
    histogram = meter.create_histogram("job.time", unit=unit)
    histogram.record(amount, {"error.type": "timeout"})
    histogram.record(-1)
    [record] = RECORDER.drain().records
    assert (record[1], record[2], record[6] - record[5]) == ("metric", "job.time{error.type=timeout}", ns)


def test_what_requests_took_is_not_recorded_twice(meter: Any) -> None:
    meter.create_histogram("http.server.request.duration", unit="s").record(1)
    meter.create_up_down_counter("http.server.active_requests").add(1)
    drained = RECORDER.drain()
    assert (drained.records, drained.gauges) == ([], {})


def test_observables_are_asked_when_gauges_are_sampled(meter: Any) -> None:
    total = 10

    def gauge(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(1, {"pool.name": "a"})
        yield Observation(2, {"pool.name": "b"})

    def by_generator() -> Any:
        options = yield ()
        assert isinstance(options, CallbackOptions)
        while True:
            yield [Observation(5)]

    def broken(_: CallbackOptions) -> Iterable[Observation]:
        raise RuntimeError(SECRET)

    meter.create_observable_gauge("used", [gauge])
    meter.create_observable_up_down_counter("open", [by_generator()])
    meter.create_observable_gauge("broken", [broken])
    meter.create_observable_counter("bytes", [lambda _: [Observation(total)]])
    assert module.observe() == {"used{pool.name=a}": 1, "used{pool.name=b}": 2, "open": 5}
    total = 25
    module.observe()
    total = 4  # it began anew
    module.observe()
    assert RECORDER.drain().counts == [("bytes", 10), ("bytes", 15), ("bytes", 4)]


def test_names_of_one_instrument_are_bounded(meter: Any) -> None:
    counter = meter.create_counter("c")
    for i in range(MOST_NAMES + 50):
        counter.add(1, {"http.route": f"/{i}"})
    names = [name for name, _ in RECORDER.drain().counts]
    assert len(set(names)) == MOST_NAMES + 1
    assert names[-1] == "c"


def test_nothing_is_recorded_while_recording_is_off(meter: Any) -> None:
    RECORDER.on = False
    meter.create_counter("c").add(1)
    meter.create_gauge("g").set(1)
    meter.create_histogram("h").record(1)
    RECORDER.on = True
    drained = RECORDER.drain()
    assert (drained.records, drained.counts, drained.gauges) == ([], [], {})
