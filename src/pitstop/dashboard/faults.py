"""What an answer looks like when it is none: one JSON shape, and one page that says the same in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.model import NotFoundError, SettingError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping


class RefusalError(Exception):
    """An answer other than the one asked for: `status`, and the fields of the one shape.

    `headers` go out with it. Raised by dependencies, turned into an answer in `pitstop.dashboard.app`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        value: str | None = None,
        limit: str | None = None,
        next_step: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body_of(code, message, value=value, limit=limit, next_step=next_step)
        self.headers = dict(headers or {})


def body_of(
    code: str, message: str, *, value: str | None = None, limit: str | None = None, next_step: str | None = None
) -> dict[str, Any]:
    """The one shape of an error: what happened, the value and the limit it broke, and what to do next."""
    fields = {"message": message, "value": value, "limit": limit, "next": next_step}
    return {
        "error": {"code": code} | {name: None if text is None else _sendable(text) for name, text in fields.items()}
    }


def _sendable(text: str) -> str:
    """`text` without half characters, which JSON may bring in and UTF-8 cannot take out."""
    return text.encode("utf-8", "replace").decode("utf-8")


def refusal_of(error: Exception) -> RefusalError:
    """Our own errors as answers: a wrong value is 422, nothing found 404, a store that cannot 503."""
    text = str(error)
    if isinstance(error, SettingError):
        return RefusalError(422, "bad_value", text)
    if isinstance(error, NotFoundError):
        return RefusalError(404, "not_found", text)
    if isinstance(error, StoreUnavailableError):
        return RefusalError(
            503, "store_unavailable", text, next_step="try again in a few seconds", headers={"Retry-After": "5"}
        )
    if isinstance(error, StoreError):
        return RefusalError(503, "store_error", text, next_step="run 'pitstop doctor'")
    raise TypeError(f"{type(error).__name__} is none of ours")
