"""Who is asking, and may they: the dependencies that every route but the sign-in and the static files carries.

They hang on the route itself, so what is authorized is what was resolved, however the path was spelled.
"""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends
from starlette.requests import HTTPConnection, Request  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard.auth import Session  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.desk import base_of, desk_of
from pitstop.dashboard.faults import RefusalError

COOKIE = "pitstop_session"
CSRF_HEADER = "x-csrf-token"
_LONGEST_SECRET = 200  # characters of a cookie or token that is worth a look


def session_of(connection: HTTPConnection) -> Session | None:
    """The session of the connection's cookie, if it counts."""
    cookie = connection.cookies.get(COOKIE, "")
    return desk_of(connection).keyring.session(cookie) if 0 < len(cookie) <= _LONGEST_SECRET else None


def page_reader(request: Request) -> Session:
    """Whoever is signed in; everybody else is sent to the sign-in, and comes back to this page after it."""
    session = session_of(request)
    if session is None:
        raise RefusalError(
            303,
            "signed_out",
            "sign in first",
            headers={"Location": f"{base_of(request)}/sign-in?next={quote(here(request), safe='')}"},
        )
    return session


def api_reader(request: Request) -> Session:
    """Whoever is signed in or sends a valid API token as ``Authorization: Bearer``; else 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    session = None
    if scheme:
        if scheme.lower() == "bearer" and 0 < len(token) <= _LONGEST_SECRET:
            session = desk_of(request).keyring.token(token.strip())
    else:
        session = session_of(request)
    if session is None:
        raise RefusalError(
            401,
            "signed_out",
            "this needs a session or an API token",
            next_step="sign in, or send 'Authorization: Bearer <token>' (pitstop serve --new-token NAME makes one)",
            headers={"WWW-Authenticate": 'Bearer realm="pitstop"'},
        )
    return session


def api_sender(request: Request, session: Annotated[Session, Depends(api_reader)]) -> Session:
    """Whoever may send something to work on: an API token, or a session with its CSRF token from a page of ours."""
    if not session.by_token:
        check_origin(request)
        if not hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), session.csrf.encode()):
            raise RefusalError(
                403, "csrf", f"the {CSRF_HEADER} header is missing or stale", next_step="reload the page and try again"
            )
    return session


def api_changer(request: Request, session: Annotated[Session, Depends(api_sender)]) -> Session:
    """Whoever may change something: as `api_sender`, where the dashboard does not only read."""
    if not desk_of(request).writable:
        raise RefusalError(
            403, "read_only", "this dashboard only reads", next_step="use the command pitstop on the host"
        )
    return session


def check_origin(request: Request) -> None:
    """Raises 403 for a change that a page of somebody else's asks for."""
    if not desk_of(request).hosts.same_origin(request.headers):
        raise RefusalError(
            403,
            "foreign_origin",
            "this was sent by a page that is not part of this dashboard",
            value=(request.headers.get("origin") or request.headers.get("referer") or "no Origin")[:200],
            limit=request.headers.get("host", ""),
            next_step="behind a proxy, pass the Host header on or list the public name in PITSTOP_HOSTS",
        )


def here(request: Request) -> str:
    """The page that was asked for, below the mount, with its query."""
    path = request.scope["path"].removeprefix(base_of(request)) or "/"
    query = request.url.query
    return f"{path}?{query}" if query else path


def safe_next(wanted: str) -> str:
    """`wanted` when it is a path of ours, else ``/``: never another host, whatever a browser would make of it."""
    if not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable():
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("//") else wanted
