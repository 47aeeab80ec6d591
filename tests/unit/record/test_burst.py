from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pitstop.model.errors import NotFoundError, PitstopError
from pitstop.record import burst
from pitstop.record.burst import Desk, Target, answer, ask, folder_of, targets
from pitstop.record.tally import WALL, Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of files here")


class Text:
    text = "main (shop.py:1);view (shop.py:2)"


class Sampling:
    """Stands for the profiler: takes note of what it is asked for, and samples one stack."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self.finished = 0

    def burst(self, seconds: float, hz: float) -> Tally:
        self.asked.append((seconds, hz))
        tally = Tally("shop")
        tally.add([(None, WALL, Text(), 5_000_000)], time.time())  # type: ignore[list-item]
        return tally

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pitstop"
    monkeypatch.setattr(burst, "folder_of", lambda _uid: str(path))
    return path


@pytest.fixture
def sampling() -> Sampling:
    return Sampling()


@pytest.fixture
def desk(folder: Path, sampling: Sampling) -> Desk:
    made = Desk("shop", sampling.burst, sampling.finish)
    made.poll()
    assert folder.is_dir()
    return made


def names(folder: Path | str) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208


def polled(desk: Desk, done: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline_s
        desk.poll()
        time.sleep(0.01)


def test_a_process_is_asked_and_answers_with_what_it_sampled(desk: Desk, sampling: Sampling) -> None:
    (target,) = targets(service="shop")
    name = ask(target, 0.1, 300.0)
    assert answer(target, name) is None
    polled(desk, lambda: sampling.finished)
    found = answer(target, name)
    assert found is not None
    assert (found.stack, found.weight_ns, found.service) == ([Text.text], [5_000_000], ["shop"])
    assert sampling.asked == [(0.1, 300.0)]
    assert names(target.folder) == [f"{os.getpid()}.process"]


def test_only_the_owner_may_enter_and_read(desk: Desk, folder: Path) -> None:
    (target,) = targets(pid=os.getpid())
    ask(target, 1, 100)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    desk.close()


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_folder_that_others_may_enter_is_not_used(folder: Path, sampling: Sampling, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    desk = Desk("shop", sampling.burst, sampling.finish)
    desk.poll()
    desk.poll()
    assert list(folder.iterdir()) == []
    with pytest.raises(NotFoundError, match="no process of the service 'shop' is known here"):
        targets(service="shop")


def test_a_link_in_the_place_of_the_folder_is_not_followed(folder: Path, tmp_path: Path, sampling: Sampling) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    folder.symlink_to(other)
    Desk("shop", sampling.burst, sampling.finish).poll()
    assert list(other.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": "../x", "seconds": 1, "hz": 1}', '{"name": "x", "seconds": "long", "hz": 1}']
)
def test_a_request_that_makes_no_sense_is_dropped(desk: Desk, folder: Path, sampling: Sampling, text: str) -> None:
    (folder / f"{os.getpid()}.asked").write_text(text)
    desk.poll()
    desk.poll()
    assert sampling.asked == []


def test_how_long_and_how_fast_is_bounded(desk: Desk, folder: Path, sampling: Sampling) -> None:
    (folder / f"{os.getpid()}.asked").write_text(json.dumps({"name": "a", "seconds": 1e9, "hz": 1e9}))
    desk.poll()
    assert sampling.asked == [(burst.LONGEST_S, burst.FASTEST_HZ)]


def test_what_dead_processes_have_left_is_cleared_away(desk: Desk, folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    (folder / f"{gone.pid}.process").write_text('{"service": "shop"}')
    (folder / "notes").write_text("of somebody")
    assert [one.pid for one in targets(service="shop")] == [os.getpid()]
    assert sorted(names(folder)) == sorted([f"{os.getpid()}.process", "notes"])
    assert answer_of_the_dead(gone.pid, folder) == f"process {gone.pid} ended before it answered"
    desk.close()
    assert names(folder) == ["notes"]


def answer_of_the_dead(pid: int, folder: Path) -> str:
    with pytest.raises(PitstopError) as raised:
        answer(Target(pid, "shop", str(folder)), "none")
    return str(raised.value)


def test_an_answer_that_is_damaged_is_said_so(desk: Desk, folder: Path) -> None:
    (target,) = targets(service="shop")
    (folder / f"{target.pid}.x.answered").write_text("{")
    with pytest.raises(PitstopError, match="cannot be read"):
        answer(target, "x")
    assert desk.service == "shop"


def test_who_cannot_be_asked_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PitstopError, match="cannot be asked"):
        ask(Target(os.getpid(), "shop", str(tmp_path / "none")), 1, 1)


def test_of_a_process_that_is_not_recorded_its_children_are_asked(desk: Desk) -> None:
    assert [one.pid for one in targets(pid=os.getppid())] == [os.getpid()]
    assert desk.service == "shop"


def test_a_child_is_known_by_itself(desk: Desk, folder: Path) -> None:
    child = os.fork()
    if not child:
        try:
            desk.reset_after_fork()
            desk.poll()
            os._exit(0 if (folder / f"{os.getpid()}.process").exists() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (folder / f"{os.getpid()}.process").exists()


def test_each_user_has_a_folder() -> None:
    assert folder_of(4_000_000) == "/tmp/pitstop-4000000"
