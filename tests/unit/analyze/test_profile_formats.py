"""What other tools read is what was sampled: decoded by programs that are not ours."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from pitstop.analyze import flame_graph, folded, pprof, speedscope
from pitstop.analyze.profile_formats import _varint, frame
from pitstop.model import Profiles, Window

WINDOW = Window(1000, 1060)
STACKS = {"main (a.py:1);load (b.py:200)": 30, "main (a.py:1);näch;<lambda> (c d.py:3)": 60, "main (a.py:1)": 10}

# github.com/google/pprof/blob/main/proto/profile.proto: name, number, type (i int64, u uint64, b bool), whether many
PROFILE_PROTO = {
    "ValueType": [("type", 1, "i", 0), ("unit", 2, "i", 0)],
    "Label": [("key", 1, "i", 0), ("str", 2, "i", 0), ("num", 3, "i", 0), ("num_unit", 4, "i", 0)],
    "Sample": [("location_id", 1, "u", 1), ("value", 2, "i", 1), ("label", 3, "Label", 1)],
    "Line": [("function_id", 1, "u", 0), ("line", 2, "i", 0), ("column", 3, "i", 0)],
    "Location": [
        ("id", 1, "u", 0), ("mapping_id", 2, "u", 0), ("address", 3, "u", 0), ("line", 4, "Line", 1),
        ("is_folded", 5, "b", 0),
    ],
    "Function": [
        ("id", 1, "u", 0), ("name", 2, "i", 0), ("system_name", 3, "i", 0), ("filename", 4, "i", 0),
        ("start_line", 5, "i", 0),
    ],
    "Profile": [
        ("sample_type", 1, "ValueType", 1), ("sample", 2, "Sample", 1), ("location", 4, "Location", 1),
        ("function", 5, "Function", 1), ("string_table", 6, "s", 1), ("time_nanos", 9, "i", 0),
        ("duration_nanos", 10, "i", 0), ("period_type", 11, "ValueType", 0), ("period", 12, "i", 0),
        ("comment", 13, "i", 1), ("default_sample_type", 14, "i", 0),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def profile_message() -> Any:
    """Google's own decoder for the messages above."""
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="perftools.profiles", syntax="proto3")
    scalar = {"i": 3, "u": 4, "b": 8, "s": 9}
    for name, fields in PROFILE_PROTO.items():
        message = file.message_type.add(name=name)
        for field, number, kind, many in fields:
            added = message.field.add(name=field, number=number, label=3 if many else 1, type=scalar.get(kind, 11))
            if kind not in scalar:
                added.type_name = f".perftools.profiles.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("perftools.profiles.Profile"))


def decoded(message: Any, data: bytes) -> Any:
    out = message()
    out.ParseFromString(gzip.decompress(data))
    return out


def stacks_of(seen: Any) -> dict[str, int]:
    """The stacks that a decoded profile holds, outermost first, with their samples."""
    text = list(seen.string_table)
    functions = {one.id: (text[one.name], text[one.filename]) for one in seen.function}
    frames = {}
    for place in seen.location:
        name, file = functions[place.line[0].function_id]
        frames[place.id] = f"{name} ({file}:{place.line[0].line})" if file else name
    return {";".join(frames[i] for i in reversed(one.location_id)): one.value[0] for one in seen.sample}


def test_pprof_is_what_googles_own_decoder_reads(profile_message: Any, stacks: Any) -> None:
    seen = decoded(profile_message, pprof(stacks(STACKS), WINDOW))
    text = list(seen.string_table)
    assert text[0] == ""
    assert [(text[one.type], text[one.unit]) for one in seen.sample_type] == [
        ("samples", "count"),
        ("wall", "nanoseconds"),
    ]
    assert stacks_of(seen) == STACKS
    assert {one.value[1] for one in seen.sample} == {300_000_000, 600_000_000, 100_000_000}
    assert {(text[one.label[0].key], text[one.label[0].str]) for one in seen.sample} == {("route", "GET /a")}
    assert (seen.time_nanos, seen.duration_nanos) == (1000 * 10**9, 60 * 10**9)
    assert text[seen.default_sample_type] == "wall"
    assert not seen.FindInitializationErrors()


def test_folded_has_a_line_a_stack_with_its_nanoseconds_and_routes_added_up(stacks: Any) -> None:
    both = stacks({"a;b": 2})
    more = stacks({"a;b": 1, "a": 1}, route="GET /b")
    for column in Profiles.__slots__:
        getattr(both, column).extend(getattr(more, column))
    assert folded(both).splitlines() == ["a;b 30000000", "a 10000000"]


def test_speedscope_keeps_to_the_rules_of_its_schema(stacks: Any) -> None:
    document = json.loads(speedscope(stacks(STACKS), "shop"))
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert {"name": "load", "file": "b.py", "line": 200} in frames
    assert {"name": "näch"} in frames
    assert len(frames) == len({json.dumps(one) for one in frames}) == 4
    (only,) = document["profiles"]
    assert (only["type"], only["unit"], only["startValue"]) == ("sampled", "nanoseconds", 0)
    assert only["endValue"] == sum(only["weights"]) == 10**9
    assert len(only["samples"]) == len(only["weights"]) == 3
    named = [";".join(frames[i]["name"] for i in stack) for stack in only["samples"]]
    assert named == ["main;load", "main;näch;<lambda>", "main"]


def test_frames_are_taken_apart_wherever_they_can_be() -> None:
    assert frame("load (shop/a.py:12)") == ("load", "shop/a.py", 12)
    assert frame("operator () (a:b.py:3)") == ("operator ()", "a:b.py", 3)
    assert frame("load (<string>)") == ("load", "<string>", 0)
    assert frame("(native)") == ("(native)", "", 0)
    assert frame("") == ("", "", 0)


@given(st.integers(0, 2**63 - 1))
def test_varints_are_those_of_protocol_buffers(value: int) -> None:
    found = 0
    data = _varint(value)
    for i, byte in enumerate(data):
        assert (byte > 127) == (i + 1 < len(data))
        found |= (byte & 127) << 7 * i
    assert found == value


def test_an_empty_profile_is_still_a_file_that_can_be_read(profile_message: Any) -> None:
    seen = decoded(profile_message, pprof(Profiles(), WINDOW))
    assert (len(seen.sample), len(seen.sample_type)) == (0, 2)
    assert folded(Profiles()) == ""
    assert json.loads(speedscope(Profiles(), "shop"))["profiles"][0]["samples"] == []


def test_work_grows_with_the_frames_and_not_with_their_square(stacks: Any, calls_of: Any) -> None:
    def calls(number: int) -> int:
        found = stacks({";".join(f"f{i // 50}_{depth} (m.py:{i})" for depth in range(20)): 1 for i in range(number)})
        return int(calls_of(lambda: (pprof(found, WINDOW), speedscope(found, "shop"), flame_graph(found))))

    assert calls(800) < 10 * calls(100)  # 8 times the frames; a square would be 64
