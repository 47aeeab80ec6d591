"""Channels of the file and of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pitstop.model import NotFoundError, SettingError
from pitstop.watch.ledger import Ledger
from pitstop.watch.roster import MOST_CHANNELS, Channels
from pitstop.watch.secrets import Vault

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://hooks.example/T0KEN"


@pytest.fixture
def channels() -> Channels:
    return Channels(Ledger(None), Vault())


def test_what_was_saved_is_there_and_can_be_changed_without_its_secrets(channels: Channels) -> None:
    channels.save("ops", "webhook", URL, {"secret": "s3cret", "severities": ["page"]}, "me")
    channels.save("ops", "webhook", "", {"secret": "", "enabled": False, "matches": {"service": "a"}}, "me")
    spec = channels.get("ops")

    assert (spec.url.reveal(), spec.secret.reveal()) == (URL, "s3cret")
    assert (spec.severities, spec.matches, spec.enabled) == (("page",), (("service", "a"),), False)
    assert channels.save("ops", "webhook", "https://new.example/", {}, "me").url.reveal() == "https://new.example/"
    channels.delete("ops")
    assert channels.all() == []
    with pytest.raises(NotFoundError):
        channels.delete("ops")
    with pytest.raises(NotFoundError, match="none yet"):
        channels.get("ops")


def test_a_bad_entry_of_the_file_takes_no_other_with_it(channels: Channels) -> None:
    specs = channels.load(
        [
            {"name": "good", "kind": "webhook", "url": URL},
            {"name": "bad", "kind": "webhook", "url": "env:NOT_THERE"},
            {"kind": "pigeon"},
            {"name": "good", "kind": "webhook", "url": URL},
        ],
        "rules.toml",
        {},
    )

    assert [(spec.name, spec.usable) for spec in specs] == [
        ("good", True), ("bad", False), ("channel 3", False), ("channel 4", False),
    ]  # fmt: skip
    assert "NOT_THERE" in specs[1].problem
    assert "two channels 'good'" in specs[3].problem


def test_those_of_the_file_are_the_files(channels: Channels) -> None:
    channels.save("ops", "webhook", URL, {}, "me")
    channels.load([{"name": "ops", "kind": "webhook", "url": "https://file.example/"}], "rules.toml", {})

    assert [(spec.name, spec.source) for spec in channels.all()] == [("ops", "rules.toml")]
    for change in (lambda: channels.save("ops", "webhook", URL, {}, "me"), lambda: channels.delete("ops")):
        with pytest.raises(SettingError, match=r"is in rules\.toml"):
            change()


def test_those_of_the_file_beyond_the_most_are_shown_and_not_used(channels: Channels) -> None:
    tables = [{"name": f"c{i}", "kind": "webhook", "url": URL} for i in range(MOST_CHANNELS + 2)]

    assert [spec.usable for spec in channels.load(tables, "f", {})] == [True] * MOST_CHANNELS + [False] * 2
    assert "more than 100" in channels.all()[-1].problem


def test_an_option_that_is_none_is_named(channels: Channels) -> None:
    with pytest.raises(SettingError, match="'color' is no option"):
        channels.save("ops", "webhook", URL, {"color": "red"}, "me")
    with pytest.raises(SettingError, match="needs a url"):
        channels.save("ops", "webhook", "", {}, "me")
    assert channels.all() == []


def test_there_is_an_end_to_how_many(channels: Channels) -> None:
    for i in range(MOST_CHANNELS):
        channels.save(f"c{i}", "webhook", URL, {}, "me")
    with pytest.raises(SettingError, match="the most there can be"):
        channels.save("one more", "webhook", URL, {}, "me")
    channels.save("c1", "webhook", "", {"enabled": False}, "me")


def test_with_another_key_a_channel_is_shown_with_what_to_do(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "watch.db")
    Channels(ledger, Vault("the first key of all")).save("ops", "webhook", URL, {}, "me")
    (spec,) = Channels(ledger, Vault("the second key of all")).all()

    assert not spec.usable
    assert "encrypted with another key" in spec.problem
    assert Channels(ledger, Vault("the second key of all")).save("ops", "webhook", URL, {}, "me").usable
