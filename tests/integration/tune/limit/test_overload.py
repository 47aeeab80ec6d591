"""A real uvicorn under three times the load it can bear: with the limiter it goes on serving, without it stops."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import pytest

from shop.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = Path(__file__).parent / "services"
CAPACITY_HZ = 80.0  # four connections, 50 ms; on a busy machine it bears less, which the bare service tells
USABLE_S = 0.8  # later nobody waits for it any more
OVERLOAD_S = 4.0


class Answer(NamedTuple):
    path: str
    status: int
    latency_s: float
    retry_after: str | None


async def offer(port: int, per_s: float, seconds: float) -> list[Answer]:
    """Open loop: requests leave when they are due, whatever has become of those before."""
    loop = asyncio.get_running_loop()
    answers: list[Answer] = []

    async def one(session: aiohttp.ClientSession, n: int, due_s: float) -> None:
        path = ("/pay", "/browse", "/report", "/browse", "/report")[n % 5]
        async with session.get(f"http://127.0.0.1:{port}{path}") as response:
            await response.read()
            latency_s = loop.time() - due_s
            answers.append(Answer(path, response.status, latency_s, response.headers.get("Retry-After")))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began_s, tasks = loop.time(), []
        for n in range(int(per_s * seconds)):
            due_s = began_s + n / per_s
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            tasks.append(asyncio.create_task(one(session, n, due_s)))
        await asyncio.gather(*tasks)
    return answers


async def saturate(port: int) -> tuple[list[Answer], float]:
    """Three times the load for a while: the answers, and how many a second there were until the last."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    answers = await offer(port, CAPACITY_HZ * 3, OVERLOAD_S / 2)
    return answers, len(answers) / (loop.time() - began_s)


async def standing(port: int) -> dict[str, float]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/limit") as response:
        body: dict[str, float] = await response.json(content_type=None)
        return body


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The service behind a limiter, and the same without."""
    folder = tmp_path_factory.mktemp("limit")
    found = []
    with ExitStack() as running:
        for name, bare in (("limited", ""), ("bare", "1")):
            port = free_port(0)
            command = [sys.executable, "-m", "uvicorn", "limited:app", "--port", str(port), "--no-access-log"]
            child = Child(name, command, folder / f"{name}.log", os.environ | {"BARE": bare}, SERVICES)
            running.callback(child.stop)
            assert child.answers(port, 30), child.last_lines()
            found.append(port)
        yield found[0], found[1]


def test_goodput_holds_the_important_come_first_and_the_limit_recovers(ports: tuple[int, int]) -> None:
    async def main() -> None:
        limited, bare = ports
        await asyncio.gather(*(offer(port, CAPACITY_HZ / 2, 2.0) for port in ports))
        calm = await standing(limited)
        beside = asyncio.create_task(saturate(bare))  # its queue takes a while to end
        with_limiter = await offer(limited, CAPACITY_HZ * 3, OVERLOAD_S)
        busy = await standing(limited)
        assert {answer.status for answer in with_limiter} == {200, 503}

        good = [answer for answer in with_limiter if answer.status == 200 and answer.latency_s <= USABLE_S]
        refused = [answer for answer in with_limiter if answer.status == 503]
        assert all(answer.retry_after in {"1", "2", "3"} for answer in refused)
        offered, served = Counter(a.path for a in with_limiter), Counter(a.path for a in good)
        ratio = {path: served[path] / offered[path] for path in offered}
        assert ratio["/pay"] > 0.7, ratio
        assert ratio["/pay"] > ratio["/browse"] > ratio["/report"], ratio
        assert busy["in_flight"] <= busy["limit"] + 1

        await offer(limited, CAPACITY_HZ / 2, 3.0)
        again = await offer(limited, CAPACITY_HZ / 2, 2.0)
        assert Counter(answer.status for answer in again)[503] <= 0.02 * len(again), await standing(limited)
        assert max(answer.latency_s for answer in again) < USABLE_S
        without, capacity_hz = await beside
        assert len(good) > 0.75 * min(CAPACITY_HZ, capacity_hz) * OVERLOAD_S, (len(good), capacity_hz, busy)
        assert {answer.status for answer in without} == {200}
        late = [answer for answer in without if answer.latency_s > USABLE_S]
        assert len(late) > 0.6 * len(without), len(late)
        assert calm["refused"] == {"critical": 0, "high": 0, "normal": 0, "low": 0}

    asyncio.run(main())
