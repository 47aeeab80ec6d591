"""What the guard's audit hook lets through, asked without installing it: there would be no way back."""

from __future__ import annotations

import socket
import threading

import pytest

from pitstop.egress import Allowed, EgressError, EgressRefusedError, resolved
from pitstop.egress.guard import ProcessGuard
from pitstop.egress.resolving import _AT_ONCE


@pytest.mark.parametrize(
    ("event", "address"),
    [
        ("socket.connect", ("127.0.0.1", 80)),
        ("socket.connect", ("::1", 80, 0, 0)),
        ("socket.connect", ("fe80::1%eth0", 80, 0, 2)),
        ("socket.connect", ("example.com", 80)),
        ("socket.connect", ("2130706433", 80)),
        ("socket.connect", "/run/docker.sock"),
        ("socket.connect", b"\0abstract"),
        ("socket.sendto", ("10.0.0.1", 514)),
        ("socket.sendmsg", ("169.254.169.254", 80)),
    ],
)
def test_what_is_not_public_is_refused_and_told(event: str, address: object) -> None:
    heard: list[EgressRefusedError] = []
    guard = ProcessGuard(Allowed(["private.internal"]), heard.append)

    with pytest.raises(EgressRefusedError):
        guard._audit(event, (None, address))
    assert len(heard) == 1


def test_what_is_public_or_connected_already_passes() -> None:
    guard = ProcessGuard(Allowed(["10.0.0.7:25"]), pytest.fail)
    for address in (("1.1.1.1", 53), ("2606:4700:4700::1111", 443, 0, 0), ("10.0.0.7", 25), None):
        guard._audit("socket.sendmsg", (None, address))
    guard._audit("open", ("/etc/passwd", "r", 0))


def test_no_program_is_started() -> None:
    heard: list[EgressRefusedError] = []
    with pytest.raises(EgressRefusedError, match="another program"):
        ProcessGuard(Allowed(), heard.append)._audit("subprocess.Popen", ("sh", [], None, None))
    assert heard


def test_what_was_looked_up_and_judged_may_be_called_at_that_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        guard = ProcessGuard(Allowed([f"localhost:{port}"]), lambda _: None)
        found = guard._looked_up("LOCALHOST.", port, socket.AF_INET)
        guard._audit("socket.connect", (None, found[0][4]))
        with pytest.raises(EgressRefusedError):
            guard._audit("socket.connect", (None, ("127.0.0.1", port + 1)))
        with pytest.raises(EgressRefusedError):
            guard._looked_up("localhost", port + 1)
        for host in (None, "", b"a b"):
            with pytest.raises(EgressRefusedError):
                guard._looked_up(host, port)


def test_questions_that_nobody_answers_are_counted_and_have_an_end() -> None:
    released = threading.Event()

    def hanging(_host: str, _port: int) -> list[str]:
        released.wait(10)
        return ["1.1.1.1"]

    try:
        for _ in range(_AT_ONCE):
            with pytest.raises(EgressError, match="within"):
                resolved("slow.example", 80, Allowed(), hanging, 0.001)
        with pytest.raises(EgressError, match="are unanswered"):
            resolved("slow.example", 80, Allowed(), hanging, 0.001)
    finally:
        released.set()
        for thread in threading.enumerate():  # the next test asks, too
            if thread.name == "pitstop-resolver":
                thread.join(10)


@pytest.mark.parametrize(
    ("answer", "says"),
    [([], "no address"), (OSError(5, "Input/output error"), "Input/output error"), (UnicodeError("x"), "x")],
)
def test_a_name_without_an_address_is_said(answer: list[str] | Exception, says: str) -> None:
    def resolver(_host: str, _port: int) -> list[str]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(EgressError, match=says):
        resolved("gone.example", 80, Allowed(), resolver, 2)
