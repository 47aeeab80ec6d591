"""The guard of a whole process: whatever opens a connection there passes it, however it does it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = """
import asyncio, http.client, json, os, smtplib, socket, subprocess, sys, urllib.request
from pitstop.egress import Allowed
from pitstop.egress.guard import ProcessGuard

port = int(sys.argv[1])
heard = []
ask = socket.getaddrinfo
answers = {"public.example": ["203.0.113.9"], "turns.example": ["203.0.113.9"]}

def names(host, port, *args, **kwargs):
    if host in answers:
        (address,) = answers[host]
        answers["turns.example"] = ["127.0.0.1"]
        return ask(address, port, *args, **kwargs)
    return ask(host, port, *args, **kwargs)

socket.getaddrinfo = names
ProcessGuard(Allowed(json.loads(sys.argv[2])), heard.append).install()
tries = {
    "create_connection": lambda: socket.create_connection(("127.0.0.1", port), 1),
    "connect": lambda: socket.socket().connect(("127.0.0.1", port)),
    "connect a name": lambda: socket.socket().connect(("localhost", port)),
    "connect a number": lambda: socket.socket().connect(("2130706433", port)),
    "connect any": lambda: socket.socket().connect(("", port)),
    "connect_ex": lambda: socket.socket().connect_ex(("127.0.0.1", port)),
    "below": lambda: super(socket.socket, socket.socket()).connect(("127.0.0.1", port)),
    "below, a name": lambda: super(socket.socket, socket.socket()).connect(("localhost", port)),
    "six": lambda: socket.socket(socket.AF_INET6).connect(("::1", port)),
    "mapped": lambda: socket.socket(socket.AF_INET6).connect(("::ffff:127.0.0.1", port)),
    "udp": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
    "udp, a name": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("localhost", port)),
    "sendmsg": lambda: socket.socket(type=socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("127.0.0.1", port)),
    "unix": lambda: socket.socket(socket.AF_UNIX).connect("/run/docker.sock"),
    "urllib": lambda: urllib.request.urlopen(f"http://localhost:{port}/", timeout=1),
    "smtp": lambda: smtplib.SMTP("localhost", port, timeout=1),
    "asyncio": lambda: asyncio.run(asyncio.open_connection("localhost", port)),
    "program": lambda: subprocess.run(["true"]),
    "shell": lambda: os.system("true"),
    "metadata": lambda: socket.create_connection(("169.254.169.254", 80), 1),
    "fork": lambda: os.fork(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
}
for name, call in tries.items():
    before = len(heard)
    try:
        call()
        said = "done"
    except Exception as error:
        said = type(error).__name__
    print(json.dumps([name, said, len(heard) > before]), flush=True)
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _run(port: int, allow: list[str]) -> dict[str, tuple[str, bool]]:
    done = subprocess.run(
        [sys.executable, "-c", SETUP, str(port), json.dumps(allow)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return {name: (said, heard) for name, said, heard in map(json.loads, done.stdout.splitlines())}


def test_nothing_private_is_reached_by_any_call(port: int) -> None:
    seen = _run(port, [])

    assert len(seen) == 22
    for name, (said, heard) in seen.items():
        assert said == ("URLError" if name == "urllib" else "EgressRefusedError"), name
        assert heard, name


def test_what_is_allowed_by_name_is_reached_by_that_name_only(port: int) -> None:
    seen = _run(port, [f"localhost:{port}"])

    for name in ("connect a name", "udp, a name", "asyncio"):
        assert seen[name][0] == "done", name
    for name in ("connect a number", "mapped", "unix", "program", "shell", "exec", "fork", "metadata"):
        assert seen[name] == ("EgressRefusedError", True), name


REBINDING = (
    SETUP.partition("tries = {")[0]
    + """
first = socket.getaddrinfo("turns.example", port)
try:
    socket.create_connection(("turns.example", port), 1)
except OSError as error:
    print(type(error).__name__)
try:
    socket.socket().connect(("203.0.113.9", 9))
except OSError as error:
    print(type(error).__name__)
"""
)


def test_a_name_that_turns_private_is_refused_the_second_time(port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REBINDING, str(port), '["203.0.113.9"]'],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip

    assert done.stdout.split()[0] == "EgressRefusedError"
