"""The JSON API, ``/api/v1``. Its OpenAPI document is its contract."""

from fastapi import APIRouter

from pitstop.dashboard.api import (
    changes,
    export,
    inside,
    live,
    profiles,
    reading,
    tune,
    tune_changes,
    watch,
    watch_changes,
)

router = APIRouter(prefix="/api/v1")
for _one in (
    reading.router,
    inside.router,
    profiles.router,
    export.router,
    tune.router,
    tune_changes.router,
    watch.router,
    watch_changes.trying,
    watch_changes.changing,
    changes.router,
    live.router,
):
    router.include_router(_one)
