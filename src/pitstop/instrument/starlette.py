"""Starlette and FastAPI: route templates with mounts and included routers, static mounts. Starlette ≥ 0.40.

After routing a scope holds ``route`` (Starlette ≥ 1.10 and FastAPI's own routes) and ``endpoint``; mounts leave their
path in ``root_path`` and the one before them in ``app_root_path``. FastAPI ≥ 0.16x includes routers lazily and puts
the effective route, prefix included, into ``scope["fastapi"]``. What none of them says is looked up once per endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.instrument.asgi import Scope

_KEPT = 2048  # mounted templates kept; a mount with a parameter would make one for each of its values

_mounted: dict[tuple[int, str], tuple[object, str]] = {}
_by_endpoint: dict[tuple[int, int], tuple[object, object, str]] = {}


def template_of(scope: Scope) -> str:
    """The full route template that answered `scope`, mounts included; "" when none did."""
    route = scope.get("route")
    if "fastapi" in scope:
        effective = scope["fastapi"].get("effective_route_context")
        if effective is not None and (route is None or effective.original_route is route):
            route = effective.starlette_route or effective
    if route is None:
        return _by_its_endpoint(scope) if "endpoint" in scope else ""
    path: str = route.path
    if "app_root_path" not in scope:
        return path
    return _below_mounts(scope, route, path)


def _below_mounts(scope: Scope, route: Any, path: str) -> str:
    prefix = _mount_prefix(scope)
    if not hasattr(route, "app") or hasattr(route, "methods") or not _is_mount(route):
        return prefix + path
    # the mount answered by itself: an application without routes of its own, or one where no route matched
    return "" if route.routes else prefix + "/{path}"


def _is_mount(route: Any) -> bool:
    return any(kind.__name__ == "Mount" for kind in type(route).__mro__)


def _mount_prefix(scope: Scope) -> str:
    """The template of all mounts that `scope` went through."""
    outer, whole = scope["app_root_path"], scope["root_path"]
    if not whole.startswith(outer):
        return ""
    walked = whole[len(outer) :]
    router = scope.get("router")
    key = (id(router), walked)
    kept = _mounted.get(key)
    if kept is not None and kept[0] is router:
        return kept[1]
    prefix = next(_prefixes(getattr(router, "routes", ()), walked), walked)
    if len(_mounted) >= _KEPT:
        _mounted.clear()
    _mounted[key] = (router, prefix)
    return prefix


def _prefixes(routes: Any, walked: str, include: str = "") -> Iterator[str]:
    """Templates of the mounts that consume exactly `walked`, the first that matches first."""
    for route, path, _ in _flat(routes, include):
        if not _is_mount(route):
            continue
        found = _compiled(path + "/{path:path}").match(walked + "/")
        if found is None:
            continue
        rest = found.group("path").rstrip("/")
        if not rest:
            yield path
        else:
            for below in _prefixes(getattr(route, "routes", ()) or (), "/" + rest):
                yield path + below


def _compiled(path: str) -> Any:
    from starlette.routing import compile_path  # noqa: PLC0415  there is a Starlette application

    return compile_path(path)[0]


def _flat(routes: Any, include: str = "") -> Iterator[tuple[Any, str, Any]]:
    """Every route with its path in this router, lazily included routers unfolded, and its endpoint."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            path = getattr(route, "path", None)
            if isinstance(path, str):
                yield route, include + path, getattr(route, "endpoint", None)
            continue
        for context in contexts():
            inner = context.starlette_route or context
            if isinstance(getattr(inner, "path", None), str):
                yield inner, inner.path, getattr(inner, "endpoint", None)


def _by_its_endpoint(scope: Scope) -> str:
    """For routes that do not put themselves into the scope: looked up by what they call."""
    endpoint, router = scope["endpoint"], scope.get("router")
    mounted = _mount_prefix(scope) if "app_root_path" in scope else ""
    key = (id(router), id(endpoint))
    kept = _by_endpoint.get(key)
    if kept is not None and kept[0] is router and kept[1] is endpoint:
        path = kept[2]
    else:
        path = _path_of(getattr(router, "routes", ()), endpoint)
        if len(_by_endpoint) >= _KEPT:
            _by_endpoint.clear()
        _by_endpoint[key] = (router, endpoint, path)
    if path.endswith("/{path}") and mounted:
        return mounted + "/{path}"
    return mounted + path if path else ""


def _path_of(routes: Any, endpoint: object) -> str:
    for route, path, its_endpoint in _flat(routes):
        if its_endpoint is endpoint and not _is_mount(route):
            return path
        if _is_mount(route):
            below = getattr(route, "routes", None) or ()
            if route.app is endpoint:
                return "" if below else "/{path}"
            found = _path_of(below, endpoint)
            if found:
                return found
    return ""


def static_of(scope: Scope) -> tuple[str, ...]:
    """Path prefixes below which the application mounts static files and no route of its own."""
    return tuple(_static_prefixes(getattr(scope.get("app"), "routes", ())))


def _static_prefixes(routes: Any) -> Iterator[str]:
    before: list[str] = []
    for route, path, _ in _flat(routes):
        if _is_mount(route) and path and "{" not in path:
            if _serves_files(route):
                if not any(_may_answer(other, path + "/") for other in before):
                    yield path + "/"
            else:
                for below in _static_prefixes(getattr(route, "routes", ()) or ()):
                    yield path + below
        before.append(path)


def _serves_files(mount: Any) -> bool:
    app = getattr(mount, "_base_app", mount.app)
    return any(kind.__name__ == "StaticFiles" for kind in type(app).__mro__)


def _may_answer(path: str, prefix: str) -> bool:
    """Whether a route declared earlier could take a path below `prefix`."""
    literal = path.split("{", 1)[0]
    return literal.startswith(prefix) or (":path}" in path and prefix.startswith(literal))
