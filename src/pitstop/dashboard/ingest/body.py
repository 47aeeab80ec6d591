"""The body of a request, read in pieces and never beyond its caps, whatever its headers promise."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from pitstop.dashboard.ingest.weigh import json_is_too_much, protobuf_is_too_much

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_SENT_BYTES = 4 << 20  # of a body as it comes; an SDK's batch of 512 spans has some 100 kB
MOST_BYTES = 8 << 20  # of a body when it is unpacked; decoded it takes up to 30 times as much
_GZIP = 16 + zlib.MAX_WBITS
_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_DEPTH = 40  # of messages and values within one another

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class BodyError(ValueError):
    """What was sent cannot be taken: `status` and a message for whoever set up the sender."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read(request: Request) -> bytes:
    """The unpacked body. Raises BodyError: 413 beyond a cap, 415 for no gzip, 400 for a broken one."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", ""}:
        raise BodyError(415, f"Content-Encoding {encoding[:40]!r} is not supported; send gzip or none")
    unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    sent, body = 0, bytearray()
    async for piece in request.stream():
        sent += len(piece)
        if sent > MOST_SENT_BYTES:
            raise BodyError(413, f"the body is larger than {MOST_SENT_BYTES} bytes; send smaller batches")
        try:
            body += piece if unpack is None else unpack.decompress(piece, MOST_BYTES - len(body) + 1)
        except zlib.error as error:
            raise BodyError(400, f"the body is no gzip: {error}") from error
        if len(body) > MOST_BYTES:
            raise BodyError(413, f"the unpacked body is larger than {MOST_BYTES} bytes; send smaller batches")
    if unpack is not None and sent and not unpack.eof:
        raise BodyError(400, "the gzip body ends too early")
    return bytes(body)


def content_type(request: Request) -> str:
    """`PROTOBUF` or `JSON`. Raises BodyError 415 for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {PROTOBUF, JSON}:
        raise BodyError(415, f"Content-Type {kind[:80]!r} is not supported; send {PROTOBUF} or {JSON}")
    return kind


def decode(body: bytes, kind: str, message: Message) -> None:
    """Fill `message`. Raises BodyError 400 when `body` is none, 413 when it has too much in it."""
    if json_is_too_much(body) if kind == JSON else protobuf_is_too_much(body):
        raise BodyError(413, "the body has too many spans or points; send smaller batches")
    try:
        if kind == PROTOBUF:
            message.ParseFromString(body)
        else:
            loaded = json.loads(body)
            if not isinstance(loaded, dict):
                raise BodyError(400, "the JSON body is no object")
            json_format.ParseDict(_with_ids(loaded, 0), message, ignore_unknown_fields=True, max_recursion_depth=_DEPTH)
    except (DecodeError, json_format.ParseError, RecursionError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, BodyError):
            raise
        raise BodyError(400, f"the body is no OTLP {kind}: {str(error)[:200]}") from error


def _with_ids(value: Any, depth: int) -> Any:
    """OTLP's JSON writes ids in hex where protobuf's has base64."""
    if depth > _DEPTH:
        raise BodyError(400, "the JSON body is nested too deeply")
    if isinstance(value, list):
        return [_with_ids(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _base64(item) if key in _IDS and isinstance(item, str) else _with_ids(item, depth + 1)
        for key, item in value.items()
    }


def _base64(text: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except (ValueError, binascii.Error) as error:
        raise BodyError(400, f"the id {text[:40]!r} is not written in hex") from error
