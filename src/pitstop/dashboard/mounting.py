"""The dashboard inside somebody's own application: one line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pitstop.dashboard.app import create_app
from pitstop.dashboard.auth import ADMIN, Keyring, keyring_path
from pitstop.dashboard.housekeeper import Housekeeper
from pitstop.model import SettingError
from pitstop.model.settings import BY_NAME
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pitstop.model import Store

PASSWORD_VARIABLE = "PITSTOP_PASSWORD"  # noqa: S105  the variable's name
DAY_S = 86_400
HOSTS_VARIABLE = "PITSTOP_HOSTS"


def mount(
    app: Starlette,
    path: str = "/admin/performance",
    *,
    store: Store | str | None = None,
    hosts: Iterable[str] = (),
    password: str | None = None,
) -> None:
    """Show the dashboard of `store` at `path` of a FastAPI or Starlette application.

    `store`: an open one, a URL, or None for PITSTOP_STORE and else its default. `hosts`: the public names of the
    application, since the dashboard answers to loopback alone otherwise (also PITSTOP_HOSTS, comma-separated).
    `password`: also PITSTOP_PASSWORD; with neither, one is generated and printed once. Raises SettingError.
    """
    if not path.startswith("/") or path.endswith("/"):
        raise SettingError(f"path='{path}' has to start with a slash and not to end with one, as in /admin/performance")
    opened = open_store(store or default_store()) if store is None or isinstance(store, str) else store
    keyring = Keyring(keyring_path(opened.url))
    generated = first_password(keyring, password)
    if generated:
        sys.stderr.write(f"pitstop: dashboard at {path}, {credentials_text(keyring, generated)}\n")
    retention_s = retention_from_environment()
    inner = create_app(opened, auth=keyring, hosts=(*hosts, *hosts_from_environment()), retention_s=retention_s)
    app.mount(path, _KeepingHouse(inner, Housekeeper(opened, retention_s)), name="pitstop")


def default_store() -> str:
    """The store's URL when none was given."""
    setting = BY_NAME["store"]
    return os.environ.get(setting.environment) or str(setting.default)


def retention_from_environment() -> int | None:
    """Seconds that PITSTOP_RETENTION_DAYS says, or None for the store's own. Raises SettingError."""
    setting = BY_NAME["retention_days"]
    given = os.environ.get(setting.environment)
    days = None if given is None else setting.parse(given, setting.environment)
    return int(days) * DAY_S if isinstance(days, int) else None


def hosts_from_environment() -> tuple[str, ...]:
    """The public names in PITSTOP_HOSTS."""
    return tuple(host.strip() for host in os.environ.get(HOSTS_VARIABLE, "").split(",") if host.strip())


def first_password(keyring: Keyring, given: str | None) -> str | None:
    """Take the password that was given, or the environment's, or make the first one; what was made, else None."""
    given = given or os.environ.get(PASSWORD_VARIABLE)
    if given:
        keyring.give_password(given)
        return None
    return keyring.make_first_password()


def credentials_text(keyring: Keyring, password: str) -> str:
    """What is printed once."""
    kept = f"its hash is kept in {keyring.path}" if keyring.path else "it holds until this process ends"
    return f"name {ADMIN}, password {password} (shown this once; {kept})"


class _KeepingHouse:
    """The dashboard, with a housekeeper from the first request on: a mount runs before workers fork."""

    def __init__(self, app: ASGIApp, housekeeper: Housekeeper) -> None:
        self._app = app
        self._housekeeper = housekeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._housekeeper.ensure()
        await self._app(scope, receive, send)
