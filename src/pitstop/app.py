"""The only place that wires rooms together: settings to recorder to flusher to store."""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import TYPE_CHECKING

from pitstop.instrument import live
from pitstop.instrument.loop import LOOP
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.probe import Probe
from pitstop.instrument.runtime import RuntimeSampler
from pitstop.model.columns import Profiles
from pitstop.model.errors import PitstopError, SettingError, StoreError
from pitstop.model.settings import Settings, resolve
from pitstop.record import reports
from pitstop.record.asks import PROFILE, can_answer, cannot_answer
from pitstop.record.failure import WORDING
from pitstop.record.governor import Governor
from pitstop.record.recorder import RECORDER
from pitstop.rollup.flusher import Flusher
from pitstop.rollup.keep import Limits
from pitstop.rollup.native import allocate_lock, sleeper, start_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model.columns import Batch
    from pitstop.model.protocols import Store
    from pitstop.record.desk import Desk
    from pitstop.record.profiler import Profiler
    from pitstop.rollup.flusher import Cost
    from pitstop.rollup.otlp.exporter import Exporter

SETTINGS_FILE = "pitstop.toml"
HOUSE_EVERY_S = 5.0
HOUSE_LEASE_S = 30.0  # a holder that dies is followed within this time
DAY_S = 86_400
EXIT_FLUSH_S = 2.0  # what a process may be held at its end

_MULTIPROCESSING_PRIORITY = 100  # before multiprocessing ends its own queues and pools


class _Wiring:
    """What `init` has set up in this process."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.flusher: Flusher | None = None
        self.exporter: Exporter | None = None
        self.store: Store | None = None
        self.sampler: RuntimeSampler | None = None
        self.profiler: Profiler | None = None
        self.desk: Desk | None = None
        self.house_at_s = 0.0
        self.hooked = False


_wiring = _Wiring()


def load_settings(**arguments: object) -> Settings:
    """The settings in force here: arguments, environment, ``pitstop.toml`` of the working folder, defaults.

    Raises SettingError for an unknown name, an impossible value or a file that is no TOML.
    """
    return resolve(arguments, os.environ, _settings_file(SETTINGS_FILE), SETTINGS_FILE)


def _settings_file(path: str) -> Mapping[str, object]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib takes a third of what importing may take
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read ({error}); mend or remove it") from error
    import tomllib  # noqa: PLC0415  only where there is a file

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is no TOML ({error}); mend or remove it") from error
    inner = table.get("pitstop")
    return inner if isinstance(inner, dict) else table


def open_store(url: str, *, readonly: bool = False) -> Store:
    """The store at `url`, as ``sqlite:///pitstop.db``. Raises SettingError for an unknown scheme, or StoreError."""
    from pitstop.store import open_store as opened  # noqa: PLC0415  heavy

    return opened(url, readonly=readonly)


def service_name(settings: Settings) -> str:
    """The name measurements are filed under: the setting, else the name of the working folder."""
    return settings.text("service") or os.path.basename(os.getcwd()) or "service"  # noqa: PTH119, PTH109


