"""gevent may replace the standard library before or after Pitstop is there: nothing hangs and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = 50

PROGRAM = """
import faulthandler, sys
faulthandler.dump_traceback_later(20, exit=True)  # a deadlock ends with its stack
order, url = sys.argv[1:]
def patch(now):
    if now == order:
        from gevent import monkey
        monkey.patch_all()
patch("before the import")
import pitstop
from pitstop.app import open_store
from pitstop.model import Match, Window
patch("before init")
pitstop.init(service="greenlets", store=url, overhead_budget=1)
from flask import Flask
app = pitstop.instrument(Flask("greenlets"))
app.add_url_rule("/a", view_func=lambda: "a")
patch("before the server")
import gevent, http.client
from gevent.pywsgi import WSGIServer
server = WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", "/a")
    assert connection.getresponse().read() == b"a"
    connection.close()
def ask_all():
    jobs = [gevent.spawn(ask) for _ in range(COUNT)]
    gevent.joinall(jobs, raise_error=True)
if order == "between requests":
    pool = gevent.get_hub().threadpool  # the client must not block the server's loop before it is patched
    gevent.joinall([pool.spawn(ask) for _ in range(COUNT)], raise_error=True)
    patch("between requests")
else:
    ask_all()
ask_all()
server.stop()
assert pitstop.shutdown()
store = open_store(url)
rows = store.rollups(Window(0, 1 << 33), Match(kind="http"), hist=False)
print(sum(rows.count))
"""


@pytest.mark.parametrize("order", ["before the import", "before init", "before the server", "between requests"])
def test_gevent_may_patch_at_any_time(order: str, tmp_path: Path) -> None:
    program = PROGRAM.replace("COUNT", str(REQUESTS))
    command = [sys.executable, "-c", program, order, f"sqlite:///{tmp_path}/p.db"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)

    assert (done.returncode, done.stdout) == (0, f"{2 * REQUESTS}\n"), done.stderr
