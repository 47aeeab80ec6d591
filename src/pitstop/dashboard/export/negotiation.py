"""Which form a client wants, by its Accept header."""

from __future__ import annotations

from pitstop.dashboard.export.protobuf import PROTOBUF_TYPE
from pitstop.dashboard.export.text import OPENMETRICS_TYPE, TEXT_TYPE

_PROTOBUF = "application/vnd.google.protobuf"
_OPENMETRICS = "application/openmetrics-text"
_PLAIN = "text/plain"
_MOST_CHOICES = 20
_LONGEST = 2000


def content_type_for(accept: str) -> str:
    """The content type to answer with: the client's first choice among ours, else the plain text."""
    best, found = 0.0, TEXT_TYPE
    for choice in accept[:_LONGEST].split(",")[:_MOST_CHOICES]:
        media, *given = (part.strip() for part in choice.split(";"))
        parameters = dict(part.split("=", 1) for part in given if "=" in part)
        offered = _offered(media.lower(), parameters)
        weight = _weight(parameters.get("q", "1"))
        if offered and weight > best:
            best, found = weight, offered
    return found


def _offered(media: str, parameters: dict[str, str]) -> str | None:
    if media == _PROTOBUF:
        delimited = parameters.get("encoding") == "delimited"
        return PROTOBUF_TYPE if delimited and parameters.get("proto") == "io.prometheus.client.MetricFamily" else None
    if media == _OPENMETRICS:
        return OPENMETRICS_TYPE if parameters.get("version", "1.0.0") == "1.0.0" else None
    if media in {_PLAIN, "text/*", "*/*"}:
        return TEXT_TYPE if parameters.get("version", "0.0.4") == "0.0.4" else None
    return None


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
