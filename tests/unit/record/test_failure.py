"""What is kept of an exception, and what never is."""

from __future__ import annotations

import importlib.util
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pitstop
from pitstop.model.record import named
from pitstop.record.failure import MOST_FRAMES, WORDING, failure_of
from pitstop.record.recorder import RECORDER
from pitstop.record.scrub import scrubbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "hunter2-Kw9"


class PaymentError(Exception):
    pass


def caught(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:  # noqa: BLE001  the test looks at it
        return error
    raise AssertionError


def fail(call: Callable[[], object]) -> Any:
    return failure_of(caught(call))


def pay(card: str, place: str = SECRET) -> None:
    raise PaymentError(f"card {card} was refused by {place}, try again")


def test_the_message_has_what_the_code_spells_out_and_no_value() -> None:
    failure = fail(lambda: pay("4111111111111111"))
    assert failure.message == "card … was refused by …, try again"
    assert failure.type.endswith("test_failure.PaymentError")
    assert failure.line.endswith(" in pay")


def template(value: str) -> None:
    raise ValueError("no item %s in shop {}".replace("{}", "x") % value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: 1 // 0, "integer division or modulo by zero"),
        (lambda: int(SECRET), "invalid literal for int() with base 10: …"),
        (lambda: list(SECRET)[99], "list index out of range"),
        (lambda: {}[SECRET], "…"),
        (lambda: {}["basket"], "'basket'"),
        (lambda: None.price, "'NoneType' object has no attribute 'price'"),  # type: ignore[attr-defined]
        (lambda: open(f"/none/{SECRET}"), "…No such file or directory…/none/…"),  # noqa: PTH123, SIM115
        (lambda: template(SECRET), "no item … in shop …"),
        (lambda: json.loads(SECRET), "Expecting value…"),
    ],
)
def test_messages_of_cpython_and_of_templates_are_told_without_values(call: Callable[[], object], message: str) -> None:
    assert fail(call).message == message


@given(st.text(alphabet="abcxyz019 -_'\"@.", max_size=40))
def test_nothing_of_a_value_is_told_beyond_words_of_the_code_itself(value: str) -> None:
    def raises() -> None:
        raise PaymentError(f"refused: {value}")

    rest = fail(raises).message.removeprefix("refused: ")
    words = {"value", "PaymentError", "refused"}
    assert all(not part.isalnum() or part in words for part in rest.replace("…", " ").split()), rest


def test_a_value_is_in_no_field(tmp_path: Path) -> None:
    def raises() -> None:
        try:
            {}[SECRET]
        except KeyError as error:
            raise PaymentError(SECRET, {"token": SECRET}) from error

    assert SECRET not in "\n".join(fail(raises))
    assert str(tmp_path) not in "\n".join(fail(raises))


def test_with_the_setting_messages_are_kept_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WORDING, "full", True)
    failure = fail(lambda: pay("4111111111111111", "the bank"))
    assert failure.message == "card … was refused by the bank, try again"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no user anna@example.com here", "no user … here"),
        ("token eyJhbGciOi.eyJzdWIi.SflKxwRJSM is old", "token … is old"),
        ("key 'abc def' and \"x\" don't match", "key '…' and \"…\" don't match"),
        ("order 12345 of 17 at port 8080", "order … of 17 at port 8080"),
        ("GET https://shop/x?y=1 failed", "GET … failed"),
        ("unfinished 'quote", "unfinished '…"),
        ("AKIAIOSFODNN7EXAMPLE", "…"),
        ("a perfectly ordinary sentence.", "a perfectly ordinary sentence."),
    ],
)
def test_scrubbing_takes_out_what_looks_like_a_value(text: str, left: str) -> None:
    assert scrubbed(text) == left


@given(st.text(max_size=300))
def test_scrubbing_takes_any_text_and_leaves_no_long_number(text: str) -> None:
    row = 0
    for sign in scrubbed(text):
        row = row + 1 if sign.isdigit() else 0
        assert row < 5


MODULE = """
def outer(n):
    return inner(n)
def inner(n):
    raise ValueError(n)
"""


def module_of(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "shop.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("shop", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_deploy_that_moves_lines_keeps_the_group_and_another_function_is_another(tmp_path: Path) -> None:
    before = fail(lambda: module_of(tmp_path, MODULE).outer(1))
    moved = fail(lambda: module_of(tmp_path, "\n\nX = 1\n" + MODULE).outer(2))
    renamed = fail(lambda: module_of(tmp_path, MODULE.replace("inner", "other")).outer(1))
    assert before.line != moved.line
    assert before.fingerprint == moved.fingerprint
    assert renamed.fingerprint != before.fingerprint
    assert len(before.fingerprint) == 16


def test_what_led_to_it_is_told_below_with_its_own_stack() -> None:
    def wraps() -> None:
        try:
            int("x")
        except ValueError as error:
            raise PaymentError("no price") from error

    stack = fail(wraps).stack.split("\n")
    at = next(i for i, line in enumerate(stack) if line.startswith("caused by"))
    assert stack[at] == "caused by builtins.ValueError: invalid literal for int() with base 10: …"
    assert stack[at - 1].endswith(stack[at + 1].rpartition(" in ")[2])


def test_causes_that_go_in_a_circle_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert failure_of(first).stack.count("caused by") <= 5


def test_a_group_of_one_is_that_one_and_of_more_names_the_first() -> None:
    one = ExceptionGroup("tasks", [ValueError("a")])
    assert failure_of(one).type == "builtins.ValueError"
    two = failure_of(ExceptionGroup("tasks", [ValueError("a"), KeyError("b")]))
    assert two.type.endswith("ExceptionGroup")
    assert "caused by builtins.ValueError" in two.stack


def test_a_recursion_is_cheap_short_and_one_group_however_deep() -> None:
    def down(n: int) -> int:
        return down(n - 1) if n else 1 // 0

    deep, shallow = caught(lambda: down(900)), caught(lambda: down(90))
    began_s = time.thread_time()
    for _ in range(20):
        failure = failure_of(deep)
    assert (time.thread_time() - began_s) / 20 < 0.05
    assert failure.fingerprint == failure_of(shallow).fingerprint
    assert len(failure.stack.split("\n")) == MOST_FRAMES + 1
    endless = fail(lambda: down(10**9))
    assert endless.type == "builtins.RecursionError"


def test_what_the_host_has_written_to_show_an_exception_is_never_run() -> None:
    class SlowError(Exception):
        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __str__

    assert fail(lambda: (_ for _ in ()).throw(SlowError(object()))).message == "…"
    assert fail(lambda: (_ for _ in ()).throw(SlowError())).message == ""


def test_an_exception_that_was_never_raised_is_told_without_a_stack() -> None:
    failure = failure_of(ValueError("x"))
    assert (failure.line, failure.stack) == ("", "")


def test_a_span_that_is_a_root_has_its_failure() -> None:
    RECORDER.on, RECORDER.nudge = True, None
    try:
        with pytest.raises(PaymentError), pitstop.span("import prices"):
            pay("1")
        (record,) = named(RECORDER.drain().records)
    finally:
        RECORDER.on = False
    assert record.failure is not None
    assert record.failure.line.endswith(" in pay")
