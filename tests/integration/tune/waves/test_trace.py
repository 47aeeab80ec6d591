"""A real run, recorded by a real process, as a person sees it: in the terminal, on the page, in the JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from pitstop.dashboard import Keyring, create_app
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICE = """
import sys, time
import pitstop
from pitstop.tune.waves import Task, Waves

def fails():
    raise ValueError("no offers today")

pitstop.init(service="shop", store=sys.argv[1], instrument=[])
with pitstop.span("nightly"):
    Waves(name="report").run([
        Task("customers", lambda: time.sleep(0.03)),
        Task("<b>orders</b>", lambda: time.sleep(0.05)),
        Task("total", lambda **_: time.sleep(0.02), needs=["customers", "<b>orders</b>"]),
        Task("offers", fails),
        Task("mail", lambda offers: None, needs=["offers"]),
    ])
assert pitstop.flush(timeout_s=20)
pitstop.shutdown()
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one trace."""
    folder: Path = tmp_path_factory.mktemp("waves")
    store = f"sqlite:///{folder / 'pitstop.db'}"
    subprocess.run([sys.executable, "-c", SERVICE, store], check=True, timeout=60)
    return store


@pytest.fixture(scope="module")
def trace_id(url: str) -> str:
    found = json.loads(command("traces", "--last", "1h", "--json", "--store", url))
    assert [one["route"] for one in found["traces"]] == ["nightly"]
    return str(found["traces"][0]["trace_id"])


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = open_store(url)
    keyring = Keyring(tmp_path_factory.mktemp("keys") / "pitstop.auth.db")
    keyring.set_password("correct-horse-battery")
    with TestClient(create_app(store, auth=keyring), base_url="http://127.0.0.1") as client:
        client.cookies.set("pitstop_session", keyring.open_session("admin")[0])
        yield client
    store.close()


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pitstop", *arguments], check=True, timeout=60, capture_output=True, text=True
    )
    return done.stdout


def test_the_terminal_draws_every_task_where_it_ran_and_says_what_it_hangs_on(url: str, trace_id: str) -> None:
    lines = command("trace", trace_id, "--store", url).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("side by side in report: "))
    assert re.search(r"ms instead of [0-9.]+ ms, × [0-9.]+$", lines[at])
    drawn = {line.split()[0]: line for line in lines[at + 2 :] if "█" in line or "▒" in line}
    assert drawn["<b>orders</b>"].split()[1] == "1"
    assert drawn["total"].split()[1] == "2"
    assert "█" in drawn["total"]
    assert "█" in drawn["<b>orders</b>"]
    assert "█" not in drawn["customers"]
    assert drawn["total"].index("█") >= drawn["<b>orders</b>"].rindex("█") - 1
    assert any(line.startswith("▲ offers") for line in lines)
    assert "critical path: <b>orders</b> → total" in lines
    assert "skipped, because what they need failed: mail" in lines
    assert max(map(len, lines)) <= 80


def test_the_page_has_a_chart_with_lanes_needs_and_lines(client: TestClient, trace_id: str) -> None:
    answer = client.get(f"/trace?id={trace_id}")
    assert answer.status_code == 200
    card = answer.text.partition('<section class="card w12 waves"')[2].partition("</section>")[0]
    assert "What ran side by side in report?" in card
    assert "&lt;b&gt;orders&lt;/b&gt; → total" in card
    assert "<b>orders" not in card
    rows = [row.partition("</tr>")[0] for row in card.split("<tr")[2:]]
    assert len(rows) == 4
    assert all('<path class="bar' in row for row in rows)
    total = next(row for row in rows if ">total<" in row)
    assert 'class="critical"' in total
    assert "customers, &lt;b&gt;orders&lt;/b&gt;" in total
    assert 'class="line' in total
    assert "ValueError" in next(row for row in rows if ">offers<" in row)
    assert "Skipped, because what they need failed: mail." in card
    assert "wave 2 · critical path" in answer.text


def test_the_json_has_wave_needs_and_critical_path_of_each_task(client: TestClient, trace_id: str) -> None:
    spans = {span["name"]: span for span in client.get(f"/api/v1/trace?id={trace_id}").json()["spans"]}
    attrs = spans["total"]["attrs"]
    assert (attrs["wave"], attrs["critical"]) == (2, True)
    assert spans["report"]["attrs"]["critical_path"] == "<b>orders</b> → total"
    assert spans["wave 2"]["kind"] == "stage"
