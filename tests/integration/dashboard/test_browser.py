"""The pages in a real browser: they render, obey the keyboard, run nobody's script, and move by themselves."""

from __future__ import annotations

import json
import math
import time
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from pitstop.analyze import units

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
PAGES = ("/", "/routes", "/route?route=POST%20%2Fcheckout", "/runtime", "/storage")
READY = "#main[data-ready]"  # set when all charts are drawn; polling by text would need eval, which pages forbid


def visit(page: Page, dashboard: Dashboard, path: str) -> None:
    page.goto(dashboard.url + path)
    page.wait_for_selector(READY)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_renders_without_a_complaint(page: Page, dashboard: Dashboard, path: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    visit(page, dashboard, path)
    expect(page.locator("nav a[aria-current]")).to_have_count(1)
    assert page.locator(".plot canvas").count() == {"/": 3, "/routes": 0, "/runtime": 3, "/storage": 0}.get(path, 4)
    for label in page.locator(".plot").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))"):
        assert label, "a chart says in words what it shows"
    assert page.locator("#zone").inner_text().startswith("Times are in ")


@pytest.mark.parametrize("width", [360, 400, 700, 1000, 1920])
@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/route?route=none"])
def test_nothing_scrolls_sideways(page: Page, dashboard: Dashboard, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    if path == "/route?route=none":
        page.route("**/route?route=none", lambda route: route.continue_())
        page.goto(f"{dashboard.url}/route?route={quote(dashboard.routes[-1])}")
    elif path == "/sign-in":
        page.context.clear_cookies()
        page.goto(dashboard.url + path)
    else:
        visit(page, dashboard, path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.evaluate(
        "[...document.querySelectorAll('main *, header *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".slice(0, 5).map(e => e.outerHTML.slice(0, 120))"
    )


def test_hostile_names_are_text_on_every_page(page: Page, dashboard: Dashboard) -> None:
    hostile = quote(f"GET /{dashboard.hostile}")
    for path in (*PAGES, f"/route?route={hostile}", f"/?service={quote(dashboard.hostile)}", f"/routes?q={hostile}"):
        visit(page, dashboard, path)
        page.wait_for_timeout(150)
        assert page.evaluate("window.canary") is None, path
        assert "49" not in page.title(), "no template ran twice"
        assert page.locator("main img, nav img, header img").count() == 0, path
    visit(page, dashboard, "/routes")
    titles = page.locator("#routes code").evaluate_all("all => all.map(one => one.title)")
    assert f"GET /{dashboard.hostile}" in titles, "the whole name stands in the title"


def test_a_click_sorts_and_the_order_lives_in_the_address(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/routes")

    def column() -> list[float]:
        values: list[float] = page.locator("#routes tbody tr td:nth-child(7)").evaluate_all(
            "all => all.map(one => Number(one.dataset.v))"
        )
        return values

    page.click("th[data-sort=p95] a")
    assert column() == sorted(column(), reverse=True)
    page.click("th[data-sort=p95] a")
    assert column() == sorted(column())
    assert "sort=p95&order=asc" in page.url
    page.reload()
    page.wait_for_selector(READY)
    assert column() == sorted(column()), "the server keeps the order"
    expect(page.locator("th[data-sort=p95]")).to_have_attribute("aria-sort", "ascending")


def test_typing_filters_and_the_arrows_and_enter_open_a_route(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/routes")
    page.keyboard.press("/")
    page.keyboard.type("product")
    expect(page.locator("#routes tbody tr:visible")).to_have_count(1)
    expect(page.locator("#shown")).to_have_text(f"1 of {page.locator('#routes tbody tr').count()} routes")
    assert "q=product" in page.url
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/route?route=GET%20%2Fproduct%2F%7Bid%7D")
    expect(page.locator("h1")).to_contain_text("/product/{id}")
    page.go_back()
    expect(page.locator("#search")).to_have_value("product")
    expect(page.locator("#routes tbody tr:visible")).to_have_count(1)


def test_keys_lead_everywhere(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/?last=6h")
    for key, path in (
        ("r", "/routes"),
        ("q", "/queries"),
        ("t", "/traces"),
        ("e", "/errors"),
        ("p", "/profile"),
        ("u", "/runtime"),
        ("s", "/storage"),
        ("o", "/"),
    ):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"{dashboard.url}{path}?last=6h")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).not_to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("#range form")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#range form")).not_to_be_visible()


def test_dragging_across_a_chart_sets_the_range_in_the_address(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/")
    box = page.locator('.plot[data-chart="latency"]').bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100, steps=5)
    expect(page.locator(".chosen")).to_be_visible()
    page.mouse.up()
    page.wait_for_url("**/?from=*&to=*")
    start, end = (page.evaluate(f"Number(new URLSearchParams(location.search).get('{n}'))") for n in ("from", "to"))
    assert 500 < end - start < 1100, "a fifth of an hour"


def test_the_pointer_in_one_chart_shows_the_same_moment_in_all(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/")
    box = page.locator('.plot[data-chart="latency"]').bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.move(box["x"] + 310, box["y"] + 100)
    expect(page.locator(".cross:visible")).to_have_count(2)
    expect(page.locator(".tip").first).to_contain_text("P95")


def test_every_chart_has_its_table(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/")
    for button in page.locator('[data-act="sheet"]').all():
        button.click()
        expect(page.locator("#sheet table tbody tr").first).to_be_visible()
        page.keyboard.press("Escape")


def test_live_numbers_move_by_themselves(page: Page, dashboard: Dashboard, write: Any) -> None:
    visit(page, dashboard, "/?last=15m")
    expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=10_000)
    before = page.locator('[data-live="s-requests"] .v').inner_text()
    write(dashboard.store, "browser:1:aa", 1, int(time.time()), 40_000)
    expect(page.locator("#now")).to_contain_text("4 k/s", timeout=10_000)
    expect(page.locator('[data-live="s-requests"] .v')).not_to_have_text(before, timeout=10_000)
    page.click("#live")
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "false")


def test_the_scheme_switch_is_remembered_by_the_server(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/")
    page.click('[data-act="scheme"]')
    page.click('[data-act="scheme"]')
    expect(page.locator("html")).to_have_attribute("data-scheme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-scheme", "dark")


def test_the_menu_of_a_narrow_page_is_a_button(page: Page, dashboard: Dashboard) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    visit(page, dashboard, "/")
    expect(page.locator("#nav")).not_to_be_visible()
    page.click('[data-act="menu"]')
    expect(page.locator("#nav")).to_be_visible()
    page.click("#nav >> text=Routes")
    page.wait_for_url("**/routes")
    expect(page.locator("#nav")).not_to_be_visible()
    assert page.locator("#routes thead th:visible").count() == 3, "the name and two telling columns"


def test_pruning_asks_once_and_names_what_goes(page: Page, dashboard: Dashboard, write: Any) -> None:
    write(dashboard.store, "prune:1:aa", 1, int(time.time()) - 20 * 86_400, 5)
    visit(page, dashboard, "/storage")
    page.select_option("select[name=days]", "14")
    page.click("text=Count what would go")
    expect(page.locator("#confirm")).to_contain_text("rows from before")
    page.click("#confirm button[value=no]")
    expect(page.locator('[data-role="prune-result"]')).to_contain_text("are older than")
    page.click("text=Count what would go")
    page.click("#confirm button[value=yes]")
    expect(page.locator('[data-role="prune-result"]')).to_contain_text("deleted")


def test_an_empty_range_says_why_and_what_to_type(page: Page, dashboard: Dashboard) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, dashboard, "/?from=1600000000&to=1600003600")
    expect(page.locator(".empty")).to_contain_text("No requests in this range")
    page.locator("[data-copy]").first.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("pitstop run")


def test_the_browser_writes_figures_as_python_does(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/")
    values = [0, 1, 0.5, 12, 999, 999.5, 1000, 9999, 10_000, 12_345, 12_250, 1e6, 2.5e9, 0.125, 1.125, 2.675, 0.00042]
    values += [59.95, 60, 61, 90.5, 3599.6, 3600, 86_400.4, 1e-6, 9.995e-7, 0.9995e-3, 0.99951, 0.9999, 0.99999999]
    values += [0.011, 4.2e-6, 1e-9, 0.123456, 1 / 3, 2 / 3, 5.5e12, 3, 2, 1.999, -0.034, -0.5]
    values += [mantissa * 10.0**e for mantissa in (1.005, 4.445, 9.994, 9.996) for e in range(-7, 8)]
    writers = {
        "duration": units.duration_text,
        "milliseconds": units.milliseconds_text,
        "count": units.count_text,
        "rate": units.rate_text,
        "ratio": units.ratio_text,
        "bytes": units.bytes_text,
        "change": units.change_text,
        "figures": units.figures,
    }
    positive = {"duration", "count", "rate", "ratio", "bytes", "milliseconds"}
    module = page.locator("script[type=module]").get_attribute("src").rsplit("/", 1)[0] + "/format.js"
    for name, write in writers.items():
        asked = [value for value in values if value >= 0 or name not in positive]
        nonce = page.evaluate("document.querySelector('script[type=module]').nonce")
        got = page.evaluate(
            """([module, nonce, name, values]) => new Promise((done) => {
                window.done = done; window.given = values;
                const script = document.createElement("script");
                script.type = "module"; script.nonce = nonce;
                script.textContent = `import { ${name} as f } from ${JSON.stringify(module)};
                    done(given.map((v) => f(v)))`;
                document.body.append(script);
            })""",
            [module, nonce, name, asked],
        )
        assert got == [write(value) for value in asked], (name, json.dumps(asked))
        assert math.isfinite(sum(asked))
