"""The standard library's logging: how many warnings and errors were logged, and trace ids in records where asked for.

Counted is what reaches a logger's handlers: ``log.warning`` and ``log.error`` (ERROR and above). With the setting
`log_trace_ids` each record has the attribute ``trace_id``, 32 hex digits, empty outside of a request.
"""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing
from pitstop.instrument.live import fault
from pitstop.instrument.options import OPTIONS
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER

WARNINGS, ERRORS = "log.warning", "log.error"
_WARNING, _ERROR = 30, 40  # logging.WARNING, logging.ERROR
_OURS = "pitstop"


def _call_handlers(original: Any) -> Any:
    """For ``Logger.callHandlers``, after levels and filters."""

    def call_counted(self: Any, record: Any) -> Any:
        try:
            if record.levelno >= _WARNING and RECORDER.on and self.name != _OURS:
                RECORDER.count(ERRORS if record.levelno >= _ERROR else WARNINGS, 1)
            if OPTIONS.log_trace_ids:
                op = get_current()
                record.trace_id = op.trace_id if op is not None and (op.root or op).kind else ""
        except Exception:  # noqa: BLE001  the host goes on
            fault("logs")
        return original(self, record)

    return call_counted


POINTS = (("Logger", "callHandlers", _call_handlers),)


def attach(module: Any) -> None:
    """Count what loggers of `logging` pass on."""
    replacing.attach(module, POINTS)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS)
