"""What drivers are told, and what they are not told behind a pooler."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.engine import make_url

from pitstop.model.errors import SettingError
from pitstop.tune.database import create_engine, statement_timeout
from pitstop.tune.database.connecting import Connecting, connect_arguments
from pitstop.tune.database.pooler import is_transaction_pooled

LIBPQ = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}


def told(url: str, *, pooled: bool = False, **given: Any) -> tuple[dict[str, Any], bool]:
    parsed = make_url(url)
    how = Connecting(parsed.get_backend_name(), parsed.get_driver_name(), 10, 30.0, pooled)
    return connect_arguments(how, parsed, given)


def test_drivers_get_a_deadline_for_connecting_and_for_statements() -> None:
    libpq = {**LIBPQ, "options": "-c statement_timeout=30000"}
    assert told("postgresql+psycopg://h/d") == (libpq, True)
    assert told("postgresql+psycopg2://h/d") == (libpq, True)
    assert told("postgresql+asyncpg://h/d") == (
        {"timeout": 10, "server_settings": {"statement_timeout": "30000"}},
        True,
    )
    assert told("mysql+pymysql://h/d") == ({"connect_timeout": 10}, True)
    assert told("sqlite:///x.db") == ({}, False)


def test_behind_a_pooler_no_statement_has_a_name_and_no_session_a_setting() -> None:
    assert told("postgresql+psycopg://h/d", pooled=True) == ({**LIBPQ, "prepare_threshold": None}, False)
    assert told("postgresql+psycopg2://h/d", pooled=True) == (LIBPQ, False)
    arguments, has_timeout = told("postgresql+asyncpg://h/d", pooled=True)
    assert arguments.pop("prepared_statement_name_func")() == ""
    assert arguments == {"timeout": 10, "statement_cache_size": 0, "prepared_statement_cache_size": 0}
    assert not has_timeout


def test_what_the_host_says_wins() -> None:
    arguments, has_timeout = told(
        "postgresql+psycopg://h/d?connect_timeout=3", options="-c geqo=off", keepalives_idle=5
    )
    assert arguments == {"options": "-c geqo=off", "keepalives_idle": 5, "tcp_user_timeout": 30_000}
    assert not has_timeout
    arguments, has_timeout = told("postgresql+asyncpg://h/d", server_settings={"jit": "off"}, timeout=2)
    assert arguments == {"server_settings": {"jit": "off"}, "timeout": 2}
    assert not has_timeout


@pytest.mark.parametrize(
    ("url", "pooled"),
    [
        ("postgresql://h/d", False),
        ("postgresql://h:6432/d", True),
        ("postgresql://aws-0-eu-central-1.pooler.supabase.com:6543/postgres", True),
        ("postgresql://aws-0-eu-central-1.pooler.supabase.com:5432/postgres", False),
        ("postgresql://db.abc.supabase.co:5432/postgres", False),
        ("postgresql://ep-cool-1-pooler.eu-central-1.aws.neon.tech/d", True),
    ],
)
def test_poolers_are_known_by_host_and_port(url: str, pooled: bool) -> None:
    assert is_transaction_pooled(make_url(url), "auto") is pooled
    assert is_transaction_pooled(make_url(url), "transaction")
    assert not is_transaction_pooled(make_url(url), "none")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"statement_timeout_s": 0}, "statement_timeout_s = 0 is outside"),
        ({"workers": 0}, "there is at least 1"),
        ({"tenant_timeouts_s": {"acme": 5}}, "tenant 'acme' is 5 s; a tenant's is 15 … 60 s"),
        ({"tenant_timeouts_s": {"acme": 61}}, "tenant 'acme' is 61 s"),
    ],
)
def test_impossible_settings_are_refused_with_their_limits(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        create_engine("postgresql+psycopg://h/d", **options)


def test_a_block_of_no_time_is_refused() -> None:
    with pytest.raises(SettingError, match="0 s is outside"), statement_timeout(0):
        pass
