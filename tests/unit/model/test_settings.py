"""Settings from arguments, environment and file."""

from __future__ import annotations

import pytest

from pitstop.model.errors import SettingError
from pitstop.model.settings import SETTINGS, resolve
from pitstop.model.window import Window, parse_duration_s


def test_an_argument_beats_the_environment_which_beats_the_file_which_beats_the_default() -> None:
    file = {"service": "file", "sample_rate": 0.25, "exclude": ["/a", "/b"]}
    environment = {"PITSTOP_SERVICE": "env", "PITSTOP_BUFFER_SIZE": "128"}
    settings = resolve({"service": "argument"}, environment, file, "pitstop.toml")
    assert settings.text("service") == "argument"
    assert settings.number("buffer_size") == 128
    assert settings.number("sample_rate") == 0.25
    assert settings.words("exclude") == ("/a", "/b")
    assert settings.flag("enabled") is True
    assert settings.sources["service"] == "argument"
    assert settings.sources["buffer_size"] == "PITSTOP_BUFFER_SIZE"
    assert settings.sources["sample_rate"] == "pitstop.toml"
    assert settings.sources["enabled"] == "default"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PITSTOP_SAMPLE_RATE": "2"}, r"PITSTOP_SAMPLE_RATE: sample_rate = '2' is outside 0.0 … 1.0"),
        ({"PITSTOP_SAMPLE_RATE": "nan"}, "outside"),
        ({"PITSTOP_SAMPLE_RATE": "half"}, "is no number"),
        ({"PITSTOP_BUFFER_SIZE": "1.5"}, "is no whole number"),
        ({"PITSTOP_ENABLED": "perhaps"}, "is no yes or no"),
    ],
)
def test_an_impossible_value_is_refused_with_its_name_value_and_limit(environment: dict[str, str], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        resolve({}, environment, {}, "pitstop.toml")


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(SettingError, match="'sampel_rate' is no setting; there are enabled, service"):
        resolve({}, {}, {"sampel_rate": 1}, "pitstop.toml")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_every_default_is_a_value_its_setting_takes(setting: object) -> None:
    assert setting.parse(setting.default, "default") == setting.default  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("90d", 7_776_000), ("2w", 1_209_600)]
)
def test_lengths_of_time_are_read(text: str, seconds: int) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "15", "-1h", "1.5h", "0s", "4000d", "１h", "9999999999d", "1 h"])
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse_duration_s(text)


def test_windows_shift_and_align() -> None:
    window = Window(100, 160)
    assert window.before() == (40, 100)
    assert window.before(1000) == (-900, -840)
    assert window.aligned(60) == (60, 180)
    assert window.duration_s == 60
