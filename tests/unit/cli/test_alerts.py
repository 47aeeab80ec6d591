"""`pitstop slo` and `pitstop alerts` over a real store, a real ledger and what a real watcher found in them."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.store import beside, open_store
from pitstop.watch.ledger import Ledger
from pitstop.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = Path(__file__).parents[3] / "docs" / "json.md"
RULES = """
defaults = false

[group]
wait = "0s"

[[rule]]
name = "orders fail"
kind = "threshold"
metric = "error_ratio"
routes = ["POST /orders"]
above = 0.1
over = "2m"
severity = "page"

[[rule]]
name = "orders are slow"
kind = "threshold"
metric = "p95"
routes = ["POST /orders"]
above = "500ms"
over = "2m"

[[slo]]
name = "orders work"
kind = "error_ratio"
routes = ["POST /orders"]
target = 0.99
window = "1d"

[[slo]]
name = "items are fast"
kind = "latency"
routes = ["GET /items/*"]
target = 0.9
threshold = "100ms"
window = "1d"
"""
ALERT = {
    "id", "key", "rule", "severity", "state", "labels", "summary", "value", "limit", "unit", "began_s", "fired_s",
    "ended_s", "acked_by", "acked_s", "silenced", "inhibited",
}  # fmt: skip
SLO = {
    "name", "kind", "labels", "target", "threshold_s", "window", "window_text", "good", "total", "ratio",
    "budget_left", "runs_out_s", "burns", "state", "summary",
}  # fmt: skip


class Clock:
    at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_ns(self) -> int:
        return int(self.at_s * 1e9)


@pytest.fixture
def watched(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store on whose last minutes a watcher has looked; orders fail in it."""
    rules = tmp_path / "pitstop-rules.toml"
    rules.write_text(RULES)
    monkeypatch.setenv("PITSTOP_RULES", str(rules))
    monkeypatch.setenv("USER", "ann")
    monkeypatch.setenv("LOGNAME", "ann")
    store, clock = open_store(store_url), Clock()
    watcher = Watcher(store, Ledger(beside(store_url, "watch")), rules_path=rules, clock=clock)
    for at_s in range(int(time.time()) - 400, int(time.time()), 30):
        clock.at_s = float(at_s)
        watcher.evaluator.tick()
    watcher.stop()
    watcher.ledger.close()
    store.close()
    return store_url


def listed(pitstop: Callable[..., Any], url: str) -> dict[str, Any]:
    """The alerts by their rule."""
    return {one["rule"]: one for one in json.loads(pitstop("alerts", "list", "--store", url, "--json").out)["alerts"]}


def test_slo_says_what_is_left_and_exits_1_while_a_budget_is_spent(pitstop: Any, watched: str) -> None:
    ran = pitstop("slo", "--store", watched)
    assert ran.code == 1, ran.err
    first = next(line for line in ran.out.splitlines() if "orders work" in line)
    assert "99 %" in first
    assert "80 %" in first
    assert "−1900 %" in first
    assert all(len(line) <= 80 for line in ran.out.splitlines())


def test_the_json_of_slo_has_every_promised_field(pitstop: Any, watched: str) -> None:
    ran = pitstop("slo", "--store", watched, "--json")
    seen = json.loads(ran.out)
    assert (ran.code, set(seen)) == (1, {"version", "slos"})
    assert [set(one) for one in seen["slos"]] == [SLO, SLO]
    worst = seen["slos"][0]
    assert (worst["name"], worst["good"], worst["total"], worst["ratio"]) == ("orders work", 120, 150, 0.8)
    assert worst["budget_left"] == pytest.approx(-19)
    assert set(worst["burns"][0]) == {"severity", "factor", "long_s", "short_s", "long_rate", "short_rate", "firing"}
    points = json.loads(pitstop("slo", "--store", watched, "--json", "--points").out)["slos"][0]["points"]
    assert points[-1][1] == pytest.approx(-19)


