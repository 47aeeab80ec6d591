"""Database servers of the tests' own: one PostgreSQL and one MariaDB a session, on free loopback ports."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 30
POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


class Database(NamedTuple):
    """A running server: superuser without a password, database `test`."""

    host: str
    port: int
    user: str
    name: str

    @property
    def dsn(self) -> str:
        """For libpq."""
        return f"host={self.host} port={self.port} user={self.user} dbname={self.name}"

    def url(self, scheme: str) -> str:
        """For whoever takes URLs, such as ``postgresql+psycopg``."""
        return f"{scheme}://{self.user}@{self.host}:{self.port}/{self.name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _absent(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and CI=true allows no test to be skipped: scripts/debian")
    pytest.skip(f"{what} is not installed: scripts/debian")


class _Account:
    """Who a server runs as: it refuses root."""

    def __init__(self, name: str) -> None:
        self.arguments: dict[str, Any] = {}
        self.ids = (-1, -1)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(name)
            self.ids = (entry.pw_uid, entry.pw_gid)
            self.arguments = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def folder(self) -> Path:
        """A new one that the server may use; pytest's own are closed to others."""
        folder = Path(tempfile.mkdtemp(prefix="pitstop-db-"))
        os.chown(folder, *self.ids)
        return folder

    def run(self, *argv: str | Path, cwd: Path) -> None:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd, **self.arguments)
        assert done.returncode == 0, done.stderr[-2000:]

    def start(self, *argv: str | Path, cwd: Path) -> subprocess.Popen[bytes]:
        log = (cwd / "server.log").open("wb")
        return subprocess.Popen(argv, cwd=cwd, stdout=log, stderr=log, **self.arguments)


def _wait_for_port(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    pytest.fail(f"no server on port {port} after {START_S} s")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """PostgreSQL with pg_stat_statements, which tells what it has run."""
    if not POSTGRES_FOLDERS:
        _absent("PostgreSQL")
    programs, account = POSTGRES_FOLDERS[-1], _Account("postgres")
    folder, port = account.folder(), _free_port()
    data = folder / "data"
    account.run(
        programs / "initdb", "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
        cwd=folder,
    )  # fmt: skip
    settings = {
        "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off",
        "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all", "max_connections": "60",
        "track_io_timing": "off", "jit": "off",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = account.start(programs / "postgres", "-D", data, *options, cwd=folder)
    try:
        _wait_for_port(process, port, folder)
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-d", "postgres", "-U", "test"]
        deadline_s = time.monotonic() + START_S
        while subprocess.run(ready, check=False).returncode and time.monotonic() < deadline_s:
            time.sleep(0.02)  # it listens a little before it lets anybody in
        server = Database("127.0.0.1", port, "test", "test")
        for database, command in (
            ("postgres", "CREATE DATABASE test"),
            ("test", "CREATE EXTENSION pg_stat_statements"),
        ):
            account.run(
                programs / "psql", "-qX", "-h", server.host, "-p", str(port), "-U", "test",
                "-d", database, "-c", command, cwd=folder,
            )  # fmt: skip
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: disconnect everybody
        process.wait(START_S)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Database]:
    """MariaDB, for the drivers of MySQL."""
    server_program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if server_program is None or install is None:
        _absent("MariaDB")
    assert server_program is not None
    assert install is not None
    account = _Account("mysql")
    folder, port = account.folder(), _free_port()
    options = ["--no-defaults", f"--datadir={folder}/data"]
    account.run(
        install, *options, "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-flush-method=nosync",
        cwd=folder,
    )  # fmt: skip
    process = account.start(
        server_program, *options, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket",
        f"--pid-file={folder}/pid", "--skip-grant-tables", "--skip-networking=0", "--performance-schema=ON", cwd=folder,
    )  # fmt: skip
    try:
        _wait_for_port(process, port, folder)
        client = shutil.which("mariadb")
        assert client is not None
        account.run(client, "-h127.0.0.1", f"-P{port}", "-uroot", "-e", "CREATE DATABASE test", cwd=folder)
        yield Database("127.0.0.1", port, "root", "test")
    finally:
        process.terminate()
        process.wait(START_S)
        shutil.rmtree(folder, ignore_errors=True)