def init(**arguments: object) -> None:
    """Start recording here: ``pitstop.init(service="shop", store="sqlite:///pitstop.db")``.

    Takes every setting of docs/settings.md as an argument. Nothing is opened and no thread is started before the first
    operation, so it may be called before a fork. Called again, it ends the first recording and starts anew.
    Raises SettingError; whatever goes wrong later is logged, never raised.
    """
    settings = load_settings(**arguments)
    shutdown()
    _wiring.settings = settings
    if not settings.flag("enabled") or settings.number("sample_rate") == 0:
        return
    _wiring.exporter = _exporter(settings)
    governor = Governor(
        RECORDER, settings.number("overhead_budget"), full_rate=settings.number("sample_rate"), probe=Probe()
    )
    OPTIONS.configure(
        exclude=settings.words("exclude"),
        exec_time=settings.flag("exec_time_header"),
        server_timing=settings.flag("server_timing"),
        propagate=settings.words("propagate"),
        log_trace_ids=settings.flag("log_trace_ids"),
    )
    sampler = _wiring.sampler = RuntimeSampler() if settings.flag("runtime") else None

    profiler = _wiring.profiler = _profiler(settings)

    def sample(cost: Cost) -> dict[str, float]:
        gauges = governor.account(cost.roots, cost.cpu_s, cost.elapsed_s)
        if sampler is not None:
            gauges.update(sampler.sample())
        if profiler is not None:
            gauges.update(profiler.gauges())
        return gauges

    flusher = Flusher(
        RECORDER.drain,
        _append,
        service=service_name(settings),
        sample=sample,
        limits=Limits(
            slow_ns=int(settings.number("slow_s") * 1e9),
            slow_query_ns=int(settings.number("slow_query_s") * 1e9),
            traces_per_s=settings.number("traces_per_s"),
            trace_spans=int(settings.number("trace_spans")),
        ),
        slow_query=_log_slow_query if settings.flag("log_slow_queries") else None,
        started=_when_the_flusher_starts,
        profiles=None if profiler is None else _profiles,
        reports=_reports,
    )
    _wiring.flusher = flusher
    RECORDER.capacity = int(settings.number("buffer_size"))
    RECORDER.slow_query_s = settings.number("slow_query_s")
    RECORDER.keep_recent(int(settings.number("recent_size")))
    RECORDER.shed(spans_on=True, sample_rate=settings.number("sample_rate"))
    RECORDER.nudge = flusher.nudge
    RECORDER.flush = flush
    RECORDER.event = flusher.event
    WORDING.full = settings.flag("error_messages")
    RECORDER.on = True
    _attach_inside(settings.words("instrument"))
    if not _wiring.hooked:
        _wiring.hooked = True
        atexit.register(shutdown)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)


def _attach_inside(names: tuple[str, ...]) -> None:
    """To the drivers and clients that are installed, and to threads; those that are imported later, then."""
    from pitstop.instrument import hooks  # noqa: PLC0415  only where something is recorded

    hooks.install_inside(names)


def _log_slow_query(route: str, statement: str, duration_ns: int, line: str) -> None:
    import logging  # noqa: PLC0415  only where it was asked for

    logging.getLogger("pitstop.slow").warning(
        "%s: %.3f s for %s at %s",
        route or "outside of a request", duration_ns / 1e9, statement, line or "a line that is not known",
    )  # fmt: skip


def _exporter(settings: Settings) -> Exporter | None:
    endpoint = settings.text("otlp_endpoint")
    if not endpoint:
        return None
    from pitstop.rollup.otlp.exporter import Exporter, parse_headers  # noqa: PLC0415  only where it was asked for

    return Exporter(endpoint, parse_headers(settings.words("otlp_headers")))


def _profiler(settings: Settings) -> Profiler | None:
    if settings.number("profile_hz") == 0:
        return None
    from pitstop.record.burst import answering  # noqa: PLC0415
    from pitstop.record.profiler import Profiler  # noqa: PLC0415  a host that only imports should not pay for it

    LOOP.wanted = True

    def event(kind: str, text: str) -> None:
        if _wiring.flusher is not None:
            _wiring.flusher.event(kind, text)

    profiler = Profiler(
        settings.number("profile_hz"),
        service=service_name(settings),
        start_thread=start_thread,
        allocate_lock=allocate_lock,
        sleeper=sleeper,
        budget=settings.number("overhead_budget"),
        beat=LOOP,
        event=event,
        shed=lambda: RECORDER.pressed or not RECORDER.spans_on,
    )
    can_answer(PROFILE, answering(profiler.burst, profiler.finish_burst, sleeper()))
    return profiler


def _profiles() -> Profiles:
    """Stacks for the flusher's thread."""
    return Profiles() if _wiring.profiler is None else _wiring.profiler.profiles()


