"""Static files: what is served, how it may be kept, and what is never served."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.tune.static import StaticFiles, WSGIStaticFiles, precompress
from pitstop.tune.static.index import SMALL_BYTES, is_hashed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[..., tuple[int, dict[str, str], bytes]]

JS = b"console.log('pit');\n" * 100
BIG = bytes(range(256)) * (SMALL_BYTES // 256 + 10)
SECRET = b"the host's own"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_bytes(SECRET)
    root = tmp_path / "static"
    (root / "docs").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "app.js").write_bytes(JS)
    (root / "main.3f2a9c1b.css").write_bytes(b"a{}")
    (root / "big.bin").write_bytes(BIG)
    (root / "docs" / "index.html").write_bytes(b"<p>")
    (root / "docs" / "Übung 1.txt").write_bytes(b"hello")
    (root / ".env").write_bytes(SECRET)
    (root / ".git" / "config").write_bytes(SECRET)
    (root / "out").symlink_to(tmp_path)
    (root / "secret.txt").symlink_to(tmp_path / "secret.txt")
    (root / "inside.js").symlink_to(root / "app.js")
    return root


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode(errors="replace")})


def _wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("418 I'm a teapot", [])
    return [environ["PATH_INFO"].encode("latin-1")]


def _ask_asgi(static: Any, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "method": method, "path": path, "root_path": "",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    asyncio.run(static(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert [message.get("more_body", False) for message in sent[1:-1]] == [True] * (len(sent) - 2)
    return sent[0]["status"], told, b"".join(message["body"] for message in sent[1:])


def _ask_wsgi(static: Any, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    told: list[Any] = []
    environ = {"PATH_INFO": path.encode("utf-8", "surrogateescape").decode("latin-1"), "REQUEST_METHOD": method}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    body = static(environ, lambda status, pairs: told.append((status, pairs)))
    whole = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return int(told[0][0][:3]), dict(told[0][1]), whole


@pytest.fixture(params=["asgi", "wsgi"])
def make(request: pytest.FixtureRequest) -> Callable[..., tuple[Any, Ask]]:
    def build(folder: Path, **options: Any) -> tuple[Any, Ask]:
        static = (
            StaticFiles(_app, folder, **options)
            if request.param == "asgi"
            else WSGIStaticFiles(_wsgi_app, folder, **options)
        )
        ask = _ask_asgi if request.param == "asgi" else _ask_wsgi
        return static, lambda path, method="GET", **headers: ask(static, path, method, **headers)

    return build


def test_a_file_is_served_with_what_browsers_need_to_keep_it(folder: Path, make: Any) -> None:
    static, ask = make(folder)
    status, headers, body = ask("/static/app.js")
    assert (status, body) == (200, JS)
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["cache-control"] == "public, max-age=60"
    assert headers["content-length"] == str(len(JS))
    assert headers["x-content-type-options"] == "nosniff"
    assert ask("/static/app.js", if_none_match=headers["etag"])[::2] == (304, b"")
    assert ask("/static/app.js", if_modified_since=headers["last-modified"])[0] == 304
    assert ask("/static/app.js", "HEAD") == (200, headers, b"")
    assert ask("/static/app.js", "POST")[0] == 405
    assert ask("/static/app.js", if_match='"other"')[0] == 412
    assert static.files_served() == 6
    assert ask("/static/docs/")[2] == ask("/static/docs/index.html")[2] == b"<p>"
    assert ask("/static/docs/Übung 1.txt")[2] == b"hello"
    assert ask("/static/inside.js")[2] == JS
    assert "immutable" in ask("/static/main.3f2a9c1b.css")[1]["cache-control"]


def test_parts_of_files_in_memory_and_on_the_disk_are_served(folder: Path, make: Any) -> None:
    _, ask = make(folder)
    for path, whole in (("/static/app.js", JS), ("/static/big.bin", BIG)):
        status, headers, body = ask(path, range="bytes=10-19")
        assert (status, body, headers["content-range"]) == (206, whole[10:20], f"bytes 10-19/{len(whole)}")
        assert ask(path, range=f"bytes={len(whole)}-")[0] == 416
        assert ask(path, range="bytes=-5", if_range='"old"')[::2] == (200, whole)
        assert ask(path)[2] == whole


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt", "/static/docs/../../secret.txt", "/static//secret.txt", "/static/secret.txt",
        "/static/..%2fsecret.txt", "/static/..\\secret.txt", "/static/out/secret.txt", "/static/.env",
        "/static/.git/config",
        "/static//etc/passwd", "/static/", "/static/docs", "/static/app.js/", "/static/app.js\x00.png", "/staticapp.js",
        "/static/%2e%2e/secret.txt", "//static/app.js", "/static/nothing", "/static/\udcff",
    ],
)  # fmt: skip
def test_what_is_no_file_of_the_folder_goes_to_the_application(folder: Path, make: Any, path: str) -> None:
    status, _, body = make(folder)[1](path)
    assert status == 418
    assert SECRET not in body


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "", "%2e%2e", "\\", "secret.txt", "out", "docs", "\0", "~"]), max_size=8))
def test_no_path_leads_out_of_the_folder(folder: Path, parts: list[str]) -> None:
    static = StaticFiles(None, folder)
    status, _, body = _ask_asgi(static, "/static/" + "/".join(parts))
    assert SECRET not in body
    assert status in {200, 404}


def test_the_smallest_encoding_that_the_client_takes_is_served(folder: Path, make: Any) -> None:
    saved = precompress(folder)
    assert set(saved) >= {"app.js.br", "app.js.gz"}
    assert precompress(folder) == {}
    _, ask = make(folder)
    plain = ask("/static/app.js")[1]
    status, headers, body = ask("/static/app.js", accept_encoding="gzip, br;q=0")
    assert (status, gzip.decompress(body), headers["content-encoding"]) == (200, JS, "gzip")
    assert headers["vary"] == plain["vary"] == "Accept-Encoding"
    assert headers["content-type"] == plain["content-type"]
    brotli = ask("/static/app.js", accept_encoding="br, gzip")[1]
    assert brotli["content-encoding"] == "br"
    assert len({plain["etag"], headers["etag"], brotli["etag"]}) == 3
    assert "content-encoding" not in ask("/static/app.js", accept_encoding="identity")[1]
    assert ask("/static/app.js", accept_encoding="gzip", range="bytes=0-3")[2] == JS[:4]


def test_a_packed_file_that_is_older_than_its_original_is_not_served(folder: Path, make: Any) -> None:
    precompress(folder, brotli=False)
    os.utime(folder / "app.js.gz", (1, 1))
    assert "content-encoding" not in make(folder)[1]("/static/app.js", accept_encoding="gzip")[1]


def test_a_large_file_that_was_replaced_is_read_anew_and_one_that_is_gone_is_not_found(folder: Path, make: Any) -> None:
    _, ask = make(folder)
    before = ask("/static/big.bin")[1]["etag"]
    (folder / "big.bin").write_bytes(BIG + b"more")
    status, headers, body = ask("/static/big.bin")
    assert (status, body, headers["content-length"]) == (200, BIG + b"more", str(len(BIG) + 4))
    assert headers["etag"] != before
    (folder / "big.bin").write_bytes(b"small now")
    assert ask("/static/big.bin")[2] == b"small now"
    _, ask = make(folder, in_memory_bytes=0)
    assert ask("/static/app.js")[2] == JS
    (folder / "app.js").unlink()
    assert ask("/static/app.js")[0] == 404


@pytest.fixture
def large(folder: Path) -> bytes:
    """The content of ``large.js``, whose packed form is not held in memory either."""
    content = os.urandom(SMALL_BYTES * 2).hex().encode()
    (folder / "large.js").write_bytes(content)
    (folder / "large.js.gz").write_bytes(gzip.compress(content))
    return content


def test_without_its_packed_form_a_large_file_is_served_as_it_is(folder: Path, make: Any, large: bytes) -> None:
    _, ask = make(folder)
    assert ask("/static/large.js", accept_encoding="gzip")[1]["content-encoding"] == "gzip"
    (folder / "large.js.gz").unlink()
    status, headers, body = ask("/static/large.js", accept_encoding="gzip")
    assert (status, body) == (200, large)
    assert "content-encoding" not in headers
    (folder / "large.js").unlink()
    assert ask("/static/large.js", accept_encoding="gzip")[0] == 404


def test_a_packed_form_is_not_served_once_its_original_was_replaced(folder: Path, make: Any, large: bytes) -> None:
    _, ask = make(folder)
    assert gzip.decompress(ask("/static/large.js", accept_encoding="gzip")[2]) == large
    (folder / "large.js").write_bytes(b"new" + large)
    os.utime(folder / "large.js", (4e9, 4e9))  # later than the packed form, however coarse the clock
    assert ask("/static/large.js", accept_encoding="gzip")[2] == b"new" + large


def test_a_file_that_cannot_be_opened_is_not_said_to_be_gone(folder: Path, make: Any) -> None:
    _, ask = make(folder)
    file = folder / "big.bin"
    file.unlink()
    file.symlink_to(file)  # ELOOP, as any other trouble
    assert [ask("/static/big.bin")[0] for _ in range(2)] == [503, 503]
    file.unlink()
    file.write_bytes(BIG + b"again")
    assert ask("/static/big.bin")[2] == BIG + b"again"


def test_a_link_that_was_put_in_a_files_place_does_not_lead_out(folder: Path, make: Any) -> None:
    (folder / "circle").symlink_to(folder / "circle")
    _, ask = make(folder)
    assert ask("/static/circle")[0] == 418
    (folder / "big.bin").unlink()
    (folder / "big.bin").symlink_to(folder.parent / "secret.txt")
    status, _, body = ask("/static/big.bin")
    assert (status, body) == (404, b"")


def test_who_leaves_while_a_file_is_opened_leaves_no_file_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static = StaticFiles(None, folder)
    opened: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    plain = os.open

    def slow(*args: Any) -> int:
        opened.append(plain(*args))
        begun.set()
        go_on.wait(10)
        return opened[0]

    async def run() -> None:
        monkeypatch.setattr(os, "open", slow)
        asking = asyncio.create_task(static({"type": "http", "path": "/static/big.bin", "method": "GET", "headers": []},
                                            None, None))  # fmt: skip
        await asyncio.to_thread(begun.wait)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        go_on.set()

    asyncio.run(run())
    monkeypatch.undo()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_while_developing_changes_are_seen_at_once(folder: Path, make: Any) -> None:
    _, ask = make(folder, reload=True)
    (folder / "app.js").write_bytes(b"new")
    (folder / "added.js").write_bytes(b"added")
    assert ask("/static/app.js")[2] == b"new"
    assert ask("/static/added.js")[2] == b"added"


def test_without_an_application_the_rest_is_not_found(folder: Path) -> None:
    assert _ask_asgi(StaticFiles(None, folder), "/else")[0] == 404
    assert _ask_wsgi(WSGIStaticFiles(None, folder), "/else")[0] == 404


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("main.3f2a9c1b.js", True),
        ("base.27e20196a850.css", True),
        ("index-BxYz12_3.js", True),
        ("chunk-a1b2c3d4.mjs", True),
        ("app.js", False),
        ("report-20261121.js", False),
        ("guide-standard.js", False),
        ("guide-version2.js", False),
        ("jquery-3.7.1.min.js", False),
        ("decade.js", False),
    ],
)
def test_only_names_with_a_hash_are_kept_forever(name: str, *, hashed: bool) -> None:
    assert is_hashed(name) == hashed


def test_folders_and_prefixes_that_make_no_sense_are_refused(folder: Path) -> None:
    with pytest.raises(SettingError, match="no folder"):
        StaticFiles(None, folder / "none")
    with pytest.raises(SettingError, match="prefix"):
        StaticFiles(None, folder, prefix="static")
    with pytest.raises(SettingError, match="no folder"):
        precompress(folder / "none")
