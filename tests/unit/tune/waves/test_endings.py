"""How real runs end that do not end well: failures, deadlines, retries, cancellation."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model import TaskError
from pitstop.tune.waves import Task, Waves

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 20.0  # for what must happen, on a machine however busy

Runner = Any


def number(value: int = 1) -> int:
    return value


def failing() -> None:
    raise ValueError("no such customer")


async def afailing() -> None:
    raise ValueError("no such customer")


@pytest.mark.parametrize("fails", [failing, afailing])
def test_one_failure_is_contained_and_raised_where_its_result_is_asked_for(run: Runner, fails: Any) -> None:
    result = run(
        Waves(),
        [
            Task("bad", fails),
            Task("child", lambda bad: bad, needs=["bad"]),
            Task("grandchild", lambda child: child, needs=["child"]),
            Task("soft", fails, on_failure="contain", default=[]),
            Task("fed", lambda soft: soft, needs=["soft"]),
            Task("other", number),
        ],
    )
    outcomes = {name: task.outcome for name, task in result.tasks.items()}
    assert outcomes == {
        "bad": "failed", "child": "skipped", "grandchild": "skipped", "soft": "failed", "fed": "ok", "other": "ok",
    }  # fmt: skip
    assert (result["other"], result["fed"], result["soft"]) == (1, [], [])
    with pytest.raises(TaskError, match="'bad' has no result: failed, ValueError: no such customer") as raised:
        result["bad"]
    assert isinstance(raised.value.__cause__, ValueError)
    with pytest.raises(TaskError, match="'grandchild' has no result: it was skipped, because 'bad' has none"):
        result["grandchild"]
    assert [task.name for task in result.failed] == ["bad", "soft"]
    with pytest.raises(ValueError, match="no such customer"):
        result.raise_for_failure()
    assert "skipped: no 'bad'" in str(result)


def test_several_failures_are_raised_together(run: Runner) -> None:
    result = run(Waves(name="checkout"), [Task("a", failing), Task("b", afailing)])
    with pytest.raises(BaseExceptionGroup, match="2 tasks of 'checkout' failed") as group:
        result.raise_for_failure()
    assert len(group.value.exceptions) == 2


def test_a_failure_that_cancels_ends_what_runs_and_starts_nothing_more() -> None:
    cleaned = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("endless")

    result = Waves(on_failure="cancel", max_parallel=2).run(
        [Task("endless", endless), Task("bad", afailing), Task("never", lambda: cleaned.append("never"))]
    )
    assert {name: task.outcome for name, task in result.tasks.items()} == {
        "endless": "cancelled", "bad": "failed", "never": "cancelled",
    }  # fmt: skip
    assert cleaned == ["endless"]
    with pytest.raises(TaskError, match="it was cancelled, because 'bad' has none"):
        result["never"]


def test_a_thread_that_takes_too_long_is_given_up_and_said_to_go_on(run: Runner) -> None:
    release, ended = threading.Event(), threading.Event()

    def hangs() -> str:
        release.wait(PATIENCE_S)
        ended.set()
        return "late"

    result = run(
        Waves(max_parallel=1),
        [Task("hangs", hangs, timeout_s=0.5), Task("next", number), Task("fed", lambda hangs: hangs, needs=["hangs"])],
    )
    assert not ended.is_set()
    assert (result.tasks["hangs"].outcome, result.abandoned, result["next"]) == ("timeout", ("hangs",), 1)
    assert 0.3 <= result.tasks["hangs"].duration_s < PATIENCE_S
    with pytest.raises(TaskError, match=r"timeout, TimeoutError: task 'hangs' took longer than 0.5 s"):
        result["hangs"]
    release.set()
    assert ended.wait(PATIENCE_S)


def test_an_async_task_that_takes_too_long_is_cancelled_and_may_clean_up() -> None:
    cleaned = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    result = Waves().run([Task("hangs", hangs, timeout_s=0.05), Task("fed", lambda hangs: hangs, needs=["hangs"])])
    assert (result.tasks["hangs"].outcome, result.tasks["fed"].outcome, cleaned) == ("timeout", "skipped", [True])
    assert not result.abandoned


def test_a_whole_that_takes_too_long_ends_with_what_it_has(run: Runner) -> None:
    release = threading.Event()
    tasks = [
        Task("quick", number),
        Task("hangs", lambda: release.wait(PATIENCE_S)),
        Task("never", lambda hangs: hangs, needs=["hangs"]),
    ]
    for result in (run(Waves(timeout_s=0.5), tasks), run(Waves(timeout_s=PATIENCE_S), tasks, timeout_s=0.5)):
        assert {name: task.outcome for name, task in result.tasks.items()} == {
            "quick": "ok", "hangs": "timeout", "never": "cancelled",
        }  # fmt: skip
        assert result.duration_s < PATIENCE_S / 2
    release.set()


@pytest.mark.parametrize("colour", ["plain", "async"])
def test_what_fails_is_tried_again_as_often_as_said_and_only_for_the_errors_said(run: Runner, colour: str) -> None:
    tries: dict[str, int] = {}

    def attempt(name: str, succeeds_at: int) -> int:
        tries[name] = tries.get(name, 0) + 1
        if tries[name] < succeeds_at:
            raise ConnectionError(name)
        return tries[name]

    async def aattempt(name: str, succeeds_at: int) -> int:
        return attempt(name, succeeds_at)

    function: Callable[..., Any] = attempt if colour == "plain" else aattempt
    result = run(
        Waves(),
        [
            Task("third", partial(function, "third", 3), retries=2, retry_delay_s=0.001),
            Task("never", partial(function, "never", 9), retries=2, retry_delay_s=0),
            Task("other error", partial(function, "other", 9), retries=5, retry_on=TimeoutError),
        ],
    )
    assert result["third"] == 3
    assert result.tasks["third"].attempts == 3
    assert (result.tasks["never"].outcome, tries) == ("failed", {"third": 3, "never": 3, "other": 1})


def test_a_caller_that_is_cancelled_cancels_its_tasks_and_waits_until_they_have_cleaned_up() -> None:
    said = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("cleaned")

    async def main() -> None:
        started = asyncio.Event()

        async def first() -> None:
            started.set()

        tasks = [Task("a", endless), Task("b", first), Task("c", endless)]
        run = asyncio.create_task(Waves().arun(tasks))
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        said.append("over")

    asyncio.run(main())
    assert said == ["cleaned", "cleaned", "over"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_to_end_the_process_passes_through(run: Runner, error: type[BaseException]) -> None:
    def ends() -> None:
        raise error

    with pytest.raises(error):
        run(Waves(), [Task("ends", ends), Task("other", number)])
