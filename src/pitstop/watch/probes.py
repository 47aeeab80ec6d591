"""What is asked from outside, how often, and what it has to answer: one run of a probe.

A probe looks at a service as its users do: ``http://`` and ``https://`` ask for a page, ``tcp://`` opens a connection.
It goes where the settings let it (`pitstop.egress`) and follows no redirect: a probe of a page that moved says so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from pitstop.model.errors import EgressError
from pitstop.watch.tables import Table

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from pitstop.egress import Answer

HTTP_SCHEMES = ("http", "https")
TCP = "tcp"
EVERY_S, TIMEOUT_S = 30.0, 5.0
SHORTEST_S, LONGEST_S = 1.0, 86_400.0
MOST_TIMEOUT_S = 60.0
MOST_BYTES = 1_000_000  # of an answer, to look for the text in
FINE = range(200, 300)
_STATUSES = range(100, 600)
_LONGEST_NAME = 100
_KEYS = ("name", "url", "every", "timeout", "status", "text", "service")
_AGENT = {"User-Agent": "pitstop-probe", "Accept": "*/*"}


class Probe(NamedTuple):
    """Run every `every_s`, each time within `timeout_s`. `status`: those that are right; none: any of 200 … 299."""

    name: str
    url: str
    every_s: float = EVERY_S
    timeout_s: float = TIMEOUT_S
    status: tuple[int, ...] = ()
    text: str = ""
    service: str = ""
    source: str = "default"


class Probed(NamedTuple):
    """What came of one run that began at `ts_s`; `problem` is empty when all was as it should be."""

    ts_s: float
    took_ns: int
    problem: str


class Way(Protocol):
    """How a probe gets out: `pitstop.egress.Client`."""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], timeout_s: float, most_bytes: int
    ) -> Answer:
        """Ask, within `timeout_s` in all. Raises EgressError."""
        ...

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Open a connection. Raises EgressError."""
        ...


def parse_probe(values: Mapping[str, object], source: str) -> Probe:
    """One ``[[probe]]`` of the rules file. Raises SettingError naming the value, the limit and what to write."""
    table = Table(values, "probe", source, _KEYS)
    name = table.text("name")
    if len(name) > _LONGEST_NAME:
        raise table.wrong(f"its name is longer than {_LONGEST_NAME} characters")
    every_s = table.seconds("every", EVERY_S, SHORTEST_S, LONGEST_S)
    timeout_s = table.seconds("timeout", min(TIMEOUT_S, every_s), 0.01, min(MOST_TIMEOUT_S, every_s))
    url = table.text("url")
    try:
        target = urlsplit(url)
        port = target.port
    except ValueError:
        raise table.wrong(f"url = {url!r} is no address: write https://host/path or tcp://host:port") from None
    if target.scheme not in {*HTTP_SCHEMES, TCP} or not target.hostname:
        raise table.wrong(f"url = {url!r} is no address: write https://host/path or tcp://host:port")
    if target.scheme == TCP and (not port or target.path not in {"", "/"} or table.has("status") or table.has("text")):
        raise table.wrong(f"url = {url!r}: a tcp probe has a host and a port, and neither path nor status nor text")
    return Probe(
        name=name,
        url=url,
        every_s=every_s,
        timeout_s=timeout_s,
        status=_statuses(table, values.get("status", ())),
        text=table.text("text", ""),
        service=table.text("service", ""),
        source=source,
    )


def _statuses(table: Table, written: object) -> tuple[int, ...]:
    wanted = written if isinstance(written, (list, tuple)) else [written]
    if not all(type(status) is int and status in _STATUSES for status in wanted):
        raise table.wrong(f"status = {written!r} is no status or list of them: write 200 or [200, 204]")
    return tuple(wanted)


def run(probe: Probe, way: Way) -> Probed:
    """Ask once, and judge. Raises nothing that a probed thing could cause."""
    target = urlsplit(probe.url)
    ts_s, began_ns = time.time(), time.perf_counter_ns()
    try:
        problem = _asked_tcp(probe, target, way) if target.scheme == TCP else _asked_http(probe, way)
    except EgressError as error:
        problem = str(error)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    return Probed(ts_s, time.perf_counter_ns() - began_ns, problem)


def _asked_tcp(probe: Probe, target: SplitResult, way: Way) -> str:
    assert target.hostname is not None
    assert target.port is not None
    way.connect(target.hostname, target.port, probe.timeout_s).close()
    return ""


def _asked_http(probe: Probe, way: Way) -> str:
    answer = way.request(
        "GET",
        probe.url,
        headers=_AGENT,
        timeout_s=probe.timeout_s,
        most_bytes=MOST_BYTES if probe.text else 0,
    )
    if answer.status not in (probe.status or FINE):
        wanted = " or ".join(map(str, probe.status)) or "200 … 299"
        moved = " (a redirect is not followed)" if 300 <= answer.status < 400 else ""  # noqa: PLR2004  RFC 9110, 15.4
        return f"answered {answer.status}, not {wanted}{moved}"
    if probe.text and probe.text.encode() not in answer.body:
        return f"answered {answer.status} without the text that is looked for"
    return ""
