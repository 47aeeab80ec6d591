"""The dashboard by itself and inside somebody's application."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pitstop.dashboard import mount, run
from pitstop.dashboard.housekeeper import Housekeeper
from pitstop.model import SettingError, StoreUnavailableError
from pitstop.store import open_store
from pitstop.store.memory import MemoryStore

PROGRAM = "import sys; from pitstop.dashboard import run; run(sys.argv[1], port=0, new_token='ci')"


def served(folder: Any) -> tuple[subprocess.Popen[str], list[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PITSTOP_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, f"sqlite:///{folder}/pitstop.db"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("API token"):
            return process, lines
    raise AssertionError(lines)


def ended(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    code = process.wait(15)
    assert process.stdout
    process.stdout.close()
    return code


def test_serve_prints_its_address_and_the_password_once_and_ends_cleanly(tmp_path: Any) -> None:
    process, lines = served(tmp_path)
    url = re.search(r"http://\S+/", "".join(lines))
    password = re.search(r"password (\S+) ", "".join(lines))
    token = re.search(r"(pst_\S+)", "".join(lines))
    assert url
    assert password
    assert token
    size = {}
    deadline_s = time.monotonic() + 15
    while not size.get("lease_holder", "").startswith("dashboard:") and time.monotonic() < deadline_s:
        answer = httpx.get(f"{url[0]}api/v1/storage", headers={"authorization": f"Bearer {token[1]}"})
        size = answer.json() if answer.status_code == 200 else {}
        time.sleep(0.1)
    assert size["lease_holder"].startswith("dashboard:"), "it keeps house"
    assert ended(process) == 0
    process, lines = served(tmp_path)
    assert "password" not in "".join(lines)
    ended(process)


def test_a_mounted_dashboard_links_below_its_mount_and_keeps_house(tmp_path: Any, serving: Any) -> None:
    app = FastAPI()

    @app.get("/own")
    def own() -> dict[str, int]:
        return {"x": 1}

    url = f"sqlite:///{tmp_path}/pitstop.db"
    mount(app, store=url, password="correct-horse-battery", hosts=["shop.example"])
    store = open_store(url)
    with serving(app) as address, httpx.Client(base_url=address, headers={"origin": address}) as client:
        assert client.get("/own").json() == {"x": 1}
        sent = client.get("/admin/performance/", headers={"accept": "text/html"})
        assert sent.headers["location"] == "/admin/performance/sign-in?next=%2F"
        form = client.get(sent.headers["location"])
        token = re.search(r'name="form" value="(\w+)"', form.text)
        assert token
        data = {"user": "admin", "password": "correct-horse-battery", "form": token[1], "next": "/routes"}
        answer = client.post("/admin/performance/sign-in", data=data)
        assert answer.headers["location"] == "/admin/performance/routes"
        assert "Path=/admin/performance" in answer.headers["set-cookie"]
        page = client.get("/admin/performance/routes?last=6h").text
        for link in re.findall(r'(?:href|src|action)="([^"]+)"', page):
            assert link.startswith(("/admin/performance/", "#")), link
        style = re.search(r'href="([^"]+page.css)"', page)
        assert style
        assert client.get(style[1]).status_code == 200
        assert client.get("/admin/performance/sign-in", headers={"host": "evil.example"}).status_code == 400
        assert client.get("/admin/performance/sign-in", headers={"host": "shop.example"}).status_code in {200, 303}
        deadline_s = time.monotonic() + 10
        while not store.size().lease_holder and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert store.size().lease_holder.startswith("dashboard:")
    store.close()


def test_a_mount_without_a_password_makes_one_and_says_it(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mount(FastAPI(), "/perf", store=f"sqlite:///{tmp_path}/pitstop.db")
    assert re.search(r"dashboard at /perf, name admin, password \S{23} ", capsys.readouterr().err)
    mount(FastAPI(), "/perf", store=f"sqlite:///{tmp_path}/pitstop.db")
    assert capsys.readouterr().err == ""
    with pytest.raises(SettingError, match="start with a slash"):
        mount(FastAPI(), "perf/")


def test_serving_in_a_thread_announces_and_refuses_a_taken_address(tmp_path: Any) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    with pytest.raises(SettingError, match="choose another with --port"):
        run(f"sqlite:///{tmp_path}/p.db", port=taken.getsockname()[1])
    taken.close()


def test_faults_of_ours_and_of_the_store_do_not_end_housekeeping(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore("faulty")
    rounds: list[int] = []
    seen = threading.Event()

    def failing(**_: Any) -> Any:
        rounds.append(1)
        if len(rounds) >= 4:
            seen.set()
        raise StoreUnavailableError("locked") if len(rounds) < 3 else KeyError("a fault")

    store.upkeep = failing  # type: ignore[method-assign]
    keeper = Housekeeper(store, every_s=0.01)
    keeper.ensure()
    assert seen.wait(10)
    keeper.stop()
    assert caplog.text.count("housekeeping waits: locked") == 1, "said once"
    assert "a fault" in caplog.text


def test_of_two_housekeepers_one_keeps_house() -> None:
    store = MemoryStore("two")
    rounds: list[str] = []
    upkeep = store.upkeep
    seen = threading.Event()

    def counted(**given: Any) -> Any:
        rounds.append(threading.current_thread().name)
        if len(rounds) >= 5:
            seen.set()
        return upkeep(**given)

    store.upkeep = counted  # type: ignore[method-assign]
    keepers = [Housekeeper(store, every_s=0.01), Housekeeper(store, every_s=0.01)]
    for keeper in keepers:
        keeper.ensure()
        keeper.ensure()
    assert seen.wait(10)
    holder = store.size().lease_holder
    assert holder.startswith("dashboard:")
    for keeper in keepers:
        keeper.stop()
        assert keeper._thread is not None
        assert not keeper._thread.is_alive()
