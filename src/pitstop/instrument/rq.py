"""RQ (≥ 1.16): jobs enqueued and jobs run, in one trace, which the job's ``meta`` carries; workers that fork flush."""

from __future__ import annotations

import sys
from typing import Any

from pitstop.instrument import replacing, tasks
from pitstop.instrument.live import flush_at_end
from pitstop.record.recorder import RECORDER


def _enqueue(original: Any) -> Any:
    """For ``Queue._enqueue_job(job, …)``, by which every job without unmet dependencies is saved and pushed.

    And for ``schedule_job``, which saves one that is pushed later, by a worker.
    """

    def enqueue_recorded(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on:
            return original(self, job, *args, **kwargs)
        start_ns, failed = tasks.now_ns(), True
        meta = _meta(job)
        if tasks.only_moved(meta):
            return original(self, job, *args, **kwargs)
        tasks.send_along(meta, start_ns)
        try:
            answer = original(self, job, *args, **kwargs)
            failed = False
        finally:
            tasks.published(_name(job), start_ns, failed=failed)
        return answer

    return enqueue_recorded


def _perform(original: Any) -> Any:
    """For ``Job.perform``."""

    def perform_recorded(self: Any) -> Any:
        if not RECORDER.on:
            return original(self)
        meta = _meta(self)
        span = tasks.begin(_name(self), meta.get(tasks.TRACEPARENT), meta.get(tasks.SENT))
        try:
            result = original(self)
        except BaseException as error:
            tasks.end(span, tasks.RETRY if getattr(self, "retries_left", None) else tasks.ERROR, error)
            raise
        tasks.end(span, tasks.RETRY if type(result).__name__ == "Retry" else tasks.OK)
        return result

    return perform_recorded


def _meta(job: Any) -> dict[str, object]:
    """What travels with `job`, and may be added to."""
    try:
        meta = job.meta
    except Exception:  # noqa: BLE001  what was sent cannot be read here
        return {}
    return meta if isinstance(meta, dict) else {}


def _name(job: Any) -> str:
    try:
        return str(job.func_name)
    except Exception:  # noqa: BLE001  what was sent cannot be read here
        return "(unknown)"


def _perform_job(original: Any) -> Any:
    """For ``perform_job`` of a worker: in the child of one that forks, ``os._exit`` follows."""

    def perform_flushed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            if getattr(self, "_is_horse", False):
                flush_at_end(RECORDER)

    return perform_flushed


POINTS = {
    "rq.queue": (
        ("Queue", "schedule_job", _enqueue),
        ("Queue", "_enqueue_job", _enqueue),
        ("Queue", "enqueue_job", _enqueue),
    ),
    "rq.job": (("Job", "perform", _perform),),
    "rq.worker": (("Worker", "perform_job", _perform_job), ("BaseWorker", "perform_job", _perform_job)),
    "rq.worker.base": (("BaseWorker", "perform_job", _perform_job), ("Worker", "perform_job", _perform_job)),
}


def attach(module: Any) -> None:
    """Record what `module`, one of `POINTS`, enqueues or runs."""
    points = POINTS[module.__name__]
    if module.__name__ == "rq.queue":  # before 2.0 there is but one of the two
        points = points[:2] if hasattr(module.Queue, "_enqueue_job") else (points[0], points[2])
    if module.__name__ == "rq.worker" and "rq.worker.base" in sys.modules:  # since 3.0 a package
        return
    replacing.attach(module, points)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS[module.__name__])
