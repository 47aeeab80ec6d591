from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pitstop.record import reports
from pitstop.record.recorder import RECORDER
from pitstop.record.reports import Report, add_reporter, remove_reporter, report, take

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(RECORDER, "on", True)
    monkeypatch.setattr(RECORDER, "nudge", None)
    monkeypatch.setattr(reports, "_reporters", [])
    monkeypatch.setattr(reports, "_waiting", {})
    yield
    assert not reports._waiting


def taken(*, everybody: bool = True) -> tuple[list[tuple[str, str, object]], list[str]]:
    complaints: list[str] = []
    rows = take(complaints.append, everybody=everybody)
    return [(kind, name, json.loads(body)) for kind, name, body in rows], complaints


def test_a_report_leaves_once_and_the_newest_of_a_name_counts() -> None:
    report("plan", "a", {"n": 1})
    report("plan", "a", {"n": 2})
    report("plan", "b", {"ü": None})
    assert taken(everybody=False) == ([("plan", "a", {"n": 2}), ("plan", "b", {"ü": None})], [])
    assert taken() == ([], [])


def test_reporters_are_asked_when_it_is_time_and_one_that_fails_costs_no_other() -> None:
    def fails() -> list[Report]:
        raise ValueError("broken")

    def works() -> list[Report]:
        return [Report("cache", "books", {"entries": 3})]

    add_reporter(fails)
    add_reporter(works)
    add_reporter(works)
    assert reports.anything()
    assert taken(everybody=False) == ([], [])
    assert taken() == ([("cache", "books", {"entries": 3})], ["a report failed: ValueError('broken')"])
    remove_reporter(fails)
    remove_reporter(works)
    assert not reports.anything()


def test_what_is_no_json_or_too_long_is_left_out_and_said() -> None:
    report("x", "object", {"o": object()})
    report("x", "nan", {"o": float("nan")})
    report("x", "long", {"o": "x" * reports.MOST_BYTES})
    report("x", "good", {})
    rows, complaints = taken()
    assert rows == [("x", "good", {})]
    assert [text.split("'")[1] for text in complaints] == ["object", "nan", "long"]


def test_so_many_wait_and_no_more_and_nothing_when_recording_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(reports.MOST_WAITING + 5):
        report("x", str(n), {})
    report("x", "0", {"newer": True})
    rows, _ = taken()
    assert len(rows) == reports.MOST_WAITING
    assert ("x", "0", {"newer": True}) in rows
    monkeypatch.setattr(RECORDER, "on", False)
    report("x", "off", {})
    assert taken() == ([], [])


def test_a_child_forgets_what_its_parent_will_write() -> None:
    report("x", "parent", {})
    reports.reset_after_fork()
    assert taken() == ([], [])
