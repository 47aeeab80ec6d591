"""What the host's process imports needs the standard library only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src" / "pitstop"
# imported in functions, where the host has them
FRAMEWORKS = {
    "asgiref",
    "celery",
    "django",
    "fastapi",
    "flask",
    "gevent",
    "litestar",
    "psycopg",
    "psycopg2",
    "starlette",
    "werkzeug",
}
# imported when the host has imported opentelemetry, but for these two
NOT_LAZY = {"__init__.py", "meaning.py"}
FILES = [
    SOURCE / "__init__.py",
    SOURCE / "app.py",
    *(file for room in ("model", "record", "rollup", "instrument", "store") for file in (SOURCE / room).rglob("*.py")),
]


def _imports(node: ast.AST, *, in_function: bool = False) -> Iterator[tuple[str, bool]]:
    """Top-level names of what is imported at run time, and whether that happens within a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name.partition(".")[0], in_function) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield (child.module or "").partition(".")[0], in_function
        inside = in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield from _imports(child, in_function=inside)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_module_of_the_host_imports_only_the_standard_library(file: Path) -> None:
    for name, in_function in _imports(ast.parse(file.read_text())):
        lazily = in_function and file.parent.name == "instrument" and name in FRAMEWORKS
        lazily = lazily or (file.parent.name == "otel" and file.name not in NOT_LAZY and name == "opentelemetry")
        assert name in sys.stdlib_module_names or name == "pitstop" or lazily, f"{file} imports {name}"


def test_our_opentelemetry_package_imports_nothing_of_opentelemetry_by_itself() -> None:
    code = "import sys, pitstop.instrument.otel.meaning; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
