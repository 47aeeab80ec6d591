"""Apprise's services against real servers: HTTP and SMTP on loopback, and the guard around its process."""

from __future__ import annotations

import email
import email.policy
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apprise
import pytest
from aiosmtpd.controller import Controller
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.pagerduty import NotifyPagerDuty
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

from pitstop.model.watching import RESOLVED
from pitstop.watch.apprise_host import HOST, AppriseHost
from pitstop.watch.channels.apprise import Apprise, blotted
from pitstop.watch.channels.apprise_child import Child, Seen, keyed
from pitstop.watch.message import message_of
from pitstop.watch.secrets import Secret
from pitstop.watch.sending import SendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace

TOKEN = "T0KENcanary"
HOSTILE = "x\r\nBcc: evil@example.com\r\n\r\n.\r\n<!channel> <!here|x> @everyone @here <@U1> $(id) <b>bold</b> [a](http://evil)"


@pytest.fixture(scope="module", autouse=True)
def host() -> Iterator[AppriseHost]:
    """Loaded once for all of these tests."""
    HOST.start()
    yield HOST
    HOST.stop()


@pytest.fixture
def send() -> Callable[..., None]:
    """Sends through Apprise, which may reach `localhost`."""

    def go(url: str, note: Any, *, timeout_s: float = 8.0, allow: tuple[str, ...] = ("localhost",)) -> None:
        Apprise(Secret(url), allow).send(note, "msg_1", timeout_s)

    return go


def gone(pid: int) -> bool:
    """Whether that process has ended."""
    with suppress(OSError):
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


