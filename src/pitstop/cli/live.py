"""``pitstop profile --pid``: stacks of processes that run now, asked for and waited for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pitstop.model import Profiles
from pitstop.model.errors import PitstopError, SettingError
from pitstop.record.burst import LONGEST_S, answer, ask, targets

if TYPE_CHECKING:
    from pitstop.record.burst import Target

_PATIENCE_S = 5.0  # a process looks for requests once a second, and may be busy
_LOOK_EVERY_S = 0.1


def sampled_now(
    *, pid: int | None, service: str | None, seconds: float, rate_hz: float, mode: str, route: str | None = None
) -> Profiles:
    """Stacks of `mode` of that process, or of all of the service's, sampled from now on for `seconds`.

    Says on standard error how far it is. Raises NotFoundError where nothing is recorded, PitstopError when one ends.
    """
    if not 0 < seconds <= LONGEST_S:
        raise SettingError(f"--seconds {seconds:g} is outside 0 … {LONGEST_S:g}")
    asked = {one: ask(one, seconds, rate_hz) for one in targets(pid=pid, service=service)}
    out = Profiles()
    begun_s = time.monotonic()
    while asked:
        for one, name in list(asked.items()):
            found = answer(one, name)
            if found is not None:
                del asked[one]
                _add(out, found, mode, route)
        waited_s = time.monotonic() - begun_s
        if asked and waited_s > seconds + _PATIENCE_S:
            raise PitstopError(f"process {next(iter(asked)).pid} does not answer; is it stopped?")
        _say(asked, waited_s, seconds)
        if asked:
            time.sleep(_LOOK_EVERY_S)
    return out


def _add(out: Profiles, found: Profiles, mode: str, route: str | None) -> None:
    chosen = [at for at, one in enumerate(found.mode) if one == mode and route in {None, found.route[at]}]
    for column in Profiles.__slots__:
        values = getattr(found, column)
        getattr(out, column).extend(values[at] for at in chosen)


def _say(asked: dict[Target, str], waited_s: float, seconds: float) -> None:
    if sys.stderr.isatty():
        done = f"{len(asked)} processes, {min(waited_s, seconds):.0f} of {seconds:g} s" if asked else ""
        sys.stderr.write(f"\r{done:<60}\r")
        sys.stderr.flush()
