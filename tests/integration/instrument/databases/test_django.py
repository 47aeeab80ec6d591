# ruff: noqa: ANN001, ANN201, ARG001, PLC0415, PT012  fixtures are known by name; a process has one Django
"""Django's ORM over psycopg and sqlite3, sync and async, beside PostgreSQL's own account."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .test_postgresql import the_services


@pytest.fixture
def project(postgres, server, sqlite_file):
    os.environ.update(
        PG_NAME=postgres.name, PG_HOST=postgres.host, PG_PORT=str(postgres.port), PG_USER=postgres.user,
        SQLITE_FILE=sqlite_file,
    )  # fmt: skip
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import django_project
        from django.db import connections
    finally:
        sys.path.pop(0)
    connections["small"].settings_dict["NAME"] = sqlite_file
    django_project.close()
    server.reset()
    yield django_project
    django_project.close()


def test_a_sync_views_statements_are_those_of_postgresql(project, server, recorded):
    with recorded() as below:
        assert project.ask("/things") == {"names": 44, "count": 41, "exists": True}
        project.close()
    ours, theirs = the_services(below.counted()), the_services(server.counted())
    # the chunks of a server-side cursor are statements of their own to the server
    cursors = [name for name in ours if "ORDER BY" in name]
    assert [ours.pop(name) for name in cursors] == [(1, 41)]
    assert ours == {name: counts for name, counts in theirs.items() if not name.startswith(("DECLARE", "FETCH"))}
    assert 'INSERT INTO "things" ("name") VALUES (?) RETURNING "things"."id"' in ours
    assert [child.outcome for child in below.of("transaction")] == ["commit"]
    assert all("django_project.py" in child.attrs["line"] for child in below.of("db") if "things" in child.name)


def test_an_async_views_statements_are_those_of_postgresql(project, server, recorded):
    with recorded() as below:
        assert project.ask("/async") == {"names": 3, "count": 41}
        project.close()
    assert the_services(below.counted()) == the_services(server.counted())


def test_another_alias_on_sqlite_is_recorded_once(project, recorded):
    with recorded() as below:
        assert len(project.ask("/small")["names"]) == 8
    assert [rows for name, outcome, rows in below.statements() if 'FROM "things"' in name] == [8]


def test_a_transaction_that_fails_is_a_rollback(project, recorded):
    from django.db import transaction

    with recorded() as below, pytest.raises(ZeroDivisionError), transaction.atomic():
        project.Thing.objects.filter(id=1).delete()
        raise ZeroDivisionError
    assert [child.outcome for child in below.of("transaction")] == ["rollback"]
    assert ("ROLLBACK", "ok", 0) in below.statements()


def test_migrations_are_timed_with_their_statements(project, server, recorded):
    from django.core.management import call_command

    server.connection.execute("DROP TABLE IF EXISTS django_migrations, django_content_type CASCADE")
    with recorded() as below:
        call_command("migrate", "contenttypes", verbosity=0)
    names = [child.name for child in below.of("function")]
    assert names == ["migration contenttypes.0001_initial", "migration contenttypes.0002_remove_content_type_name"]
    first = below.of("function")[0]
    assert any(child.parent_ns == first.start_ns and child.name.startswith("CREATE TABLE") for child in below.of("db"))
    server.connection.execute("DROP TABLE IF EXISTS django_migrations, django_content_type CASCADE")
