"""How PostgreSQL, MySQL and SQLite write what is no plain word: literals, quoted names, comments, parameters.

Every expression is possessive or of fixed length and never tried twice at a place, so scanning is linear.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Dialect(NamedTuple):
    """How a database reads what others read differently. None: unknown, and both readings must be safe."""

    name: str
    escapes: bool | None = None  # a backslash in a plain string escapes a quote
    quoted_strings: bool | None = None  # "x" is a string
    dash_needs_space: bool | None = None  # ``--x`` is no comment
    hash_comments: bool | None = None
    nested_comments: bool | None = None
    dollar_strings: bool | None = None
    bracket_names: bool | None = None


ANY = Dialect("")
POSTGRESQL = Dialect(
    "postgresql",
    escapes=False,
    quoted_strings=False,
    dash_needs_space=False,
    hash_comments=False,
    nested_comments=True,
    dollar_strings=True,
    bracket_names=False,
)
MYSQL = Dialect(
    "mysql",
    escapes=True,
    quoted_strings=True,
    dash_needs_space=True,
    hash_comments=True,
    nested_comments=False,
    dollar_strings=False,
    bracket_names=False,
)
SQLITE = Dialect(
    "sqlite",
    escapes=False,
    quoted_strings=None,  # a name, or a string where no such column exists: sqlite.org/quirks.html
    dash_needs_space=False,
    hash_comments=False,
    nested_comments=False,
    dollar_strings=False,
    bracket_names=True,
)

TOKEN = re.compile(
    r"""
    \s*+
    (?: (?P<word>   [^\W\d][\w$]*+ )
      | (?P<const>  (?: \d | \.\d ) (?: [\w.] | (?<=[eE])[+-](?=\d) )*+
                  | \$\d++ | \?\d*+
                  | %\(\w{1,63}+\)[sbt] | %[sbt](?!\w) )
      | (?P<sign>   [(),.;\[\]] )
      | (?P<quote>  ['"`] )
      | (?P<dollar> \$(?:[^\W\d]\w*+)?\$ )
      | (?P<dash>   -- )
      | (?P<slash>  /\* )
      | (?P<hash>   \# )
      | (?P<named>  (?<![\w\])"'`:?$.]) [:$] [^\W\d]\w*+ )
      | (?P<other>  :: | := | %% | @++ | [<>=!~|&^]++ | . )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
"""One token with the whitespace before it. Positions of two kinds need a closer look: quotes and comments."""

PLAIN = {quote: re.compile(f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}") for quote in "'\"`"}
"""The rest of a string or name whose opening quote is behind us, the quote doubled within."""

ESCAPED = {
    quote: re.compile(rf"[^{quote}\\]*+(?:(?:\\.|{quote}{quote})[^{quote}\\]*+)*+{quote}", re.DOTALL) for quote in "'\""
}
"""The same where a backslash escapes, too."""

BRACKETED = re.compile(r"\[[^\W\d][\w $.-]*+\]")
COMMENT_EDGE = re.compile(r"/\*|\*/")
LINE_END = re.compile(r"[\r\n]")

PREFIXES = frozenset({"e", "b", "x", "n"})  # of literals; MySQL's character sets begin with _
CONSTANTS = frozenset({"true", "false", "null"})
NOT_CONSTANT_AFTER = frozenset({"is", "not", "set", "default", "on", "returns"})  # IS NULL, ON DELETE SET NULL
SCHEMA = frozenset({"create", "alter", "drop", "comment"})
UNARY_AFTER = frozenset(
    {
        "select",
        "where",
        "and",
        "or",
        "not",
        "then",
        "else",
        "when",
        "in",
        "like",
        "between",
        "limit",
        "offset",
        "set",
        "by",
        "distinct",
        "on",
        "case",
        "return",
        "having",
    }
)
"""Words after which a sign belongs to the number that follows."""

NAMES_AFTER = frozenset(
    {
        "from",
        "join",
        "into",
        "update",
        "table",
        "as",
        "index",
        "view",
        "column",
        "references",
        "constraint",
        "exists",
        "schema",
        "database",
        "collate",
        "add",
        "rename",
        "trigger",
    }
)
"""Words after which double quotes hold a name in every dialect."""
