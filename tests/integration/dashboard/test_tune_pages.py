"""The pages of caches, databases and memory in a real browser, and what their buttons tell a process to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from playwright.sync_api import Page, expect

from pitstop.model.tuned import CACHE_INVALIDATE, MEMORY_LOOK, MEMORY_OPTIMIZE

if TYPE_CHECKING:
    import pytest

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
READY = "#main[data-ready]"
FITS = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(
  () => done(document.documentElement.scrollWidth <= innerWidth)))))"""


def visit(page: Page, dashboard: Dashboard, path: str) -> None:
    page.goto(dashboard.url + path)
    page.wait_for_selector(READY)


def addresses(dashboard: Dashboard) -> list[str]:
    tunes, inside = dashboard.tunes, dashboard.inside
    return [
        "/caches", f"/caches?q={quote(tunes.XSS)}", "/database", "/memory",
        *(f"/cache?name={quote(name, safe='')}" for name in ("product", "basket", "odd", tunes.LONG, tunes.XSS)),
        *(f"/query?statement={quote(text, safe='')}" for text in (tunes.ORDERS, inside.ITEM, inside.HOSTILE)),
        f"/trace?id={inside.TRACE_SLOW}", "/memory?service=nobody", "/database?service=nobody",
        "/caches?service=nobody",
    ]  # fmt: skip


def test_every_page_shows_hostile_names_as_text_and_fits_every_width(tuned_page: Page, tuned: Dashboard) -> None:
    for path in addresses(tuned):
        visit(tuned_page, tuned, path)
        assert tuned_page.evaluate("window.canary") is None, path
        assert tuned_page.locator("main img, nav img, header img").count() == 0, path
        expect(tuned_page.locator("nav a[aria-current]")).to_have_count(1)
        expect(tuned_page.locator("h1")).to_have_count(1)
        for label in tuned_page.locator(".plot").evaluate_all("all => all.map(one => one.ariaLabel)"):
            assert label, "a chart says in words what it shows"
        for width, scheme in ((360, "light"), (400, "dark"), (1000, "light"), (1440, "dark")):
            tuned_page.set_viewport_size({"width": width, "height": 800})
            tuned_page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two it knows
            assert tuned_page.evaluate(FITS), (path, width)


def test_regions_say_what_they_save_and_which_do_not_pay_off(tuned_page: Page, tuned: Dashboard) -> None:
    visit(tuned_page, tuned, "/caches")
    rows = tuned_page.locator("#regions tbody tr")
    expect(rows.first).to_contain_text("product")
    expect(rows.first).to_contain_text("✓ high")
    expect(rows.filter(has_text="cheap")).to_contain_text("−")
    expect(rows.filter(has_text="basket")).to_contain_text("▲ open")
    expect(tuned_page.locator("#t-regions")).to_contain_text("1 of 7 regions never hit")
    tuned_page.click("th[data-sort=lookups] button")
    values = tuned_page.locator("#regions tbody td:nth-child(4)").evaluate_all("all => all.map(one => +one.dataset.v)")
    assert values == sorted(values, reverse=True)
    tuned_page.keyboard.press("/")
    tuned_page.keyboard.type("basket")
    expect(tuned_page.locator("#shown")).to_contain_text("1 of 7 regions")
    tuned_page.keyboard.press("Enter")
    tuned_page.wait_for_url("**/cache?name=basket")
    expect(tuned_page.locator("#t-levels ~ .note")).to_contain_text("does not answer; memory serves")


def test_a_region_says_how_long_its_values_live_and_why_and_shows_keys_as_hashes_only(
    tuned_page: Page, tuned: Dashboard
) -> None:
    visit(tuned_page, tuned, "/cache?name=product")
    main = tuned_page.locator("main")
    expect(main).to_contain_text("7 m: values change every 41 min")
    expect(tuned_page.locator('[data-live="levels"]')).to_contain_text("redis")
    expect(tuned_page.locator('[data-live="keys"] tr')).to_have_count(8)
    expect(tuned_page.locator('[data-live="keys"] tr').first).to_contain_text("8 k")
    expect(tuned_page.locator('[data-live="tenants"]')).to_contain_text("globex")
    expect(tuned_page.locator('[data-live="totals"]')).to_contain_text("416")


def test_values_are_thrown_away_only_after_they_were_counted_and_somebody_was_sure(
    tuned_page: Page, tuned: Dashboard
) -> None:
    tuned.asked.did.clear()
    visit(tuned_page, tuned, "/cache?name=product")
    tuned_page.click("text=Count what would go")
    dialog = tuned_page.locator("#confirm")
    expect(dialog).to_contain_text("All of “product”: 812 values in the memory of 1 process would go: 812 of product")
    dialog.get_by_text("Keep").click()
    expect(tuned_page.locator('[data-role="asked"]')).to_be_hidden()
    assert [given["dry_run"] for _, given in tuned.asked.did] == [True]

    tuned_page.select_option("select[name=what]", "tag")
    tuned_page.fill("input[name=which]", "spring sale")
    tuned_page.click("text=Count what would go")
    expect(dialog).to_contain_text("with the tag “spring sale”, in every region: 32 values")
    dialog.get_by_text("Throw away").click()
    expect(tuned_page.locator('[data-role="asked"]')).to_contain_text(
        "✓ 32 values in the memory of 1 process went: 31 of product"
    )
    what, given = tuned.asked.did[-1]
    assert (what, given["tags"], given["dry_run"]) == (CACHE_INVALIDATE, ["spring sale"], False)
    assert "region" not in given


