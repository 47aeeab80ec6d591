"""Commands have the names that servers count them by, and never anything of what they are about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.instrument.commands import CAPACITY, COMMANDS, UNKNOWN, shares


@pytest.mark.parametrize(
    ("written", "kind", "name"),
    [
        ("GET", "cache", "GET"),
        ("get", "cache", "GET"),
        (b"get", "cache", "GET"),
        ("GET some:key", "cache", "GET"),
        ("CONFIG GET", "cache", "CONFIG GET"),
        ("CONFIG GET secret", "cache", "CONFIG GET"),
        ("CLIENT 1234-5678", "cache", "CLIENT"),
        ("FT.SEARCH", "cache", "FT.SEARCH"),
        ("BLPOP", "queue", "BLPOP"),
        ("XREAD", "cache", "XREAD"),
        ("", "cache", UNKNOWN),
        ("some:key", "cache", UNKNOWN),
        ("x" * 500, "cache", UNKNOWN),
        (42, "cache", "42"),
    ],
)
def test_a_command_is_known_however_it_is_written(written: object, kind: str, name: str) -> None:
    assert COMMANDS[written][:2] == (kind, name)


@pytest.mark.parametrize(
    ("args", "kind", "name"),
    [
        (("CONFIG", "get", "secret"), "cache", "CONFIG GET"),
        (("OBJECT", b"encoding", "secret"), "cache", "OBJECT ENCODING"),
        (("CONFIG",), "cache", "CONFIG"),
        (("XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "s", "$"), "queue", "XREAD"),
        (("XREAD", "STREAMS", "block", "0"), "cache", "XREAD"),
        (("XREADGROUP", "GROUP", "g", "c", b"block", 5, "STREAMS", "s", ">"), "queue", "XREADGROUP"),
    ],
)
def test_what_depends_on_the_arguments_looks_at_no_more_than_it_must(
    args: tuple[object, ...], kind: str, name: str
) -> None:
    assert COMMANDS[args[0]].varies
    assert COMMANDS[args[0]].of(args)[:2] == (kind, name)


@pytest.mark.parametrize(
    ("name", "response", "outcome"),
    [
        ("GET", None, "miss"), ("GET", b"", "hit"), ("MGET", [b"1", None], "miss"), ("MGET", [b"1", b"0"], "hit"),
        ("HGETALL", {}, "miss"), ("HGETALL", {b"a": b"1"}, "hit"), ("SET", True, "ok"), ("SET", None, "ok"),
    ],
)  # fmt: skip
def test_reads_that_find_nothing_are_misses(name: str, response: object, outcome: str) -> None:
    assert COMMANDS[name].outcome(response) == outcome


def test_made_up_commands_do_not_fill_the_memory() -> None:
    for i in range(2 * CAPACITY):
        assert COMMANDS[f"made{i}"].name == f"MADE{i}"
    assert len(COMMANDS) <= CAPACITY


@given(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(1, 300))
def test_shares_follow_one_another_and_add_up(start_ns: int, taken_ns: int, commands: int) -> None:
    parts = list(shares(start_ns, start_ns + taken_ns, commands))
    assert len(parts) == commands
    assert sum(end - begin for begin, end in parts) == taken_ns
    assert [end for _, end in parts[:-1]] == [begin for begin, _ in parts[1:]]
