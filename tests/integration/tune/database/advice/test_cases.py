"""The written cases: what must be advised is, and nothing else; and it does what it is for, on the real thing."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.database.advice import Workload, advise

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent
CASES = {
    name: tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["case"]
    for name in ("postgresql", "sqlite")
}
NEVER_WORSE = 0.6  # of the work before: a longer index that replaces a shorter one may take a page more


def _said() -> Callable[[Any], str]:
    """From conftest.py, which cannot be imported by its name."""
    spec = importlib.util.spec_from_file_location("advice_conftest", FOLDER / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.said


said = _said()


def test_there_are_at_least_thirty_cases_half_of_them_each() -> None:
    assert len(CASES["postgresql"]) >= 15
    assert len(CASES["sqlite"]) >= 15


@pytest.mark.parametrize("written", CASES["postgresql"], ids=lambda case: case["name"].replace(" ", "_"))
def test_postgresql(written: dict[str, Any], fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(written["setup"], analyze=written.get("analyze", True))
    case.run(*[written["run"]] * written["times"] if "run" in written else ())
    case.engine.dispose()
    _judge(case, written)


@pytest.mark.parametrize("written", CASES["sqlite"], ids=lambda case: case["name"].replace(" ", "_"))
def test_sqlite(written: dict[str, Any], fresh_sqlite: Callable[..., Any]) -> None:
    _judge(fresh_sqlite(written["setup"], analyze=written.get("analyze", True)), written)


def _judge(case: Any, written: dict[str, Any]) -> None:
    workload = [Workload(each["sql"], each["calls"], rows=each.get("rows")) for each in written["workload"]]
    advice = advise(case.engine, workload, unused_after_s=0)
    found = sorted(said(each) for each in advice.suggestions)
    wanted = [[each.strip() for each in several.split("|")] for several in written["expect"]]
    assert len(found) == len(wanted), (found, wanted, advice.refused)
    assert all(any(each in found for each in several) for several in wanted), (found, wanted, advice.refused)
    assert written.get("refused", "") in " ".join(advice.refused)
    if not advice.suggestions:
        return
    before = case.touched(written["measure"])
    case.run(*(each.sql for each in advice.suggestions))
    gain = before / case.touched(written["measure"])
    print(f"{written['name']}: {gain:,.1f} times less")  # noqa: T201  pytest -s shows what was measured
    assert gain >= max(written["gain"], NEVER_WORSE)
    if any(each.kind == "analyze" for each in advice.suggestions):
        return  # asked again it knows more, and may want more
    again = advise(case.engine, workload, unused_after_s=0)
    assert not [said(each) for each in again.suggestions], "asked again it wants more"
    case.run(*(each.undo for each in advice.suggestions if each.undo))
    undone = sorted(said(each) for each in advise(case.engine, workload, unused_after_s=0).suggestions)
    assert undone == found
