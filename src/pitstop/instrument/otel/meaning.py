"""What a span of OpenTelemetry is in our terms: kind, name and outcome of its series, and which attributes are kept.

Semantic conventions, stable and the ones before (``http.method``, ``db.statement``). Pure: the dashboard's ingest uses
it for spans of other languages, too. Nothing that a user sent is kept: no path, query, key, address or literal value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.instrument.names import BY_METHOD, WEBSOCKETS
from pitstop.model.series import (
    CACHE,
    DB,
    FUNCTION,
    HTTP,
    HTTP_CLIENT,
    QUEUE,
    TASK,
    TEMPLATE,
    UNMATCHED,
    WEBSOCKET,
)
from pitstop.record.statements import ANY, MYSQL, POSTGRESQL, SQLITE, normalized

if TYPE_CHECKING:
    from collections.abc import Mapping

    Meaning = tuple[str, str, str, int, Mapping[str, object] | None]

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(5)  # SpanKind of the API; OTLP's numbers are one higher

LONGEST_NAME = 500  # characters of a name
LONGEST_VALUE = 200  # of an attribute

KEPT = {
    "db.system": "db.system", "db.system.name": "db.system", "db.namespace": "db.namespace", "db.name": "db.namespace",
    "db.collection.name": "db.collection.name", "db.sql.table": "db.collection.name",
    "db.operation.name": "db.operation.name", "db.operation": "db.operation.name",
    "server.address": "server.address", "net.peer.name": "server.address",
    "server.port": "server.port", "net.peer.port": "server.port",
    "network.protocol.name": "network.protocol.name", "network.protocol.version": "network.protocol.version",
    "http.request.method": "http.request.method", "http.method": "http.request.method",
    "http.response.status_code": "http.response.status_code", "http.status_code": "http.response.status_code",
    "http.route": "http.route", "http.request.resend_count": "http.request.resend_count", "error.type": "error.type",
    "rpc.system": "rpc.system", "rpc.service": "rpc.service", "rpc.method": "rpc.method",
    "rpc.grpc.status_code": "rpc.grpc.status_code",
    "messaging.system": "messaging.system", "messaging.operation.type": "messaging.operation.type",
    "messaging.operation.name": "messaging.operation.name", "messaging.operation": "messaging.operation.type",
    "messaging.destination.name": "messaging.destination.name", "messaging.destination": "messaging.destination.name",
    "messaging.batch.message_count": "messaging.batch.message_count", "celery.task_name": "celery.task_name",
    "code.function.name": "code.function.name", "code.function": "code.function.name",
    "code.file.path": "code.file.path", "code.filepath": "code.file.path",
    "code.line.number": "code.line.number", "code.lineno": "code.line.number",
    "jinja2.template_name": "jinja2.template_name", "asgi.event.type": "asgi.event.type",
    "graphql.operation.type": "graphql.operation.type", "faas.trigger": "faas.trigger",
}  # fmt: skip
"""Attributes that are kept, and the name they are kept by. All others, the host's own among them, are not."""

is_plain = frozenset(KEPT).isdisjoint
_CACHES = frozenset({"redis", "memcached", "memcache", "valkey"})
_DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}
_SQL = frozenset({
    *_DIALECTS, "bigquery", "clickhouse", "cockroachdb", "db2", "derby", "duckdb", "firebird", "firebirdsql", "h2",
    "hive", "hsqldb", "ibm.db2", "informix", "instantdb", "microsoft.sql_server", "mssql", "oracle", "oracle.db",
    "other_sql", "presto", "redshift", "sap.hana", "snowflake", "spanner", "gcp.spanner", "aws.redshift", "sybase",
    "teradata", "trino", "vertica",
})  # fmt: skip
_DEFAULT_PORTS = (80, 443)


def meaning(  # noqa: PLR0911  a branch for each family of spans
    kind: int, name: str, attributes: Mapping[str, object], *, failed: bool, root: bool
) -> Meaning:
    """Kind, name and outcome as in `Series`, rows of a statement, and what is kept of `attributes`.

    `kind`: its SpanKind; `failed`: its status is ERROR; `root`: it ran in nothing of ours.
    """
    outcome = "error" if failed else "ok"
    if not kind and is_plain(attributes):
        return (FUNCTION, name[:LONGEST_NAME], outcome, 0, None)
    attrs = kept(attributes)
    system = attrs.get("db.system")
    if system is not None and kind != SERVER:
        return _database(str(system), name, attributes, attrs, outcome)
    if kind == SERVER:
        return _server(name, attributes, attrs, failed=failed)
    if kind == CLIENT and ("http.request.method" in attrs or "rpc.system" in attrs):
        return _client(attributes, attrs, failed=failed)
    if kind == PRODUCER:
        target = attrs.get("celery.task_name") or attrs.get("messaging.destination.name")
        return (QUEUE, f"publish {target or name}"[:LONGEST_NAME], outcome, 0, attrs or None)
    if kind == CONSUMER:
        what = str(attrs.get("celery.task_name") or name)[:LONGEST_NAME]
        return (TASK if root else QUEUE, what, outcome, 0, attrs or None)
    template = attrs.get("jinja2.template_name")
    if template is not None:
        return (TEMPLATE, str(template), outcome, 0, attrs)
    event = attrs.get("asgi.event.type")  # its span is named after the path, which is the user's
    return (FUNCTION, str(f"asgi {event}" if event else name)[:LONGEST_NAME], outcome, 0, attrs or None)


