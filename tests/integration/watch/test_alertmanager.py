"""Debian's Alertmanager takes, groups and resolves what we tell it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.watching import RESOLVED, SENT
from pitstop.watch.channels.alertmanager import STANDS_S, alert_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import SimpleNamespace

CONFIG = """
route: {receiver: hook, group_by: [alertname, service], group_wait: 100ms, group_interval: 200ms, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: true}]}]
"""
PROGRAM = shutil.which("prometheus-alertmanager")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def alertmanager(tmp_path: Path, provider: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Its address, and the hook that it tells."""
    if PROGRAM is None:
        message = "prometheus-alertmanager is not installed: scripts/debian"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    hook, port = provider(), _free_port()
    (tmp_path / "alertmanager.yml").write_text(CONFIG % hook.port)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROGRAM, f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/am",
                f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline_s = time.monotonic() + 20
        while True:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline_s
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                break
            time.sleep(0.05)
        yield f"http://localhost:{port}", hook
    finally:
        process.terminate()
        process.wait(10)


def _groups(url: str) -> list[Any]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts/groups", timeout=5) as answer:
        found: list[Any] = json.load(answer)
        return found


def test_it_receives_groups_and_resolves_our_alerts(
    told: Any, alertmanager: tuple[str, Any], kit: SimpleNamespace
) -> None:
    url, hook = alertmanager
    told.add("manager", url, kind="alertmanager")
    told.outbox.start()
    now_s = time.time()
    labels = {"rule": "checkout", "service": "shop", "odd-name": "a\r\nb", "0": "digit", "empty": ""}
    firing = [
        kit.note(f"k{i}", labels={**labels, "route": f"GET /{i}"}, started_s=now_s - 60, details=["one"])
        for i in (1, 2)
    ]
    for note in firing:
        told.put(note)
    told.until(lambda: told.states("manager") == [SENT, SENT])

    told.until(lambda: sum(len(body["alerts"]) for body in hook.bodies if body["status"] == "firing") >= 2)
    (group,) = _groups(url)
    assert group["labels"] == {"alertname": "checkout", "service": "shop"}
    assert sorted(alert["labels"]["route"] for alert in group["alerts"]) == ["GET /1", "GET /2"]
    alert = group["alerts"][0]
    assert alert["labels"]["severity"] == "page"
    assert (alert["labels"]["odd_name"], alert["labels"]["_0"]) == ("a b", "digit")
    assert "empty" not in alert["labels"]
    assert alert["annotations"]["summary"] == "checkout is slow"
    assert "limit 500 ms" in alert["annotations"]["description"]
    assert alert["generatorURL"] == "https://pitstop.example/alerts/1"

    for note in firing:
        told.put(note._replace(state=RESOLVED, ended_s=time.time()))
    told.until(lambda: any(body["status"] == "resolved" and len(body["alerts"]) == 2 for body in hook.bodies), 15)
    resolved = next(body for body in hook.bodies if body["status"] == "resolved")
    assert {alert["labels"]["pitstop_key"] for alert in resolved["alerts"]} == {"k1", "k2"}


def test_a_test_message_and_a_wrong_address_are_told_apart(told: Any, alertmanager: tuple[str, Any]) -> None:
    url, _ = alertmanager
    told.add("right", url + "/", kind="alertmanager")
    told.add("wrong", url + "/nowhere", kind="alertmanager")

    results = {one.channel: one for one in told.outbox.send_test()}
    assert results["right"].ok
    assert (results["wrong"].ok, results["wrong"].problem) == (False, "it answered 404")
    assert [alert["labels"]["alertname"] for group in _groups(url) for alert in group["alerts"]] == ["test"]


def test_a_firing_alert_stands_until_it_is_told_again(kit: SimpleNamespace) -> None:
    alert = alert_of(kit.note(), 1_790_000_000.0)
    assert alert["startsAt"] == "2026-09-21T14:13:20Z"
    assert alert["endsAt"] == "2026-09-22T14:13:20Z"
    assert STANDS_S > 4 * 3600, "repeated every four hours"
