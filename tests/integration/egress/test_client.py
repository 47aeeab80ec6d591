"""Real servers on loopback, allowed by name; and everything that leads elsewhere."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pitstop.egress import Client
from pitstop.model.errors import EgressError, EgressRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        size = int(self.path.rpartition("=")[2] or 0) if "size=" in self.path else 2
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("X-Name", "value")
        self.end_headers()
        self.wfile.write(b"k" * size)

    do_POST = do_GET  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        pass


class Server:
    def __init__(self, server: ThreadingHTTPServer, seen: list[tuple[str, str, dict[str, str], bytes]]) -> None:
        self.port: int = server.server_address[1]
        self.seen = seen


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Handler,), {"seen": seen}))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Server(server, seen)
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does with a connection what `talk` does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            with wire, suppress(OSError):
                talk(wire)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_an_allowed_host_is_called_with_what_was_given(server: Server) -> None:
    client = Client([f"localhost:{server.port}"])

    answer = client.request(
        "POST", f"http://us%65r:p%40ss@localhost:{server.port}/a?b=é#c", headers={"X-One": "1"}, body=b"body"
    )

    assert (answer.status, answer.body, answer.headers["x-name"], answer.cut) == (200, b"kk", "value", False)
    method, path, headers, body = server.seen[0]
    assert (method, path, body) == ("POST", "/a?b=%C3%A9", b"body")
    assert headers["host"] == f"localhost:{server.port}"
    assert headers["x-one"] == "1"
    assert headers["authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "0.0.0.0"],
)
def test_loopback_is_not_called_however_it_is_written(server: Server, host: str) -> None:
    with pytest.raises(EgressRefusedError):
        Client().request("GET", f"http://{host}:{server.port}/")

    assert server.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "127.1"])
def test_a_name_that_is_allowed_does_not_allow_its_address_by_another_name(server: Server, host: str) -> None:
    with pytest.raises(EgressRefusedError):
        Client(["localhost"]).request("GET", f"http://{host}:{server.port}/")

    assert server.seen == []


def test_a_redirect_to_loopback_is_not_followed() -> None:
    with serving() as inner, serving() as outer:
        answer = Client([f"localhost:{outer.port}"]).request(
            "GET", f"http://localhost:{outer.port}/to/http://127.0.0.1:{inner.port}/secret"
        )

        assert answer.status == 302
        assert inner.seen == []


def test_a_name_that_is_public_at_first_and_private_then_is_asked_once(server: Server) -> None:
    """Rebinding: the second answer of the name server is never used, because there is no second question."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1" if host == "test.net" else "203.0.113.1"] if len(asked) == 1 else ["127.0.0.1"]

    with pytest.raises(EgressError):
        Client(["test.net"], resolver=rebinding).request("GET", f"http://test.net:{server.port}/", timeout_s=0.2)

    assert asked == ["test.net"]
    assert server.seen == []


def test_the_second_answer_is_judged_anew_with_the_second_request(server: Server) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"], ["1.1.1.1", "127.0.0.1"]])
    client = Client(["hooks.internal"], resolver=lambda _host, _port: next(answers))

    assert client.request("GET", f"http://hooks.internal:{server.port}/").status == 200
    with pytest.raises(EgressRefusedError, match="metadata"):
        client.request("GET", f"http://hooks.internal:{server.port}/")
    strict = Client(resolver=lambda _host, _port: next(answers))
    with pytest.raises(EgressRefusedError, match="loopback"):
        strict.request("GET", f"http://half.example:{server.port}/")
    assert server.seen[0][2]["host"] == f"hooks.internal:{server.port}"
    assert len(server.seen) == 1


