"""One plain WSGI and one plain ASGI application in a Python that has Pitstop and nothing else; asked over HTTP.

python bare.py STORE_URL; says what third-party modules were imported, which must be none.
"""

import asyncio
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pitstop

REQUESTS = 25


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def wsgi(environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    found = environ["PATH_INFO"] == "/hello"
    start_response("200 OK" if found else "404 Not Found", [("Content-Length", "5")])
    return [b"hello"]


async def asgi(scope: Mapping[str, Any], _receive: object, send: Callable[..., Awaitable[None]]) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(url: str) -> None:
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()


async def drive(app: Callable[..., Awaitable[None]]) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Mapping[str, object]) -> None:
        pass

    for _ in range(REQUESTS):
        await app({"type": "http", "method": "POST", "path": "/hello", "headers": []}, receive, send)


def main() -> None:
    pitstop.init(service="bare", store=sys.argv[1])
    with make_server("127.0.0.1", 0, pitstop.instrument(wsgi), handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(REQUESTS):
            ask(f"http://127.0.0.1:{server.server_port}/hello")
            ask(f"http://127.0.0.1:{server.server_port}/nothing")
        server.shutdown()
    asyncio.run(drive(pitstop.instrument(asgi)))
    assert pitstop.shutdown(), "not everything was written"
    for name, module in sorted(sys.modules.items()):
        if "." not in name and "site-packages" in (getattr(module, "__file__", None) or "") and name != "pitstop":
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
