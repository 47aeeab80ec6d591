"""One channel as somebody wrote it: in the rules file or on the page."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pitstop.model import SettingError, parse_duration_s
from pitstop.model.watching import SEVERITIES, TEST
from pitstop.watch.secrets import BLOT, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model.watching import Notification

APPRISE, WEBHOOK, ALERTMANAGER = "apprise", "webhook", "alertmanager"
KINDS = (APPRISE, WEBHOOK, ALERTMANAGER)
KEYS = ("name", "kind", "url", "secret", "severities", "matches", "enabled", "timeout", "per_minute")
TIMEOUT_S, MOST_TIMEOUT_S = 10.0, 60.0
PER_MINUTE, MOST_PER_MINUTE = 60, 6000
LONGEST_NAME = 80
LONGEST_URL = 4096
_NAME = re.compile(r"[\w][\w .:/@+-]*", re.UNICODE)
# Services whose first part is a host; with all others it may be a token and is blotted out.
HOSTED = frozenset(
    scheme + secure
    for scheme in ("json", "xml", "form", "gotify", "mmost", "rocket", "mailto", "nctalk")
    for secure in ("", "s")
)


class ChannelSpec(NamedTuple):
    """Where and what to send. `url` and `secret` show themselves to nobody; `problem`: why it cannot be used."""

    name: str
    kind: str
    url: Secret
    secret: Secret = Secret()
    severities: tuple[str, ...] = SEVERITIES
    matches: tuple[tuple[str, str], ...] = ()
    enabled: bool = True
    source: str = "dashboard"
    timeout_s: float = TIMEOUT_S
    per_minute: int = PER_MINUTE
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether something can be sent to it."""
        return self.enabled and not self.problem

    def takes(self, notification: Notification) -> bool:
        """Whether it is to be told: its severities have this one, and its globs match the labels."""
        if notification.state != TEST and notification.severity not in self.severities:
            return False
        return all(fnmatchcase(notification.labels.get(label, ""), glob) for label, glob in self.matches)


def parse_channel(
    table: Mapping[str, object], source: str, environment: Mapping[str, str] | None = None
) -> ChannelSpec:
    """One ``[[channel]]``. `environment`: where ``env:NAME`` looks, None: nowhere, for what was typed on a page.

    Raises SettingError naming the key and what it may be; never the address.
    """
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise SettingError(f"{source}: a channel needs a name of letters and digits, at most {LONGEST_NAME} of them")
    where = f"{source}: channel {name!r}"
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise SettingError(f"{where}: {unknown[0]!r} is no key; there are {', '.join(KEYS)}")
    kind = table.get("kind")
    if kind not in KINDS:
        raise SettingError(f"{where}: kind is one of {', '.join(KINDS)}")
    url = _text(table, "url", where, environment)
    _check_url(url, str(kind), where)
    return ChannelSpec(
        name,
        str(kind),
        Secret(url),
        Secret(_text(table, "secret", where, environment)),
        _severities(table.get("severities", SEVERITIES), where),
        _matches(table.get("matches", {}), where),
        enabled=_flag(table.get("enabled", True), where),
        source=source,
        timeout_s=_timeout_s(table.get("timeout", TIMEOUT_S), where),
        per_minute=_per_minute(table.get("per_minute", PER_MINUTE), where),
    )


def shown(spec: ChannelSpec) -> str:
    """Its address without anything that could be a secret: scheme, and the host where it is one for certain."""
    scheme, separator, _ = spec.url.reveal().partition("://")
    if not separator:
        return BLOT
    scheme = scheme.lower()
    if spec.kind == APPRISE and scheme not in HOSTED:
        return f"{scheme}://{BLOT}"
    try:
        parts = urlsplit(spec.url.reveal())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{scheme}://{BLOT}"
    host = f"[{host}]" if ":" in host else host
    rest = f"/{BLOT}" if spec.kind == APPRISE or parts.path.strip("/") or parts.query else parts.path
    return f"{scheme}://{host}{f':{port}' if port else ''}{rest}"


def _text(table: Mapping[str, object], key: str, where: str, environment: Mapping[str, str] | None) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise SettingError(f"{where}: {key} is a text")
    if not value.startswith("env:"):
        return value
    if environment is None:
        raise SettingError(f"{where}: {key} may be env:NAME in the rules file only")
    found = environment.get(value.removeprefix("env:"))
    if not found:
        raise SettingError(f"{where}: {key} is {value!r}, and the environment has no such variable")
    return found


def _check_url(url: str, kind: str, where: str) -> None:
    if not url:
        raise SettingError(f"{where} needs a url")
    if len(url) > LONGEST_URL or not url.isprintable():
        raise SettingError(f"{where}: its url has signs that no address has, or more than {LONGEST_URL} of them")
    scheme = url.partition("://")[0].lower()
    if kind == APPRISE:
        from pitstop.watch.channels.apprise import check  # noqa: PLC0415  where somebody has such a channel

        try:
            check(url)
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from None
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingError(f"{where}: its url is none") from None
    if scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise SettingError(f"{where}: its url begins with https:// or http:// and a host")


def _severities(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value or any(one not in SEVERITIES for one in value):
        raise SettingError(f"{where}: severities is a list of {', '.join(SEVERITIES)}")
    return tuple(str(one) for one in value)


def _matches(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise SettingError(f'{where}: matches has labels and patterns: {{service = "shop*"}}')
    return tuple(sorted(value.items()))


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise SettingError(f"{where}: enabled is true or false")
    return value


def _timeout_s(value: object, where: str) -> float:
    try:
        wait_s = float(parse_duration_s(value)) if isinstance(value, str) else float(value)  # type: ignore[arg-type]  # whatever is no number is refused below
    except (TypeError, ValueError):
        wait_s = 0.0
    if isinstance(value, bool) or not 0.1 <= wait_s <= MOST_TIMEOUT_S:  # noqa: PLR2004  no provider is quicker
        raise SettingError(f"{where}: timeout is a duration from 0.1 s to {MOST_TIMEOUT_S:g} s, such as '10s'")
    return wait_s


def _per_minute(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST_PER_MINUTE:
        raise SettingError(f"{where}: per_minute is a whole number from 1 to {MOST_PER_MINUTE}")
    return value


def environment() -> Mapping[str, str]:
    """Of this process, for channels of the rules file."""
    return os.environ
