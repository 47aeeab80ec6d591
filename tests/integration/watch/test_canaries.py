"""Secrets of channels are in no file, no log, no word and no error."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model import PitstopError
from pitstop.model.watching import DEAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace

CANARY = "c4n4ry"


def test_a_planted_secret_is_found_nowhere(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words: list[str] = []
    echo = provider(_echoing)
    addresses = {
        "hook": ("webhook", f"http://user-{CANARY}:pass-{CANARY}@localhost:{echo.port}/{CANARY}?token={CANARY}"),
        "refused": ("webhook", f"http://10.0.0.1/{CANARY}"),
        "gone": ("webhook", f"http://localhost:1/{CANARY}"),
        "unknown": ("webhook", f"http://x.invalid/{CANARY}"),
        "manager": ("alertmanager", f"http://u:{CANARY}@localhost:{echo.port}/{CANARY}"),
        "json": ("apprise", f"json://u{CANARY}:{CANARY}@localhost:{echo.port}/{CANARY}?-x={CANARY}&+X-Key={CANARY}"),
        "slack": ("apprise", f"slack://{CANARY}/{CANARY}/{CANARY}/#{CANARY}"),
        "mail": ("apprise", f"mailto://me:{CANARY}@localhost:1?to={CANARY}@example.com&from=a@b.example"),
    }  # fmt: skip
    for name, (kind, url) in addresses.items():
        told.add(name, url, kind=kind, secret=f"whsec-{CANARY}", timeout="5s")
    with pytest.raises(PitstopError) as caught:
        told.add("bad", f"https://h:{CANARY}/", secret=CANARY)
    words.append(str(caught.value))
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: all(told.states(name) == [DEAD] for name in addresses), 30)
    words += [repr(one) for one in told.outbox.send_test()]
    words += [repr(one) for one in told.outbox.deliveries()]
    words += [repr(one) for one in told.outbox.channels()]
    words += [repr(told.channels.all()), str(told.channels.all())]
    told.channels.load([{"name": "f", "kind": "webhook", "url": f"x://{CANARY}", "secret": CANARY}], "rules.toml")
    words += [repr(one) for one in told.outbox.channels()]
    assert told.outbox.stop(5)

    assert echo.got, "the canary went where it belongs"
    basic = base64.b64encode(f"u:{CANARY}".encode()).decode()
    assert any(basic in str(headers) for _, headers, _ in echo.got)
    for said in words:
        assert CANARY not in said
    assert CANARY not in caplog.text
    assert "is given up" in caplog.text
    for path in tmp_path.iterdir():
        assert CANARY.encode() not in path.read_bytes(), path.name
        assert path.stat().st_mode & 0o077 == 0, path.name


def _echoing(handler: Any, body: bytes) -> None:
    """A provider that says back in its answer what it was sent."""
    said = f"{handler.path} {handler.headers} ".encode() + body
    handler.send_response(400, f"no {CANARY}")
    handler.send_header("X-Echo", CANARY)
    handler.send_header("Content-Length", str(len(said)))
    handler.end_headers()
    handler.wfile.write(said)
