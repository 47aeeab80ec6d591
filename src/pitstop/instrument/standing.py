"""What can be recorded here and what is, by integration and version: for ``pitstop doctor``, imported when it asks."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from pitstop.instrument import hooks
from pitstop.model.errors import PitstopError

_DISTRIBUTIONS = {  # whose name is not the integration's
    "opentelemetry": ("opentelemetry-api",),
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "django-orm": ("django",),
}


class Status(NamedTuple):
    """One integration: `state` is ``hooked``, ``waiting`` (for its import), ``failed``, ``off`` or ``absent``."""

    name: str
    version: str
    state: str
    text: str


def status() -> list[Status]:
    """What can be recorded here, and what is, for ``pitstop doctor``."""
    names = (hooks.AUTO,) if hooks.states else _setting()
    return [_status(name, names) for name in hooks.INTEGRATIONS]


def _setting() -> tuple[str, ...]:
    """What `pitstop run` would attach to, started here; a wrong setting is told by others."""
    try:
        settings: Any = import_module("pitstop.app").load_settings()
        chosen: tuple[str, ...] = settings.words("instrument")
    except PitstopError:
        return (hooks.AUTO,)
    return chosen if settings.flag("enabled") else (hooks.NONE,)


def _status(name: str, names: tuple[str, ...]) -> Status:
    installed = _installed(name)
    if not installed:
        return Status(name, "", "absent", f"{name} is not installed")
    state = hooks.states.get(name) or ("waiting" if hooks.chosen(name, names) else "off")
    texts = _OF_SERVERS if name in hooks.SERVERS else _OF_FRAMEWORKS if name in hooks.FRAMEWORKS else _OF_LIBRARIES
    text = hooks.reasons.get(name) or texts[state]
    oldest = hooks.OLDEST.get(name, ())
    if _numbers(installed) < oldest:
        text += f"; supported from {'.'.join(map(str, oldest))} on"
    return Status(name, installed, state, f"{name} {installed}: {text}")


def _installed(name: str) -> str:
    """The version of what an integration is for, or "" where it is not there."""
    if name in sys.stdlib_module_names:
        return sys.version.split()[0]
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2])


_OF_FRAMEWORKS = {
    "hooked": "recorded in this process",
    "waiting": "recorded by `pitstop run`, or by pitstop.instrument(app)",
    "off": "left out by the settings instrument or enabled; pitstop.instrument(app) records it where enabled",
    "failed": "not recorded",
}
_OF_LIBRARIES = {
    "hooked": "recorded in this process",
    "waiting": "recorded by `pitstop run`, or from pitstop.init() on",
    "off": "left out by the settings instrument or enabled",
    "failed": "not recorded",
}
_OF_SERVERS = {
    "hooked": "applications without a framework are recorded in this process",
    "waiting": "applications without a framework are recorded by `pitstop run`, or by pitstop.instrument(app)",
    "off": "applications without a framework are left out by the settings instrument or enabled",
    "failed": "applications without a framework are not recorded",
}
