# ruff: noqa: ANN001, ANN201, ARG001, PLC0415  fixtures are known by name, applications by their protocol
"""`pitstop run` attaches to what a program imports, and to nothing else, without changing what the program sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pitstop.instrument import hooks, status
from pitstop.instrument.run import BOOTSTRAP, environment_for, run
from pitstop.model import SettingError

SOURCE = Path(__file__).parents[3] / "src"


def python(tmp_path: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as ``pitstop run -- python -c code`` does."""
    env = {"PYTHONPATH": str(SOURCE), "PITSTOP_STORE": f"sqlite:///{tmp_path}/p.db", **environment}
    return subprocess.run(
        [sys.executable, "-m", "pitstop.instrument.run", "--", sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **env}, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_program_that_imports_no_framework_loads_nothing_of_ours(tmp_path):
    code = "import sys, threading, json; print([m for m in sys.modules if 'pitstop' in m], threading.active_count())"
    assert python(tmp_path, code).stdout == "[] 1\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "hooked"),
    [
        ("starlette.applications", "Starlette.build_middleware_stack"),
        ("fastapi", "FastAPI.build_middleware_stack"),
        ("flask", "Flask.__call__"),
        ("django.core.handlers.wsgi", "WSGIHandler.__call__"),
        ("django.core.handlers.asgi", "ASGIHandler.__call__"),
        ("django.core.handlers.base", "BaseHandler.resolve_request"),
        ("litestar", "Litestar.__init__"),
        ("uvicorn.server", "Server.shutdown"),
        ("uvicorn.config", "Config.load"),
        ("gunicorn.app.base", "BaseApplication.wsgi"),
        ("hypercorn.app_wrappers", "ASGIWrapper.__init__"),
        ("hypercorn.app_wrappers", "WSGIWrapper.__init__"),
        ("hypercorn.asyncio.run", "asyncio_worker"),
        ("granian.server.mp", "_asgi_call_wrap"),
        ("granian.server.mt", "_wsgi_call_wrap"),
        ("granian.server.embed", "_asgi_call_wrap"),
        ("wsgiref.simple_server", "WSGIServer.set_app"),
        ("werkzeug.serving", "BaseWSGIServer.__init__"),
    ],
)
def test_a_framework_is_hooked_when_it_is_imported(tmp_path, module, hooked):
    code = (
        f"import sys, {module} as m; print(hasattr(m.{hooked}, '__wrapped__'), m.__spec__.loader is m.__loader__, "
        f"type(m.__loader__).__name__)"
    )
    done = python(tmp_path, code)
    assert done.stdout == "True True SourceFileLoader\n", done.stderr


def test_importing_pitstop_first_starts_recording_too(tmp_path):
    code = "import pitstop.record, sys; print(pitstop.record.RECORDER.on, sys.modules['pitstop'] is pitstop)"
    assert python(tmp_path, code).stdout == "True True\n"


def test_the_hosts_own_sitecustomize_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.mine = 'mine'")
    done = python(
        tmp_path, "import sitecustomize; print(mine, sitecustomize.__file__)", PYTHONPATH=f"{SOURCE}:{tmp_path}"
    )
    assert done.stdout == f"mine {tmp_path}/sitecustomize.py\n"


def test_children_are_recorded_and_arguments_and_exit_code_are_the_programs_own(tmp_path):
    code = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'import flask.app as f, sys; sys.exit(40 + hasattr(f.Flask.__call__, \"__wrapped__\"))']))"  # noqa: E501
    assert python(tmp_path, code).returncode == 41
    assert python(tmp_path, "raise SystemExit('bye')").returncode == 1


def test_a_wrong_setting_is_one_line_and_the_program_runs(tmp_path):
    done = python(tmp_path, "import flask; print('runs')", PITSTOP_SAMPLE_RATE="7")
    assert done.stdout == "runs\n"
    assert done.stderr.startswith("pitstop: not recording:")
    assert done.stderr.count("\n") == 1


def test_the_setting_instrument_names_what_is_hooked(tmp_path):
    code = "import flask.app as f, starlette.applications as s; print([hasattr(x, '__wrapped__') for x in (f.Flask.__call__, s.Starlette.build_middleware_stack)])"  # noqa: E501
    assert python(tmp_path, code, PITSTOP_INSTRUMENT="flask").stdout == "[True, False]\n"
    assert python(tmp_path, code, PITSTOP_INSTRUMENT="none").stdout == "[False, False]\n"


