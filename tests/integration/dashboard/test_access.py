"""Nobody sees or does what is not theirs: every route, however it is spelled."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from pitstop.dashboard import Keyring, create_app
from pitstop.store.memory import MemoryStore

Dashboard = Any  # the fixture of conftest.py, which cannot be imported


PUBLIC = {("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/static/{revision}/{name:path}")}


def all_routes(app: Any) -> set[tuple[str, str]]:
    """Every method and path that is served; FastAPI lists included routers as one entry, older ones flat."""
    found = set()
    for entry in app.routes:
        contexts = getattr(entry, "effective_route_contexts", None)
        for route in contexts() if contexts else [entry]:
            found |= {(method, route.path) for method in getattr(route, "methods", None) or ()}
    return found


def spelled(path: str) -> list[str]:
    path = path.replace("{revision}", "x").replace("{name:path}", "y")
    return [
        path,
        f"/{path}",
        f"{path}/",
        path.replace("/", "//"),
        "/" + path[1:].replace("/", "%2f"),
        f"/.{path}",
        f"/x/..{path}",
        path.upper() if path != "/" else "/?x=1",
        f"{path};x=1",
    ]


EXPECTED = {
    "/", "/metrics", "/routes", "/route", "/runtime", "/storage", "/sign-out",
    "/api/v1/overview", "/api/v1/health", "/api/v1/routes", "/api/v1/routes/trend", "/api/v1/heatmap",
    "/api/v1/runtime", "/api/v1/storage", "/api/v1/services", "/api/v1/routes.csv", "/api/v1/openapi.json",
    "/api/v1/storage/prune", "/api/v1/storage/checkpoint", "/api/v1/storage/rotate",
}  # fmt: skip


@pytest.mark.parametrize("mounted", ["", "/admin/performance"])
def test_no_route_answers_somebody_who_is_not_signed_in(serving: Any, mounted: str) -> None:
    app = create_app(MemoryStore("crawl"), auth=Keyring())
    found = all_routes(app)
    assert {path for _, path in found} >= EXPECTED, "the crawl sees every page and call"
    outer = Starlette(routes=[Mount(mounted, app=app)]) if mounted else app
    elsewhere = {"accept": "text/html", "via": "1.1 proxy"}  # /metrics is open to this machine, and to nobody else
    with serving(outer) as url, httpx.Client(base_url=url, headers={"origin": url, **elsewhere}) as client:
        for method, path in sorted(found - PUBLIC):
            for spelling in spelled(path):
                for verb in {method, "HEAD", "GET", "OPTIONS", "POST"}:
                    answer = client.request(verb, httpx.URL(url + mounted + spelling), json={"before_s": 1})
                    where = (verb, mounted + spelling, answer.status_code)
                    assert answer.status_code in {303, 307, 400, 401, 404, 405, 422}, where
                    if answer.status_code == 307:
                        assert answer.headers["location"].startswith(url), where
                    elif answer.status_code == 303:
                        assert answer.headers["location"].startswith(f"{mounted}/sign-in?next="), where
                    if method == verb and spelling == path:
                        assert answer.status_code in {303, 401}, where


def test_a_wrong_host_is_refused_before_anything_else(dashboard: Dashboard) -> None:
    for path in ("/", "/sign-in", "/api/v1/overview", "/static/x/y"):
        answer = httpx.get(dashboard.url + path, headers={"host": "evil.example"})
        assert answer.status_code == 400
        assert answer.json()["error"]["value"] == "evil.example"


def test_every_answer_carries_the_headers_that_keep_a_browser_in_its_place(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        for path in ("/", "/sign-in", "/api/v1/overview", "/nowhere", "/route?route=none"):
            answer = client.get(path, headers={"accept": "text/html"})
            assert answer.headers["content-security-policy"].startswith("default-src 'none'"), path
            assert answer.headers["cache-control"] == "no-store", path
            assert answer.headers["x-content-type-options"] == "nosniff", path
        first, second = (client.get("/").headers["content-security-policy"] for _ in range(2))
        assert first != second, "a nonce is used once"


def sign_in(client: httpx.Client, password: str, next_: str = "/", **headers: str) -> httpx.Response:
    form = re.search(r'name="form" value="(\w+)"', client.get("/sign-in").text)
    assert form
    data = {"user": "admin", "password": password, "form": form[1], "next": next_}
    return client.post("/sign-in", data=data, headers=headers)


def test_the_password_opens_a_session_and_signing_out_ends_it(dashboard: Dashboard) -> None:
    with dashboard.client(signed_in=False) as client:
        answer = sign_in(client, dashboard.password, "/routes?last=6h")
        assert (answer.status_code, answer.headers["location"]) == (303, "/routes?last=6h")
        cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("pitstop_session="))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        page = client.get("/routes")
        assert page.status_code == 200
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf
        assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
        stolen = client.cookies["pitstop_session"]
        out = client.post("/sign-out", data={"csrf": csrf[1]})
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        client.cookies.set("pitstop_session", stolen)
        assert client.get("/routes").status_code == 303


def test_a_cookie_is_for_encrypted_connections_only_where_the_sign_in_was_one(dashboard: Dashboard) -> None:
    with dashboard.client(signed_in=False) as client:
        answer = client.get("/sign-in", headers={"x-forwarded-proto": "https"})
        assert "Secure" in answer.headers["set-cookie"]
        assert "Secure" not in client.get("/sign-in").headers["set-cookie"]


def test_a_sign_in_never_leads_to_another_site(dashboard: Dashboard) -> None:
    for wanted in ("//evil.example", "/\\evil.example", "https://evil.example", "\\evil"):
        with dashboard.client(signed_in=False) as client:
            assert sign_in(client, dashboard.password, wanted).headers["location"] == "/"
        with dashboard.client() as client:
            assert client.get("/sign-in", params={"next": wanted}).headers["location"] == "/"


def test_a_sign_in_from_a_foreign_page_or_without_its_form_is_refused(dashboard: Dashboard) -> None:
    with dashboard.client(signed_in=False) as client:
        assert sign_in(client, dashboard.password, origin="http://evil.example").status_code == 403
        assert client.post("/sign-in", data={"user": "admin", "password": dashboard.password}).status_code == 403
        assert client.post("/sign-in", json={"user": "admin"}).status_code == 415
        assert client.post("/sign-in", data={"x": "y" * 10_000}).status_code == 413


def test_guessing_is_slowed_down_and_the_wait_is_said(serving: Any) -> None:
    keyring = Keyring()
    keyring.set_password("correct-horse-battery")
    with serving(create_app(MemoryStore("guess"), auth=keyring)) as url:
        client = httpx.Client(base_url=url, headers={"origin": url})
        codes = [sign_in(client, f"guess number {i}").status_code for i in range(5)]
        assert codes == [401] * 5
        refused = sign_in(client, "correct-horse-battery")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 60


CHANGES = ("/api/v1/storage/prune", "/api/v1/storage/checkpoint", "/api/v1/storage/rotate")


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_needs_the_token_of_the_session_and_a_page_of_ours(dashboard: Dashboard, path: str) -> None:
    cookie, session = dashboard.keyring.open_session("admin")
    body = {"before_s": 1, "dry_run": True}
    cases: list[tuple[dict[str, str], int]] = [
        ({"origin": dashboard.url}, 403),
        ({"origin": dashboard.url, "x-csrf-token": "wrong"}, 403),
        ({"origin": "http://evil.example", "x-csrf-token": session.csrf}, 403),
        ({"origin": "null", "x-csrf-token": session.csrf}, 403),
        ({"x-csrf-token": session.csrf}, 403),
        ({"origin": dashboard.url, "x-csrf-token": session.csrf}, 200),
    ]
    for headers, status in cases:
        answer = httpx.post(dashboard.url + path, json=body, headers=headers, cookies={"pitstop_session": cookie})
        assert answer.status_code == status, (headers, answer.text)
        if status != 200:
            assert answer.json()["error"]["next"]
    assert httpx.get(dashboard.url + path, cookies={"pitstop_session": cookie}).status_code == 405


def test_an_api_token_reads_and_changes_but_opens_no_page(dashboard: Dashboard) -> None:
    token = dashboard.keyring.add_token("ci")
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(dashboard.url + "/api/v1/overview", headers=headers).status_code == 200
    assert httpx.post(dashboard.url + "/api/v1/storage/checkpoint", headers=headers).status_code == 200
    assert httpx.get(dashboard.url + "/storage", headers=headers).status_code == 303
    assert httpx.get(dashboard.url + "/api/v1/overview", headers={"authorization": "Bearer pst_x"}).status_code == 401
    assert httpx.get(dashboard.url + "/api/v1/overview", headers={"authorization": f"Basic {token}"}).status_code == 401


def test_a_dashboard_that_only_reads_refuses_changes(serving: Any) -> None:
    keyring = Keyring()
    token = keyring.add_token("ci")
    with serving(create_app(MemoryStore("readonly"), auth=keyring, writable=False)) as url:
        answer = httpx.post(url + "/api/v1/storage/rotate", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "read_only")


def test_static_files_are_kept_for_good_compressed_and_nothing_else_is_reachable(dashboard: Dashboard) -> None:
    page = httpx.get(dashboard.url + "/sign-in").text
    style = re.search(r'href="(/static/\w+/css/page.css)"', page)
    assert style
    answer = httpx.get(dashboard.url + style[1], headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    plain = httpx.get(dashboard.url + style[1], headers={"accept-encoding": "identity"})
    assert plain.text == answer.text
    root = style[1].rsplit("/", 2)[0]
    for path in (
        "/../app.py",
        "/%2e%2e/app.py",
        "/..%2fapp.py",
        "/%5c..%5capp.py",
        "/vendor/README.md",
        "//etc/passwd",
    ):
        assert httpx.get(dashboard.url + root + path).status_code == 404, path
    assert httpx.get(dashboard.url + "/static/0000000000000000/css/page.css").status_code == 404
