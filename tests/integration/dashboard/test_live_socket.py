"""The live socket: numbers from the store each second, for those who may see them, whatever others do."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pitstop.dashboard import Keyring, create_app
from pitstop.store import open_store

Dashboard = Any  # the fixture of conftest.py, which cannot be imported


def opened(url: str, cookie: str, origin: str | None, query: str = "") -> Any:
    headers = {"cookie": f"pitstop_session={cookie}"} | ({"origin": origin} if origin else {})
    address = url.replace("http", "ws") + "/api/v1/live" + query
    return connect(address, additional_headers=headers, proxy=None)


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://localhost:1"])
def test_a_page_of_somebody_else_gets_no_socket(dashboard: Dashboard, origin: str | None) -> None:
    async def attempt() -> None:
        cookie, _ = dashboard.keyring.open_session("admin")
        with pytest.raises(InvalidStatus) as refused:
            async with opened(dashboard.url, cookie, origin):
                pass
        assert refused.value.response.status_code == 403

    asyncio.run(attempt())


def test_nobody_gets_a_socket_without_a_session(dashboard: Dashboard) -> None:
    async def attempt() -> None:
        with pytest.raises(InvalidStatus):
            async with opened(dashboard.url, "made-up", dashboard.url):
                pass

    asyncio.run(attempt())


async def until(socket: ClientConnection, wanted: Any, deadline_s: float = 15) -> dict[str, Any]:
    async with asyncio.timeout(deadline_s):
        while True:
            message = json.loads(await socket.recv())
            if wanted(message):
                return message


def test_what_a_worker_writes_is_heard_by_every_socket_of_its_service(dashboard: Dashboard, write: Any) -> None:
    async def listen() -> None:
        cookie, _ = dashboard.keyring.open_session("admin")
        async with (
            opened(dashboard.url, cookie, dashboard.url) as everything,
            opened(dashboard.url, cookie, dashboard.url, "?service=shop") as shop,
            opened(dashboard.url, cookie, dashboard.url, "?service=quiet") as quiet,
        ):
            await until(everything, lambda m: "requests" in m)
            write(dashboard.store, "live:1:aa", 1, int(time.time()), 500)
            for socket in (everything, shop):
                heard = await until(socket, lambda m: m["requests"] >= 500)
                assert heard["p95_s"] == pytest.approx(0.02, rel=0.011)
                assert heard["requests_per_s"] == heard["requests"] / heard["span_s"]
            nothing = await until(quiet, lambda _: True)
            assert nothing["requests"] == 0
            assert nothing["p95_s"] is None

    asyncio.run(listen())


def test_signing_out_closes_the_socket_within_seconds(dashboard: Dashboard) -> None:
    async def listen() -> None:
        cookie, session = dashboard.keyring.open_session("admin")
        async with opened(dashboard.url, cookie, dashboard.url) as socket:
            await socket.recv()
            dashboard.keyring.close_session(session.id)
            with pytest.raises(ConnectionClosed) as closed:
                await until(socket, lambda _: False, 6)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    asyncio.run(listen())


def test_one_question_a_second_serves_300_sockets_and_a_stuck_one_delays_nobody(tmp_path: Any, serving: Any) -> None:
    store = open_store(f"sqlite:///{tmp_path}/p.db")
    asked: list[float] = []
    rollups = store.rollups

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(time.monotonic())
        return rollups(*args, **kwargs)

    store.rollups = counted  # type: ignore[method-assign]  # still the real store, with a tally
    keyring = Keyring()
    cookie, _ = keyring.open_session("admin")
    app = create_app(store, auth=keyring)

    async def one(url: str, gate: asyncio.Semaphore, ready: asyncio.Event) -> list[int]:
        async with gate:
            socket = await opened(url, cookie, url)
        async with socket:
            await ready.wait()
            return [json.loads(await socket.recv())["at_s"] for _ in range(5)]

    async def crowd(url: str) -> None:
        gate, ready = asyncio.Semaphore(20), asyncio.Event()
        stuck = await opened(url, cookie, url)
        stuck.transport.pause_reading()
        tasks = [asyncio.create_task(one(url, gate, ready)) for _ in range(300)]
        async with asyncio.timeout(30):
            while app.state.desk.hub.sockets < 301:  # noqa: ASYNC110  the server is another thread
                await asyncio.sleep(0.02)
        asked.clear()
        started_s = time.monotonic()
        ready.set()
        async with asyncio.timeout(30):
            heard = await asyncio.gather(*tasks)
        took_s = time.monotonic() - started_s
        assert len(asked) <= took_s + 2
        assert all(times == sorted(times) and times[-1] > times[0] for times in heard)
        stuck.transport.resume_reading()
        await stuck.close()

    with serving(app) as url:
        asyncio.run(crowd(url))
    store.close()