def _reports(everybody: bool) -> list[tuple[str, str, str]]:
    """What parts say of themselves, for the flusher's thread, which also looks whether somebody asks something."""
    desk = _wiring.desk
    if desk is None:
        from pitstop.record.desk import Desk  # noqa: PLC0415  not on the path of importing

        assert _wiring.settings is not None
        desk = _wiring.desk = Desk(service_name(_wiring.settings), start_thread)
    if RECORDER.on:
        desk.poll()
    return reports.take(_complain, everybody=everybody) if reports.anything() else []


def _complain(text: str) -> None:
    import logging  # noqa: PLC0415  only when something is wrong

    logging.getLogger("pitstop").warning("pitstop: %s", text)


def _append(batch: Batch) -> None:
    store = _wiring.store
    if store is None:
        assert _wiring.settings is not None
        _wiring.store = store = open_store(_wiring.settings.text("store"))
    store.append(batch)
    if _wiring.exporter is not None:
        _wiring.exporter.offer(batch)
    _keep_house(store, batch.worker)


def _keep_house(store: Store, worker: str) -> None:
    """Where no dashboard runs, one of the workers folds and prunes: whoever has the store's lease.

    In the flusher's thread and part of its cost; a few hundred rows a round.
    """
    now_s = time.monotonic()
    if now_s - _wiring.house_at_s < HOUSE_EVERY_S:
        return
    _wiring.house_at_s = now_s
    assert _wiring.settings is not None
    try:
        if store.lease(worker, HOUSE_LEASE_S):
            store.upkeep(retention_s=int(_wiring.settings.number("retention_days")) * DAY_S)
    except StoreError as error:
        import logging  # noqa: PLC0415  only when something is wrong

        logging.getLogger("pitstop").info("pitstop: housekeeping waits: %s", error)


def _after_fork() -> None:
    RECORDER.reset_after_fork()
    reports.reset_after_fork()
    live.reset_after_fork()
    LOOP.reset_after_fork()
    _wiring.desk = None
    if _wiring.profiler is not None:
        _wiring.profiler.reset_after_fork()
    if _wiring.flusher is not None:
        _wiring.flusher.reset_after_fork()


def _when_the_flusher_starts() -> None:
    """In a request of the host, once in each process."""
    if _wiring.profiler is not None:
        _wiring.profiler.start()
    _flush_when_multiprocessing_ends()


def _flush_when_multiprocessing_ends() -> None:
    """Children of multiprocessing leave through os._exit, past atexit; their own finalizers do run."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, flush, exitpriority=_MULTIPROCESSING_PRIORITY)


def autostart() -> None:
    """Start recording because the environment says so (`pitstop run`); never fails, says on stderr what is wrong."""
    try:
        init()
    except PitstopError as error:
        sys.stderr.write(f"pitstop: not recording: {error}\n")
    except Exception as error:  # noqa: BLE001  the host must start
        sys.stderr.write(f"pitstop: not recording, this is a fault of ours: {error!r}\n")


def flush(timeout_s: float = EXIT_FLUSH_S) -> bool:
    """Write what is recorded so far; whether all of it was written within `timeout_s`, seconds. True when off."""
    if _wiring.profiler is not None:
        _wiring.profiler.hand_over()
    return _wiring.flusher is None or _wiring.flusher.flush(timeout_s)


def shutdown(timeout_s: float = EXIT_FLUSH_S) -> bool:
    """End recording: flush, stop the thread, close the store; whether all was written. `init` starts it again."""
    flusher, store = _wiring.flusher, _wiring.store
    RECORDER.on = False
    if _wiring.profiler is not None:
        _wiring.profiler.stop()
        cannot_answer(PROFILE)
    done = flusher is None or flusher.stop(timeout_s)
    RECORDER.nudge = RECORDER.flush = RECORDER.event = None
    if _wiring.exporter is not None:
        done = _wiring.exporter.stop(timeout_s) and done
        _wiring.exporter = None
    if _wiring.desk is not None:
        _wiring.desk.close()
    _wiring.flusher = _wiring.store = _wiring.profiler = _wiring.desk = None
    if _wiring.sampler is not None:
        _wiring.sampler.close()
        _wiring.sampler = None
    if store is not None and done:
        store.close()
    return done
