from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.errors import NotFoundError, PitstopError
from pitstop.record import asks
from pitstop.record import desk as desk_module
from pitstop.record.desk import Desk, Target, answer, ask, ask_all, folder_of, targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of files here")


def in_a_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, daemon=True).start()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pitstop"
    monkeypatch.setattr(desk_module, "folder_of", lambda _uid: str(path))
    return path


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A process that can add numbers, and nothing else."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(asks, "ANSWERS", known)
    monkeypatch.setattr(desk_module, "ANSWERS", known)
    asks.can_answer("add", lambda given: sum(given["numbers"]))
    return known


@pytest.fixture
def desk(folder: Path) -> Desk:
    made = Desk("shop", in_a_thread)
    made.poll()
    assert folder.is_dir()
    return made


def names(folder: Path | str) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208


def answered(desk: Desk, target: Target, name: str) -> Any:
    deadline_s = time.monotonic() + 10
    while True:
        desk.poll()
        found = answer(target, name)
        if found is not None:
            return found[0]
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_process_is_asked_and_answers(desk: Desk) -> None:
    (target,) = targets(service="shop", what="add")
    assert target.can == ("add",)
    name = ask(target, "add", {"numbers": [1, 2]})
    assert answer(target, name) is None
    assert answered(desk, target, name) == 3
    assert names(target.folder) == [f"{os.getpid()}.process"]


def test_several_requests_at_once_get_each_their_own_answer(desk: Desk) -> None:
    (target,) = targets(service="shop")
    asked = {n: ask(target, "add", {"numbers": [n, n]}) for n in range(10)}
    assert {n: answered(desk, target, name) for n, name in asked.items()} == {n: 2 * n for n in range(10)}


def test_all_are_asked_and_who_fails_is_told_beside_the_answers(desk: Desk, folder: Path) -> None:
    (target,) = targets(service="shop")
    stopped = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    ended = Target(2**22 + 1, "shop", str(folder))
    waited: list[int] = []

    def poll(left: int, _waited_s: float) -> None:
        waited.append(left)
        desk.poll()

    try:
        silent = Target(stopped.pid, "shop", str(folder))
        answers, problems = ask_all([target, silent, ended], "add", {"numbers": [4]}, patience_s=0.5, waiting=poll)
    finally:
        stopped.kill()
        stopped.wait()
    assert answers == {target: 4}
    assert problems == [
        f"process {ended.pid} ended before it answered",
        f"process {silent.pid} does not answer; is it stopped?",
    ]
    assert waited[-1] == 0


_STOPPABLE = """
import sys, time
from pitstop.record import asks, desk
desk.folder_of = lambda _uid: sys.argv[1]
marks = []
asks.can_answer("mark", lambda _: marks.append(1) or len(marks))
asks.can_answer("count", lambda _: len(marks))
here = desk.Desk("stoppable", lambda function: function())
while True:
    here.poll()
    time.sleep(0.01)
"""


