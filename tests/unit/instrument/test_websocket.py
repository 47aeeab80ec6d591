# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ARG001  fixtures are known by name, applications by their protocol
"""A WebSocket connection is an operation, its messages are stages below it."""

from __future__ import annotations

import pytest

from pitstop.instrument.asgi import RecordingMiddleware
from pitstop.instrument.live import IN_FLIGHT
from pitstop.model.record import named

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
SCOPE = {"type": "websocket", "path": "/feed/3", "headers": []}


def playing(*steps):
    """An application that receives for "<" and sends everything else."""

    async def app(scope, receive, send):
        for step in steps:
            if step == "<":
                await receive()
            elif isinstance(step, BaseException):
                raise step
            else:
                await send(step)

    return app


def wrapped(app, recorder):
    return RecordingMiddleware(app, recorder, template_of=lambda _: "/feed/{n}")


def test_a_connection_and_its_messages_are_recorded(recorder, ask):
    hello = {"type": "websocket.send", "text": "grüße"}
    app = playing("<", ACCEPT, "<", hello, {"type": "websocket.close", "code": 4001})
    received = [CONNECT, {"type": "websocket.receive", "bytes": b"abc"}]
    exchange = ask(wrapped(app, recorder), dict(SCOPE), received)
    assert exchange.sent == [ACCEPT, hello, {"type": "websocket.close", "code": 4001}]
    sent, got, connection = named(recorder.drain().records)
    assert (connection.kind, connection.name, connection.outcome) == ("websocket", "WS /feed/{n}", "4001")
    assert [(op.kind, op.name, op.nbytes, op.parent) for op in (got, sent)] == [
        ("stage", "message received", 3, "WS /feed/{n}"),
        ("stage", "message sent", 7, "WS /feed/{n}"),
    ]
    assert not IN_FLIGHT


@pytest.mark.parametrize(
    ("steps", "received", "outcome"),
    [
        (["<", {"type": "websocket.close"}], [CONNECT], "403"),
        (["<", {"type": "websocket.http.response.start", "status": 401}], [CONNECT], "401"),
        (["<", ACCEPT, "<"], [CONNECT, {"type": "websocket.disconnect", "code": 1001}], "1001"),
        (["<", ACCEPT, "<"], [CONNECT, {"type": "websocket.disconnect"}], "1006"),
        (["<", ACCEPT, {"type": "websocket.close"}], [CONNECT], "1000"),
        (["<", ACCEPT], [CONNECT], "1000"),
        (["<", ACCEPT, ValueError("x")], [CONNECT], "1011"),
        (["<"], [CONNECT], "500"),
    ],
)
def test_the_outcome_says_how_the_connection_ended(recorder, ask, seen, steps, received, outcome):
    ask(wrapped(playing(*steps), recorder), dict(SCOPE), received)
    assert seen("websocket") == [("WS /feed/{n}", outcome)]


def test_a_peer_that_vanishes_is_a_1006_and_the_error_passes_through(recorder, ask, seen):
    app = playing("<", ACCEPT, {"type": "websocket.send", "text": "x"})
    exchange = ask(wrapped(app, recorder), dict(SCOPE), [CONNECT], fail_send_at=1)
    assert repr(exchange.error) == "OSError('the client is gone')"
    assert seen("websocket") == [("WS /feed/{n}", "1006")]


def test_messages_that_are_none_pass_through_without_harm(recorder, ask):
    app = playing("<", {}, {"type": "websocket.send"}, {"type": 7})
    assert ask(wrapped(app, recorder), dict(SCOPE), [{}]).as_seen() == ask(app, dict(SCOPE), [{}]).as_seen()
