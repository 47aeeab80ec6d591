"""Remote write to real HTTP receivers: ones that know 2.0, ones that know 1.0, and ones that take nothing."""

from __future__ import annotations

import math
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from pitstop.dashboard.export.exposition import Exposition
from pitstop.dashboard.export.remote import sender as module
from pitstop.dashboard.export.remote.sender import Sender
from pitstop.model import SettingError, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_F = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_F, f"TYPE_{name.upper()}")
    for name in ("string", "double", "uint64", "uint32", "sint32", "sint64", "int64", "int32")
}
_SHARED = {
    "Sample": "value double 1, timestamp int64 2",
    "BucketSpan": "offset sint32 1, length uint32 2",
}
_HISTOGRAM = "count_int uint64 1, sum double 3, schema sint32 {0}, zero_threshold double {1}, zero_count_int uint64 {2}"
# https://github.com/prometheus/prometheus/blob/main/prompb/types.proto and remote.proto
_FIRST = _SHARED | {
    "Label": "name string 1, value string 2",
    "Histogram": _HISTOGRAM.format(4, 5, 6)
    + ", *positive_spans BucketSpan 11, *positive_deltas sint64 12, timestamp int64 15",
    "TimeSeries": "*labels Label 1, *samples Sample 2, *histograms Histogram 4",
    "WriteRequest": "*timeseries TimeSeries 1",
}
# https://github.com/prometheus/prometheus/blob/main/prompb/io/prometheus/write/v2/types.proto
_SECOND = _SHARED | {
    "Metadata": "type int32 1, help_ref uint32 3, unit_ref uint32 4",
    "Histogram": _HISTOGRAM.format(4, 5, 6)
    + ", *positive_spans BucketSpan 11, *positive_deltas sint64 12, timestamp int64 15",
    "TimeSeries": "*labels_refs uint32 1, *samples Sample 2, *histograms Histogram 3, metadata Metadata 5",
    "Request": "*symbols string 4, *timeseries TimeSeries 5",
}


def _type(messages: dict[str, str], name: str, package: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message, fields in messages.items():
        made = file.message_type.add(name=message)
        for text in fields.split(", "):
            field, kind, number = text.split()
            added = made.field.add(name=field.lstrip("*"), number=int(number))
            added.label = _F.LABEL_REPEATED if field.startswith("*") else _F.LABEL_OPTIONAL
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type, added.type_name = _F.TYPE_MESSAGE, f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))  # type: ignore[no-untyped-call]


_WRITE_REQUEST = _type(_FIRST, "WriteRequest", "first")
_REQUEST = _type(_SECOND, "Request", "second")


