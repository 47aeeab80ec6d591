"""``pitstop explain`` as people type it, on a PostgreSQL of the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[4] / "src"
SQL = "SELECT c.name, o.total FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = :status"


def typed(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pitstop", "explain", *arguments],
        input=text, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
    )  # fmt: skip


def test_a_statement_from_standard_input_is_run_and_its_plan_printed(postgres: Any, postgres_url: str) -> None:
    assert postgres_url
    url = postgres.url("postgres").replace("test@", "test:s3cr3t@")  # as hosting companies write it
    ran = typed("-", "--analyze", "--param", "status=open", "--json", text=SQL, DATABASE_URL=url)
    assert (ran.returncode, ran.stderr) == (0, "")
    plan = json.loads(ran.stdout)["plan"]
    assert plan["dialect"] == "postgresql"
    assert plan["analyzed"]
    assert any("reads 10,000 rows to keep 20" in finding for finding in plan["findings"])


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    ran = typed("SELECT 1", "--database", "postgresql://test:s3cr3t@127.0.0.1:1/test")
    assert ran.returncode == 2
    assert ran.stderr.startswith("pitstop: the database cannot be reached")
    assert len(ran.stderr.splitlines()) == 1
    assert "s3cr3t" not in ran.stderr
