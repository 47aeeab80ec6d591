# ruff: noqa: INP001  a folder for the path, no package
"""Put on the path by `pitstop run`: recording starts when this process first imports a framework, server or task queue.

Until then it costs one dictionary look-up for each import. A `sitecustomize` of the host's own runs first, as it would
without us. Nothing of Pitstop is imported here, because most processes (package managers, shells' helpers) need none.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

TYPE_CHECKING = False  # typing is not imported on the path of every process
if TYPE_CHECKING:
    from typing import Any

_HERE = __file__.rpartition("/")[0] or __file__.rpartition("\\")[0]
_PACKAGE = _HERE.replace("\\", "/").rsplit("/", 2)[0]
_FRAMEWORKS = ("starlette", "fastapi", "flask", "django", "litestar")
_SERVERS = ("uvicorn", "gunicorn", "hypercorn", "granian", "wsgiref.simple_server", "werkzeug.serving")
_WORKERS = ("celery", "rq", "dramatiq")
_TRIGGERS = frozenset({"pitstop", *_FRAMEWORKS, *_SERVERS, *_WORKERS})


class _Trigger:
    """Waits for the first import of a framework, server or task queue, or of pitstop by the host itself."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Of the `MetaPathFinder` protocol."""
        if name not in _TRIGGERS:
            return None
        if name != "pitstop":
            self.leave()
            _start()
        for finder in sys.meta_path:
            found = None if finder is self else getattr(finder, "find_spec", None)
            spec = found(name, path, target) if found is not None else None
            if spec is not None:
                if name == "pitstop" and spec.loader is not None:
                    spec.loader = _Started(spec.loader, self)
                return spec
        return None

    def leave(self) -> None:
        """Wait no longer. Not when pitstop is only looked up: coverage does so, and imports nothing."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]


class _Started:
    """The loader of pitstop when the host imports it before any framework: recording starts right after."""

    def __init__(self, loader: Any, trigger: _Trigger) -> None:
        self._loader = loader
        self._trigger = trigger
        self.create_module = loader.create_module

    def exec_module(self, module: Any) -> None:
        """Of the `Loader` protocol."""
        module.__spec__.loader = module.__loader__ = self._loader
        self._trigger.leave()
        self._loader.exec_module(module)
        _start()


def _start() -> None:
    try:
        _ours_if_not_installed()
        from pitstop.instrument import hooks  # noqa: PLC0415

        hooks.install(autostart=True)
    except Exception as error:  # noqa: BLE001  the host must start
        sys.stderr.write(f"pitstop: not recording: {error!r}\n")


def _ours_if_not_installed() -> None:
    """Load pitstop from beside this file where the host's interpreter does not have it, and nothing else from there."""
    if "pitstop" in sys.modules or PathFinder.find_spec("pitstop") is not None:
        return
    spec = spec_from_file_location("pitstop", _PACKAGE + "/__init__.py", submodule_search_locations=[_PACKAGE])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["pitstop"] = module
    spec.loader.exec_module(module)


def _run_the_hosts_own() -> None:
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry.rstrip("/\\") != _HERE])
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


sys.meta_path.insert(0, _Trigger())
_run_the_hosts_own()
