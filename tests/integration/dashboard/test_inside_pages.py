"""The pages about the inside of requests in a real browser: from a slow route to the query, the trace, the frame."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, expect

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
READY = "#main[data-ready]"


def visit(page: Page, dashboard: Dashboard, path: str) -> None:
    page.goto(dashboard.url + path)
    page.wait_for_selector(READY)


def fits(page: Page) -> bool:
    """Whether nothing scrolls sideways, once the charts have followed the page's new width."""
    for _ in range(40):
        if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            return True
        page.wait_for_timeout(50)
    return False


def addresses(inside: Any) -> list[str]:
    route = quote(f"GET /{inside.XSS}", safe="")
    return [
        "/queries", f"/queries?route={route}", f"/query?statement={quote(inside.LINES, safe='')}",
        f"/query?statement={quote(inside.HOSTILE, safe='')}", "/traces", f"/traces?route={route}",
        f"/trace?id={inside.TRACE_SLOW}", f"/trace?id={inside.TRACE_PLAIN}", "/errors",
        *(f"/error?fingerprint={mark}" for mark in inside.FINGERPRINTS),
        "/profile", f"/profile?route={quote(inside.PRODUCT, safe='')}&find=img", "/profile?against=previous&last=30m",
        "/profile?mode=blocked", f"/route?route={quote(inside.CHECKOUT, safe='')}", "/",
    ]  # fmt: skip


def test_hostile_statements_errors_and_frames_are_text_on_every_page(page: Page, dashboard: Dashboard) -> None:
    for path in addresses(dashboard.inside):
        visit(page, dashboard, path)
        page.wait_for_timeout(100)
        assert page.evaluate("window.canary") is None, path
        assert page.locator("main img, nav img, header img").count() == 0, path
        expect(page.locator("nav a[aria-current]")).to_have_count(1)
        for width in (360, 1000, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert fits(page), (path, width)


def test_from_a_slow_route_to_the_query_the_trace_and_the_frame_by_clicks(page: Page, dashboard: Dashboard) -> None:
    inside = dashboard.inside
    visit(page, dashboard, "/routes")
    page.click("#routes >> text=/checkout")
    page.wait_for_url("**/route?*")
    expect(page.locator(".finding")).to_contain_text("the same statement 59 times")
    expect(page.locator('.plot[data-chart="breakdown"] canvas')).to_be_visible()
    page.click("text=See the statement")
    page.wait_for_url("**/query?*")
    expect(page.locator("pre.statement")).to_have_text(inside.LINES)
    expect(page.locator("main")).to_contain_text(inside.LINES_AT)
    page.click('[data-live="routes"] a')
    page.wait_for_url("**/route?*")
    page.click('[data-live="slow"] tr:nth-child(1) a')
    page.wait_for_url("**/trace?*")
    row = page.locator(".wf-row", has_text="SELECT")
    row.nth(1).click()
    expect(page.locator("#span")).to_contain_text(inside.LINES_AT)
    expect(page.locator("#span pre")).to_have_text(inside.LINES)
    page.click("text=This statement on all requests")
    page.wait_for_url("**/query?*")
    page.go_back()
    page.wait_for_url("**/trace?*")
    expect(page.locator("#span"), "the address keeps what was chosen").to_contain_text(inside.LINES_AT)
    page.click("p.path a >> nth=1")
    page.wait_for_url("**/route?*")
    page.click("text=whole profile")
    page.wait_for_url("**/profile?*")
    expect(page.locator("#functions tbody tr").first).to_contain_text("execute")
    page.click("#functions tbody a >> nth=0")
    expect(page.locator(".flame-note")).to_contain_text("% of the time")


def test_from_a_failed_request_to_its_error_and_back(page: Page, dashboard: Dashboard) -> None:
    inside = dashboard.inside
    visit(page, dashboard, "/traces?reason=failed")
    page.click("#traces tbody a")
    page.wait_for_url("**/trace?*")
    page.click("text=its error")
    page.wait_for_url("**/error?*")
    expect(page.locator("h1")).to_contain_text("KeyError")
    expect(page.locator(".frames .here")).to_have_text("shop/pay.py:31 in settle")
    page.click('[data-live="traces"] a')
    page.wait_for_url(f"**/trace?id={inside.TRACE_FAILED}")


def test_the_waterfall_obeys_the_keyboard(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, f"/trace?id={dashboard.inside.TRACE_SLOW}")
    rows = int(page.locator(".wf-body").get_attribute("aria-rowcount") or 0)
    page.focus(".wf-body")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".wf-body")).to_have_attribute("aria-rowcount", "1")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".wf-body")).to_have_attribute("aria-rowcount", str(rows))
    page.keyboard.press("e")
    expect(page.locator(".wf-body")).to_have_attribute("aria-rowcount", str(rows + 59))
    page.keyboard.press("End")
    expect(page.locator(".wf-row.at")).to_contain_text("basket")
    page.keyboard.press("z")
    expect(page.locator("#waterfall")).to_have_class(re.compile("zoomed"))
    page.keyboard.press("Escape")
    expect(page.locator("#waterfall")).not_to_have_class(re.compile("zoomed"))
    page.keyboard.press("Escape")
    expect(page.locator("#span")).to_be_hidden()
    assert "span=" not in page.url


