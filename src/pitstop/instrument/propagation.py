"""Which hosts an outgoing call tells the trace id: the setting `propagate`.

``same-site``, the default: hosts of the site that the running request came in for, by its Host header.

- Loopback addresses and ``localhost`` are this machine: always told.
- The same host, whatever the port: told.
- Two names that share their last two labels: ``shop.example.com`` and ``api.example.com``. Where the last two are a
  country's second level (``co.uk``) or a platform that rents names below its own (``herokuapp.com``), the last three.
- Addresses are never a site, and outside a request with a Host header only this machine is.

``all``: every host. ``none``: no host. A name: that host and those below it. Names add to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.instrument.options import OPTIONS

if TYPE_CHECKING:
    from pitstop.record.operation import Operation

SAME_SITE, ALL, NONE = "same-site", "all", "none"
CAPACITY = 1024  # answers that are remembered; Host headers are what a client wrote
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "gob", "gov", "gouv", "go", "mil", "ne", "net", "nom", "or", "org"}
)
_PLATFORMS = frozenset(
    {
        "amazonaws.com", "appspot.com", "azurewebsites.net", "cloudfront.net", "fly.dev", "github.io", "herokuapp.com",
        "netlify.app", "ngrok.app", "ngrok.io", "onrender.com", "pages.dev", "run.app", "vercel.app", "workers.dev",
    }
)  # fmt: skip

_answers: dict[tuple[str, str], bool] = {}
_version = -1


def may_tell(root: Operation, host: str) -> bool:
    """Whether a call from within `root` may tell `host` its trace id."""
    global _version  # noqa: PLW0603  one look at a number is all that a call pays
    if _version != OPTIONS.version:
        _answers.clear()
        _version = OPTIONS.version
    rules = OPTIONS.propagate
    if ALL in rules:
        return True
    if NONE in rules or not rules:
        return False
    key = (root.host, host)
    known = _answers.get(key)
    if known is None:
        if len(_answers) >= CAPACITY:
            _answers.clear()
        known = _answers[key] = _allowed(rules, host_of(root.host), host.lower().strip("[].")[:255])
    return known


def host_of(header: str) -> str:
    """The host of a Host header: without port and brackets, in lower case."""
    header = header.strip().lower()[:300]
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0].strip(".") if header.count(":") == 1 else header.strip(".")


def _allowed(rules: tuple[str, ...], own: str, host: str) -> bool:
    for rule in rules:
        if rule == SAME_SITE:
            if is_loopback(host) or (own and (own == host or same_site(own, host))):
                return True
        else:
            name = host_of(rule)
            if host == name or host.endswith(f".{name}"):
                return True
    return False


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address."""
    return (
        host in ("localhost", "::1") or host.endswith(".localhost") or (host.startswith("127.") and _is_address(host))
    )


def same_site(one: str, other: str) -> bool:
    """Whether two names belong to whoever registered the same domain, as far as their labels tell."""
    if _is_address(one) or _is_address(other):
        return False
    return _site(one) == _site(other) != ""


def _site(host: str) -> str:
    labels = host.split(".")
    needed = 2
    if (len(labels[-1]) == 2 and labels[-2:-1] and labels[-2] in _SECOND_LEVEL) or ".".join(labels[-2:]) in _PLATFORMS:  # noqa: PLR2004  a country's
        needed = 3
    return ".".join(labels[-needed:]) if len(labels) >= needed and all(labels) else ""


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
