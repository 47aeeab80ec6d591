"""Signing in and out."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from pitstop.dashboard.access import COOKIE, check_origin, page_reader, safe_next, session_of
from pitstop.dashboard.auth import ADMIN, Session
from pitstop.dashboard.auth.keyring import SESSION_S
from pitstop.dashboard.desk import base_of, desk_of
from pitstop.dashboard.faults import RefusalError
from pitstop.dashboard.render import page

router = APIRouter()
signed_in_router = APIRouter(dependencies=[Depends(page_reader)])

FORM_COOKIE = "pitstop_form"
_LARGEST_FORM = 8192  # bytes
_FORM_S = 3600


@router.get("/sign-in")
def show(request: Request, next: str = "/") -> Response:  # noqa: A002  the name in the address
    """The form; who is signed in already goes on."""
    if session_of(request) is not None:
        return RedirectResponse(base_of(request) + safe_next(next), 303)
    return _form(request, safe_next(next))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Check the password. 429 with Retry-After when there were too many tries, 401 when it is wrong."""
    desk = desk_of(request)
    check_origin(request)
    form = await _read_form(request)
    wanted = safe_next(form.get("next", "/"))
    cookie = request.cookies.get(FORM_COOKIE, "")
    if not cookie or not hmac.compare_digest(_form_token(cookie).encode(), form.get("form", "").encode()):
        return _form(request, wanted, "This form was open for too long. Please try again.", status=403)
    address = request.client.host if request.client else "?"
    wait_s = desk.throttle.take(address)
    if wait_s:
        return _form(
            request,
            wanted,
            f"Too many tries. The next one counts in {wait_s} s.",
            status=429,
            headers={"Retry-After": str(wait_s)},
        )
    user = form.get("user", ADMIN)
    if not await run_in_threadpool(desk.keyring.verify, user, form.get("password", "")):
        return _form(request, wanted, "That name and password do not belong together.", status=401)
    desk.throttle.forgive(address)
    value, _ = await run_in_threadpool(desk.keyring.open_session, user)
    response = RedirectResponse(base_of(request) + wanted, 303)
    _set_cookie(request, response, COOKIE, value, SESSION_S)
    response.delete_cookie(FORM_COOKIE, path=_path(request))
    return response


@signed_in_router.post("/sign-out")
async def sign_out(request: Request, session: Annotated[Session, Depends(page_reader)]) -> Response:
    """End the session here, in every worker and on every open page."""
    check_origin(request)
    form = await _read_form(request)
    if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
        raise RefusalError(403, "csrf", "the form's token is missing or stale", next_step="reload the page")
    await run_in_threadpool(desk_of(request).keyring.close_session, session.id)
    response = RedirectResponse(f"{base_of(request)}/sign-in", 303)
    response.delete_cookie(COOKIE, path=_path(request))
    response.headers["clear-site-data"] = '"cache"'
    return response


def _form(
    request: Request, wanted: str, problem: str = "", *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    cookie = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(16)
    response = page(
        request,
        "sign_in.html",
        {"next": wanted, "problem": problem, "form": _form_token(cookie), "user": ADMIN},
        status=status,
        headers=headers,
    )
    _set_cookie(request, response, FORM_COOKIE, cookie, _FORM_S)
    return response


def _form_token(cookie: str) -> str:
    return sha256(f"pitstop form {cookie}".encode()).hexdigest()


def _set_cookie(request: Request, response: Response, name: str, value: str, max_age_s: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def _path(request: Request) -> str:
    return base_of(request) or "/"


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the last value of each. Raises 413 and 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RefusalError(415, "bad_type", "a form is sent as application/x-www-form-urlencoded", value=kind[:100])
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise RefusalError(413, "too_large", "this form is too large", limit=f"{_LARGEST_FORM} bytes")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}