def test_a_stopped_process_does_not_do_later_what_its_asker_has_given_up(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    process = subprocess.Popen([sys.executable, "-c", _STOPPABLE, str(folder)])
    target = Target(process.pid, "stoppable", str(folder))
    try:
        assert ask_all([target], "count", {}, patience_s=30) == ({target: 0}, [])
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert ask_all([target], "mark", {}, patience_s=0.3) == (
            {},
            [f"process {process.pid} does not answer; is it stopped?"],
        )
        os.kill(process.pid, signal.SIGCONT)
        for _ in range(2):  # whatever was asked before the first of them is done by the second
            assert ask_all([target], "count", {}, patience_s=30) == ({target: 0}, [])
        assert names(folder) == [f"{process.pid}.process"]
    finally:
        process.kill()
        process.wait()


def test_what_was_taken_already_may_still_be_done_and_leaves_no_answer_behind(folder: Path) -> None:
    begun: list[Callable[[], None]] = []
    desk = Desk("shop", begun.append)
    desk.poll()
    (target,) = targets(service="shop")
    found = ask_all([target], "add", {"numbers": [1]}, patience_s=0.3, waiting=lambda _left, _waited_s: desk.poll())
    assert found == (
        {},
        [f"process {target.pid} does not answer in time; it has begun with the request and may still do it"],
    )
    begun[0]()
    assert names(folder) == [f"{target.pid}.process"]
    desk.close()


def test_an_answer_that_comes_while_its_asker_gives_up_is_an_answer_or_goes(desk: Desk, folder: Path) -> None:
    (target,) = targets(service="shop")
    name = ask(target, "add", {"numbers": [4]})
    answered_path = folder / f"{target.pid}.{name}.answered"
    desk.poll()
    deadline_s = time.monotonic() + 10
    while not answered_path.exists():
        assert time.monotonic() < deadline_s
    assert not desk_module.withdraw(target, name)
    assert names(folder) == [f"{target.pid}.process"]


def test_whoever_is_interrupted_while_it_waits_takes_its_requests_back(desk: Desk, folder: Path) -> None:
    def interrupted(_left: int, _waited_s: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_all(targets(service="shop"), "add", {"numbers": [4]}, patience_s=5, waiting=interrupted)
    assert names(folder) == [f"{os.getpid()}.process"]
    assert desk.service == "shop"


def test_a_request_whose_time_is_over_is_dropped(folder: Path) -> None:
    begun: list[Callable[[], None]] = []
    desk = Desk("shop", begun.append)
    desk.poll()
    (target,) = targets(service="shop")
    ask(target, "add", {"numbers": [4]}, until_s=time.time() - 1)
    desk.poll()
    assert not begun
    ask(target, "add", {"numbers": [4]}, until_s=time.time() + 60)
    desk.poll()
    assert len(begun) == 1
    assert names(folder) == [f"{target.pid}.process"]


def test_a_request_that_is_taken_back_while_it_is_read_is_not_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Callable[[], None]] = []
    desk = Desk("shop", begun.append)
    desk.poll()
    (target,) = targets(service="shop")
    name = ask(target, "add", {"numbers": [4]})

    def read(path: str) -> Any:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            request = json.load(file)
        assert desk_module.withdraw(target, name)
        return request

    monkeypatch.setattr(desk_module, "_read", read)
    desk.poll()
    assert not begun
    assert names(folder) == [f"{target.pid}.process"]


def test_what_it_cannot_answer_is_said_with_what_it_can(desk: Desk, answers: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="can answer 'multiply'; it can add"):
        targets(service="shop", what="multiply")
    (target,) = targets(service="shop")
    name = ask(target, "multiply", {})
    with pytest.raises(PitstopError, match=f"process {os.getpid()} cannot answer 'multiply'; it can add"):
        answered(desk, target, name)
    asks.can_answer("multiply", lambda given: given["a"] * given["b"])
    desk.poll()
    assert targets(service="shop", what="multiply")[0].can == ("add", "multiply")
    asks.cannot_answer("multiply")
    desk.poll()
    assert targets(service="shop")[0].can == ("add",)
    assert list(answers) == ["add"]


def test_an_answer_that_fails_says_why(desk: Desk) -> None:
    (target,) = targets(service="shop")
    name = ask(target, "add", {"numbers": "text"})
    with pytest.raises(PitstopError, match="failed to answer 'add': TypeError"):
        answered(desk, target, name)


def test_only_the_owner_may_enter_and_read(desk: Desk, folder: Path) -> None:
    (target,) = targets(pid=os.getpid())
    ask(target, "add", {"numbers": []})
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    desk.close()


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_folder_that_others_may_enter_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    desk = Desk("shop", in_a_thread)
    desk.poll()
    desk.poll()
    assert list(folder.iterdir()) == []
    with pytest.raises(NotFoundError, match="no process of the service 'shop' is known here"):
        targets(service="shop")


def test_a_link_in_the_place_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    folder.symlink_to(other)
    Desk("shop", in_a_thread).poll()
    assert list(other.iterdir()) == []


def test_where_no_thread_can_be_had_that_is_the_answer(folder: Path) -> None:
    def no_thread(_function: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    desk = Desk("shop", no_thread)
    desk.poll()
    assert folder.is_dir()
    (target,) = targets(service="shop")
    for _ in range(desk_module.MOST_RUNNING + 1):
        with pytest.raises(PitstopError, match="not now: can't start new thread"):
            answered(desk, target, ask(target, "add", {"numbers": []}))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("a.asked", ""),
        ("a.asked", "[]"),
        ("a.asked", "{}"),
        ("a.asked", '{"what": "add", "arguments": []}'),
        ("a.asked", '{"what": 5, "arguments": {}}'),
        ("..asked", '{"what": "add", "arguments": {"numbers": []}}'),
        ("-x-.asked", '{"what": "add", "arguments": {"numbers": []}}'),
    ],
)
def test_a_request_that_makes_no_sense_is_dropped(desk: Desk, folder: Path, entry: str, text: str) -> None:
    (folder / f"{os.getpid()}.{entry}").write_text(text)
    desk.poll()
    desk.poll()
    assert names(folder) == [f"{os.getpid()}.process"]


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
        ask(Target(os.getpid(), "shop", str(tmp_path / "none")), "add", {})


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