def until(holds: Callable[[], object], within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def forked(pid: int) -> list[int]:
    """The processes that it has made and that are still there."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Mailbox:
    """An SMTP server's, which refuses whoever begins with `no` for good and with `busy` for now."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.is_busy = True

    async def handle_RCPT(  # noqa: N802  aiosmtpd's names
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("no") or (address.startswith("busy") and self.is_busy):
            return f"{550 if address.startswith('no') else 451} {TOKEN}"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 ok"


@pytest.fixture
def smtp() -> Iterator[tuple[int, Mailbox]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield port, mailbox
    controller.stop()


def test_a_mail_arrives_with_its_chart_and_nobody_else_gets_it(
    send: Callable[..., None], smtp: tuple[int, Mailbox], kit: SimpleNamespace
) -> None:
    port, mailbox = smtp
    points = [(1_790_000_000 + 60 * i, i / 10) for i in range(30)]
    send(
        f"mailto://localhost:{port}?from=p@example.com&to=a@example.com",
        kit.note(title=HOSTILE, text=HOSTILE, points=points),
    )

    (envelope,) = mailbox.mails
    assert envelope.rcpt_tos == ["a@example.com"]
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["bcc"] is None
    assert mail["x-pitstop-delivery"] == "msg_1"
    assert mail["subject"].startswith("[FIRING] x Bcc: evil")
    text = mail.get_body(("plain", "html")).get_content()
    assert "<b>" not in text
    assert "Value 1.2 s, limit 500 ms" in text
    (chart,) = mail.iter_attachments()
    assert chart.get_content_type() == "image/png"
    assert chart.get_content().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(("who", "code", "final"), [("no", 550, True), ("busy", 451, False)])
def test_a_mail_server_that_refuses_is_told_by_its_code_alone(
    send: Callable[..., None], smtp: tuple[int, Mailbox], kit: SimpleNamespace, who: str, code: int, *, final: bool
) -> None:
    with pytest.raises(SendError) as caught:
        send(f"mailto://localhost:{smtp[0]}?from=p@example.com&to={who}@example.com", kit.note())

    assert str(caught.value) == f"its mail server answered {code}"
    assert caught.value.final is final


def test_of_several_recipients_the_one_that_has_the_mail_does_not_get_it_again(
    smtp: tuple[int, Mailbox], kit: SimpleNamespace
) -> None:
    port, mailbox = smtp
    sender = Apprise(Secret(f"mailto://localhost:{port}?from=p@e.com&to=a@e.com,busy@e.com,b@e.com"), ["localhost"])
    for _ in range(2):
        with pytest.raises(SendError, match="451"):
            sender.send(kit.note(), "msg_1", 8)
    mailbox.is_busy = False
    sender.send(kit.note(), "msg_1", 8)
    assert sorted(mail.rcpt_tos[0] for mail in mailbox.mails) == ["a@e.com", "b@e.com", "busy@e.com"]
    sender.send(kit.note(), "msg_2", 8)

    assert len(mailbox.mails) == 6


def test_a_mail_server_that_says_nothing_ends_at_the_deadline(send: Callable[..., None], kit: SimpleNamespace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(SendError, match=r"within 1 s"):
            send(f"mailto://localhost:{silent.getsockname()[1]}?from=p@e.com&to=a@e.com", kit.note(), timeout_s=1.0)

    assert time.monotonic() - began < 3


@pytest.mark.parametrize("behaviour", ["hanging", "dripping"])
def test_a_web_server_that_hangs_or_drips_ends_at_the_deadline(
    send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace, behaviour: str
) -> None:
    slow = provider(getattr(kit, behaviour))
    began = time.monotonic()
    with pytest.raises(SendError, match=r"within 1 s"):
        send(f"json://localhost:{slow.port}/{TOKEN}", kit.note(), timeout_s=1.0)

    assert time.monotonic() - began < 3
    assert len(slow.got) == 1


def test_each_message_has_a_process_and_a_host_that_was_killed_comes_back(
    host: AppriseHost, send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    url = f"json://localhost:{hook.port}/"
    send(url, kit.note())
    first = host.pid
    send(url, kit.note())
    assert host.pid == first
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: host.pid is None)
    send(url, kit.note())

    assert host.pid not in {None, first}
    assert len(hook.got) == 3


def test_twenty_messages_at_once_wait_for_the_one_that_hangs_no_longer(
    send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook, slow = provider(), provider(kit.hanging)
    problems: list[str] = []

    def hang() -> None:
        with pytest.raises(SendError) as caught:
            send(f"json://localhost:{slow.port}/", kit.note(), timeout_s=3)
        problems.append(str(caught.value))

    threads = [threading.Thread(target=hang) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: len(slow.got) == 5)
    for _ in range(20):
        send(f"json://localhost:{hook.port}/", kit.note(), timeout_s=2)
    assert len(hook.got) == 20
    for thread in threads:
        thread.join()
    assert problems == ["it did not take the message within 3 s"] * 5


OWNER = """
import sys
from pitstop.model.watching import Notification
from pitstop.watch.channels.apprise import Apprise
from pitstop.watch.secrets import Secret
Apprise(Secret(sys.argv[1]), ["localhost"]).send(Notification("k", "firing", "page", "t", "x", {}, 0.0), "msg_1", 30)
"""


def test_all_processes_end_with_the_one_that_needs_them(provider: Callable[..., Any], kit: SimpleNamespace) -> None:
    slow = provider(kit.hanging)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, f"json://localhost:{slow.port}/"])
    until(lambda: slow.got)
    (host,) = forked(owner.pid)
    (sending,) = forked(host)
    owner.kill()
    owner.wait()

    until(lambda: gone(host) and gone(sending), 5)


PRIVATE = "127.0.0.1 [::1] [::ffff:127.0.0.1] 2130706433 127.1 0x7f.1 169.254.169.254 10.0.0.1 0.0.0.0"


def test_no_service_reaches_what_is_private(
    send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    for host in PRIVATE.split():
        with pytest.raises(SendError) as caught:
            send(f"json://{host}:{hook.port}/{TOKEN}", kit.note())
        assert caught.value.final
        assert TOKEN not in str(caught.value)

    assert hook.got == []


def test_a_refusal_says_what_to_allow(
    send: Callable[..., None], smtp: tuple[int, Mailbox], kit: SimpleNamespace
) -> None:
    with pytest.raises(SendError, match=r"localhost:\d+ is at .*loopback.*egress_allow names localhost"):
        send(f"mailto://localhost:{smtp[0]}?from=p@e.com&to=a@e.com", kit.note(), allow=())
    with pytest.raises(SendError, match="egress_allow"):
        send(f"mailto://mail.example:{smtp[0]}?smtp=localhost&from=p@e.com&to=a@e.com", kit.note(), allow=())

    assert smtp[1].mails == []


def test_a_redirect_is_not_followed(
    send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    inner = provider()
    outer = provider(kit.status(302, Location=f"http://localhost:{inner.port}/"))
    with pytest.raises(SendError, match="302, a redirect"):
        send(f"json://localhost:{outer.port}/?redirect=yes", kit.note())

    assert inner.got == []


def test_retry_after_is_heard(send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace) -> None:
    busy = provider(kit.status(429, Retry_After="7"))
    with pytest.raises(SendError, match="it answered 429") as caught:
        send(f"json://localhost:{busy.port}/{TOKEN}", kit.note())

    assert (caught.value.final, caught.value.retry_after_s) == (False, 7.0)


def test_a_service_that_takes_no_picture_gets_the_words(
    send: Callable[..., None], provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    def picky(handler: Any, body: bytes) -> None:
        kit.status(413 if b"base64" in body else 200)(handler, body)

    hook = provider(picky)
    send(f"json://localhost:{hook.port}/", kit.note(points=[(1, 1.0), (61, 2.0)]))

    assert ["base64" in str(body["attachments"]) for body in hook.bodies] == [True, False]


def test_an_address_that_no_service_takes_is_said_without_it(send: Callable[..., None], kit: SimpleNamespace) -> None:
    for url in (f"slack://{TOKEN}", f"nosuch://{TOKEN}/x", f"mqtt://{TOKEN}/x"):
        with pytest.raises(SendError, match="its url is none that the service knows") as caught:
            send(url, kit.note())
        assert caught.value.final
        assert TOKEN not in str(caught.value)


def test_words_lose_every_part_of_the_address() -> None:
    text = "https://hooks.example/T0KEN refused user p@ss at example.com: 443"

    assert (
        blotted(text, "slack://user:p%40ss@T0KEN/x?to=443") == "https://hooks.example/… refused … … at example.com: 443"
    )


CHATS = {
    "slack": (NotifySlack, "webhook_url", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"),
    "discord": (NotifyDiscord, "notify_url", f"discord://{'1' * 20}/{'a' * 60}"),
    "telegram": (NotifyTelegram, "notify_url", "tgram://123456789:abcdefg_hijklmnop/12315544/"),
}


@pytest.mark.parametrize("name", CHATS)
def test_a_hostile_name_calls_nobody_in_a_chat(
    name: str, provider: Callable[..., Any], kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apprise's own service, told that its provider is on loopback: what it sends has no mention in it."""
    service, address, url = CHATS[name]
    hook = provider()
    monkeypatch.setattr(service, address, f"http://localhost:{hook.port}/")
    message = message_of(kit.note(title=HOSTILE, text=HOSTILE))
    sender = apprise.Apprise()
    assert sender.add(url)
    sender.notify(body=message.body, title=message.subject, body_format="text")

    sent = " ".join(str(body) for body in hook.bodies)
    assert "FIRING" in sent
    for sign in ("<!channel>", "<!here", "@everyone", "@here", "<@U1>", "<b>bold", "](http", "href='http://evil"):
        assert sign not in sent
    assert not any(body.get("allow_mentions") for body in hook.bodies)


def test_a_message_that_is_too_long_for_a_service_is_cut_and_keeps_its_link(
    provider: Callable[..., Any], kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = provider()
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://localhost:{hook.port}/")
    child = Child.__new__(Child)  # without what it does to the whole process
    child._apprise, child._asset, child.seen = apprise, apprise.AppriseAsset(), Seen()
    message = message_of(kit.note(details=["x" * 400] * 20))
    request = {
        "url": CHATS["discord"][2], "subject": message.subject, "body": message.body, "type": "failure", "chart": "",
        "key": "k", "delivery": "msg_1", "reached": [],
    }  # fmt: skip
    assert child.send(request) == {"ok": True}

    (body,) = hook.bodies
    assert len(message.body) > 4000
    assert len(body["content"]) <= 2000
    assert "https://pitstop.example/alerts/1" in body["content"]


def test_an_incident_service_raises_and_resolves_under_one_key(
    provider: Callable[..., Any], kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = provider(kit.status(202))
    monkeypatch.setattr(
        "apprise.plugins.pagerduty.PAGERDUTY_API_LOOKUP", dict.fromkeys(("us", "eu"), f"http://localhost:{hook.port}/")
    )
    for note, kind in ((kit.note(), "failure"), (kit.note(state=RESOLVED), "success")):
        service = apprise.Apprise.instantiate("pagerduty://integration@apikey/source/component")
        assert isinstance(service, NotifyPagerDuty)
        keyed(service, note.key, "msg_1")
        service.notify(body="x", title="y", notify_type=kind)

    assert [(body["event_action"], body["dedup_key"]) for body in hook.bodies] == [("trigger", "k1"), ("resolve", "k1")]


def test_closing_ends_what_is_being_sent(host: AppriseHost, provider: Callable[..., Any], kit: SimpleNamespace) -> None:
    slow = provider(kit.hanging)
    sender = Apprise(Secret(f"json://localhost:{slow.port}/"), ["localhost"])
    problems: list[str] = []

    def run() -> None:
        with pytest.raises(SendError) as caught:
            sender.send(kit.note(), "msg_1", 30)
        problems.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: slow.got)
    assert host.pid is not None
    (sending,) = forked(host.pid)
    sender.close()
    thread.join(5)

    assert len(problems) == 1
    assert "broken off" in problems[0]
    until(lambda: gone(sending), 5)


def test_settings_and_proxies_of_ours_are_not_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_SECRET_KEY", "canary")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    other = AppriseHost()
    other.start()
    pid = other.pid
    kept = Path(f"/proc/{pid}/environ")
    until(lambda: b"NETRC=/dev/null" in kept.read_bytes())
    environment = kept.read_bytes()
    other.stop()
    other.stop()

    assert b"PITSTOP_" not in environment
    assert b"https_proxy" not in environment
    assert pid is not None
    assert gone(pid)
    assert other.pid is None
