"""What every request of one dashboard shares; made once in `create_app`, found again at ``request.app.state.desk``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from pitstop.dashboard.answers import Answers
    from pitstop.dashboard.auth import Keyring, Throttle
    from pitstop.dashboard.export import Exposition
    from pitstop.dashboard.guard import Hosts
    from pitstop.dashboard.ingest.writer import Writer
    from pitstop.dashboard.live import Hub
    from pitstop.model import Clock, Store
    from pitstop.model.watching import Watch


@dataclass(frozen=True, slots=True)
class Desk:
    """The store, who may look at it, and the answers that are shared between requests.

    `writable` is false where the dashboard only looks: pruning and checkpoints are then refused.
    `retention_s` None: the store's own. `watch` None: nobody watches here.
    """

    store: Store
    keyring: Keyring
    throttle: Throttle
    hosts: Hosts
    answers: Answers
    hub: Hub
    clock: Clock
    ingest: Writer
    exposition: Exposition
    writable: bool = True
    retention_s: int | None = None
    watch: Watch | None = None


def desk_of(connection: HTTPConnection) -> Desk:
    """The desk of the dashboard that answers this connection."""
    return cast("Desk", connection.app.state.desk)


def base_of(connection: HTTPConnection) -> str:
    """What every link starts with: where the dashboard is mounted, without a slash at its end."""
    return str(connection.scope.get("root_path", "")).rstrip("/")
