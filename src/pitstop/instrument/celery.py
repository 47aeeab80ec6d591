"""Celery (≥ 5.3): tasks sent and tasks run, in one trace; every pool, with the broker's own message headers.

Running is followed by Celery's signals, which hold however early or late Celery was imported.
"""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing, tasks
from pitstop.instrument.live import fault, flush_at_end
from pitstop.record.recorder import RECORDER

_SPAN = "pitstop_span"  # on a task's request while it runs
_OUTCOMES = {"SUCCESS": tasks.OK, "FAILURE": tasks.ERROR, "RETRY": tasks.RETRY}
_UID = "pitstop"


def _send_task(original: Any) -> Any:
    """For ``Celery.send_task``, which every way to call a task ends in."""

    def send_recorded(self: Any, name: str, *args: Any, **options: Any) -> Any:
        if not RECORDER.on:
            return original(self, name, *args, **options)
        start_ns = tasks.now_ns()
        headers = options["headers"] = dict(options.get("headers") or {})
        tasks.send_along(headers, start_ns)
        failed = True
        try:
            result = original(self, name, *args, **options)
            failed = False
        finally:
            tasks.published(str(name), start_ns, failed=failed)
        return result

    return send_recorded


def _begin(task: Any = None, **_: Any) -> None:
    try:
        request = task.request
        if getattr(request, "is_eager", False):  # it did not wait, and its caller is the one that runs here
            span = tasks.begin(task.name, None, None)
        else:
            sent_s = getattr(request, tasks.SENT, None)
            span = tasks.begin(task.name, getattr(request, tasks.TRACEPARENT, None), _due_s(request, sent_s))
        setattr(request, _SPAN, span)
    except Exception:  # noqa: BLE001  the task runs
        fault("celery.begin")


def _due_s(request: Any, sent_s: Any) -> Any:
    """When the task could have run: a countdown is no waiting in a queue."""
    eta = getattr(request, "eta", None)
    if not eta or not isinstance(sent_s, (int, float)):
        return sent_s
    if isinstance(eta, str):
        from datetime import datetime  # noqa: PLC0415  for delayed tasks only

        eta = datetime.fromisoformat(eta)
    return max(sent_s, eta.timestamp()) if eta.tzinfo is not None else None


def _end(task: Any = None, retval: Any = None, state: Any = None, **_: Any) -> None:
    try:
        span = vars(task.request).pop(_SPAN, None)
        outcome = _OUTCOMES.get(state) or (tasks.ERROR if state is None else str(state).lower()[:20])
        tasks.end(span, outcome, retval if isinstance(retval, BaseException) else None)
    except Exception:  # noqa: BLE001
        fault("celery.end")


def _flush(**_: Any) -> None:
    flush_at_end(RECORDER)


POINTS = (("Celery", "send_task", _send_task),)


def attach(module: Any) -> None:
    """Record what ``celery.app.base`` sends, and what runs here."""
    from celery import signals  # noqa: PLC0415  the host has it

    replacing.attach(module, POINTS)
    signals.task_prerun.connect(_begin, weak=False, dispatch_uid=_UID)
    signals.task_postrun.connect(_end, weak=False, dispatch_uid=_UID)
    signals.worker_process_shutdown.connect(_flush, weak=False, dispatch_uid=_UID)
    signals.worker_shutdown.connect(_flush, weak=False, dispatch_uid=_UID)


def detach(module: Any) -> None:
    """Leave it as it was."""
    from celery import signals  # noqa: PLC0415

    replacing.detach(module, POINTS)
    for signal in (signals.task_prerun, signals.task_postrun, signals.worker_process_shutdown, signals.worker_shutdown):
        signal.disconnect(dispatch_uid=_UID)
