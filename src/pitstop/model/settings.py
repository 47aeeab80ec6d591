"""Every setting, once: its name, default, unit, environment variable and help. Read in `pitstop.app`, nowhere else.

A value comes from, in this order: the argument of `pitstop.init`, the environment, ``pitstop.toml`` (the table
``[pitstop]``, or the same names at its top level), the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = bool | int | float | str | tuple[str, ...]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


class Setting(NamedTuple):
    """One row of the table. `low` and `high` bound numbers, both included."""

    name: str
    default: Value
    unit: str
    help: str
    low: float | None = None
    high: float | None = None

    @property
    def environment(self) -> str:
        """The variable that sets it."""
        return f"PITSTOP_{self.name.upper()}"

    def parse(self, raw: object, source: str) -> Value:
        """`raw` as this setting's type. Raises SettingError naming the value, the limit and where it came from."""
        kind = type(self.default)
        value: Value
        try:
            if kind is bool:
                value = _flag(raw)
            elif kind is tuple:
                value = tuple(_words(raw))
            elif kind is int or kind is float:
                value = _number(raw, kind)
            else:
                value = str(raw)
        except (TypeError, ValueError):
            raise SettingError(f"{source}: {self.name} = {raw!r} is no {_WORDS[kind]}; see docs/settings.md") from None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not self._allows(value):
            raise SettingError(
                f"{source}: {self.name} = {raw!r} is outside {self.low} … {self.high} {self.unit}".rstrip()
            )
        return value

    def _allows(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


_WORDS: Mapping[type, str] = {bool: "yes or no", int: "whole number", float: "number", str: "text", tuple: "list"}


def _flag(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(word)


def _number(raw: object, kind: type) -> Value:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ValueError(raw)  # noqa: TRY004  one error for whatever does not fit
    return int(raw) if kind is int else float(raw)


def _words(raw: object) -> list[str]:
    if isinstance(raw, str):
        return [word.strip() for word in raw.split(",") if word.strip()]
    if isinstance(raw, (list, tuple)) and all(isinstance(word, str) for word in raw):
        return list(raw)
    raise ValueError(raw)


SETTINGS: tuple[Setting, ...] = (
    Setting("enabled", True, "", "Record at all. Off costs nothing: no thread, no file, no middleware."),
    Setting("service", "", "", "Name of the service. Empty: the name of the program or of the folder it runs in."),
    Setting(
        "store",
        "sqlite:///pitstop.db",
        "",
        "Where measurements go: sqlite:///relative, sqlite:////absolute, memory://.",
    ),
    Setting("sample_rate", 1.0, "", "Share of requests recorded; weights keep totals right.", 0.0, 1.0),
    Setting("buffer_size", 4096, "operations", "Finished operations that may wait for the flusher.", 64, 1_000_000),
    Setting("recent_size", 1000, "operations", "Finished operations kept in memory for pitstop.recent().", 0, 100_000),
    Setting(
        "overhead_budget",
        0.01,
        "of one core",
        "Above it spans are shed, above three times that requests are sampled. 1: never.",
        0.0001,
        1.0,
    ),
    Setting("exclude", ("/static/", "/favicon.ico"), "", "Path prefixes that are not recorded, comma-separated."),
    Setting("exec_time_header", False, "", "Answer with X-Exec-Time, seconds."),
    Setting("server_timing", False, "", "Answer with the standard Server-Timing header, which browsers show."),
    Setting("runtime", True, "", "Record memory, CPU, garbage collection and event-loop lag of each worker."),
    Setting("retention_days", 90, "days", "How long hourly figures are kept; daily ones stay two years.", 1, 730),
    Setting("slow_s", 1.0, "s", "Requests that take longer are kept as traces, as budget allows.", 0.001, 3600),
    Setting("slow_query_s", 1.0, "s", "Statements that take longer make their request a trace.", 0.001, 3600),
    Setting("log_slow_queries", False, "", "Write slow statements, without values, to the logger pitstop.slow, too."),
    Setting("traces_per_s", 2.0, "traces", "Most traces a worker keeps, on average. 0: none.", 0.0, 1000),
    Setting(
        "trace_spans", 1000, "spans", "Most spans kept of one trace; how many more there were is kept.", 10, 100_000
    ),
    Setting("error_messages", False, "", "Keep what exceptions say, scrubbed, and not only what the code spells out."),
    Setting("log_trace_ids", False, "", "Give log records the attribute trace_id."),
    Setting("profile_hz", 50.0, "stacks/s", "How often stacks are sampled. 0: never.", 0.0, 1000),
    Setting(
        "propagate",
        ("same-site",),
        "",
        "Hosts that outgoing calls tell the trace id: same-site, all, none, or host names, comma-separated.",
    ),
    Setting(
        "otlp_endpoint",
        "",
        "",
        "Collector that gets traces and metrics over OTLP/HTTP, such as http://127.0.0.1:4318. Empty: nothing is sent.",
    ),
    Setting(
        "otlp_headers",
        (),
        "",
        "Headers for it, comma-separated: Authorization=Bearer ….",
    ),
    Setting("rules", "pitstop-rules.toml", "", "File of objectives, alert rules, probes and channels: docs/alerts.md."),
    Setting("public_url", "", "", "Address of the dashboard as people reach it; links in alerts begin with it."),
    Setting(
        "egress_allow",
        (),
        "",
        "Hosts that alerts and probes may reach although their address is private, comma-separated: name or name:port.",
    ),
    Setting(
        "secret_key", "", "", "Key that channels' secrets are encrypted with. Empty: one in a file beside the store."
    ),
    Setting(
        "remote_write_url",
        "",
        "",
        "Prometheus remote-write receiver that `pitstop serve` sends its metrics to. Empty: nothing is sent.",
    ),
    Setting("remote_write_headers", (), "", "Headers for it, comma-separated: Authorization=Bearer …."),
    Setting("instrument", ("auto",), "", "Which integrations to attach: auto, none, or names, comma-separated."),
)
"""The whole table; docs/settings.md is checked against it."""

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


class Settings:
    """The values in force, and where each came from (``argument``, a variable's name, a file's name or ``default``)."""

    def __init__(self, values: Mapping[str, Value], sources: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.sources = dict(sources)

    def flag(self, name: str) -> bool:
        """A yes-or-no setting."""
        return bool(self.values[name])

    def number(self, name: str) -> float:
        """A number, in the setting's unit."""
        value = self.values[name]
        assert isinstance(value, (int, float))
        return value

    def text(self, name: str) -> str:
        """A text."""
        return str(self.values[name])

    def words(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value


def resolve(
    arguments: Mapping[str, object], environment: Mapping[str, str], file: Mapping[str, object], file_name: str
) -> Settings:
    """The settings from all sources. Raises SettingError for an unknown name or an impossible value."""
    for source, names in (("pitstop.init", arguments), (file_name, file)):
        unknown = sorted(set(names) - set(BY_NAME))
        if unknown:
            raise SettingError(f"{source}: '{unknown[0]}' is no setting; there are {', '.join(BY_NAME)}")
    values: dict[str, Value] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        name = setting.name
        if arguments.get(name) is not None:
            values[name], sources[name] = setting.parse(arguments[name], "pitstop.init"), "argument"
        elif setting.environment in environment:
            values[name] = setting.parse(environment[setting.environment], setting.environment)
            sources[name] = setting.environment
        elif name in file:
            values[name], sources[name] = setting.parse(file[name], file_name), file_name
        else:
            values[name], sources[name] = setting.default, "default"
    return Settings(values, sources)
