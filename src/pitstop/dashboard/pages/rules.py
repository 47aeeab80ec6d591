"""Which rules there are and how they stand; and one of them in an editor that tests it on history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.pages.rule_examples import EXAMPLES
from pitstop.dashboard.pages.unwatched import unwatched
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import NotFoundError, SettingError

if TYPE_CHECKING:
    from pitstop.model.watching import RuleState

router = APIRouter(dependencies=[Depends(page_reader)])

BY_HAND = "dashboard"  # the source of what was made here; the rest belongs to a file or is built in
BUILT_IN = "default"


@router.get("/rules")
def rules(
    request: Request, session: Reader, view: Viewed, q: Annotated[str, Query(max_length=LONGEST_NAME)] = ""
) -> Response:
    """The table of all rules."""
    desk = desk_of(request)
    values = frame(request, session, view, current="rules", title="Rules", compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    found = desk.answers.once(("rules",), 1.0, desk.watch.rules)
    values |= {"rows": found, "search": q, "examples": EXAMPLES, "broken": sum(1 for one in found if one.problem)}
    return page(request, "rules.html", values)


@router.get("/rule")
def rule(
    request: Request,
    session: Reader,
    view: Viewed,
    name: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
    kind: Annotated[str, Query(max_length=40)] = "",
    run: Annotated[bool, Query(description="test it at once")] = False,
) -> Response:
    """One rule, or a new one that starts from the example of its kind."""
    desk = desk_of(request)
    title = name or "New rule"
    values = frame(request, session, view, current="rules", title=title, live=False, compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    found: RuleState | None = None
    if name:
        found = next((one for one in desk.watch.rules() if one.name == name), None)
        if found is None:
            raise NotFoundError(f"'{name[:200]}' is no rule; see /rules")
    elif kind not in EXAMPLES and kind:
        raise SettingError(f"kind='{kind}' is none of {', '.join(EXAMPLES)}")
    values |= {
        "rule": found,
        "text": found.text if found else EXAMPLES[kind or "threshold"].text,
        "kind": kind,
        "examples": EXAMPLES,
        "editable": desk.writable and (found is None or found.source in {BY_HAND, BUILT_IN}),
        "by_hand": found is not None and found.source == BY_HAND,
        "run": run,
        "found": [one for one in desk.watch.incidents(view.window, service=view.service) if one.rule == name],
        "now_s": desk.clock.now_s(),
    }
    return page(request, "rule.html", values)