def kept(attributes: Mapping[str, object]) -> dict[str, object]:
    """Those of `attributes` that are kept, by their newest names, clipped."""
    found: dict[str, object] = {}
    for key, value in attributes.items():
        known = KEPT.get(key)
        if known is None or known in found:
            continue
        if isinstance(value, str):
            found[known] = value[:LONGEST_VALUE]
        elif isinstance(value, (bool, int, float)):
            found[known] = value
    return found


def route_name(attrs: Mapping[str, object]) -> str:
    """``GET /items/{item_id}`` of a server span, or UNMATCHED: never a path."""
    route = attrs.get("http.route")
    return BY_METHOD[str(attrs.get("http.request.method", ""))][str(route)] if route else UNMATCHED


def _server(name: str, attributes: Mapping[str, object], attrs: dict[str, object], *, failed: bool) -> Meaning:
    if "rpc.system" in attrs:
        what = f"{attrs['rpc.service']}/{attrs.get('rpc.method', '')}" if "rpc.service" in attrs else name
        code = attrs.get("rpc.grpc.status_code", 2 if failed else 0)
        return (HTTP, what[:LONGEST_NAME], "500" if failed else f"grpc {code}" if code else "200", 0, attrs)
    scheme = attributes.get("url.scheme") or attributes.get("http.scheme")
    if attrs.get("network.protocol.name") == "websocket" or scheme in {"ws", "wss"}:
        route = attrs.get("http.route")
        return (WEBSOCKET, WEBSOCKETS[str(route or "")], "1011" if failed else "1000", 0, attrs)
    if "http.request.method" not in attrs:
        return (HTTP, name[:LONGEST_NAME], "500" if failed else "200", 0, attrs or None)
    status = attrs.get("http.response.status_code")
    return (HTTP, route_name(attrs), _status(status) or ("500" if failed else "200"), 0, attrs)


def _client(attributes: Mapping[str, object], attrs: dict[str, object], *, failed: bool) -> Meaning:
    host = attrs.get("server.address") or _host_of(attributes.get("url.full") or attributes.get("http.url"))
    port = attrs.get("server.port")
    where = f"{host or 'unknown'}:{port}" if port and port not in _DEFAULT_PORTS else str(host or "unknown")
    if "rpc.system" in attrs:
        what = f"{attrs['rpc.system']} {attrs.get('rpc.service') or where}"
        return (HTTP_CLIENT, what[:LONGEST_NAME], "error" if failed else "ok", 0, attrs)
    status = _status(attrs.get("http.response.status_code")) or ("error" if failed else "ok")
    return (HTTP_CLIENT, f"{attrs['http.request.method']} {where}"[:LONGEST_NAME], status, 0, attrs)


def _database(
    system: str, name: str, attributes: Mapping[str, object], attrs: dict[str, object], outcome: str
) -> Meaning:
    if system in _CACHES:
        command = attrs.get("db.operation.name") or name.partition(" ")[0]
        return (CACHE, str(command).upper()[:LONGEST_NAME], outcome, 0, attrs)
    text = attributes.get("db.query.text") or attributes.get("db.statement")
    rows = attributes.get("db.response.returned_rows")
    if isinstance(text, str) and system in _SQL:
        what = normalized(text, _DIALECTS.get(system, ANY))
    else:  # a document, a key, a language of its own: nothing of it is kept
        operation, table = attrs.get("db.operation.name"), attrs.get("db.collection.name", "")
        what = f"{operation or name.partition(' ')[0]} {table}".strip()[:LONGEST_NAME]
    return (DB, what, outcome, rows if isinstance(rows, int) and rows > 0 else 0, attrs)


def _status(value: object) -> str:
    """A status code as an outcome, "" when it is none."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:4])
    return str(value) if isinstance(value, int) and 100 <= value <= 999 else ""  # noqa: PLR2004  three digits


def _host_of(url: object) -> str:
    """``shop.example:8080`` of a URL; user and password, path and query are left out."""
    if not isinstance(url, str):
        return ""
    rest = url[:2000].partition("://")[2] or url[:2000]
    for sign in "/?#":
        rest = rest.partition(sign)[0]
    return rest.rpartition("@")[2][:LONGEST_VALUE]
