"""A shop under traffic, recorded by Pitstop without a change, and the dashboard that shows it.

Everything lives in .demo/ and ends with Ctrl-C. Nothing is sent anywhere; all addresses are 127.0.0.1.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from shop.children import Child, free_port  # noqa: E402  found through the line above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

ROOT = HERE.parent.parent
DASHBOARD_PORT = 9200
SHOP_PORT = 8000
WORKERS = 2
START_S = 60.0  # what a slow machine may take to start one program
WATCH_S = 0.5
OURS = ("pitstop.db*", "shop.db*", "pitstop.auth*", "*.log", "counts.json")


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Demo:
    """The programs of the demo and the folder they work in."""

    def __init__(self, options: argparse.Namespace, say: Callable[[str], object]) -> None:
        self.options = options
        self.folder: Path = options.folder.resolve()
        self.over = threading.Event()
        self._say = say
        self._children: list[Child] = []
        self._lock: TextIO | None = None
        self.password = secrets.token_urlsafe(12)
        self.store = f"sqlite:///{self.folder / 'pitstop.db'}"
        self.counts = self.folder / "counts.json"

    def prepare(self) -> None:
        """Make the folder, the shop's stock and the past."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError(f"another demo runs in {self.folder}; stop it or name another folder: --folder") from None
        fresh = not (self.options.keep and (self.folder / "pitstop.db").exists())
        if fresh:
            for path in self._leftovers():
                path.unlink()
            self._say("Filling the shop and making up a week of history …")
            self._do("stock", "-m", "shop.stock")
            self._do("history", "-m", "shop.history", self.store)
            database = f"sqlite:///{self.folder / 'shop.db'}"
            advise = ("advise", "--database", database, "--store", self.store, "--service", "shop")
            self._do("advice", "-m", "pitstop", *advise, fine=(0, 1))  # 1: there is something to do

    def start(self) -> None:
        """Start the shop under `pitstop run`, the dashboard and the traffic."""
        self._say("Starting the shop with two workers, the dashboard and some traffic …")
        shop_port, port = free_port(self.options.shop_port), free_port(self.options.port)
        self.shop_url, self.dashboard_url = f"http://127.0.0.1:{shop_port}", f"http://127.0.0.1:{port}"
        server = ("uvicorn", "shop.app:app", "--app-dir", str(HERE.parent), "--port", str(shop_port))
        quiet = ("--workers", str(WORKERS), "--log-level", "warning", "--no-access-log")
        shop = self._child("shop", "-m", "pitstop", "run", "--", sys.executable, "-m", *server, *quiet)
        serve = ("serve", "--store", self.store, "--port", str(port))
        dashboard = self._child("dashboard", "-m", "pitstop", *serve)
        for child, at in ((shop, shop_port), (dashboard, port)):
            if not child.answers(at, START_S):
                self._fail(child)
        if not self.options.no_traffic:
            traffic = (str(HERE / "traffic.py"), self.shop_url, "--rate", str(self.options.rate))
            self._child("traffic", *traffic, "--counts", str(self.counts))

    def watch(self) -> None:
        """Return when it is over; raises DemoError as soon as a program has died."""
        end_s = time.monotonic() + self.options.seconds
        while not self.over.wait(min(WATCH_S, max(0.0, end_s - time.monotonic()))) and time.monotonic() < end_s:
            for child in self._children:
                if child.exit_code is not None:
                    self._fail(child)

    def stop(self) -> bool:
        """Stop the traffic first, so that nobody finds the shop closed; whether all went by themselves."""
        stopped = [child.stop() for child in reversed(self._children)]
        self._children.clear()
        if self._lock is not None:
            self._lock.close()
        return all(stopped)

    def places(self) -> dict[str, object]:
        """Where everything is, for programs."""
        return {
            "dashboard": self.dashboard_url,
            "user": "admin",
            "password": self.password,
            "shop": self.shop_url,
            "store": self.store,
            "folder": str(self.folder),
            "counts": str(self.counts),
            "pids": {child.name: child.pid for child in self._children},
        }

    def _environment(self) -> dict[str, str]:
        paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "SHOP_DB": str(self.folder / "shop.db"),
            "PITSTOP_STORE": self.store,
            "PITSTOP_SERVICE": "shop",
            "PITSTOP_PASSWORD": self.password,
        }

    def _child(self, name: str, *arguments: str) -> Child:
        child = Child(name, (sys.executable, *arguments), self.folder / f"{name}.log", self._environment())
        self._children.append(child)
        return child

    def _do(self, name: str, *arguments: str, fine: tuple[int, ...] = (0,)) -> None:
        done = subprocess.run(  # noqa: S603  the demo's own programs
            (sys.executable, *arguments), env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode not in fine and not self.over.is_set():
            raise DemoError(f"{name} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}".rstrip())

    def _fail(self, child: Child) -> None:
        if self.over.is_set():
            return
        how = "does not answer" if child.exit_code is None else f"ended with exit code {child.exit_code}"
        raise DemoError(f"the {child.name} {how}. The last lines of {child.log}:\n{child.last_lines()}")

    def _leftovers(self) -> Iterator[Path]:
        for pattern in OURS:
            yield from self.folder.glob(pattern)


WELCOME = """
  Dashboard   {dashboard}
              user {user}, password {password}
  The shop    {shop}

  What to look at
    · Overview: two workers answer, every request is counted; figures move each second
    · Routes: checkout and recommendations are slow for honest reasons; sort by P95
    · Route "POST …/checkout": the deploy two hours ago made it slow, the rollback mended it
    · Caches: which regions pay off; "bought together" does not, and says why
    · Database: two indexes that nobody made, with the SQL to make them
    · Traces of GET /start: three tasks side by side, and what they hang on
    · Memory, Runtime: leaks, pauses and event-loop lag of each worker
  What lies before the start is generated history, and says so; the rest is measured.

  From another terminal:  .venv/bin/pitstop report --store {store}

  Ctrl-C stops everything.
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop by itself after this time")
    parser.add_argument("--port", type=int, default=DASHBOARD_PORT, help="of the dashboard; another when it is taken")
    parser.add_argument("--shop-port", type=int, default=SHOP_PORT, help="of the shop; another when it is taken")
    parser.add_argument("--rate", type=float, default=12.0, help="visitors per second at usual hours")
    parser.add_argument("--no-traffic", action="store_true", help="visit the shop yourself")
    parser.add_argument("--keep", action="store_true", help="go on with what the folder holds")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where everything is kept")
    parser.add_argument("--json", action="store_true", help="say where everything is as one line of JSON")
    return parser.parse_args()


def main() -> int:
    """Run until Ctrl-C, `--seconds` or a failure; 0 when everything went well and nothing is left."""
    options = _options()

    def say(text: str) -> None:
        print(text, file=sys.stderr if options.json else sys.stdout, flush=True)

    demo = Demo(options, say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: demo.over.set())
    code = 0
    try:
        demo.prepare()
        if not demo.over.is_set():
            demo.start()
        if not demo.over.is_set():
            places = demo.places()
            print(json.dumps(places) if options.json else WELCOME.format_map(places), flush=True)
            demo.watch()
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    finally:
        say("Stopping …")
        if not demo.stop():
            print("error: not everything stopped by itself; it was ended by force", file=sys.stderr)
            code = code or 1
    return code


if __name__ == "__main__":
    sys.exit(main())
