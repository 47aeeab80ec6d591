"""Texts with places for parameters: every style, nothing that rides along, no value in a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.tune.database.advice.template import POSTGRESQL, SQLITE, Template


def numbered(text: str, dialect: object = POSTGRESQL) -> str:
    return Template.of(text, dialect).render(lambda number: f"${number}")  # type: ignore[arg-type]  # one of two


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("SELECT * FROM t WHERE a = ? AND b = ?", "SELECT * FROM t WHERE a = $1 AND b = $2"),
        ("SELECT * FROM t WHERE a = %s AND b = %(b)s", "SELECT * FROM t WHERE a = $1 AND b = $2"),
        ("SELECT * FROM t WHERE a = $1 AND b = :b;", "SELECT * FROM t WHERE a = $1 AND b = $2"),
        ("SELECT a::text FROM t WHERE b = 'it''s ? $1'", "SELECT a::text FROM t WHERE b = 'it''s ? $1'"),
        ('SELECT "odd ? name" FROM t -- why ?\nWHERE a = ?', 'SELECT "odd ? name" FROM t -- why ?\nWHERE a = $1'),
        ("SELECT /* ? /* : */ ? */ a FROM t WHERE b = ?", "SELECT /* ? /* : */ ? */ a FROM t WHERE b = $1"),
        ("SELECT $tag$ ? $tag$ || ?", "SELECT $tag$ ? $tag$ || $1"),
        ("SELECT now() - INTERVAL ?", "SELECT now() - CAST($1 AS INTERVAL)"),
        ("SELECT date ? FROM t", "SELECT CAST($1 AS date) FROM t"),
        ("SELECT 5", "SELECT 5"),
    ],
)
def test_parameters_of_every_style_are_found_and_nothing_else(text: str, rendered: str) -> None:
    assert numbered(text) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DROP TABLE t",
        "SELECT 'a' ; -- x\nDELETE FROM t",
        "SELECT a FROM t WHERE b = ? …",
        "SELECT 'never closed",
        "SELECT 1 /* never closed",
        "SELECT $a$ never closed",
    ],
)
def test_what_is_not_one_whole_statement_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        Template.of(text, POSTGRESQL)


def test_a_message_holds_no_value() -> None:
    with pytest.raises(SettingError) as caught:
        Template.of("SELECT * FROM t WHERE password = 's3cr3t'; DELETE FROM t WHERE x = 's3cr3t'", SQLITE)
    assert "s3cr3t" not in str(caught.value)


@given(st.text(alphabet="a?'\";$%s:()1 -/*\n[]`…", max_size=40))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    for dialect in (POSTGRESQL, SQLITE):
        try:
            template = Template.of(text, dialect)
        except SettingError:
            continue
        assert template.render(lambda _: "?").count("?") >= len(template.types)
        assert len(template.pieces) == len(template.types) + 1
