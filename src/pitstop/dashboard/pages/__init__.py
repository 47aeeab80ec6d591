"""The pages: one question a file."""

from fastapi import APIRouter

from pitstop.dashboard.pages import (
    alerts,
    caches,
    channels,
    database,
    errors,
    memory,
    overview,
    profile,
    queries,
    routes,
    rules,
    runtime,
    sign_in,
    slos,
    storage,
    traces,
)

router = APIRouter(include_in_schema=False)
for _one in (
    sign_in.router,
    sign_in.signed_in_router,
    overview.router,
    routes.router,
    queries.router,
    traces.router,
    errors.router,
    profile.router,
    caches.router,
    database.router,
    memory.router,
    runtime.router,
    slos.router,
    alerts.router,
    rules.router,
    channels.router,
    storage.router,
):
    router.include_router(_one)
