"""How a route says that its answer may be kept here, apart from what it tells browsers and proxies.

A middleware puts a `Marker` into the request; `mark` fills it in. What is kept here can be voided at once, by its tags
or by a change of the same path; what a browser keeps cannot. So browsers are told to ask each time, and get a 304.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError
from pitstop.tune.cache.web.directives import names

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

MARKER: Final = "pitstop.cache"  # in an ASGI scope or a WSGI environ


@dataclass(slots=True)
class Marker:
    """What the route said; `ttl_s` None: nothing."""

    ttl_s: float | None = None
    public: bool = False
    client_s: int = 0
    stale_s: float = 0.0
    stale_if_error_s: float = 0.0
    vary: tuple[bytes, ...] = ()
    tags: tuple[str, ...] = field(default=())

    def control(self) -> bytes:
        """Cache-Control for answers that have none."""
        who = b"public, " if self.public else b""
        return who + (b"max-age=%d" % self.client_s if self.client_s else b"no-cache")


def named_tags(tags: Sequence[str], arguments: Mapping[str, Any]) -> list[str]:
    """`tags` with the arguments they name, as ``"item:{item_id}"``. Raises SettingError for names that are none."""
    try:
        return [tag.format_map(arguments) for tag in tags]
    except KeyError as error:
        raise SettingError(f"tags={list(tags)} name {error}, which is no argument: {sorted(arguments)}") from None


def mark(
    request: MutableMapping[str, Any],
    ttl_s: float,
    *,
    public: bool = False,
    client_s: int = 0,
    stale_s: float = 0.0,
    stale_if_error_s: float = 0.0,
    vary: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> bool:
    """Keep the answer to `request` (an ASGI scope or WSGI environ) for `ttl_s`; whether a cache is there to do it.

    `public`: it is the same for everybody; without, requests with credentials or cookies are neither kept nor served.
    `client_s` is how long browsers and proxies may keep it, `stale_s` how long it is served while it is made anew,
    `stale_if_error_s` while that fails. `vary` names request headers that it depends on. `tags` void it, by
    ``cache.invalidate(tag)``. Raises SettingError.
    """
    if not ttl_s > 0 or client_s < 0 or stale_s < 0 or stale_if_error_s < 0:
        message = (
            f"{ttl_s=}, {client_s=}, {stale_s=}, {stale_if_error_s=}: answers are kept for more than 0 s, "
            "and the others are 0 or more"
        )
        raise SettingError(message)
    if isinstance(tags, str) or isinstance(vary, str):
        raise SettingError(f"{tags=}, {vary=}: sequences are needed, as tags=[…], vary=[…]")
    marker = request.get(MARKER)
    if not isinstance(marker, Marker):
        return False
    marker.ttl_s, marker.public, marker.client_s = ttl_s, public, client_s
    marker.stale_s, marker.stale_if_error_s = stale_s, stale_if_error_s
    marker.vary = names(", ".join(vary).encode("latin-1"))
    marker.tags = (*marker.tags, *tags)
    return True
