# ruff: noqa: E501  a case a line
"""Patterns of statements: µs a statement beside pgparse and sqlglot, and who answers right.

Run: ``python bench/statements.py``. *Right* is judged by what a pattern is for: statements that differ in their values
only have one pattern, statements that differ otherwise have two, and no value is left in it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pgparse
import sqlglot
from sqlglot.tokens import TokenType

from pitstop.record.pattern import pattern_of
from pitstop.record.statements import MYSQL, POSTGRESQL, SQLITE, Dialect, Statements

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 7
TIMED = {
    "short, 40 characters": "SELECT id, name FROM users WHERE id = 12",
    "ORM, 240 characters": (
        "SELECT orders.id, orders.customer_id, orders.total, orders.created_at FROM orders JOIN customers ON "
        "customers.id = orders.customer_id WHERE customers.country = $1 AND orders.total > 100 ORDER BY "
        "orders.created_at DESC LIMIT 20"
    ),
    "insert of 100 rows": "INSERT INTO things (name, price) VALUES " + ", ".join(["('thing', 1.5)"] * 100),
    "1,000 in a list": f"SELECT name FROM things WHERE id IN ({', '.join(map(str, range(1000)))})",
    "report, 1.4 k": "WITH " + ", ".join(
        f"part_{n} AS (SELECT a.x AS y, count(*) AS n FROM a JOIN b ON a.id = b.a_id WHERE a.z = 'v{n}' GROUP BY a.x)"
        for n in range(12)
    ) + " SELECT * FROM part_1",
}  # fmt: skip

SAME, DIFFERENT = True, False
CASES: list[tuple[str, Dialect, str, str, bool]] = [
    ("numbers, strings", POSTGRESQL, "SELECT a FROM t WHERE b = 1 AND c = 'x'", "SELECT a FROM t WHERE b = 22 AND c = 'yy'", SAME),
    ("negative numbers", POSTGRESQL, "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = -1", SAME),
    ("columns differ", POSTGRESQL, "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE c = 1", DIFFERENT),
    ("IN lists", POSTGRESQL, "SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (1, 2, 3)", SAME),
    ("IN lists of rows", POSTGRESQL, "SELECT 1 FROM t WHERE (a, b) IN ((1, 2))", "SELECT 1 FROM t WHERE (a, b) IN ((1, 2), (3, 4))", SAME),
    ("VALUES lists", POSTGRESQL, "INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a'), (2, 'b')", SAME),
    ("comments", POSTGRESQL, "SELECT a FROM t", "SELECT a /* trace=1 */ FROM t -- x", SAME),
    ("whitespace", POSTGRESQL, "SELECT a FROM t", "SELECT  a\n FROM\tt", SAME),
    ("dollar quotes", POSTGRESQL, "SELECT $a$x$a$", "SELECT $$it's$$", SAME),
    ("escape strings", POSTGRESQL, r"SELECT E'it\'s'", "SELECT E'x'", SAME),
    ("quoted names", POSTGRESQL, 'SELECT "a" FROM t', 'SELECT "b" FROM t', DIFFERENT),
    ("IS NULL is no value", POSTGRESQL, "SELECT a FROM t WHERE b IS NULL", "SELECT a FROM t WHERE b IS NOT NULL", DIFFERENT),
    ("parameter or literal", POSTGRESQL, "SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = 5", SAME),
    ("driver's parameters", POSTGRESQL, "SELECT a FROM t WHERE b = %s", "SELECT a FROM t WHERE b = %(b)s", SAME),
    ("savepoints", POSTGRESQL, 'SAVEPOINT "s1_x1"', 'SAVEPOINT "s1_x2"', SAME),
    ("MySQL double quotes", MYSQL, 'SELECT a FROM t WHERE b = "x"', 'SELECT a FROM t WHERE b = "y"', SAME),
    ("MySQL backslashes", MYSQL, r"SELECT a FROM t WHERE b = 'it\'s' AND c = 1", "SELECT a FROM t WHERE b = 'x' AND c = 1", SAME),
    ("MySQL backticks", MYSQL, "SELECT `a` FROM t", "SELECT `b` FROM t", DIFFERENT),
    ("SQLite text in double quotes", SQLITE, 'SELECT a FROM t WHERE b = "x"', 'SELECT a FROM t WHERE b = "y"', SAME),
    ("broken quotes", POSTGRESQL, "SELECT a FROM t WHERE b = 'O'Brien'", "SELECT a FROM t WHERE b = 'O'Hara'", SAME),
]  # fmt: skip


def ours(text: str, dialect: Dialect) -> str:
    """`pattern_of`, not remembered."""
    return pattern_of(text, dialect)


def by_pgparse(text: str, _: Dialect) -> str:
    """PostgreSQL's own parser and pg_stat_statements' rules."""
    normalized: str = pgparse.normalize(text)
    return normalized


def by_pgparse_fingerprint(text: str, _: Dialect) -> str:
    """A hash of the parse tree: a name for machines only."""
    return str(pgparse.fingerprint(text))


def by_sqlglot_tokens(text: str, dialect: Dialect) -> str:
    """Tokens, with those of literals replaced: as fast as sqlglot gets."""
    literals = (TokenType.NUMBER, TokenType.STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING)
    name = {"postgresql": "postgres"}.get(dialect.name, dialect.name)
    tokens = sqlglot.tokenize(text, read=name)
    return " ".join("?" if token.token_type in literals else token.text for token in tokens)


def by_sqlglot(text: str, dialect: Dialect) -> str:
    """The tree, with literals replaced, written out again."""
    name = {"postgresql": "postgres"}.get(dialect.name, dialect.name)
    tree = sqlglot.parse_one(text, read=name)
    folded = tree.transform(
        lambda node: sqlglot.exp.Placeholder() if isinstance(node, (sqlglot.exp.Literal, sqlglot.exp.Boolean)) else node
    )
    return folded.sql(dialect=name, comments=False)


WAYS: dict[str, Callable[[str, Dialect], str]] = {
    "pitstop": ours,
    "pgparse normalize": by_pgparse,
    "pgparse fingerprint": by_pgparse_fingerprint,
    "sqlglot tokens": by_sqlglot_tokens,
    "sqlglot parse": by_sqlglot,
}


def best_us(run: Callable[[], object], calls: int) -> float:
    """Of one call, the best of some blocks."""
    best = float("inf")
    for _ in range(RUNS):
        start_ns = time.thread_time_ns()
        for _ in range(calls):
            run()
        best = min(best, (time.thread_time_ns() - start_ns) / calls / 1e3)
    return best


def verdict(way: Callable[[str, Dialect], str], dialect: Dialect, first: str, second: str, same: bool) -> str:
    """``right``, ``wrong`` or ``fails``."""
    try:
        patterns = way(first, dialect), way(second, dialect)
    except Exception:  # noqa: BLE001  whatever a parser raises
        return "fails"
    return "right" if (patterns[0] == patterns[1]) is same else "wrong"


def main() -> None:
    """Print the tables."""
    print(f"{'µs a statement':<30}" + "".join(f"{name:>21}" for name in (*WAYS, "pitstop, remembered")))
    for name, text in TIMED.items():
        known = Statements(POSTGRESQL)
        calls = max(5, 20_000 // len(text))
        cells = [best_us(lambda way=way, text=text: way(text, POSTGRESQL), calls) for way in WAYS.values()]
        known[text]
        cells.append(best_us(lambda known=known, text=text: known[text], 20_000))
        print(f"{name:<30}" + "".join(f"{us:>21.2f}" for us in cells))
    print(f"\n{'':<30}" + "".join(f"{name:>21}" for name in WAYS))
    right = dict.fromkeys(WAYS, 0)
    for name, dialect, first, second, same in CASES:
        answers = {way: verdict(function, dialect, first, second, same) for way, function in WAYS.items()}
        for way, answer in answers.items():
            right[way] += answer == "right"
        print(f"{name:<30}" + "".join(f"{answer:>21}" for answer in answers.values()))
    print(f"{f'right of {len(CASES)}':<30}" + "".join(f"{count:>21}" for count in right.values()))


if __name__ == "__main__":
    main()