def test_a_slow_drip_ends_at_the_deadline_of_the_whole() -> None:
    def drip(wire: socket.socket) -> None:
        wire.recv(65536)
        wire.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            wire.sendall(b"X: y\r\n")
            time.sleep(0.05)

    with talking(drip) as port:
        began = time.monotonic()
        with pytest.raises(EgressError, match=r"within 0\.5 s"):
            Client(["localhost"]).request("GET", f"http://localhost:{port}/", timeout_s=0.5)

        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nk", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_hangs_ends_at_the_deadline(part: bytes) -> None:
    released = threading.Event()

    def hang(wire: socket.socket) -> None:
        wire.recv(65536)
        wire.sendall(part)
        released.wait(5)

    with talking(hang) as port:
        with pytest.raises(EgressError, match=r"within 0\.3 s"):
            Client(["localhost"]).request("GET", f"http://localhost:{port}/", timeout_s=0.3)
        released.set()


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    released = threading.Event()

    def hanging(_host: str, _port: int) -> list[str]:
        released.wait(5)
        return []

    with pytest.raises(EgressError, match="no name server"):
        Client(resolver=hanging).request("GET", "http://slow.example/", timeout_s=0.2)
    released.set()


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9\r\n", b"", b"HTTP/1.1 banana\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000]
)
def test_what_is_no_http_is_an_error_in_words(said: bytes) -> None:
    with (
        talking(lambda wire: (wire.recv(65536), wire.sendall(said))[1]) as port,
        pytest.raises(EgressError, match="localhost"),
    ):
        Client(["localhost"]).request("GET", f"http://localhost:{port}/", timeout_s=2)


def test_a_long_body_is_read_as_far_as_was_asked_for(server: Server) -> None:
    client = Client(["localhost"])

    answer = client.request("GET", f"http://localhost:{server.port}/?size=500000", most_bytes=1000)

    assert (len(answer.body), answer.cut) == (1000, True)
    assert not client.request("GET", f"http://localhost:{server.port}/?size=1000", most_bytes=1000).cut


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://localhost/", "ftp://localhost/", "//localhost/", "localhost", "http://", "http:///x",
        "http://localhost:0/", "http://localhost:99999/", "http://localhost:x/", "http://local host/", "http://[::1/",
        "http://localhost/\r\nX: y", "http://localhost\\@evil.example/", "http://localhost/\x00", "http://a%00b/", "http://a,b/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(EgressRefusedError):
        Client(["localhost"]).request("GET", url, timeout_s=0.2)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X": "a\nb"},
        {"X\r\nY": "a"},
        {"X:": "a"},
        {"": "a"},
        {"Host": "evil"},
        {"X": "\x00"},
        {"X": "é€"},
    ],
)
def test_a_header_that_would_be_two_is_refused(server: Server, headers: dict[str, str]) -> None:
    with pytest.raises(EgressRefusedError):
        Client(["localhost"]).request("GET", f"http://localhost:{server.port}/", headers=headers)
    with pytest.raises(EgressRefusedError):
        Client(["localhost"]).request("GET /x HTTP/1.1\r\nX:", f"http://localhost:{server.port}/")

    assert server.seen == []


def test_proxies_of_the_environment_are_not_taken(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert Client(["localhost"]).request("GET", f"http://localhost:{server.port}/").status == 200


def test_nobody_who_listens_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(EgressError, match="Connection refused"):
        Client(["localhost"]).request("GET", f"http://localhost:{port}/")


def test_the_next_address_is_tried_when_one_is_dead(server: Server) -> None:
    client = Client(["two.internal", "192.0.2.1"], resolver=lambda _host, _port: ["127.0.0.9", "127.0.0.1"])

    assert client.request("GET", f"http://two.internal:{server.port}/", timeout_s=3).status == 200


def test_certificates_are_checked_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path, "good.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def client() -> Client:
        return Client(["good.internal", "bad.internal"], resolver=lambda _host, _port: ["127.0.0.1"])

    with serving(context) as server:
        with pytest.raises(EgressError, match="self-signed"):
            client().request("GET", f"https://good.internal:{server.port}/", timeout_s=3)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert client().request("GET", f"https://good.internal:{server.port}/", timeout_s=3).status == 200
        with pytest.raises(EgressError, match="certificate"):
            client().request("GET", f"https://bad.internal:{server.port}/", timeout_s=3)


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