def test_slo_of_a_service_that_is_fine_exits_0(pitstop: Any, watched: str) -> None:
    ran = pitstop("slo", "--store", watched, "--service", "another")
    assert (ran.code, ran.err) == (0, "")


def test_alerts_lists_what_fires_and_exits_1_until_somebody_looks(pitstop: Any, watched: str) -> None:
    ran = pitstop("alerts", "--store", watched)
    assert ran.code == 1
    assert re.search(r"orders fail.*page .*firing", ran.out)
    assert all(len(line) <= 80 for line in ran.out.splitlines())
    for rule, one in listed(pitstop, watched).items():
        assert set(one) == ALERT, rule
        assert pitstop("alerts", "ack", str(one["id"]), "--note", "on it", "--store", watched).code == 0
    ran = pitstop("alerts", "list", "--store", watched)
    assert ran.code == 0, "somebody looks after all of them"
    assert "looks" in ran.out


def test_an_acknowledged_alert_tells_who_and_when_in_its_timeline(pitstop: Any, watched: str) -> None:
    ident = str(listed(pitstop, watched)["orders fail"]["id"])
    acked = json.loads(pitstop("alerts", "ack", ident, "--note", "on it", "--store", watched, "--json").out)
    assert acked["alert"]["acked_by"]
    shown = json.loads(pitstop("alerts", "show", ident, "--store", watched, "--json").out)
    assert set(shown) == {"version", "alert", "timeline"}
    assert set(shown["timeline"][0]) == {"ts_s", "what", "who", "text"}
    assert [one["what"] for one in shown["timeline"]][-1] == "acknowledged"
    text = pitstop("alerts", "show", ident, "--store", watched).out
    assert "orders fail" in text
    assert "acknowledged by" in text
    assert "on it" in text


def test_a_silence_is_listed_with_its_author_and_ends_on_demand(pitstop: Any, watched: str) -> None:
    made = pitstop("alerts", "silence", "rule=orders *", "service=shop", "--why", "a deploy", "--for", "2h",
                   "--store", watched, "--json")  # fmt: skip
    silence = json.loads(made.out)["silence"]
    assert silence["matches"] == {"rule": "orders *", "service": "shop"}
    assert silence["why"] == "a deploy"
    assert silence["end_s"] - silence["start_s"] == 7200
    ran = pitstop("alerts", "list", "--store", watched)
    assert "rule=orders *, service=shop" in ran.out
    assert pitstop("alerts", "unsilence", str(silence["id"]), "--store", watched).code == 0
    again = pitstop("alerts", "unsilence", str(silence["id"]), "--store", watched)
    assert (again.code, again.out) == (2, "")
    assert again.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("silence", "service", "--why", "x"), "LABEL=VALUE"),
        (("silence", "service=*", "--why", "x"), "everything"),
        (("silence", "service=shop", "--why", "x", "--for", "soon"), "length of time"),
        (("ack", "424242"), "424242"),
        (("show", "424242"), "424242"),
        (("test-rule", "nothing.toml"), "no file"),
        (("test-rule", "no such rule"), "neither a file nor a rule"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    pitstop: Any, watched: str, words: tuple[str, ...], said: str
) -> None:
    ran = pitstop("alerts", *words, "--store", watched)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err


def test_test_rule_says_when_a_rule_in_force_would_have_fired(pitstop: Any, watched: str) -> None:
    live = listed(pitstop, watched)["orders fail"]
    ran = pitstop("alerts", "test-rule", "orders fail", "--last", "10m", "--store", watched)
    assert ran.code == 0, ran.err
    assert "would have fired once" in ran.out
    assert "limit 10 %" in ran.out
    seen = json.loads(pitstop("alerts", "test-rule", "orders fail", "--last", "10m", "--store", watched, "--json").out)
    assert set(seen) == {"version", "window", "service", "replays"}
    [replay] = seen["replays"]
    assert set(replay) == {"rule", "step_s", "looks", "incidents", "values", "limit", "unit"}
    [incident] = replay["incidents"]
    assert set(incident) == ALERT
    assert (incident["fired_s"], incident["key"]) == (live["fired_s"], live["key"]), "as it was live"


