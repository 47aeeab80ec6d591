"""Dramatiq (≥ 1.14): messages enqueued and actors run, in one trace, which the message's options carry."""

from __future__ import annotations

import threading
from typing import Any

from pitstop.instrument import replacing, tasks
from pitstop.instrument.live import fault, flush_at_end
from pitstop.record.recorder import RECORDER


class _Running(threading.local):
    """What this worker's thread does; a message's own object is not the same before and after."""

    span: Any = None
    retries = 0
    start_ns = 0  # of an enqueuing


_running = _Running()


def _before(original: Any) -> Any:
    """For ``Broker.emit_before(signal, …)``, which tells the middlewares; nothing has to be added to a broker."""

    def emit_recorded(self: Any, signal: str, *args: Any, **kwargs: Any) -> Any:
        if signal == "enqueue":
            _enqueue(args[0])
        answer = original(self, signal, *args, **kwargs)
        if signal == "process_message":
            _begin(args[0])
        return answer

    return emit_recorded


def _after(original: Any) -> Any:
    """For ``Broker.emit_after(signal, …)``. A retry is enqueued in it, below the run that failed."""

    def emit_recorded(self: Any, signal: str, *args: Any, **kwargs: Any) -> Any:
        if signal == "enqueue" and _running.start_ns:
            start_ns, _running.start_ns = _running.start_ns, 0
            tasks.published(args[0].actor_name, start_ns)
        try:
            return original(self, signal, *args, **kwargs)
        finally:
            if signal in ("process_message", "skip_message"):
                _end(args[0], kwargs.get("exception"))
            elif signal in ("worker_shutdown", "process_stop"):
                flush_at_end(RECORDER)

    return emit_recorded


def _enqueue(message: Any) -> None:
    try:
        _running.start_ns = 0
        if not RECORDER.on:
            return
        if tasks.only_moved(message.options):
            return
        _running.start_ns = tasks.now_ns()
        tasks.send_along(message.options, _running.start_ns)
    except Exception:  # noqa: BLE001  the host goes on
        fault("dramatiq.enqueue")


def _begin(message: Any) -> None:
    try:
        options = message.options
        _running.retries = options.get("retries", 0)
        _running.span = tasks.begin(message.actor_name, options.get(tasks.TRACEPARENT), options.get(tasks.SENT))
    except Exception:  # noqa: BLE001
        fault("dramatiq.begin")


def _end(message: Any, error: BaseException | None) -> None:
    try:
        span, _running.span = _running.span, None
        again = not message.failed and message.options.get("retries", 0) > _running.retries
        tasks.end(span, tasks.OK if error is None else tasks.RETRY if again else tasks.ERROR, error)
    except Exception:  # noqa: BLE001
        fault("dramatiq.end")


POINTS = (("Broker", "emit_before", _before), ("Broker", "emit_after", _after))


def attach(module: Any) -> None:
    """Record what brokers of ``dramatiq.broker`` enqueue, and what runs here."""
    replacing.attach(module, POINTS)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS)
