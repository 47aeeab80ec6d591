"""What each kind of work is called and which colour it has, the same on every page (css/tokens.css, static/js)."""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

from pitstop.model import series

OWN = "own"
GAP = "gap"


class Kind(NamedTuple):
    """`label` as in a legend, `what` for one span, `color` the custom property."""

    label: str
    what: str
    color: str


KINDS: dict[str, Kind] = {
    series.DB: Kind("database", "statement", "db"),
    series.CACHE: Kind("cache", "cache", "cache"),
    series.REGION: Kind("cache regions", "cache region", "cache"),
    series.HTTP_CLIENT: Kind("outgoing calls", "outgoing call", "http-client"),
    series.TEMPLATE: Kind("templates", "template", "template"),
    series.QUEUE: Kind("queue", "queue", "queue"),
    series.GC: Kind("garbage collection", "garbage collection", "gc"),
    series.POOL_WAIT: Kind("waiting for a pool", "wait for a pool", "wait"),
    series.LOOP_WAIT: Kind("waiting for the event loop", "wait for the event loop", "loop-wait"),
    OWN: Kind("own code", "own code", "own"),
    series.TRANSACTION: Kind("transaction", "transaction", "db"),
    series.HTTP: Kind("request", "request", "own"),
    series.WEBSOCKET: Kind("connection", "connection", "own"),
    series.TASK: Kind("task", "task", "own"),
    series.STAGE: Kind("stage", "stage", "own"),
    series.FUNCTION: Kind("function", "function", "own"),
    GAP: Kind("not covered", "time that nothing below accounts for", "faint"),
}

_SHORTENED = re.compile(r"^(select)\s.{12,}?\s(from\s.*)$", re.IGNORECASE | re.DOTALL)
_LOOKED_AT = 4000  # characters: statements are capped before they are stored; this bounds what is scanned


def kind_of(name: str) -> Kind:
    """What is known of a kind; an unknown one (an ingested trace may have any) is called by its name."""
    return KINDS.get(name) or Kind(name, name, "own")


def short_statement(statement: str) -> str:
    """`statement` without the list of its columns, on one line: what it reads from tells it apart."""
    text = " ".join(statement[:_LOOKED_AT].split())
    found = _SHORTENED.match(text)
    return f"{found[1]} … {found[2]}" if found else text


GLOBALS: dict[str, Any] = {"kind_of": kind_of, "short_statement": short_statement, "shell_quoted": shlex.quote}
