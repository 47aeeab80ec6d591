"""Everybody who can be told, one file a kind. None knows another, and none decides what to send or when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.watch.channel_spec import ChannelSpec
    from pitstop.watch.sending import Sender


def sender_of(spec: ChannelSpec, egress_allow: Sequence[str]) -> Sender:
    """Who sends to `spec`, past no private address but those of `egress_allow`. Raises SettingError."""
    return _MAKERS[spec.kind](spec, egress_allow)


def _webhook(spec: ChannelSpec, egress_allow: Sequence[str]) -> Sender:
    from pitstop.egress import Client  # noqa: PLC0415  a kind is loaded when it is used: Apprise's process needs none
    from pitstop.watch.channels.webhook import Webhook  # noqa: PLC0415

    return Webhook(spec.url, spec.secret, Client(egress_allow))


def _alertmanager(spec: ChannelSpec, egress_allow: Sequence[str]) -> Sender:
    from pitstop.egress import Client  # noqa: PLC0415
    from pitstop.watch.channels.alertmanager import Alertmanager  # noqa: PLC0415

    return Alertmanager(spec.url, Client(egress_allow))


def _apprise(spec: ChannelSpec, egress_allow: Sequence[str]) -> Sender:
    from pitstop.watch.channels.apprise import Apprise  # noqa: PLC0415

    return Apprise(spec.url, egress_allow)


_MAKERS: dict[str, Callable[[ChannelSpec, Sequence[str]], Sender]] = {
    "webhook": _webhook,
    "alertmanager": _alertmanager,
    "apprise": _apprise,
}