class Receiver:
    """What came, as (version, {labels: (value or histogram, ms)}); `answer` says how each request is answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Callable[[int], tuple[int, dict[str, str]]] = lambda _: (204, {})
        self.versions: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[dict[tuple[tuple[str, str], ...], Any]] = []

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        version = 2 if headers["X-Prometheus-Remote-Write-Version"].startswith("2") else 1
        assert headers["Content-Encoding"] == "snappy"
        assert ("v2.Request" in headers["Content-Type"]) == (version == 2)
        self.versions.append(version)
        self.headers.append(headers)
        answer = self.answer(version)
        if 200 <= answer[0] < 300:
            raw = bytes(cramjam.snappy.decompress_raw(body))
            found = {}
            for labels, one in _first(raw) if version == 1 else _second(raw):
                assert labels == tuple(sorted(labels))
                assert labels not in found
                point = one.samples[0] if one.samples else one.histograms[0]
                found[labels] = (point.value if one.samples else point, point.timestamp)
            self.requests.append(found)
        return answer


def _first(raw: bytes) -> Iterator[Any]:
    for one in _WRITE_REQUEST.FromString(raw).timeseries:
        yield tuple((label.name, label.value) for label in one.labels), one


def _second(raw: bytes) -> Iterator[Any]:
    request = _REQUEST.FromString(raw)
    assert request.symbols[0] == ""
    for one in request.timeseries:
        words = [request.symbols[at] for at in one.labels_refs]
        yield tuple(zip(words[0::2], words[1::2], strict=True)), one


@contextmanager
def _receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers = receiver.take(dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/api/v1/write?x=1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with _receiving() as made:
        yield made


@pytest.fixture
def exposition(store: Any, write: Any, clock: Any, request_series: Any) -> Exposition:
    write(int(clock.at_s) - 5, (request_series(), [2_000_000, 300_000_000]), (request_series('GET /"é'), [5]))
    return Exposition(store, clock)


def _sender(exposition: Exposition, clock: Any, receiver: Receiver, **given: Any) -> Sender:
    return Sender(exposition, receiver.url, {"Authorization": "Bearer x"}, clock=clock, instance="host-1", **given)


def _of(found: dict[Any, Any], name: str, **labels: str) -> Any:
    wanted = {"__name__": name, "job": "pitstop", "instance": "host-1", **labels}.items()
    chosen = [value for key, value in found.items() if wanted <= dict(key).items()]
    assert len(chosen) == 1, (name, labels, len(chosen))
    return chosen[0]


def _knows_2(version: int) -> tuple[int, dict[str, str]]:
    return 204, {"X-Prometheus-Remote-Write-Samples-Written": "1"} if version == 2 else {}


def test_a_receiver_of_2_0_gets_values_and_native_histograms(exposition: Any, clock: Any, receiver: Receiver) -> None:
    receiver.answer = _knows_2
    sender = _sender(exposition, clock, receiver)
    sender.collect()
    sender.send()
    assert receiver.versions == [2]
    assert receiver.headers[0]["Authorization"] == "Bearer x"
    (found,) = receiver.requests
    name = "http_server_request_duration_seconds"
    assert _of(found, f"{name}_count", http_route="/menu") == (2, int(clock.at_s * 1000))
    assert _of(found, f"{name}_bucket", http_route="/menu", le="0.25")[0] == 1
    histogram, at_ms = _of(found, name, http_route="/menu")
    assert (histogram.count_int, histogram.sum, histogram.schema, at_ms) == (2, 0.302, 5, int(clock.at_s * 1000))
    assert sum(span.length for span in histogram.positive_spans) == len(histogram.positive_deltas)
    assert _of(found, f"{name}_count", http_route='/"é')[0] == 1
    assert exposition.ourselves.sent == len(found)


@pytest.mark.parametrize("refusal", [(204, {}), (415, {})])
def test_a_receiver_of_1_0_gets_what_it_knows(exposition: Any, clock: Any, receiver: Receiver, refusal: Any) -> None:
    receiver.answer = lambda version: refusal if version == 2 else (204, {})
    sender = _sender(exposition, clock, receiver)
    for _ in range(2):
        sender.collect()
        sender.send()
        clock.at_s += 15
    assert receiver.versions == [2, 1, 1]
    found = receiver.requests[-1]
    assert _of(found, "http_server_request_duration_seconds_count", http_route="/menu")[0] == 2
    assert not any(dict(labels)["__name__"] == "http_server_request_duration_seconds" for labels in found)
    assert exposition.ourselves.send_failures == 0


def test_what_is_not_taken_waits_and_comes_in_order(
    exposition: Any, clock: Any, receiver: Receiver, caplog: Any
) -> None:
    answers = iter([(503, {}), (429, {"Retry-After": "7"}), (429, {"Retry-After": "99999"})])
    receiver.answer = lambda version: next(answers, _knows_2(version))
    sender = _sender(exposition, clock, receiver)
    sender.collect()
    clock.at_s += 15
    sender.collect()
    assert sender.send() == module.BACKOFF_S[0]
    assert sender.send() == 7
    assert sender.send() == module.LONGEST_PAUSE_S
    sender.send()
    times = [{at_ms for _, at_ms in found.values()} for found in receiver.requests]
    assert times == [{int((clock.at_s - 15) * 1000)}, {int(clock.at_s * 1000)}]
    assert exposition.ourselves.send_failures == 3
    assert "it is tried again" in caplog.text


def test_what_is_refused_for_good_is_dropped_counted_and_said(
    exposition: Any, clock: Any, receiver: Receiver, caplog: Any
) -> None:
    receiver.answer = lambda _: (400, {})
    sender = _sender(exposition, clock, receiver)
    sender.collect()
    sender.send()
    assert exposition.ourselves.send_dropped > 20
    assert "samples are dropped" in caplog.text
    receiver.answer = lambda _: (302, {"Location": receiver.url})
    sender.collect()
    sender.send()
    assert receiver.requests == []  # redirects are not followed
    assert len(receiver.versions) == 2


def test_a_series_that_is_no_more_is_marked_stale(
    exposition: Any, clock: Any, receiver: Receiver, monkeypatch: Any
) -> None:
    receiver.answer = _knows_2
    sender = _sender(exposition, clock, receiver)
    sender.collect()
    left = [one for one in exposition.families() if not one.name.startswith("http_")]
    clock.at_s += 15
    monkeypatch.setattr(exposition, "families", lambda: iter(left))
    sender.collect()
    sender.send()
    gone = receiver.requests[0].keys() - {
        labels for labels, (value, _) in receiver.requests[1].items() if not _is_stale(value)
    }
    names = {dict(labels)["__name__"] for labels in gone}
    assert {"http_server_request_duration_seconds", "http_server_request_duration_seconds_count"} <= names
    assert all(_is_stale(receiver.requests[1][labels][0]) for labels in gone)


def _is_stale(value: Any) -> bool:
    value = value if isinstance(value, float) else value.sum
    return math.isnan(value) and struct.pack(">d", value) == b"\x7f\xf0\0\0\0\0\0\x02"


def test_large_expositions_go_in_pieces(
    store: Any, write: Any, clock: Any, request_series: Any, receiver: Receiver
) -> None:
    write(int(clock.at_s) - 5, *[(request_series(f"GET /{number}"), [10]) for number in range(150)])
    receiver.answer = _knows_2
    sender = _sender(Exposition(store, clock), clock, receiver)
    sender.collect()
    sender.send()
    assert len(receiver.requests) >= 2
    assert max(map(len, receiver.requests)) <= module.SERIES_AT_ONCE
    counts = [
        labels
        for found in receiver.requests
        for labels in found
        if ("__name__", "http_server_request_duration_seconds_count") in labels
    ]
    assert len(counts) == 150


def test_nobody_there_costs_bounded_memory(exposition: Any, clock: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 20_000)
    sender = Sender(exposition, "http://127.0.0.1:9/write", clock=clock)
    for _ in range(20):
        sender.collect()
        clock.at_s += 15
    assert sender.send() == module.BACKOFF_S[0]
    assert exposition.ourselves.send_dropped > 0
    assert exposition.ourselves.send_failures == 1


@pytest.mark.parametrize("url", ["ftp://x/write", "localhost:9090", ""])
def test_an_address_that_is_none_is_refused(exposition: Any, clock: Any, url: str) -> None:
    with pytest.raises(SettingError, match="remote_write_url"):
        Sender(exposition, url, clock=clock)


def test_the_thread_sends_and_one_process_at_a_time_does(exposition: Any, receiver: Receiver) -> None:
    receiver.answer = _knows_2
    first, second = (_sender(exposition, SystemClock(), receiver, every_s=0.05) for _ in range(2))
    first.start()
    _until(lambda: len(receiver.requests) >= 3)
    second.start()
    first.stop(5)
    sent = len(receiver.requests)
    _until(lambda: len(receiver.requests) >= sent + 2)
    second.stop(5)


def test_a_damaged_file_of_totals_does_not_keep_figures_from_being_sent(exposition: Any, receiver: Receiver) -> None:
    receiver.answer = _knows_2
    exposition.file.path.write_bytes(b"no database" * 100)
    sender = _sender(exposition, SystemClock(), receiver, every_s=0.05)
    sender.start()
    _until(lambda: len(receiver.requests) >= 2)
    sender.stop(5)


def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
