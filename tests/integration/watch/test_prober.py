"""Probes against real servers on loopback: fine, failing, hanging, dripping, moved and gone."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from pitstop.egress import Client
from pitstop.model import Batch, Match, SettingError, StoreUnavailableError, Window
from pitstop.store.memory import MemoryStore
from pitstop.watch.budgets import slo_states
from pitstop.watch.objectives import default_objectives
from pitstop.watch.prober import MOST_PROBES, Prober
from pitstop.watch.probes import Probe, parse_probe, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Page(BaseHTTPRequestHandler):
    held = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/hang":
            self.held.wait(20)
            return
        status = int(self.path.partition("status=")[2] or 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/")
        body = b"welcome to the shop"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.held.wait(0.1):
                    return
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    held = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Page,), {"held": held}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        held.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def site() -> Iterator[str]:
    with serving() as url:
        yield url


WAY = Client(["127.0.0.1"])


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.01)


def test_a_page_that_answers_with_what_is_looked_for_is_fine(site: str) -> None:
    found = run(Probe("home", f"{site}/", text="welcome"), WAY)
    assert found.problem == ""
    assert 0 < found.took_ns < 5e9
    assert abs(found.ts_s - time.time()) < 5


@pytest.mark.parametrize(
    ("path", "probe", "said"),
    [
        ("/?status=503", Probe("a", ""), "answered 503, not 200 … 299"),
        ("/?status=302", Probe("a", ""), "answered 302, not 200 … 299 (a redirect is not followed)"),
        ("/?status=200", Probe("a", "", status=(204, 404)), "answered 200, not 204 or 404"),
        ("/", Probe("a", "", text="good bye"), "answered 200 without the text that is looked for"),
        ("/hang", Probe("a", "", timeout_s=0.2), "did not answer within 0.2 s"),
        ("/drip", Probe("a", "", timeout_s=0.3, text="shop"), "did not answer within 0.3 s"),
    ],
)
def test_what_is_wrong_is_said(site: str, path: str, probe: Probe, said: str) -> None:
    began_s = time.monotonic()
    assert said in run(probe._replace(url=site + path), WAY).problem
    assert time.monotonic() - began_s < 3


def test_a_port_is_probed_by_connecting_to_it(site: str) -> None:
    address = site.replace("http", "tcp")
    assert run(Probe("port", address), WAY).problem == ""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert "cannot be reached" in run(Probe("port", f"tcp://127.0.0.1:{port}"), WAY).problem


def test_a_private_address_that_is_not_allowed_is_not_probed(site: str) -> None:
    for url in (site, site.replace("http", "tcp"), "http://169.254.169.254/latest"):
        found = run(Probe("inside", url), Client())
        assert "egress_allow" in found.problem or "private" in found.problem or "allowed" in found.problem


def test_results_are_a_series_in_the_store_and_count_for_an_objective(site: str) -> None:
    store = MemoryStore("probes")
    probes = [
        Probe("home", f"{site}/", every_s=0.05, service="shop"),
        Probe("broken", f"{site}/?status=500", every_s=0.05),
        Probe("hangs", f"{site}/hang", every_s=0.05, timeout_s=5.0),
    ]
    began_s = int(time.time())
    prober = Prober(probes, store.append, WAY)
    prober.start()
    prober.start()  # once is enough
    window = Window(began_s - 1, began_s + 100)

    def counted(name: str, outcome: str) -> int:
        return sum(store.rollups(window, Match(kind="probe", name=name, outcome=outcome)).count)

    until(lambda: counted("home", "ok") >= 5 and counted("broken", "error") >= 5)
    assert counted("hangs", "ok") == 0, "the one that hangs kept nobody waiting and is not done"
    assert prober.last()["home"].problem == ""
    assert "500" in prober.last()["broken"].problem
    assert not prober.stop(0.5), "one run still hangs"
    assert counted("home", "error") == counted("broken", "ok") == 0
    states = slo_states(store, default_objectives([], ["home", "broken"]), time.time() + 15)
    assert {state.labels["probe"]: state.ratio for state in states} == {"home": 1.0, "broken": 0.0}
    assert store.rollups(window, Match(kind="probe", name="home")).series[0].service == "shop"


def test_results_wait_for_a_store_that_cannot_be_written_and_count_once(site: str) -> None:
    store = MemoryStore("late")
    offered: list[Batch] = []
    down = threading.Event()
    down.set()

    def append(batch: Batch) -> None:
        offered.append(batch)
        if down.is_set():
            raise StoreUnavailableError("locked")
        store.append(batch)

    began_s = int(time.time())
    prober = Prober([Probe("home", f"{site}/", every_s=0.05)], append, WAY)
    prober.start()
    until(lambda: len(offered) >= 2)
    assert offered[0] is offered[1], "tried again unchanged"
    down.clear()
    until(lambda: len(offered) >= 3 and prober.last()["home"].ts_s > began_s)
    assert prober.stop()
    written = sum(store.rollups(Window(began_s - 1, began_s + 100), Match(kind="probe")).count)
    unique = {batch.seq: len(batch.rollups) for batch in offered}
    assert written == sum(unique.values()) > 5
    assert prober.dropped == 0


def test_no_more_probes_run_than_there_may_be_and_none_needs_no_thread() -> None:
    prober = Prober([Probe(str(n), "tcp://127.0.0.1:1") for n in range(MOST_PROBES + 3)], lambda _: None, WAY)
    assert [probe.name for probe in prober.left_out] == ["100", "101", "102"]
    idle = Prober([], lambda _: None, WAY)
    idle.start()
    assert idle.stop()


def test_a_probe_is_written_as_the_rules_file_says() -> None:
    table = {"name": "home page", "url": "https://shop.example/", "every": "30s", "timeout": "5s", "status": 200}
    assert parse_probe(table | {"text": "welcome"}, "rules") == Probe(
        "home page", "https://shop.example/", 30.0, 5.0, (200,), "welcome", "", "rules"
    )
    assert parse_probe({"name": "db", "url": "tcp://[::1]:5432", "every": "2s"}, "rules").timeout_s == 2.0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "ftp://shop/"}, "is no address: write https://host/path or tcp://host:port"),
        ({"url": "https://"}, "is no address"),
        ({"url": "http://shop:99999/"}, "is no address"),
        ({"url": "tcp://shop"}, "a tcp probe has a host and a port"),
        ({"url": "tcp://shop:22", "status": 200}, "neither path nor status nor text"),
        ({"status": 42}, "status = 42 is no status"),
        ({"status": "ok"}, "status = 'ok' is no status"),
        ({"every": "0s"}, "is outside"),
        ({"every": "10s", "timeout": "20s"}, "timeout = '20s' is outside 0.01 s … 10 s"),
        ({"follow": True}, "'follow' is no key of it"),
        ({"name": "x" * 101}, "longer than 100"),
    ],
)
def test_a_probe_that_cannot_be_meant_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError) as refused:
        parse_probe({"name": "a", "url": "https://shop/"} | changed, "rules")
    assert said in str(refused.value)
