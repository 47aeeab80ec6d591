"""`pitstop serve`: the dashboard by itself, on loopback unless it is told otherwise."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Protocol

import uvicorn

from pitstop.dashboard.app import create_app
from pitstop.dashboard.auth import Keyring, keyring_path
from pitstop.dashboard.export.remote.sender import Sender
from pitstop.dashboard.housekeeper import Housekeeper
from pitstop.dashboard.mounting import credentials_text, first_password, hosts_from_environment
from pitstop.model import SettingError
from pitstop.model.watching import Watch
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pitstop.model import Store

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9200
_BACKLOG = 1024
_GRACE_S = 2  # what open requests get at the end; sockets are closed
_WATCH_STOP_S = 5.0  # what messages that are being sent get at the end
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


def run(
    store_url: str,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    hosts: Iterable[str] = (),
    password: str | None = None,
    new_password: bool = False,
    new_token: str | None = None,
    root_path: str = "",
    retention_s: int | None = None,
    watching: Callable[[Store], Watching] | None = None,
    remote_write: tuple[str, Mapping[str, str]] | None = None,
    announce: Callable[[str], object] = lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush(),
) -> None:
    """Serve the dashboard of `store_url` until SIGINT or SIGTERM; keep the store's house meanwhile.

    `port` 0: a free one. `new_password` replaces the password and ends all sessions; `new_token` makes an API token
    of that name; both are shown once. `watching` makes whoever watches the store meanwhile.
    `remote_write`: address and headers of a receiver that gets what /metrics says.
    `announce` gets each line for the person who started it.
    Raises SettingError for an address that cannot be bound, StoreError for a store that cannot be opened.
    """
    listener = _bind(host, port)
    store = open_store(store_url)
    keyring = Keyring(keyring_path(store.url))
    made = keyring.make_new_password() if new_password else first_password(keyring, password)
    listening = listener.getsockname()[1]
    watch = watching(store) if watching is not None else None
    named = {host} - set(_ANYWHERE)
    app = create_app(
        store,
        auth=keyring,
        hosts=(*named, *hosts, *hosts_from_environment()),
        root_path=root_path,
        retention_s=retention_s,
        watch=watch,
    )
    sender = None
    if remote_write is not None:
        sender = Sender(app.state.desk.exposition, *remote_write, clock=app.state.desk.clock)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_per_message_deflate=False,
        ws_max_size=4096,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=_BACKLOG,
    )
    housekeeper = Housekeeper(store, retention_s)
    housekeeper.ensure()
    if watch is not None:
        watch.start()
    if sender is not None:
        sender.start()
    shown = f"[{host}]" if ":" in host else host
    lines = [f"Pitstop serves {store.url} at http://{shown}:{listening}{root_path}/"]
    if made:
        lines.append(f"Sign in: {credentials_text(keyring, made)}")
    if new_token:
        lines.append(f"API token '{new_token}': {keyring.add_token(new_token)} (shown this once)")
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal again when it has ended: as an exception, so that what follows is still done
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _Announcing(config, lambda: [announce(line) for line in lines]).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        if sender is not None:
            sender.stop(_GRACE_S)
        if watch is not None:
            watch.stop(_WATCH_STOP_S)
        app.state.desk.ingest.stop()
        housekeeper.stop()
        keyring.close()
        store.close()


class Watching(Watch, Protocol):
    """Whoever watches, with a beginning and an end."""

    def start(self) -> None:
        """Evaluate, send and probe from now on, in threads of its own."""
        ...

    def stop(self, timeout_s: float) -> bool:
        """End within `timeout_s`; whether everything ended in time."""
        ...


class _Announcing(uvicorn.Server):
    """Says where it is once it answers there."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], object]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # who reads the announcement and comes at once is not refused
    except (OSError, OverflowError) as error:
        listener.close()
        raise SettingError(
            f"cannot listen on {host}:{port} ({error}); choose another with --port, 0 for any"
        ) from error
    return listener
