"""``pitstop profile --pid``: stacks of processes that run now, asked for and waited for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pitstop.model import Profiles
from pitstop.model.errors import NotFoundError, PitstopError, SettingError
from pitstop.record.burst import LONGEST_S, answer, ask, targets

if TYPE_CHECKING:
    from pitstop.record.burst import Target

_PATIENCE_S = 5.0  # a process looks for requests once a second, and may be busy
_KNOWN_WITHIN_S = 2.5
_LOOK_EVERY_S = 0.1


def sampled_now(
    *, pid: int | None, service: str | None, seconds: float, rate_hz: float, mode: str, route: str | None = None
) -> Profiles:
    """Stacks of `mode` of that process, or of all of the service's, sampled from now on for `seconds`.

    Says on standard error how far it is, and who did not answer. Raises NotFoundError where nothing is recorded,
    PitstopError when none answers.
    """
    if not 0 < seconds <= LONGEST_S:
        raise SettingError(f"--seconds {seconds:g} is outside 0 … {LONGEST_S:g}")
    asked = {one: ask(one, seconds, rate_hz) for one in _known(pid, service)}
    out = Profiles()
    missing: list[str] = []
    answered = 0
    begun_s = time.monotonic()
    while asked:
        for one, name in list(asked.items()):
            try:
                found = answer(one, name)
            except PitstopError as error:
                missing.append(str(error))
                del asked[one]
                continue
            if found is not None:
                answered += 1
                del asked[one]
                _add(out, found, mode, route)
        waited_s = time.monotonic() - begun_s
        if waited_s > seconds + _PATIENCE_S:
            missing += [f"process {one.pid} does not answer; is it stopped?" for one in asked]
            asked.clear()
        _say(asked, waited_s, seconds)
        if asked:
            time.sleep(_LOOK_EVERY_S)
    if missing and not answered:
        raise PitstopError(missing[0])
    for text in missing:
        sys.stderr.write(f"pitstop: shown without one: {text}\n")
    return out


def _known(pid: int | None, service: str | None) -> list[Target]:
    """Whom to ask. A process makes itself known about a second after its first request."""
    deadline_s = time.monotonic() + _KNOWN_WITHIN_S
    while True:
        try:
            return targets(pid=pid, service=service)
        except NotFoundError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(_LOOK_EVERY_S)


def _add(out: Profiles, found: Profiles, mode: str, route: str | None) -> None:
    chosen = [at for at, one in enumerate(found.mode) if one == mode and route in {None, found.route[at]}]
    out.extend(found.chosen(chosen))


def _say(asked: dict[Target, str], waited_s: float, seconds: float) -> None:
    if sys.stderr.isatty():
        done = f"{len(asked)} processes, {min(waited_s, seconds):.0f} of {seconds:g} s" if asked else ""
        sys.stderr.write(f"\r{done:<60}\r")
        sys.stderr.flush()
