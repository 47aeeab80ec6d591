"""``POST /v1/traces`` and ``/v1/metrics``, for whoever has an API token.

Answers as the OTLP specification has them: what was taken with a partial success where some was refused, or a Status
that says what is wrong and whether sending it again may help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import Request  # noqa: TC002  FastAPI reads the annotations
from starlette.responses import JSONResponse, Response

from pitstop.dashboard.access import api_changer
from pitstop.dashboard.auth import Session  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.ingest.body import JSON, PROTOBUF, BodyError, content_type, decode, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.dashboard.ingest.incoming import Refused

AT_ONCE = 2  # requests decoded at a time: decoded they take the most memory
RETRY_AFTER_S = 5
_INVALID_ARGUMENT, _UNAVAILABLE = 3, 14  # google.rpc.Code

router = APIRouter(include_in_schema=False)
_limiter: list[CapacityLimiter] = []


@router.post("/v1/traces")
async def traces(request: Request, _: Annotated[Session, Depends(api_changer)]) -> Response:
    """Spans of any service."""
    writer = desk_of(request).ingest
    return await _take(request, ExportTraceServiceRequest(), ExportTraceServiceResponse(), writer.spans, "spans")


@router.post("/v1/metrics")
async def metrics(request: Request, _: Annotated[Session, Depends(api_changer)]) -> Response:
    """Points of any service."""
    writer = desk_of(request).ingest
    answer = ExportMetricsServiceResponse()
    return await _take(request, ExportMetricsServiceRequest(), answer, writer.points, "data_points")


async def _take(
    request: Request, message: Any, answer: Any, take: Callable[[Any, bytes], Refused], what: str
) -> Response:
    kind = JSON if "json" in request.headers.get("content-type", "") else PROTOBUF
    if desk_of(request).ingest.full:
        return _status(
            kind, 503, _UNAVAILABLE, "the store takes nothing at the moment", {"Retry-After": str(RETRY_AFTER_S)}
        )
    try:
        kind = content_type(request)
        body = await read(request)
        if not _limiter:
            _limiter.append(CapacityLimiter(AT_ONCE))
        refused = await anyio.to_thread.run_sync(_decoded, body, kind, message, take, limiter=_limiter[0])
    except BodyError as error:
        return _status(kind, error.status, _INVALID_ARGUMENT, str(error), {})
    if refused.count:
        setattr(answer.partial_success, f"rejected_{what}", refused.count)
        answer.partial_success.error_message = refused.reason
    if kind == JSON:
        return JSONResponse(json_format.MessageToDict(answer))
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _decoded(body: bytes, kind: str, message: Any, take: Callable[[Any, bytes], Refused]) -> Refused:
    decode(body, kind, message)
    return take(message, body)


def _status(kind: str, status: int, code: int, text: str, headers: dict[str, str]) -> Response:
    """A google.rpc.Status: field 1 the code, field 2 the message."""
    if kind == JSON:
        return JSONResponse({"code": code, "message": text}, status, headers=headers)
    said = text.encode()[:120]  # shorter than 128 bytes, so that its length is one byte
    return Response(bytes([8, code, 18, len(said)]) + said, status, headers=headers, media_type=PROTOBUF)
