"""Names and outcomes of requests, made once and kept, so that a request builds no string.

A name is ``GET /items/{item_id}``: method and full route template, as the framework writes it, always with a leading
slash. Requests that no route answers share `UNMATCHED`; methods that OpenTelemetry does not know share ``_OTHER``.
"""

from __future__ import annotations

from pitstop.model.series import UNMATCHED

METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")  # OTel semconv 1.4x
OTHER_METHOD = "_OTHER"
CAPACITY = 4096  # templates kept per method; an application that has more builds a string for each request

OUTCOMES = tuple(str(status) for status in range(1000))
"""Status codes as text, by number."""

SERVER_ERROR = "500"
CLIENT_LEFT = "499"  # nginx's code for a client that closed before the answer was complete


class Names(dict[str, str]):
    """From route template to the name of the operation: ``names[template]``; ``""`` is `UNMATCHED`."""

    def __init__(self, prefix: str) -> None:
        super().__init__({"": UNMATCHED})
        self._prefix = prefix

    def __missing__(self, template: str) -> str:
        name = f"{self._prefix} {template}" if template.startswith("/") else f"{self._prefix} /{template}"
        if len(self) < CAPACITY:
            self[template] = name
        return name


class ByMethod(dict[str, Names]):
    """From HTTP method to its `Names`."""

    def __init__(self) -> None:
        super().__init__((method, Names(method)) for method in METHODS)
        self._other = Names(OTHER_METHOD)

    def __missing__(self, method: str) -> Names:
        return self._other


BY_METHOD = ByMethod()
WEBSOCKETS = Names("WS")


def outcome_of(status: object) -> str:
    """The outcome of an answer with `status`, whatever the application passed."""
    return OUTCOMES[status] if isinstance(status, int) and 0 < status < len(OUTCOMES) else SERVER_ERROR
