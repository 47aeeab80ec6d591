"""The JSON API of alerts over a real watcher: what is open, who looks after it, what is silenced, which rules hold."""

from __future__ import annotations

import logging
import time
from typing import Any

import httpx
import pytest

from pitstop.dashboard import Keyring, create_app
from pitstop.dashboard.pages.rule_examples import EXAMPLES

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
RULE = """[[rule]]
name = "{name}"
kind = "threshold"
metric = "p95"
above = 0.25
over = "5m"
"""


@pytest.fixture
def token(watched: Dashboard) -> dict[str, str]:
    return {"authorization": f"Bearer {watched.keyring.add_token('ann')}"}


def alerts(client: Any, **asked: str) -> dict[str, Any]:
    found = client.get("/api/v1/alerts", params={"last": "6h", **asked}).json()["incidents"]
    return {one["rule"]: one for one in found}


def test_open_alerts_come_first_and_the_ended_one_has_its_end(watched: Dashboard) -> None:
    with watched.client() as client:
        found = client.get("/api/v1/alerts?last=6h").json()
        states = [one["state"] for one in found["incidents"]]
        assert states == sorted(states, key=lambda state: state != "firing")
        ended = alerts(client)["answers are slow"]
        now = time.time()
        assert ended["labels"]["route"] == "POST /checkout"
        assert ended["value"] == pytest.approx(0.9, rel=0.011)
        assert (ended["limit"], ended["unit"], ended["severity"]) == (0.5, "s", "ticket")
        assert now - 4800 < ended["fired_s"] < ended["ended_s"] < now - 3000
        assert ended["acked_by"] is ended["silenced"] is ended["inhibited"] is None
        assert set(alerts(client, state="resolved")) == {"answers are slow"}
        assert alerts(client, service="another") == {}


