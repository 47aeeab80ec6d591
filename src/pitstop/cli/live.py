"""``pitstop profile --pid``: stacks of processes that run now, asked for and waited for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pitstop.model import Profiles
from pitstop.model.errors import NotFoundError, PitstopError, SettingError
from pitstop.record.asks import PROFILE
from pitstop.record.burst import LONGEST_S, sampled
from pitstop.record.desk import LOOK_EVERY_S, ask_all, targets

if TYPE_CHECKING:
    from pitstop.record.desk import Target

_PATIENCE_S = 5.0  # a process looks for requests once a second, and may be busy
_KNOWN_WITHIN_S = 2.5


def sampled_now(
    *, pid: int | None, service: str | None, seconds: float, rate_hz: float, mode: str, route: str | None = None
) -> Profiles:
    """Stacks of `mode` of that process, or of all of the service's, sampled from now on for `seconds`.

    Says on standard error how far it is, and who did not answer. Raises NotFoundError where nothing is recorded,
    PitstopError when none answers.
    """
    if not 0 < seconds <= LONGEST_S:
        raise SettingError(f"--seconds {seconds:g} is outside 0 … {LONGEST_S:g}")
    known = _known(pid, service)
    answers, missing = ask_all(
        known,
        PROFILE,
        {"seconds": seconds, "hz": rate_hz},
        patience_s=seconds + _PATIENCE_S,
        waiting=lambda left, waited_s: _say(left, waited_s, seconds),
    )
    if missing and not answers:
        raise PitstopError(missing[0])
    for text in missing:
        sys.stderr.write(f"pitstop: shown without one: {text}\n")
    out = Profiles()
    for answer in answers.values():
        _add(out, sampled(answer), mode, route)
    return out


def _known(pid: int | None, service: str | None) -> list[Target]:
    """Whom to ask. A process makes itself known about a second after its first request."""
    deadline_s = time.monotonic() + _KNOWN_WITHIN_S
    while True:
        try:
            return targets(pid=pid, service=service, what=PROFILE)
        except NotFoundError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(LOOK_EVERY_S)


def _add(out: Profiles, found: Profiles, mode: str, route: str | None) -> None:
    chosen = [at for at, one in enumerate(found.mode) if one == mode and route in {None, found.route[at]}]
    out.extend(found.chosen(chosen))


def _say(left: int, waited_s: float, seconds: float) -> None:
    if sys.stderr.isatty():
        done = f"{left} processes, {min(waited_s, seconds):.0f} of {seconds:g} s" if left else ""
        sys.stderr.write(f"\r{done:<60}\r")
        sys.stderr.flush()
