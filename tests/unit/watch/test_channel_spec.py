"""Channels as somebody wrote them."""

from __future__ import annotations

from typing import Any

import pytest

from pitstop.model import SettingError
from pitstop.model.watching import FIRING, TEST, Notification
from pitstop.watch.channel_spec import parse_channel, shown
from pitstop.watch.sending import SendError, judge, retry_after_s

GOOD: dict[str, Any] = {"name": "ops", "kind": "webhook", "url": "https://hooks.example/T0KEN"}


def test_a_channel_has_sensible_defaults() -> None:
    spec = parse_channel(GOOD, "rules.toml", {})

    assert (spec.name, spec.kind, spec.source, spec.enabled, spec.usable) == (
        "ops",
        "webhook",
        "rules.toml",
        True,
        True,
    )
    assert spec.severities == ("page", "ticket", "info")
    assert (spec.timeout_s, spec.per_minute) == (10.0, 60)
    assert "T0KEN" not in repr(spec)


def test_a_secret_may_come_from_the_environment_in_the_file_only() -> None:
    table = {**GOOD, "url": "env:HOOK", "secret": "env:KEY"}
    spec = parse_channel(table, "rules.toml", {"HOOK": "https://x.example/1", "KEY": "k"})

    assert (spec.url.reveal(), spec.secret.reveal()) == ("https://x.example/1", "k")
    with pytest.raises(SettingError, match="no such variable"):
        parse_channel(table, "rules.toml", {})
    with pytest.raises(SettingError, match="in the rules file only"):
        parse_channel(table, "dashboard")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "a\r\nb"}, "needs a name"),
        ({"name": "<b>"}, "needs a name"),
        ({"name": 3}, "needs a name"),
        ({"name": "x" * 81}, "needs a name"),
        ({"kind": "pigeon"}, "kind is one of apprise, webhook, alertmanager"),
        ({"kind": None}, "kind is one of"),
        ({"color": "red"}, "'color' is no key; there are name, kind, url"),
        ({"url": ""}, "needs a url"),
        ({"url": 7}, "url is a text"),
        ({"url": "ftp://T0KEN"}, "begins with https://"),
        ({"url": "https:///T0KEN"}, "and a host"),
        ({"url": "https://h:T0KEN/"}, "its url is none"),
        ({"url": "https://h/T0KEN\r\nX: y"}, "no address has"),
        ({"url": "https://h/" + "T0KEN" * 1000}, "more than 4096"),
        ({"severities": ["wake"]}, "severities is a list of page, ticket, info"),
        ({"severities": []}, "severities is a list"),
        ({"severities": "page"}, "severities is a list"),
        ({"matches": ["shop"]}, "matches has labels"),
        ({"matches": {"service": 1}}, "matches has labels"),
        ({"enabled": "yes"}, "true or false"),
        ({"timeout": "1h"}, "timeout is a duration"),
        ({"timeout": "soon"}, "timeout is a duration"),
        ({"timeout": True}, "timeout is a duration"),
        ({"timeout": float("nan")}, "timeout is a duration"),
        ({"per_minute": 0}, "per_minute is a whole number"),
        ({"per_minute": 1.5}, "per_minute is a whole number"),
        ({"kind": "apprise", "url": "T0KEN"}, "none of Apprise's"),
        ({"kind": "apprise", "url": "slack://"}, "none of Apprise's"),
        ({"kind": "apprise", "url": "syslog://T0KEN"}, "this machine only"),
        ({"kind": "apprise", "url": "discord://a/b?template=/etc/passwd"}, "template=, a file of this machine"),
        ({"kind": "apprise", "url": "mailto://a:T0KEN@b.example?pgppub=/etc/passwd"}, "pgppub="),
        ({"kind": "apprise", "url": "json://h\\T0KEN"}, "no address has"),
    ],
)
def test_what_cannot_be_used_is_named_and_the_address_never(change: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        parse_channel({**GOOD, **change}, "rules.toml", {})

    assert "T0KEN" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "url", "text"),
    [
        ("webhook", "https://user:T0KEN@hooks.example:8443/services/T0KEN?key=T0KEN", "https://hooks.example:8443/…"),
        ("webhook", "http://[::1]:80/", "http://[::1]:80/"),
        ("alertmanager", "http://am.internal:9093", "http://am.internal:9093"),
        ("apprise", "slack://T0KEN/T0KEN/#general", "slack://…"),
        ("apprise", "tgram://T0KEN/123", "tgram://…"),
        ("apprise", "ntfy://T0KEN", "ntfy://…"),
        ("apprise", "mailto://me:T0KEN@mail.example?to=T0KEN", "mailto://mail.example/…"),
        ("apprise", "json://h:x/T0KEN", "json://…"),
    ],
)
def test_an_address_is_shown_without_what_could_be_a_secret(kind: str, url: str, text: str) -> None:
    assert shown(parse_channel({**GOOD, "kind": kind, "url": url}, "f", {})) == text


def test_a_channel_takes_its_severities_and_labels_and_every_test() -> None:
    spec = parse_channel({**GOOD, "severities": ["page"], "matches": {"service": "shop*", "tenant": "?*"}}, "f", {})

    def takes(severity: str, state: str = FIRING, **labels: str) -> bool:
        return spec.takes(Notification("k", state, severity, "t", "x", labels, 0.0))

    assert takes("page", service="shop-eu", tenant="acme")
    assert not takes("ticket", service="shop-eu", tenant="acme")
    assert not takes("page", service="other", tenant="acme")
    assert not takes("page", service="shop")
    assert takes("info", TEST, service="shop", tenant="a")


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("7", 7.0), ("0", 0.0), ("99999", 3600.0), ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), (None, None), ("soon", None),
        ("-5", None), ("", None), ("1e400", None), ("9" * 100, None), ("nan", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_never_absurd(value: str | None, wait_s: float | None) -> None:
    assert retry_after_s(value, 784_111_777.0) == wait_s


def test_a_date_of_retry_after_counts_from_now() -> None:
    assert retry_after_s("Sun, 06 Nov 1994 08:50:07 GMT", 784_111_777.0) == 30.0


@pytest.mark.parametrize(
    ("status", "final"), [(301, True), (400, True), (413, True), (401, False), (404, False), (429, False), (500, False)]
)
def test_an_answer_is_judged_by_its_status(status: int, *, final: bool) -> None:
    judge(204)
    with pytest.raises(SendError, match=str(status)) as caught:
        judge(status, "3")
    assert caught.value.final is final
