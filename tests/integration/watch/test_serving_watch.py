"""`pitstop serve` watches: what goes wrong is in somebody's inbox a moment later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
[group]
wait = "0s"

[[rule]]
name = "checkout is slow"
kind = "threshold"
metric = "p95"
above = "500ms"
severity = "page"

[[channel]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret = "0123456789abcdef"
"""


class Inbox(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(json.loads(body))  # type: ignore[attr-defined]
        self.server.came.set()  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_goes_wrong_is_told_by_pitstop_serve(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Inbox)
    server.got, server.came = [], threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    (tmp_path / "pitstop-rules.toml").write_text(RULES.format(port=port))
    now_s = int(time.time())
    store = open_store(f"sqlite:///{tmp_path}/pitstop.db")
    hist = encode({position_of(900_000_000): 50})
    row = [now_s - 40], [Series("shop", "", "http", "POST /checkout", "", "200")], [50], [45 * 10**9]
    store.append(Batch("web:1", 1, Rollups(*row, [9 * 10**8], [9 * 10**8], [0], [hist])))
    process = subprocess.Popen(
        [sys.executable, "-m", "pitstop", "serve", "--port", "0", "--store", store.url],
        cwd=tmp_path,
        env=os.environ | {"PITSTOP_EGRESS_ALLOW": f"127.0.0.1:{port}", "PITSTOP_PUBLIC_URL": "https://pit.example.org"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.came.wait(30), "no message came"  # type: ignore[attr-defined]
    finally:
        process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        process.wait(10)
        server.shutdown()
        server.server_close()

    [told] = server.got  # type: ignore[attr-defined]
    assert "checkout is slow" in json.dumps(told)
    assert "https://pit.example.org/alert" in json.dumps(told)
    assert time.monotonic() - began_s < 7
    assert process.returncode == 0
    assert oct((tmp_path / "pitstop.watch.db").stat().st_mode & 0o777) == "0o600"
    store.close()
