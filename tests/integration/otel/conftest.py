"""A dashboard on a free port over a store of its own, and a token for it."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest
import uvicorn

from pitstop.dashboard import Keyring, create_app
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pitstop.dashboard.ingest.writer import Writer
    from pitstop.model import Store


class Receiver(NamedTuple):
    url: str
    store: Store
    writer: Writer
    headers: dict[str, str]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """It writes what it got when `writer.flush()` is called."""
    store = open_store(f"sqlite:///{tmp_path}/central.db")
    keyring = Keyring()
    app = create_app(store, auth=keyring)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Receiver(
        f"http://127.0.0.1:{listener.getsockname()[1]}",
        store,
        app.state.desk.ingest,
        {"Authorization": f"Bearer {keyring.add_token('sender')}"},
    )
    server.should_exit = True
    thread.join(5)
    app.state.desk.ingest.stop()
    store.close()
