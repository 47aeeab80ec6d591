"""Which line of the host's own code is named."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import greenlet
import pytest

from pitstop.record import caller
from pitstop.record.caller import code_line, line_attrs, shown

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY = """
def deep(n, f):
    return f() if not n else deep(n - 1, f)
def other(n, f):
    return f() if not n else other(n - 1, f)
"""


@pytest.fixture
def library(tmp_path: Path) -> Any:
    """A module that is installed in site-packages."""
    file = tmp_path / "site-packages" / "lib.py"
    file.parent.mkdir()
    file.write_text(LIBRARY)
    spec = importlib.util.spec_from_file_location("lib", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line_of(function: Callable[..., object], below: int) -> int:
    return function.__code__.co_firstlineno + below


@pytest.mark.parametrize("depth", [0, 1, 2, 9, 60])
def test_the_first_frame_outside_libraries_is_named_however_deep_and_however_often(library: Any, depth: int) -> None:
    def ask() -> tuple[str, str]:
        return library.deep(depth, code_line), library.other(depth, code_line)

    here = Path(__file__).name
    for _ in range(4):
        first, second = ask()
        assert first.endswith(f"{here}:{line_of(ask, 1)} in ask")
        assert second == first


def test_two_lines_of_one_function_are_told_apart(library: Any) -> None:
    for _ in range(3):
        first = library.deep(3, code_line)
        second = library.deep(3, code_line)
        assert first != second
        assert first.split(":")[0] == second.split(":")[0]


def test_what_calls_back_into_the_hosts_code_names_the_inner_line(library: Any) -> None:
    def inner() -> str:
        return str(library.deep(2, code_line))

    for _ in range(3):
        outer = library.deep(5, code_line)
        assert library.deep(2, inner).endswith(f":{line_of(inner, 1)} in inner")
        assert not outer.endswith("in inner")


def test_a_method_is_named_with_its_class_and_a_lambda_with_its_function(library: Any) -> None:
    class Orders:
        def listed(self) -> Any:
            return library.deep(1, code_line)

    assert Orders().listed().endswith(" in Orders.listed")
    here = library.deep(1, lambda: code_line())  # noqa: PLW0108  it is about the lambda
    assert here.endswith(" in test_a_method_is_named_with_its_class_and_a_lambda_with_its_function")


def test_where_only_libraries_run_there_is_no_line(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "OWN", caller._Files())
    monkeypatch.setattr(caller, "_is_own", lambda _: False)
    monkeypatch.setattr(caller, "_depths", ())
    base = {"db.system": "sqlite"}
    assert library.deep(3, code_line) == ""
    assert line_attrs(base) is base


def test_attributes_are_one_shared_mapping_for_each_line(library: Any) -> None:
    base = {"db.system": "sqlite"}
    made = [library.deep(3, lambda: line_attrs(base)) for _ in range(3)]
    assert made[0] is made[2]
    assert made[0]["db.system"] == "sqlite"
    assert made[0]["line"].endswith("in test_attributes_are_one_shared_mapping_for_each_line")


def test_a_greenlet_is_looked_through_to_the_code_that_switched_to_it(library: Any) -> None:
    def ask() -> str:
        return str(library.deep(1, lambda: greenlet.greenlet(code_line).switch()))

    for _ in range(2):
        assert ask().endswith(" in ask")


def test_the_memory_of_lines_is_bounded(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "CAPACITY", 10)
    for i in range(50):
        code = compile("deep(2, ask)", f"/srv/shop/generated_{i}.py", "eval")
        eval(code, {"deep": library.deep, "ask": code_line})
    assert len(caller._sites) <= 10
    assert len(caller._shown) <= 10
    assert len(caller.OWN) <= 10


@pytest.mark.parametrize(
    ("filename", "own"),
    [
        ("/srv/shop/orders.py", True),
        ("/srv/venv/lib/python3.11/site-packages/sqlalchemy/engine/base.py", False),
        ("/usr/lib/python3/dist-packages/django/db.py", False),
        ("<frozen importlib._bootstrap>", False),
        ("<string>", False),
        (caller.__file__, False),
        (importlib.util.__file__, False),
        (f"{sys.prefix}/bin/uvicorn", False),
    ],
)
def test_libraries_the_standard_library_and_generated_code_are_not_the_hosts_own(filename: str, own: bool) -> None:
    assert caller.OWN[filename] is own


def test_a_file_is_shown_below_the_folder_it_is_imported_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "src")])
    monkeypatch.setattr(caller, "_shown", {})
    assert shown(str(tmp_path / "src" / "shop" / "orders.py")) == "shop/orders.py"
    assert shown(str(tmp_path / "main.py")) == "main.py"
    assert shown("/home/somebody/projects/shop/orders.py") == "projects/shop/orders.py"
    assert shown("<string>") == "<string>"
