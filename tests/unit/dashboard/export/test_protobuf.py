"""Protobuf bodies, read by protobuf's own library with the messages as client_model has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]  # of the pure Python side

from pitstop.analyze.columns import merged_by_group
from pitstop.dashboard.export.family import COUNTER, GAUGE, HISTOGRAM, Block, Exemplar, Family
from pitstop.dashboard.export.protobuf import write_protobuf
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of

_F = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_F, f"TYPE_{name.upper()}")
    for name in ("string", "double", "uint64", "uint32", "sint32", "sint64", "int64", "int32")
}
# https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
_MESSAGES = {
    "LabelPair": "name string 1, value string 2",
    "Stamp": "seconds int64 1, nanos int32 2",
    "Exemplar": "*label LabelPair 1, value double 2, timestamp Stamp 3",
    "Bucket": "cumulative_count uint64 1, upper_bound double 2, exemplar Exemplar 3",
    "BucketSpan": "offset sint32 1, length uint32 2",
    "Histogram": (
        "sample_count uint64 1, sample_sum double 2, *bucket Bucket 3, schema sint32 5, zero_threshold double 6, "
        "zero_count uint64 7, *positive_span BucketSpan 12, *positive_delta sint64 13"
    ),
    "Value": "value double 1",
    "Metric": "*label LabelPair 1, gauge Value 2, counter Value 3, histogram Histogram 7",
    "MetricFamily": "name string 1, help string 2, type int32 3, *metric Metric 4",
}


@pytest.fixture(scope="module")
def family_type() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="client", syntax="proto2")
    for name, fields in _MESSAGES.items():
        made = file.message_type.add(name=name)
        for text in fields.split(", "):
            field, kind, number = text.split()
            added = made.field.add(name=field.lstrip("*"), number=int(number))
            added.label = _F.LABEL_REPEATED if field.startswith("*") else _F.LABEL_OPTIONAL
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type, added.type_name = _F.TYPE_MESSAGE, f".client.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("client.MetricFamily"))  # type: ignore[no-untyped-call]


def _read(family_type: Any, body: bytes) -> list[Any]:
    out, at = [], 0
    while at < len(body):
        length, at = _DecodeVarint32(body, at)
        out.append(family_type.FromString(body[at : at + length]))
        at += length
    return out


def test_values_come_with_their_names_labels_and_types(family_type: Any) -> None:
    body = b"".join(
        write_protobuf(
            [
                Family("seen", COUNTER, "Seen.", labels=("a", "b"), values=[(("x", ""), 3), (('"\n', "y"), 4.5)]),
                Family("level", GAUGE, "Level.", values=[((), -1.0)]),
            ]
        )
    )
    seen, level = _read(family_type, body)
    assert (seen.name, seen.help, seen.type, level.name, level.type) == ("seen_total", "Seen.", 0, "level", 1)
    assert [[(pair.name, pair.value) for pair in one.label] for one in seen.metric] == [
        [("a", "x")], [("a", '"\n'), ("b", "y")],
    ]  # fmt: skip
    assert [one.counter.value for one in seen.metric] == [3, 4.5]
    assert level.metric[0].gauge.value == -1


def test_a_histogram_is_classic_and_native_at_once_with_exemplars(family_type: Any) -> None:
    took = [0, 2_000_000, 2_000_000, 500_000_000, 40_000_000_000]
    counts: dict[int, int] = {}
    for ns in took:
        counts[position_of(ns)] = counts.get(position_of(ns), 0) + 1

    def blocks() -> Any:
        merged = merged_by_group([encode(counts)], np.zeros(1, dtype=np.int64), 1)
        exemplars = {("shop",): [Exemplar("ab" * 16, 0.5, 10.5), Exemplar("cd" * 16, 40.0, 11.0)]}
        yield Block([("shop",)], merged.totals(), np.array([sum(took) / 1e9]), merged, exemplars)

    family = Family("took_seconds", HISTOGRAM, "Took.", "seconds", ("service",), bounds=(-3, 0), blocks=blocks)
    (read,) = _read(family_type, b"".join(write_protobuf([family])))
    histogram = read.metric[0].histogram
    assert (read.type, histogram.sample_count, histogram.sample_sum) == (4, 5, sum(took) / 1e9)
    assert [(one.upper_bound, one.cumulative_count) for one in histogram.bucket] == [
        (0.125, 3),
        (1, 4),
        (float("inf"), 5),
    ]
    assert [one.exemplar.label[0].value[:2] for one in histogram.bucket if one.HasField("exemplar")] == ["ab", "cd"]
    assert histogram.bucket[1].exemplar.timestamp.nanos == 500_000_000
    assert (histogram.schema, histogram.zero_count) == (5, 1)
    index, count, upper = 0, 0, {}
    deltas = list(histogram.positive_delta)
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += deltas.pop(0)
            if count:
                upper[2 ** (index / 32)] = count
            index += 1
    for border, ns in zip(sorted(upper), sorted(set(took) - {0}), strict=True):
        assert ns / 1e9 <= border < ns / 1e9 * 1.0222
    assert sum(upper.values()) == 4
