"""What is known of each host that is called: calls, connections opened and used again, waits, retries, failures."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, cast

from pitstop.model.series import OTHER
from pitstop.model.tuned import CLIENT_REPORT, ClientBody
from pitstop.record.reports import Report, add_reporter
from pitstop.tune.http.budget import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_HOSTS = 256  # more fold into one: hosts may come from the data
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Host:
    """Counts of one host since the process started. Every method may be called from any thread."""

    def __init__(self, name: str, budget: RetryBudget) -> None:
        self.name = name
        self.budget = budget
        self._lock = threading.Lock()
        self.counts: ClientBody = {
            "requests": 0, "reused": 0, "opened": 0, "in_use": 0, "waits": 0,
            "retries": 0, "retries_refused": 0, "errors": 0, "timeouts": 0,
        }  # fmt: skip

    def add(self, what: str, amount: int = 1) -> None:
        """Add `amount` to one of the fields of `ClientBody`."""
        with self._lock:
            self.counts[what] += amount  # type: ignore[literal-required]  # a field's name

    def body(self) -> ClientBody:
        """A copy of the counts."""
        with self._lock:
            return self.counts.copy()


class Hosts:
    """All hosts that the clients of this process call, by ``host[:port]``."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def of(self, scheme: str, host: str, port: int | None) -> Host:
        """The one of that name; the one called ``__other__`` when there are too many."""
        name = f"[{host}]" if ":" in host else host
        if port is not None and port != _DEFAULT_PORTS.get(scheme):
            name = f"{name}:{port}"
        if self._pid != os.getpid():
            self._forget()
        known = self._hosts.get(name)
        if known is not None:
            return known
        with self._lock:
            if len(self._hosts) >= MOST_HOSTS:
                name = OTHER
            return self._hosts.setdefault(name, Host(name, RetryBudget()))

    def _forget(self) -> None:
        """A child counts for itself."""
        self._lock = threading.Lock()
        self._hosts = {}
        self._pid = os.getpid()

    def metrics(self) -> dict[str, ClientBody]:
        """Counts by host."""
        return {name: host.body() for name, host in sorted(self._hosts.copy().items())}

    def reports(self) -> Iterator[Report]:
        """For the flusher."""
        for name, body in self.metrics().items():
            yield Report(CLIENT_REPORT, name, cast("Mapping[str, object]", body))


HOSTS = Hosts()


def get_metrics() -> dict[str, ClientBody]:
    """Calls, connections opened and used again, waits, retries and failures of this process, by ``host[:port]``."""
    return HOSTS.metrics()


def begin_reporting() -> None:
    """Let the recorder know of the hosts from now on."""
    add_reporter(_reports)


def _reports() -> Iterator[Report]:
    return HOSTS.reports()