def test_an_alert_has_its_timeline_and_one_that_never_was_is_not_found(watched: Dashboard) -> None:
    with watched.client() as client:
        ident = alerts(client)["answers are slow"]["id"]
        found = client.get("/api/v1/alerts/detail", params={"id": ident}).json()
        assert found["incident"]["id"] == ident
        assert found["timeline"][0]["what"] == "fired"
        times = [one["ts_s"] for one in found["timeline"]]
        assert times == sorted(times)
        page = client.get("/alert?id=424242", headers={"accept": "text/html"})
        assert page.status_code == 404
        assert "This alert is not kept" in page.text
        missing = client.get("/api/v1/alerts/detail?id=424242")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_who_acknowledges_is_known_and_logged(
    watched: Dashboard, token: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with watched.client(signed_in=False) as client, caplog.at_level(logging.INFO, "pitstop.audit"):
        client.headers.update(token)
        ident = alerts(client)["checkouts fail"]["id"]
        done = client.post("/api/v1/alerts/acknowledge", params={"id": ident}, json={"note": "on it"})
        assert done.json()["acked_by"] == "ann"
        timeline = client.get("/api/v1/alerts/detail", params={"id": ident}).json()["timeline"]
        assert ("acknowledged", "ann", "on it") in [(one["what"], one["who"], one["text"]) for one in timeline]
        ended = alerts(client)["answers are slow"]["id"]
        assert client.post("/api/v1/alerts/acknowledge", params={"id": ended}, json={}).status_code == 422
    assert f"ann acknowledged alert {ident}" in caplog.text


def test_a_silence_begins_and_ends_and_a_foolish_one_is_refused(watched: Dashboard, token: dict[str, str]) -> None:
    with watched.client(signed_in=False) as client:
        client.headers.update(token)
        wanted = {"matches": {"rule": "disk *"}, "why": "a new disk", "end_s": time.time() + 3600}
        made = client.post("/api/v1/silences", json=wanted).json()
        assert (made["author"], made["matches"], made["why"]) == ("ann", {"rule": "disk *"}, "a new disk")
        assert made["id"] in [one["id"] for one in client.get("/api/v1/silences").json()]
        assert client.delete("/api/v1/silences", params={"id": made["id"]}).json() == {"done": True}
        assert made["id"] not in [one["id"] for one in client.get("/api/v1/silences").json()]
        assert made["id"] in [one["id"] for one in client.get("/api/v1/silences?ended=true").json()]
        assert client.delete("/api/v1/silences", params={"id": made["id"]}).status_code == 404
        for foolish in (
            wanted | {"matches": {}},
            wanted | {"why": ""},
            wanted | {"end_s": time.time() - 5},
            wanted | {"matches": {"service": "*"}},
            wanted | {"matches": {f"label{i}": "x" for i in range(21)}},
        ):
            answer = client.post("/api/v1/silences", json=foolish)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_value")


def test_objectives_have_their_counts_and_their_burn_down_when_asked(watched: Dashboard) -> None:
    with watched.client() as client:
        found = {one["name"]: one for one in client.get("/api/v1/slos").json()}
        work = found["checkouts work"]
        assert work["labels"] == {"slo": "checkouts work", "service": "shop"}
        assert work["total"] == pytest.approx(14_400, abs=6 * 22), "what is of this minute is not in it yet"
        assert work["total"] - work["good"] == pytest.approx(360, abs=6 * 4)
        assert work["points"] == []
        assert work["budget_left"] == pytest.approx(1 - (1 - work["good"] / work["total"]) / 0.01)
        assert [one["long_s"] for one in work["burns"]] == [3600, 21_600, 86_400, 259_200]
        points = client.get("/api/v1/slos?points=true&service=shop").json()[0]["points"]
        assert points[-1][1] == pytest.approx(work["budget_left"], abs=0.2)
        assert client.get("/api/v1/slos?service=another").json() == []


def test_components_and_heartbeats(watched: Dashboard, token: dict[str, str]) -> None:
    with watched.client(signed_in=False) as client:
        client.headers.update(token)
        found = {one["name"]: one["state"] for one in client.get("/api/v1/components").json()}
        assert found["store"] == "ok"
        assert found["channel walled off"] in {"degraded", "ok"}
        assert client.post("/api/v1/heartbeats", params={"name": "nightly"}).json() == {"done": True}
        assert client.post("/api/v1/heartbeats").status_code == 422


def test_a_message_links_to_the_page_of_its_alert(watched: Dashboard) -> None:
    watched.watches.until(lambda: any(b"checkouts fail" in body for body in watched.provider.got))
    told = next(body for body in watched.provider.got if b"answers are slow" in body and b"resolved" in body)
    with watched.client() as client:
        ident = alerts(client)["answers are slow"]["id"]
        assert f'"{watched.watches.PUBLIC_URL}/alert?id={ident}"'.encode() in told
        page = client.get(f"/alert?id={ident}")
        assert page.status_code == 200
        assert "answers are slow" in page.text


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_of_the_editor_is_a_rule_as_it_stands(
    watched: Dashboard, token: dict[str, str], kind: str
) -> None:
    with watched.client(signed_in=False) as client:
        client.headers.update(token)
        answer = client.post("/api/v1/rules/check", json={"text": EXAMPLES[kind].text})
        assert answer.json()["problem"] == ""
        assert answer.json()["rule"]["kind"] == kind


def test_a_rule_is_checked_saved_replaced_and_deleted(watched: Dashboard, token: dict[str, str]) -> None:
    def names(client: Any) -> dict[str, Any]:
        return {one["name"]: one for one in client.get("/api/v1/rules").json()}

    with watched.client(signed_in=False) as client:
        client.headers.update(token)
        name = "by hand / 100 %"
        wrong = client.post("/api/v1/rules/check", json={"text": RULE.format(name=name).replace("above", "abov")})
        assert wrong.json()["rule"] is None
        assert "abov" in wrong.json()["problem"]
        checked = client.post("/api/v1/rules/check", json={"text": RULE.format(name=name)})
        assert checked.json()["rule"]["name"] == name
        assert name not in names(client), "checking saves nothing"
        client.post("/api/v1/rules", json={"text": RULE.format(name=name)})
        client.post("/api/v1/rules", json={"text": RULE.format(name=name).replace("0.25", "0.35")})
        assert names(client)[name]["source"] == "dashboard"
        assert names(client)[name]["limit"] == 0.35
        assert client.delete("/api/v1/rules", params={"name": name}).json() == {"done": True}
        assert name not in names(client)
        of_the_file = client.delete("/api/v1/rules", params={"name": "checkouts fail"})
        assert of_the_file.status_code == 422
        assert "pitstop-rules.toml" in of_the_file.json()["error"]["message"]
        assert names(client)["broken"]["problem"], "one bad entry is shown, and takes no other with it"


def test_what_no_parser_takes_is_answered_and_not_a_fault(watched: Dashboard, token: dict[str, str]) -> None:
    with watched.client(signed_in=False) as client:
        client.headers.update(token)
        for text in ("a=" + "[" * 5000, "\x00", "[[channel]]\nname = 'x'", "[[slo]]", "x" * 19_000):
            assert client.post("/api/v1/rules/check", json={"text": text}).json()["problem"], text[:20]
            assert client.post("/api/v1/rules", json={"text": text}).status_code == 422
        half = client.post(
            "/api/v1/silences",
            content=b'{"matches": "\\ud800", "why": "x", "end_s": 1}',
            headers={"content-type": "application/json"},
        )
        assert (half.status_code, half.json()["error"]["code"]) == (422, "bad_value")
        for ident in ("-1", "9223372036854775808", "x"):
            assert client.get("/api/v1/alerts/detail", params={"id": ident}).status_code == 422


def test_a_session_changes_nothing_without_its_csrf_token(watched: Dashboard) -> None:
    changes = [
        ("POST", "/api/v1/alerts/acknowledge?id=1", {}),
        ("POST", "/api/v1/silences", {"matches": {"a": "b"}, "why": "x", "end_s": time.time() + 60}),
        ("DELETE", "/api/v1/silences?id=1", None),
        ("POST", "/api/v1/rules", {"text": RULE.format(name="x")}),
        ("POST", "/api/v1/rules/check", {"text": RULE.format(name="x")}),
        ("POST", "/api/v1/rules/test", {"text": RULE.format(name="x")}),
        ("DELETE", "/api/v1/rules?name=x", None),
        ("POST", "/api/v1/channels", {"name": "x", "kind": "webhook", "address": "https://example.com/"}),
        ("DELETE", "/api/v1/channels?name=x", None),
        ("POST", "/api/v1/channels/test", {}),
        ("POST", "/api/v1/deliveries/redeliver?id=1", {}),
        ("DELETE", "/api/v1/deliveries?id=1", None),
    ]
    with watched.client() as client:
        for method, path, body in changes:
            answer = client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf"), path


def test_a_dashboard_that_only_reads_tests_rules_and_changes_nothing(watched: Dashboard, serving: Any) -> None:
    keyring = Keyring()
    header = {"authorization": f"Bearer {keyring.add_token('ann')}"}
    app = create_app(watched.store, auth=keyring, watch=watched.watcher, writable=False)
    with serving(app) as url, httpx.Client(base_url=url, headers=header) as client:
        assert client.post("/api/v1/rules/check", json={"text": RULE.format(name="x")}).json()["problem"] == ""
        replay = client.post("/api/v1/rules/test?last=1h", json={"text": "checkouts fail"}).json()
        assert [one["rule"] for one in replay["incidents"]] == ["checkouts fail"]
        for method, path, body in (
            ("POST", "rules", {"text": RULE.format(name="x")}),
            ("POST", "silences", {"matches": {"a": "b"}, "why": "x", "end_s": time.time() + 60}),
            ("POST", "channels/test", {}),
            ("DELETE", "deliveries?id=1", None),
        ):
            answer = client.request(method, f"/api/v1/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "read_only"), path
        cookie, _ = keyring.open_session("admin")
        for path in ("/alerts?last=6h", "/rules", "/rule?name=checkouts%20fail", "/channels"):
            text = client.get(path, headers={"authorization": "", "cookie": f"pitstop_session={cookie}"}).text
            assert "checkouts fail" in text or path == "/channels"
            assert "data-send" not in text, f"{path} offers no change"
            assert 'data-act="silence"' not in text


def test_where_nobody_watches_the_api_says_what_to_type(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        for path in ("slos", "alerts", "alerts/detail?id=1", "silences", "rules", "channels", "deliveries"):
            answer = client.get(f"/api/v1/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "nobody_watches"), path
            assert "pitstop serve" in answer.json()["error"]["next"]


def test_the_contract_names_every_call(watched: Dashboard) -> None:
    with watched.client() as client:
        paths = client.get("/api/v1/openapi.json").json()["paths"]
    calls = "slos alerts alerts/detail alerts/acknowledge silences rules rules/check rules/test channels channels/test"
    for call in (*calls.split(), "deliveries", "deliveries/redeliver", "components"):
        assert f"/api/v1/{call}" in paths
