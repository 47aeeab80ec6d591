# ruff: noqa: D106, DJ008, PERF401, PLC0415  as small as can be; Django is configured before its models
"""A Django application on PostgreSQL and SQLite; settings come from the environment, as a process has one Django."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from django.conf import settings

if not settings.configured:
    settings.configure(
        DEBUG=False, SECRET_KEY="test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
        INSTALLED_APPS=["django.contrib.contenttypes"], DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        MIDDLEWARE=[],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PG_NAME"], "HOST": os.environ["PG_HOST"],
                "PORT": os.environ["PG_PORT"], "USER": os.environ["PG_USER"],
            },
            "small": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SQLITE_FILE"]},
        },
    )  # fmt: skip
    import django

    django.setup()

from django.db import connections, models, transaction
from django.http import JsonResponse
from django.urls import path


class Thing(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "contenttypes"
        db_table = "things"


def listing(_: Any) -> JsonResponse:
    """What a view does in a day."""
    names = [thing.name for thing in Thing.objects.filter(id__in=[1, 2, 3])]
    with transaction.atomic():
        Thing.objects.filter(id=2).update(name="secret one")
        with transaction.atomic():
            Thing.objects.create(name="secret two")
    count = Thing.objects.count()
    exists = Thing.objects.filter(name="thing 5").exists()
    for thing in Thing.objects.order_by("id").iterator(chunk_size=15):
        names.append(thing.name)
    return JsonResponse({"names": len(names), "count": count, "exists": exists})


async def listing_async(_: Any) -> JsonResponse:
    """The same by the async interface."""
    names = [thing.name async for thing in Thing.objects.filter(id__in=[1, 2, 3])]
    await Thing.objects.acreate(name="secret three")
    return JsonResponse({"names": len(names), "count": await Thing.objects.acount()})


def small(_: Any) -> JsonResponse:
    """Another alias."""
    return JsonResponse({"names": [thing.name for thing in Thing.objects.using("small").filter(id__lt=9)]})


urlpatterns = [path("things", listing), path("async", listing_async), path("small", small)]


def ask(path: str) -> dict[str, Any]:
    """Ask the WSGI or, for the async view, the ASGI handler's view machinery."""
    from django.test import Client

    if path == "/async":
        return asyncio.run(_ask_async(path))
    answer: dict[str, Any] = Client().get(path).json()
    return answer


async def _ask_async(path: str) -> dict[str, Any]:
    from django.test import AsyncClient

    answer: dict[str, Any] = (await AsyncClient().get(path)).json()
    return answer


def close() -> None:
    for connection in connections.all():
        connection.close()


assert sys.modules[__name__]