def test_an_interpreter_without_pitstop_gets_ours_and_nothing_beside_it(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pitstop").symlink_to(SOURCE / "pitstop")
    (tmp_path / "elsewhere" / "beside.py").write_text("")
    code = "import flask, sys; print('pitstop' in sys.modules)\ntry: import beside\nexcept ImportError: print('not beside')"  # noqa: E501
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "elsewhere/pitstop/instrument/bootstrap"),
        "PITSTOP_STORE": "memory://",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "True\nnot beside\n", done.stderr


def test_a_command_that_is_not_there_exits_127(capsys):
    with pytest.raises(SystemExit, match="127"):
        run(["no-such-program-of-pitstop"])
    assert "no-such-program-of-pitstop is not found" in capsys.readouterr().err
    with pytest.raises(SettingError, match="no command"):
        run([])


def test_a_command_that_cannot_be_executed_exits_126(tmp_path):
    (tmp_path / "text").write_text("x")
    with pytest.raises(SystemExit, match="126"):
        run([str(tmp_path / "text")])


def test_the_environment_carries_the_bootstrap_once_and_the_settings():
    once = environment_for({"PYTHONPATH": "/a"}, service="shop", store="memory://")
    assert once["PYTHONPATH"] == f"{BOOTSTRAP}{os.pathsep}/a"
    assert (once["PITSTOP_SERVICE"], once["PITSTOP_STORE"]) == ("shop", "memory://")
    assert environment_for(once) == once


@pytest.fixture
def clean_hooks(monkeypatch: Any) -> Any:
    monkeypatch.setattr(hooks, "states", {})
    monkeypatch.setattr(hooks, "reasons", {})
    yield
    hooks.remove()


def test_status_says_what_waits_what_is_off_and_what_is_absent(clean_hooks, monkeypatch):
    monkeypatch.setitem(hooks.HOOKS, "nothing.app", ("no-such-framework", lambda _: None))
    monkeypatch.setattr(hooks, "INTEGRATIONS", (*hooks.INTEGRATIONS, "no-such-framework"))
    hooks.install(("none",))
    rows = {row.name: row for row in status()}
    assert rows["flask"].state == "off"
    assert rows["flask"].version
    assert rows["no-such-framework"].state == "absent"


def test_status_follows_the_settings_where_nothing_is_hooked(clean_hooks, monkeypatch):
    def states() -> dict[str, str]:
        return {row.name: row.state for row in status()}

    assert (states()["flask"], states()["gunicorn"], states()["wsgiref"]) == ("waiting", "waiting", "waiting")
    monkeypatch.setenv("PITSTOP_INSTRUMENT", "flask")
    assert (states()["flask"], states()["gunicorn"]) == ("waiting", "off")
    monkeypatch.setenv("PITSTOP_ENABLED", "false")
    assert set(states().values()) <= {"off", "absent"}
    monkeypatch.setenv("PITSTOP_ENABLED", "perhaps")
    assert states()["flask"] == "waiting"


def test_status_says_when_a_version_is_older_than_what_is_supported(clean_hooks, monkeypatch):
    monkeypatch.setitem(hooks.OLDEST, "flask", (99, 0))
    (row,) = [row for row in status() if row.name == "flask"]
    assert row.text.endswith("; supported from 99.0 on")


def test_what_writes_at_the_end_is_hooked_whatever_is_recorded(tmp_path):
    code = "import uvicorn.server as s, uvicorn.config as c; print([hasattr(x, '__wrapped__') for x in (s.Server.shutdown, c.Config.load)])"  # noqa: E501
    assert python(tmp_path, code, PITSTOP_INSTRUMENT="flask").stdout == "[True, False]\n"
    assert python(tmp_path, code, PITSTOP_INSTRUMENT="none").stdout == "[False, False]\n"


def test_a_hook_that_fails_is_reported_and_the_import_succeeds(clean_hooks, monkeypatch, tmp_path, capsys):
    (tmp_path / "framework_of_a_test.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(hooks.HOOKS, "framework_of_a_test", ("starlette", lambda module: module.gone))
    monkeypatch.setattr(hooks, "HOOKS", {"framework_of_a_test": hooks.HOOKS["framework_of_a_test"]})
    hooks.install()
    import framework_of_a_test

    assert framework_of_a_test.value == 1
    (row,) = [row for row in status() if row.name == "starlette"]
    assert row.state == "failed"
    assert "framework_of_a_test cannot be hooked" in row.text
    assert "not recorded" in capsys.readouterr().err
