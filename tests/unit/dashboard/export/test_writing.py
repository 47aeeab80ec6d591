"""What is written is read back equal, by prometheus-client's own parsers and by protobuf's."""

from __future__ import annotations

import math
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pitstop.analyze.columns import merged_by_group
from pitstop.dashboard.export.family import COUNTER, GAUGE, HISTOGRAM, Block, Exemplar, Family, shown
from pitstop.dashboard.export.protobuf import ZERO_S, natives, write_protobuf
from pitstop.dashboard.export.text import classic, position_at, write_openmetrics, write_text
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import BORDERS_NS, merged, position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BOUNDS = (-9, -3, 0, 4)
LABELS = ("service_name", "http_route")
texts = st.text(max_size=30) | st.sampled_from(
    ['a"b', "back\\slash", "new\nline", "\\n", "{}", "é", "\x00", "\x85", "%s"]
)
values = st.floats(allow_nan=True, allow_infinity=True) | st.integers(0, 2**53)
durations = st.lists(st.integers(0, 20_000 * 10**9), max_size=30)


def _histogram(found: dict[tuple[str, str], list[int]], exemplars: Any = None) -> Family:
    def blocks() -> Iterator[Block]:
        sets = list(found)
        counts = merged_by_group(
            [encode(merged({position_of(ns): 1} for ns in found[labels])) for labels in sets],
            np.arange(len(sets)), len(sets),
        )  # fmt: skip
        sums = np.array([sum(found[labels]) / 1e9 for labels in sets])
        yield Block(sets, counts.totals(), sums, counts, exemplars or {})

    return Family(
        "took_seconds",
        HISTOGRAM,
        "How long.",
        "seconds",
        LABELS,
        bounds=BOUNDS,
        blocks=blocks if found else lambda: iter(()),
    )


def _samples(families: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def _present(labels: Sequence[str], names: Sequence[str] = LABELS) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in zip(names, labels, strict=True) if value))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.tuples(texts, texts), values, max_size=6), st.sampled_from([COUNTER, GAUGE]), texts)
def test_counters_and_gauges_are_read_back_equal(found: dict[tuple[str, str], float], kind: Any, text: str) -> None:
    if kind == COUNTER:
        found = {labels: abs(value) for labels, value in found.items() if not math.isnan(value)}
    family = Family("seen", kind, text.replace("\r", ""), labels=LABELS, values=list(found.items()))
    name = "seen_total" if kind == COUNTER else "seen"
    want = {(name, _present(labels)): value for labels, value in found.items()}
    for read in (parse_text("".join(write_text([family]))), parse_openmetrics("".join(write_openmetrics([family])))):
        assert _samples(read) == pytest.approx(want, rel=0, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.tuples(texts, texts), durations, min_size=1, max_size=5))
def test_histograms_are_read_back_equal_and_their_buckets_are_exact(found: dict[tuple[str, str], list[int]]) -> None:
    want: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for labels, took in found.items():
        for bound in BOUNDS:
            within = sum(ns <= 2.0**bound * 1e9 for ns in took)
            want["took_seconds_bucket", tuple(sorted((*_present(labels), ("le", repr(2.0**bound)))))] = within
        want["took_seconds_bucket", tuple(sorted((*_present(labels), ("le", "+Inf"))))] = len(took)
        want["took_seconds_count", _present(labels)] = len(took)
        want["took_seconds_sum", _present(labels)] = sum(took) / 1e9
    family = _histogram(found)
    assert _samples(parse_text("".join(write_text([family])))) == want
    assert _samples(parse_openmetrics("".join(write_openmetrics([family])))) == want


def test_a_duration_on_a_border_is_in_the_bucket_below_it() -> None:
    counts = merged_by_group(
        [encode({position_of(10**9): 1, position_of(10**9 + 1): 1})], np.zeros(1, dtype=np.int64), 1
    )
    assert classic(counts, (0, 1)) == [[1, 2]]
    assert BORDERS_NS[position_at(0)] == 10**9


def test_exemplars_stand_at_their_buckets_in_openmetrics_and_nowhere_in_the_text() -> None:
    exemplars = {
        ("shop", "/"): [Exemplar("ab" * 16, 0.5, 12.25), Exemplar("cd" * 16, 99.0, 13.5), Exemplar("ef" * 16, 0.6, 1.0)]
    }
    family = _histogram({("shop", "/"): [5 * 10**8, 99 * 10**9]}, exemplars)
    (read,) = parse_openmetrics("".join(write_openmetrics([family])))
    found = {sample.labels["le"]: sample.exemplar for sample in read.samples if sample.exemplar}
    assert {le: (one.labels["trace_id"], one.value, float(one.timestamp)) for le, one in found.items()} == {
        "1.0": ("ab" * 16, 0.5, 12.25),
        "+Inf": ("cd" * 16, 99.0, 13.5),
    }
    assert "trace_id" not in "".join(write_text([family]))


def test_families_without_values_leave_no_trace() -> None:
    empty = [Family("a", GAUGE, "A."), Family("b", COUNTER, "B."), _histogram({})]
    assert "".join(write_text(empty)) == ""
    assert "".join(write_openmetrics(empty)) == "# EOF\n"
    assert b"".join(write_protobuf(empty)) == b""


def test_long_names_lose_their_middle() -> None:
    assert shown("x" * 240) == "x" * 240
    assert len(shown("a" * 500 + "b" * 500)) == 240
    assert shown("a" * 500 + "b" * 500).startswith("aaa")
    assert shown("a" * 500 + "b" * 500).endswith("bbb")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 1064), st.integers(1, 10**6), max_size=40), min_size=1, max_size=4))
def test_native_buckets_are_those_that_were_counted(found: list[dict[int, int]]) -> None:
    counts = merged_by_group([encode(one) for one in found], np.arange(len(found)), len(found))
    for one, native in zip(found, natives(counts), strict=True):
        index, count, read = 0, 0, {}
        deltas = iter(native.deltas)
        for gap, length in native.spans:
            index += gap
            for _ in range(length):
                count += next(deltas)
                if count:
                    read[index + 638] = count
                index += 1
        assert list(deltas) == []
        if native.zero:
            read[0] = native.zero
        assert read == one
    assert pytest.approx(BORDERS_NS[0] / 1e9, rel=1e-3) == ZERO_S


def test_promtool_takes_hostile_labels() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: scripts/debian")
    hostile = ['"} 1\nevil 2', "\\", "\\\\n", "a\rb", "\x00\x1f", "ß∂\u2028"]
    family = Family(
        "seen",
        GAUGE,
        'Help "quoted"\n# TYPE evil counter',
        labels=LABELS,
        values=[((text, "/"), 1.0) for text in hostile],
    )
    ran = subprocess.run(
        [promtool, "check", "metrics"], input="".join(write_text([family])).encode(), capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
