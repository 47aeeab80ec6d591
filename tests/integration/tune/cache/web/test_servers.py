"""Kept answers and static files behind real servers: uvicorn, gunicorn with threads and processes' own caches."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from pitstop.tune.http import client

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SOURCE = Path(__file__).parents[5] / "src"
JS = b"console.log(1)\n" * 30_000  # more than is held in memory


class Service(NamedTuple):
    kind: str
    http: httpx.Client

    def run(self, path: str, **headers: str) -> int:
        answer = self.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["run"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["uvicorn", "gunicorn"], scope="module")
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    files = tmp_path_factory.mktemp("static")
    (files / "app.3f2a9c1b.js").write_bytes(JS)
    (files / "small.css").write_bytes(b"a{}")
    port = _free_port()
    command = {
        "uvicorn": ["uvicorn", "apps:asgi", "--port", str(port), "--log-level", "warning"],
        "gunicorn": ["gunicorn", "apps:wsgi", "-b", f"127.0.0.1:{port}", "--threads", "8", "--log-level", "warning"],
    }[request.param]
    environment = os.environ | {"PYTHONPATH": f"{SOURCE}:{HERE}", "FILES": str(files)}
    log = (files.parent / f"{request.param}.log").open("w+b")
    process = subprocess.Popen([sys.executable, "-m", *command], env=environment, cwd=HERE, stdout=log, stderr=log)
    try:
        with client(f"http://127.0.0.1:{port}", timeout_s=20) as http:
            deadline_s = time.monotonic() + 30
            while True:
                try:
                    http.get("/nothing")
                    break
                except httpx.TransportError:
                    log.seek(0)
                    assert process.poll() is None, log.read().decode()
                    assert time.monotonic() < deadline_s
                    time.sleep(0.05)
            yield Service(request.param, http)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def test_a_page_is_made_once_and_clients_get_304(service: Service) -> None:
    first = service.http.get("/items/1", headers={"accept-encoding": "identity"})
    assert first.headers["cache-control"] == "no-cache"
    second = service.http.get("/items/1")
    assert second.json() == first.json()
    assert "hit" in second.headers["cache-status"]
    if service.kind == "uvicorn":  # compressed further out, and made by a middleware further in
        assert second.headers["content-encoding"] == "gzip"
        assert second.headers["x-middleware"] == "ran"
    assert service.http.get("/items/1", headers={"if-none-match": second.headers["etag"]}).status_code == 304
    head = service.http.head("/items/1", headers={"accept-encoding": "identity"})
    assert (head.status_code, head.content, int(head.headers["content-length"])) == (200, b"", len(first.content))


def test_tags_and_changes_void_pages(service: Service) -> None:
    first = service.run("/items/2")
    assert service.run("/items/2") == first
    service.http.post("/items/2/sell")
    second = service.run("/items/2")
    assert second > first
    service.http.put("/items/2")
    assert service.run("/items/2") > second
    assert service.run("/items/3") == service.run("/items/3")


def test_nobody_gets_what_another_asked_for_with_a_cookie(service: Service) -> None:
    for who in ("a", "b", "a"):
        answer = service.http.get("/me", headers={"cookie": f"session={who}"})
        assert answer.json()["who"] == f"session={who}"
        assert "cache-status" not in answer.headers
    assert service.http.get("/me").json()["who"] in {None, "None"}


def test_streams_are_passed_on_and_kept_when_complete(service: Service) -> None:
    first = service.http.get("/stream").text
    assert first.endswith("end")
    assert service.http.get("/stream").text == first


def test_static_files_come_before_the_application(service: Service) -> None:
    answer = service.http.get("/static/app.3f2a9c1b.js")
    assert (answer.content, answer.headers["cache-control"]) == (JS, "public, max-age=31536000, immutable")
    assert "x-middleware" not in answer.headers
    part = service.http.get("/static/app.3f2a9c1b.js", headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, JS[5:10])
    assert service.http.get("/static/small.css").content == b"a{}"
    assert service.http.get("/static/..%2fapps.py").status_code == 404
    assert service.http.head("/static/small.css").headers["content-length"] == "3"


def test_many_at_once_get_one_answer(service: Service) -> None:
    answers: list[int] = []
    path = "/slow" if service.kind == "uvicorn" else "/items/9"

    def ask() -> None:
        answers.extend(service.run(path) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 40
    assert len(set(answers)) <= 16  # nobody waits for what was never kept before; see the test in process for the rest
    assert service.run(path) == service.run(path)


def test_what_only_one_of_them_has(service: Service) -> None:
    if service.kind == "uvicorn":
        a, b = ({"x-tenant": who} for who in "ab")
        assert service.http.get("/mine", headers=a).text == service.http.get("/mine", headers=a).text
        assert service.http.get("/mine", headers=a).text != service.http.get("/mine", headers=b).text
        assert service.http.get("/mine").status_code == 500
        first = service.run("/fails")
        time.sleep(0.06)
        stale = service.http.get("/fails")
        assert (stale.status_code, stale.json()["run"]) == (200, first)
        assert "stale-if-error" in stale.headers["cache-status"]
        assert service.run("/items/1") > 0  # and the server goes on
    else:
        one, two = service.http.get("/login"), service.http.get("/login")
        assert one.cookies["session"] != two.cookies["session"]  # Set-Cookie is never kept, whatever the view says
        service.http.cookies.clear()
        assert service.run("/later") == service.run("/later")