def test_dragging_across_the_map_zooms(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, f"/trace?id={dashboard.inside.TRACE_SLOW}")
    box = page.locator(".wf-map canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=4)
    page.mouse.up()
    first, last = (float(page.locator(".wf-scale span").nth(n).inner_text().split()[0]) for n in (0, 4))
    assert abs(first - 710) < 15
    assert abs(last - 1065) < 15
    page.click("text=whole duration")
    expect(page.locator(".wf-scale span").first).to_have_text("0 ms")


def test_five_thousand_spans_stay_smooth(page: Page, dashboard: Dashboard) -> None:
    begun_s = time.monotonic()
    visit(page, dashboard, f"/trace?id={dashboard.inside.TRACE_BIG}")
    usable_s = time.monotonic() - begun_s
    assert int(page.locator(".wf-body").get_attribute("aria-rowcount") or 0) > 5000
    assert page.locator(".wf-row").count() < 80, "only rows in sight exist"
    worst_ms = page.evaluate(
        """() => new Promise((done) => {
            const body = document.querySelector(".wf-body");
            const times = []; let last = performance.now(), n = 0;
            const step = (now) => {
                times.push(now - last); last = now; n += 1;
                body.scrollTop = (body.scrollHeight - body.clientHeight) * (n % 40) / 40;
                if (n < 60) requestAnimationFrame(step); else done(times.slice(5).sort((a, b) => a - b).at(-6));
            };
            requestAnimationFrame(step);
        })"""
    )
    print(f"5,000 spans: usable after {usable_s:.2f} s, 90 % of frames within {worst_ms:.0f} ms")  # noqa: T201
    assert page.locator(".wf-row").count() < 80
    page.focus(".wf-body")
    page.keyboard.press("End")
    expect(page.locator(".wf-row.at")).to_be_visible()


def test_brushing_the_histogram_sets_the_durations_in_the_address(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/traces?last=2h")
    box = page.locator(".histogram svg").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url("**/traces?*min=*max=*")
    least, most = (page.evaluate(f"Number(new URLSearchParams(location.search).get('{n}'))") for n in ("min", "max"))
    took_s = page.locator("#traces tbody td:nth-child(3)").evaluate_all("all => all.map(one => Number(one.dataset.v))")
    assert took_s
    assert all(least <= one < most for one in took_s)
    page.select_option("select[name=reason]", "sample")
    page.wait_for_url("**reason=sample**")
    assert f"min={least}" in page.url, "the filters stay together"
    page.click("text=no filter")
    page.wait_for_url("**/traces?last=2h")


def test_a_flame_graph_zooms_searches_and_obeys_the_keyboard(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, f"/profile?route={quote(dashboard.inside.CHECKOUT, safe='')}")
    page.fill(".flame input[type=search]", "cart.py")
    expect(page.locator(".flame-note")).to_contain_text("% of the time is in or below what matches")
    assert "find=cart.py" in page.url
    page.focus(".flame canvas")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".flame-path button")).to_have_count(4)
    page.keyboard.press("Escape")
    expect(page.locator(".flame-path button")).to_have_count(1)
    box = page.locator(".flame canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + 40, box["y"] + 66)
    expect(page.locator(".flame-tip")).to_contain_text("of all")
    page.mouse.click(box["x"] + 40, box["y"] + 66)
    expect(page.locator(".flame-path button").last).to_contain_text("checkout")
    page.click("text=Reset")
    assert "find" not in page.url


def test_fifty_thousand_frames_stay_smooth(page: Page, dashboard: Dashboard) -> None:
    begun_s = time.monotonic()
    visit(page, dashboard, f"/profile?mode=cpu&route={quote(dashboard.inside.HEAVY, safe='')}")
    usable_s = time.monotonic() - begun_s
    expect(page.locator("#t-flame small, #flame small").first).to_contain_text("50 k frames")
    box = page.locator(".flame canvas").bounding_box()
    assert box
    drawn = int(page.locator("#flame").get_attribute("data-drawn") or 0)
    assert 0 < drawn < 50_000, "what is narrower than a pixel is not drawn"
    times_ms = page.evaluate(
        """() => {
            const search = document.querySelector(".flame input[type=search]");
            const canvas = document.querySelector(".flame canvas"), box = canvas.getBoundingClientRect();
            const took = (act) => { const t = performance.now(); act(); return performance.now() - t; };
            const find = (text) => took(() => { search.value = text; search.dispatchEvent(new Event("input")); });
            const at = { clientX: box.left + box.width / 2, clientY: box.top + 85 };
            const zoom = () => canvas.dispatchEvent(new MouseEvent("click", at));
            return [find("g3"), find("heavy.py:77"), find(""), took(zoom)];
        }"""
    )
    words = ", ".join(f"{one:.0f}" for one in times_ms)
    print(f"50,000 frames: usable after {usable_s:.2f} s; find, find, clear, zoom {words} ms")  # noqa: T201
    expect(page.locator(".flame-path button").last).to_contain_text("heavy.py")


def test_two_windows_are_compared_by_colour_and_in_words(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, f"/profile?route={quote(dashboard.inside.CHECKOUT, safe='')}&last=30m&against=previous")
    expect(page.locator("#t-flame")).to_contain_text("What changed")
    expect(page.locator("main")).to_contain_text("▲ +")
    box = page.locator(".flame canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 85)
    expect(page.locator(".flame-tip")).to_contain_text("points")


def test_tables_sort_and_filter_by_what_was_typed(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard, "/queries")
    page.click("th[data-sort=p95] button")
    values = page.locator("#queries tbody td:nth-child(6)").evaluate_all("all => all.map(one => Number(one.dataset.v))")
    assert values == sorted(values, reverse=True)
    page.keyboard.press("/")
    page.keyboard.type("update")
    expect(page.locator("#shown")).to_contain_text("1 of 5 statements")
    page.keyboard.press("Enter")
    page.wait_for_url("**/query?*")


def test_empty_pages_say_why_and_what_to_type(page: Page, dashboard: Dashboard) -> None:
    for name, words in (
        ("queries", "No statement ran"),
        ("traces", "kept"),
        ("errors", "No request died"),
        ("profile", "No stack was sampled"),
    ):
        visit(page, dashboard, f"/{name}?from=1600000000&to=1600003600")
        expect(page.locator("main")).to_contain_text(words)
        expect(page.locator("[data-copy]").first).to_have_attribute("data-copy", re.compile("^pitstop "))


def test_what_is_not_kept_says_so_kindly(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        client.headers["accept"] = "text/html"
        for path in ("/trace?id=nothing", "/query?statement=SELECT+nothing", "/error?fingerprint=none"):
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert "pitstop " in answer.text
        assert client.get("/traces?min=soon").status_code == 422
        assert client.get("/profile?mode=gpu").status_code == 422
