# ruff: noqa: ANN001, ANN201, ARG001  fixtures are known by name
"""Warnings and errors that are logged are counted exactly, and records carry the trace id where that is asked for."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.instrument import logs
from pitstop.instrument.options import OPTIONS
from pitstop.record import RECORDER, span
from pitstop.record.operation import current

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logs.attach(logging)
    RECORDER.drain()
    RECORDER.on = True
    log = logging.getLogger("shop.of.a.test")
    log.propagate = False
    log.setLevel(logging.DEBUG)
    yield log
    log.handlers.clear()
    RECORDER.on = False
    RECORDER.drain()
    OPTIONS.configure(exclude=(), exec_time=False, server_timing=False)
    logs.detach(logging)


def counted() -> dict[str, float]:
    counts: Counter[str] = Counter()
    for name, amount in RECORDER.drain().counts:
        counts[name] += int(amount)
    return dict(counts)


def test_warnings_and_errors_are_counted_apart(log):
    log.debug("no")
    log.info("no")
    for _ in range(3):
        log.warning("%s", "secret")
    log.error("no")
    log.critical("no")
    try:
        raise ValueError  # noqa: TRY301
    except ValueError:
        log.exception("no")
    assert counted() == {"log.warning": 3, "log.error": 3}


def test_what_is_filtered_out_or_below_the_level_is_not_counted(log):
    log.setLevel(logging.ERROR)
    log.warning("no")
    log.addFilter(lambda record: "keep" in record.getMessage())
    log.error("drop")
    log.error("keep")
    log.filters.clear()
    assert counted() == {"log.error": 1}


def test_our_own_complaints_are_not_the_services(log, caplog):
    logging.getLogger("pitstop").warning("ours")
    assert not counted()
    assert caplog.messages == ["ours"]


def test_records_carry_the_trace_id_of_their_request_on_request(log):
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    log.addHandler(handler)
    with span("job"):
        log.info("before")
    OPTIONS.configure(exclude=(), exec_time=False, server_timing=False, log_trace_ids=True)
    with span("job"):
        log.info("in")
        operation = current()
        assert operation is not None
        trace_id = operation.trace_id
    log.info("outside")
    assert [getattr(record, "trace_id", None) for record in records] == [None, trace_id, ""]
    assert len(trace_id) == 32


def test_everything_can_be_put_back(log):
    logs.detach(logging)
    log.error("no")
    assert not counted()
    logs.attach(logging)
