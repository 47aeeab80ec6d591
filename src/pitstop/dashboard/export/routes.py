"""``/metrics``: open to this machine, for a token elsewhere."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  FastAPI reads the annotations
from starlette.responses import Response, StreamingResponse

from pitstop.dashboard.access import api_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.export.negotiation import content_type_for
from pitstop.dashboard.guard import LOOPBACK, host_name

if TYPE_CHECKING:
    from starlette.datastructures import Headers

router = APIRouter(include_in_schema=False, default_response_class=Response)
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Everything, in the form that the client asks for. In a thread: the event loop goes on meanwhile."""
    if not from_this_machine(request):
        api_reader(request)
    content_type = content_type_for(request.headers.get("accept", ""))
    exposition = desk_of(request).exposition
    headers = {"content-type": content_type, "vary": "Accept, Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(exposition.packed(content_type), headers={**headers, "content-encoding": "gzip"})
    return StreamingResponse(exposition.pieces(content_type), headers=headers)


def from_this_machine(request: Request) -> bool:
    """Whether the client is on this machine and asked for it by that name, and nobody passed the request on."""
    headers: Headers = request.headers
    if request.client is None or any(name in headers for name in FORWARDED):
        return False
    try:
        local = ip_address(request.client.host).is_loopback
    except ValueError:
        return False
    return local and host_name(headers.get("host", "").lower()) in LOOPBACK
