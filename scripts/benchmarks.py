"""Run every `bench/*.py` in the order of their names and write what they print to `docs/benchmarks.md`.

With names (``scripts/benchmarks.py cache waves``) only those; the sections of the others stay as they are. One after
the other, because two at once would measure each other. A benchmark that fails is shown as failed and makes this exit
with 1; the others still run.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "benchmarks.md"

HEAD = """\
# Benchmarks

Written by `make bench`; every section is the whole output of one script in `bench/`. Absolute figures move between
machines and hours, so the budgets are about ratios within one run: read rows against their neighbours.

Measured on {machine}; each section says when and how long.
"""
_SCRIPT = re.compile(r"^`bench/([^`]+)`", re.MULTILINE)


def machine() -> str:
    """Processor, cores, memory and the versions that matter, in one line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory_bytes / 2**30:.0f} GiB, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def section(script: Path) -> tuple[str, bool]:
    """Markdown of one benchmark, and whether it ran to its end. Its output is shown while it comes."""
    title = (ast.get_docstring(ast.parse(script.read_text())) or script.stem).splitlines()[0]
    print(f"\n── {script.name}: {title}", flush=True)
    began_s = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen([sys.executable, str(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
        code = process.wait()
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    verdict = f"{date}, {time.monotonic() - began_s:.0f} s" + (
        "" if code == 0 else f", **failed with exit code {code}**"
    )
    body = "\n".join(lines).strip("\n")
    return f"\n## {title}\n\n`bench/{script.name}`, {verdict}\n\n```text\n{body}\n```\n", code == 0


def kept() -> dict[str, str]:
    """The sections that are written, by their script."""
    if not REPORT.exists():
        return {}
    found = [f"\n## {part}" for part in REPORT.read_text().split("\n## ")[1:]]
    return {match[1]: part for part in found if (match := _SCRIPT.search(part))}


def main() -> int:
    """Run them; 1 when one failed or there is none of that name."""
    scripts = sorted(path for path in (ROOT / "bench").glob("*.py") if not path.name.startswith(("_", "conftest")))
    if not scripts:
        print("error: no benchmark in bench/", file=sys.stderr)
        return 1
    wanted = set(sys.argv[1:]) or {script.stem for script in scripts}
    unknown = wanted - {script.stem for script in scripts}
    if unknown:
        print(f"error: no benchmark is called {min(unknown)}; bench/ has them", file=sys.stderr)
        return 1
    sections = kept()
    failed = []
    for script in scripts:
        if script.stem in wanted:
            sections[script.name], fine = section(script)
            failed += [] if fine else [script.name]
    REPORT.parent.mkdir(exist_ok=True)
    written = (sections[script.name] for script in scripts if script.name in sections)
    REPORT.write_text(HEAD.format(machine=machine()) + "".join(written))
    print(f"\nWritten to {REPORT.relative_to(ROOT)}." + (f" Failed: {', '.join(failed)}." if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
