# ruff: noqa: ANN001, ANN201, PLC0415  fixtures are known by name; libraries are imported when they are hooked
"""Every exchange is one call, by method and host, whichever client made it; the trace goes where it is allowed to."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.instrument.live import faults
from pitstop.instrument.options import OPTIONS
from pitstop.record import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "canary-77ab"
TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-01")

Ask = "Callable[..., tuple[int, bytes]]"


def _httpx(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    import httpx

    with httpx.Client(follow_redirects=True) as client:
        response = client.request(method, url, headers=headers)
        return response.status_code, response.content


def _httpx_async(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    import httpx

    async def run() -> tuple[int, bytes]:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            response = await client.request(method, url, headers=headers)
            return response.status_code, response.content

    return asyncio.run(run())


def _requests(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    import requests

    response = requests.request(method, url, headers=headers, timeout=5)
    return response.status_code, response.content


def _urllib3(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    import urllib3

    with urllib3.PoolManager() as pool:
        response = pool.request(method, url, headers=headers, retries=urllib3.Retry(connect=0, redirect=5))
        return response.status, response.data


def _aiohttp(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    import aiohttp

    async def run() -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
            return response.status, await response.read()

    return asyncio.run(run())


ASKERS = {"httpx": _httpx, "httpx async": _httpx_async, "requests": _requests, "urllib3": _urllib3, "aiohttp": _aiohttp}


@pytest.fixture(params=ASKERS)
def asker(request, hooked) -> Callable[..., tuple[int, bytes]]:
    hooked("httpx", "urllib3", "aiohttp")
    return ASKERS[request.param]


@pytest.fixture
def propagate() -> Iterator[Callable[..., None]]:
    """Set the setting of that name."""

    def choose(*hosts: str) -> None:
        OPTIONS.configure(exclude=(), exec_time=False, server_timing=False, propagate=hosts)

    yield choose
    OPTIONS.configure(exclude=(), exec_time=False, server_timing=False)


def told(body: bytes) -> dict[str, Any]:
    headers: dict[str, Any] = json.loads(body)
    return headers


def test_a_call_is_one_record_with_its_status_and_nothing_of_its_url(asker, upstream, in_request):
    url = f"http://{CANARY}:{CANARY}@127.0.0.1:{upstream}/{CANARY}/items?token={CANARY}"
    with in_request() as seen:
        assert asker("GET", url, {"X-Secret": CANARY})[0] == 200
        assert asker("POST", f"http://127.0.0.1:{upstream}/status/503", {})[0] == 503
    host = f"127.0.0.1:{upstream}"
    assert seen.outcomes("http_client") == {(f"GET {host}", "200"): 1, (f"POST {host}", "503"): 1}
    assert CANARY not in repr(seen.root) + repr(seen.children)
    (line,) = {child.attrs["line"].partition(":")[0] for child in seen.children if child.kind == "http_client"}
    assert line.endswith("test_http_clients.py")


def test_each_redirection_is_an_exchange_of_its_own(asker, upstream, in_request):
    with in_request() as seen:
        assert asker("GET", f"http://127.0.0.1:{upstream}/redirect?/redirect", {})[0] == 200
    assert [outcome for (_, outcome), n in seen.outcomes("http_client").items() for _ in range(n)] == [
        "302", "302", "200",
    ]  # fmt: skip


def test_the_time_of_the_body_belongs_to_the_call(asker, upstream, in_request):
    with in_request() as seen:
        asker("GET", f"http://127.0.0.1:{upstream}/slow", {})
    (call,) = [child for child in seen.children if child.kind == "http_client"]
    assert call.duration_ns >= 140_000_000


def test_nobody_there_is_an_error_and_raises_what_the_client_raises(asker, free_port, in_request):
    port = free_port()
    with in_request() as seen, pytest.raises(Exception, match=r"(?i)connect") as caught:
        asker("GET", f"http://127.0.0.1:{port}/", {})
    assert type(caught.value).__module__.partition(".")[0] in ("httpx", "requests", "urllib3", "aiohttp")
    assert seen.outcomes("http_client") == {(f"GET 127.0.0.1:{port}", "error"): 1}


def test_the_trace_goes_along_and_names_the_call_as_parent(asker, upstream, in_request):
    caller = b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01"
    with in_request(traceparent=caller) as seen:
        _, body = asker("GET", f"http://127.0.0.1:{upstream}/", {})
    trace_id, parent = TRACEPARENT.fullmatch(told(body)["traceparent"]).groups()
    (call,) = [child for child in seen.children if child.kind == "http_client"]
    assert trace_id == "ab" * 16
    assert int(parent, 16) == call.start_ns


def test_a_new_trace_is_known_to_the_request_that_began_it(asker, upstream, in_request):
    with in_request() as seen:
        _, body = asker("GET", f"http://127.0.0.1:{upstream}/", {})
    assert seen.root.caller[0] == TRACEPARENT.fullmatch(told(body)["traceparent"])[1]


def test_a_header_of_the_hosts_own_is_left_alone(asker, upstream, in_request):
    own = "00-" + "12" * 16 + "-" + "34" * 8 + "-00"
    with in_request():
        _, body = asker("GET", f"http://127.0.0.1:{upstream}/", {"Traceparent": own})
    assert told(body)["traceparent"] == own


@pytest.mark.parametrize(
    ("hosts", "target", "goes"),
    [
        (("none",), "127.0.0.1", False),
        (("all",), "127.0.0.1", True),
        (("example.org",), "127.0.0.1", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("example.org", "localhost"), "localhost", True),
    ],
)
def test_the_setting_decides_who_is_told(asker, upstream, in_request, propagate, hosts, target, goes):
    propagate(*hosts)
    with in_request(host="shop.example.com"):
        _, body = asker("GET", f"http://{target}:{upstream}/", {})
    assert ("traceparent" in told(body)) == goes


def test_a_redirection_to_another_site_is_not_told(asker, upstream, in_request, propagate):
    propagate("localhost")
    with in_request():
        _, body = asker("GET", f"http://localhost:{upstream}/redirect?http://127.0.0.1:{upstream}/", {})
    assert told(body)["host"].startswith("127.")
    assert "traceparent" not in told(body)


def test_outside_of_a_request_a_call_is_a_root_of_its_own_without_a_trace(asker, upstream):
    _, body = asker("GET", f"http://127.0.0.1:{upstream}/", {})
    assert "traceparent" not in told(body)
    assert [record[1:5] for record in RECORDER.drain().records] == [
        ("http_client", f"GET 127.0.0.1:{upstream}", "", "200")
    ]


def test_nothing_is_recorded_and_nobody_told_while_recording_is_off(asker, upstream, in_request):
    with in_request() as seen:
        RECORDER.on = False
        _, body = asker("GET", f"http://127.0.0.1:{upstream}/", {})
    assert "traceparent" not in told(body)
    assert not seen.children


def test_a_fault_of_ours_is_noted_and_the_call_answered(asker, upstream, in_request, monkeypatch):
    integrations = [sys.modules[f"pitstop.instrument.{name}"] for name in ("httpx", "urllib3", "aiohttp")]
    for integration in integrations:
        monkeypatch.setattr(integration, "traceparent_for", lambda *_: 1 / 0)
    with in_request() as seen:
        assert asker("GET", f"http://127.0.0.1:{upstream}/", {})[0] == 200
    assert len(seen.children) == 1
    assert any(place.split(".")[0] in ("httpx", "urllib3", "aiohttp") for place in faults())


def test_through_a_proxy_the_call_has_the_name_of_whom_it_asks(hooked, upstream, in_request):
    hooked("urllib3")
    import urllib3

    with in_request(host="shop.example.com") as seen, urllib3.ProxyManager(f"http://127.0.0.1:{upstream}") as proxy:
        response = proxy.request("GET", f"http://api.example.com:8080/{CANARY}")
        assert told(response.data)["traceparent"]
        response = proxy.request("GET", f"http://elsewhere.test/{CANARY}")
        assert "traceparent" not in told(response.data)
    assert seen.counts("http_client") == {"GET api.example.com:8080": 1, "GET elsewhere.test": 1}


def test_a_body_that_nobody_reads_is_still_a_call(hooked, upstream, in_request):
    hooked("httpx", "urllib3", "aiohttp")
    import httpx

    import requests

    with in_request() as seen:
        left = requests.get(f"http://127.0.0.1:{upstream}/slow", stream=True, timeout=5)
        with httpx.Client() as client, client.stream("GET", f"http://127.0.0.1:{upstream}/slow"):
            pass
    left.close()
    assert sum(seen.counts("http_client").values()) == 2


def test_everything_can_be_put_back(hooked):
    hooked("httpx", "urllib3", "aiohttp")
    import aiohttp.client_reqrep
    import aiohttp.connector
    import httpx
    import urllib3.connectionpool
    import urllib3.response

    from pitstop.instrument import aiohttp as ours_aiohttp
    from pitstop.instrument import httpx as ours_httpx
    from pitstop.instrument import urllib3 as ours_urllib3

    modules = [
        (ours_httpx, httpx._client),
        (ours_urllib3, urllib3.connectionpool),
        (ours_urllib3, urllib3.response),
        (ours_aiohttp, aiohttp.connector),
        (ours_aiohttp, aiohttp.client_reqrep),
    ]
    for integration, module in modules:
        integration.detach(module)
    methods = (
        httpx.Client._send_single_request,
        urllib3.HTTPConnectionPool._make_request,
        aiohttp.ClientResponse.start,
    )
    assert not any(hasattr(method, "__wrapped__") for method in methods)
    for integration, module in modules:
        integration.attach(module)