def test_test_rule_takes_a_file_of_several_rules(pitstop: Any, watched: str, tmp_path: Path) -> None:
    ran = pitstop("alerts", "test-rule", str(tmp_path / "pitstop-rules.toml"), "--last", "10m", "--store", watched)
    assert ran.out.count("would have fired once") == 2, ran.err
    other = tmp_path / "other.toml"
    other.write_text('[[rule]]\nname = "calm"\nkind = "threshold"\nmetric = "p95"\nabove = 9\n')
    ran = pitstop("alerts", "test-rule", str(other), "--last", "10m", "--store", watched)
    assert "'calm' would not have fired" in ran.out
    assert "values 700 ms … 700 ms" in ran.out or "values" in ran.out
    other.write_text("[[slo]]\n")
    assert "no [[rule]]" in pitstop("alerts", "test-rule", str(other), "--store", watched).err
    other.write_text("[[rule")
    assert "is no TOML" in pitstop("alerts", "test-rule", str(other), "--store", watched).err


def test_a_heartbeat_is_taken(pitstop: Any, watched: str) -> None:
    assert pitstop("alerts", "beat", "nightly", "--store", watched).code == 0
    answer = pitstop("alerts", "beat", "nightly", "--store", watched, "--json")
    assert json.loads(answer.out)["beat"] == {"name": "nightly"}


def test_a_test_waits_for_what_comes_of_it_and_exits_1_when_one_did_not_take_it(
    pitstop: Any, watched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("PITSTOP_EGRESS_ALLOW", "localhost")
    rules = tmp_path / "pitstop-rules.toml"
    channel = '[[channel]]\nname = "{}"\nkind = "webhook"\nurl = "{}"\n'
    with rules.open("a") as file:
        file.write(channel.format("ops", f"http://localhost:{server.server_address[1]}/hook"))
        file.write(channel.format("walled off", "http://10.255.255.1/hook"))
    try:
        ran = pitstop("alerts", "test", "ops", "--store", watched)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith("✓ ops took it in ")
        ran = pitstop("alerts", "test", "--store", watched, "--json")
        assert ran.code == 1
        tested = {one["channel"]: one for one in json.loads(ran.out)["tested"]}
        assert set(tested["ops"]) == {"channel", "ok", "took_s", "problem"}
        assert (tested["ops"]["ok"], tested["ops"]["problem"]) == (True, None)
        assert "egress_allow" in tested["walled off"]["problem"]
        assert "▲ walled off did not take it" in pitstop("alerts", "test", "walled off", "--store", watched).out
        assert pitstop("alerts", "test", "nobody", "--store", watched).code == 2
    finally:
        server.shutdown()
        server.server_close()


def test_a_test_of_no_channel_says_how_to_add_one(pitstop: Any, watched: str) -> None:
    ran = pitstop("alerts", "test", "--store", watched)
    assert (ran.code, "pitstop serve" in ran.out) == (1, True)


def test_without_a_store_nothing_is_made_and_nothing_is_claimed(pitstop: Any, tmp_path: Path) -> None:
    for words in (("slo",), ("alerts", "list"), ("alerts", "test")):
        ran = pitstop(*words, "--store", f"sqlite:///{tmp_path}/none.db")
        assert (ran.code, ran.out) == (2, ""), words
    assert not list(tmp_path.glob("none*")), "asking makes neither a store nor a ledger"


def test_the_document_names_every_field_of_alerts(pitstop: Any, watched: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for words in (("slo", "--points"), ("alerts", "list"), ("alerts", "test-rule", "orders fail")):
        seen = json.loads(pitstop(*words, "--store", watched, "--json").out)
        found = json.dumps(seen)
        names = set(re.findall(r'"(\w+)": ', found)) - {"rule", "service", "severity", "slo"}
        assert not {name for name in names if f"`{name}`" not in text}