def test_a_process_that_cannot_says_why_on_the_page(
    tuned_page: Page, tuned: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned.asked, "broken", "the cache is not open yet")
    visit(tuned_page, tuned, "/cache?name=product")
    with tuned.client() as client:
        token = re.search(r'data-csrf="([^"]+)"', client.get("/caches").text)
        assert token
        answer = client.post("/api/v1/cache/invalidate", json={"region": "product"}, headers={"x-csrf-token": token[1]})
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "the cache is not open yet"


def test_memory_is_given_back_and_looked_at_when_somebody_was_sure(tuned_page: Page, tuned: Dashboard) -> None:
    tuned.asked.did.clear()
    visit(tuned_page, tuned, "/memory")
    expect(tuned_page.locator("#leaks tbody tr").first).to_contain_text("Receipt")
    expect(tuned_page.locator("#leaks tbody tr").nth(1)).to_contain_text("shop/receipts.py:48")
    tuned_page.get_by_role("button", name="Optimize memory").click()
    dialog = tuned_page.locator("#confirm")
    expect(dialog).to_contain_text("collects its garbage")
    dialog.get_by_text("Optimize", exact=True).click()
    told = tuned_page.locator('[data-role="asked"]')
    expect(told).to_contain_text("freed 13 MB, 94 MB → 81 MB, in 120 ms")
    tuned_page.get_by_role("button", name="Look closer").click()
    dialog.get_by_role("button", name="Look closer").click()
    expect(told).to_contain_text("1 process looked: 2 code lines")
    expect(told).to_contain_text("shop/pdf.py:3 holds what no Python object shows")
    table = tuned_page.locator('[data-role="looked"] tbody tr')
    expect(table.first).to_contain_text("shop/receipts.py:48 in remember")
    expect(table.first).to_contain_text("1.9 MB")
    assert tuned_page.evaluate("window.canary") is None
    assert [what for what, _ in tuned.asked.did] == [MEMORY_OPTIMIZE, MEMORY_LOOK]
    assert tuned.asked.did[-1][1] == {"seconds": 10}


def test_the_database_page_shows_pools_advice_to_copy_and_the_plan_that_is_poor(
    tuned_page: Page, tuned: Dashboard
) -> None:
    visit(tuned_page, tuned, "/database")
    pool = tuned_page.locator("#pools tbody tr").first
    expect(pool).to_contain_text("96 of 120")
    expect(pool.locator("td").last).to_have_class(re.compile("worse"))
    advice = tuned_page.locator(".advice article").first
    expect(advice).to_contain_text("412 k rows are read for 31")
    expect(advice.locator("[data-copy]").first).to_have_attribute("data-copy", re.compile("^CREATE INDEX CONCURRENTLY"))
    tuned_page.click("text=! look")
    tuned_page.wait_for_url("**/query?*")
    expect(tuned_page.locator(".plan .costly")).to_have_count(2)


def test_a_plan_is_a_tree_that_names_its_costly_path_and_what_is_wrong(tuned_page: Page, tuned: Dashboard) -> None:
    visit(tuned_page, tuned, f"/query?statement={quote(tuned.tunes.ORDERS, safe='')}")
    steps = tuned_page.locator(".steps tbody tr:not(.why)")
    expect(steps).to_have_count(3)
    expect(steps.nth(2)).to_contain_text("Seq Scan on the costly path orders customer_id = $1")
    widths = tuned_page.locator(".steps tbody tr:not(.why) td:first-child svg").evaluate_all(
        "all => all.map(one => +one.getAttribute('width'))"
    )
    assert widths == [0, 14, 28], "a step below another is set in"
    expect(tuned_page.locator(".steps tr.why").last).to_contain_text("an index on orders (customer_id) would find them")


def test_a_trace_leads_to_the_plans_of_its_statements(tuned_page: Page, tuned: Dashboard) -> None:
    visit(tuned_page, tuned, f"/trace?id={tuned.inside.TRACE_SLOW}")
    tuned_page.locator(".wf-row", has_text="FROM line").first.click()
    link = tuned_page.get_by_role("link", name="Its plan")
    expect(link).to_have_attribute("href", "#plan-1")
    expect(tuned_page.locator("#plan-1 .plan summary")).to_contain_text("estimated in postgresql")


def test_empty_pages_say_what_to_write(tuned_page: Page, tuned: Dashboard) -> None:
    for name, words, code in (
        ("caches", "No cache region was used", "from pitstop.tune.cache import Cache"),
        ("database", "No database was used", "from pitstop.tune.database import create_engine"),
        ("memory", "No worker was heard of", "pitstop run"),
    ):
        visit(tuned_page, tuned, f"/{name}?from=1600000000&to=1600003600&service=nobody")
        expect(tuned_page.locator(".empty")).to_contain_text(words)
        expect(tuned_page.locator(".empty [data-copy]").first).to_have_attribute("data-copy", re.compile(f"^{code}"))


def test_g_and_a_letter_lead_to_the_pages(tuned_page: Page, tuned: Dashboard) -> None:
    visit(tuned_page, tuned, "/caches")
    for letter, name in (("d", "database"), ("m", "memory"), ("h", "caches")):
        tuned_page.keyboard.press("g")
        tuned_page.keyboard.press(letter)
        tuned_page.wait_for_selector(f"{READY}[data-page={name}]")
