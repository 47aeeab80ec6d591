"""The pages of objectives, alerts, rules and channels in a real browser, over a real watcher that goes on watching."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, expect

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
READY = "#main[data-ready]"
# charts follow the width of their card a frame later
FITS = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(
  () => done(document.documentElement.scrollWidth <= innerWidth)))))"""
PAGES = (
    "/?last=6h", "/slos", "/slo?name=checkouts%20work", "/alerts?last=6h", "/rules", "/rule?kind=threshold",
    "/rule?name=answers%20are%20slow&last=6h&run=1", "/channels", "/channels?state=dead",
)  # fmt: skip


def visit(page: Page, dashboard: Dashboard, path: str) -> None:
    page.goto(dashboard.url + path)
    page.wait_for_selector(READY)


def ident(dashboard: Dashboard, rule: str) -> int:
    """The newest alert of a rule."""
    found: int = next(one.id for one in dashboard.watcher.incidents(dashboard.watches.everything()) if one.rule == rule)
    return found


def test_every_page_of_alerts_renders_without_a_complaint_and_fits_every_width(
    watched_page: Page, watched: Dashboard
) -> None:
    for path in (*PAGES, f"/alert?id={ident(watched, watched.watches.LONG)}"):
        visit(watched_page, watched, path)
        expect(watched_page.locator("nav a[aria-current]")).to_have_count(1)
        expect(watched_page.locator("h1")).to_have_count(1)
        for label in watched_page.locator(".plot").evaluate_all("all => all.map(one => one.ariaLabel)"):
            assert label, "a chart says in words what it shows"
        for width, scheme in (
            (360, "light"),
            (400, "dark"),
            (700, "dark"),
            (1000, "light"),
            (1200, None),
            (1440, None),
        ):
            watched_page.set_viewport_size({"width": width, "height": 800})
            if scheme:
                watched_page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert watched_page.evaluate(FITS), (path, width)


def test_an_objective_shows_its_budget_burning_down(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/slos")
    row = watched_page.locator("#slos tbody tr", has_text="checkouts work")
    expect(row).to_contain_text(re.compile("−1[345]"))
    expect(row).to_contain_text("already")
    row.locator("a").first.click()
    watched_page.wait_for_url("**/slo?name=checkouts%20work&of=service%3Dshop")
    expect(watched_page.locator('.plot[data-chart="budget"]')).to_have_attribute(
        "aria-label", re.compile("^budget left between -1[345].* % and 100 %, last -1[345]")
    )
    expect(watched_page.locator("#burns tbody tr")).to_have_count(4)
    expect(watched_page.locator(".lead")).to_contain_text(re.compile(r"3[3-6]\d of 14\.[34] k did not"))
    watched_page.locator("[data-act=sheet]").click()
    expect(watched_page.locator("#sheet thead th")).to_have_text(["Time", "budget left", "spent"])


def test_hostile_rules_and_objectives_are_text_everywhere(watched_page: Page, watched: Dashboard) -> None:
    hostile = watched.watches.XSS
    paths = (
        *PAGES, f"/alert?id={ident(watched, hostile)}", f"/rule?name={quote(hostile)}", f"/alerts?q={quote(hostile)}",
        f"/slo?name={quote('answers in half a second ' + hostile)}", f"/slos?q={quote(hostile)}",
    )  # fmt: skip
    for path in paths:
        visit(watched_page, watched, path)
        watched_page.wait_for_timeout(60)
        assert watched_page.evaluate("window.canary") is None, path
        assert watched_page.locator("main img, nav img, header img").count() == 0, path


def test_no_page_and_no_answer_has_a_secret_of_a_channel(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/channels")
    seen = watched_page.content()
    with watched.client() as client:
        seen += client.get("/api/v1/channels").text + client.get("/api/v1/deliveries").text
    assert "walled off" in seen
    for secret in ("a secret that no page shows", "a-token-that-no-page-shows"):
        assert secret not in seen


def test_the_overview_and_the_menu_say_what_is_open(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/?last=6h")
    strip = watched_page.locator(".alarm")
    expect(strip.locator("li").first).to_contain_text("checkouts fail")
    expect(watched_page.locator("nav .calls")).to_contain_text("firing")
    strip.locator("li a").first.click()
    watched_page.wait_for_selector(f"{READY}[data-page=alerts]")
    expect(watched_page.locator("h1")).to_contain_text("checkouts fail")


def test_alerts_are_marks_on_the_charts_of_other_pages(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/?last=6h")
    marks = json.loads(watched_page.locator("#island").text_content() or "")["marks"]
    mine = [mark for mark in marks if mark["alert"]]
    assert any("checkouts fail" in mark["text"] and mark["text"].startswith("▲") for mark in mine)


def test_the_page_of_an_alert_draws_its_value_and_tells_its_story(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, f"/alert?id={ident(watched, 'answers are slow')}")
    expect(watched_page.locator("#course canvas")).to_be_visible()
    expect(watched_page.locator("#course .plot")).to_have_attribute("aria-label", "values between 120 ms and 900 ms, "
                                                                    "limit 500 ms; 1 alerts")  # fmt: skip
    expect(watched_page.locator(".moments li").first).to_contain_text("fired")
    expect(watched_page.locator("h1")).to_contain_text("resolved")
    watched_page.get_by_role("link", name="Test the rule on that time").click()
    expect(watched_page.locator("[data-role=replay-said]")).to_have_text("It would have fired once.")


def test_the_alert_of_a_budget_leads_to_its_objective(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, f"/alert?id={ident(watched, 'budgets burn')}")
    expect(watched_page.locator(".labels")).to_contain_text("checkouts work")
    watched_page.get_by_role("link", name="The objective").click()
    watched_page.wait_for_url("**/slo?name=checkouts%20work&of=service%3Dshop")
    expect(watched_page.locator("h1")).to_contain_text("checkouts work")
    expect(watched_page.locator("h1")).to_contain_text("firing")


def test_acknowledge_and_silence_from_the_list(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/alerts?last=6h")
    row = watched_page.locator("#open tr", has_text=watched.watches.LONG[:12])
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("admin looks after it")
    expect(watched_page.locator("[data-role=heard]")).to_have_text("Acknowledge: done.")
    expect(watched_page.locator("[data-role=heard]")).to_be_focused()

    watched_page.locator("#open tr", has_text="checkouts fail").get_by_role("button", name="Silence").click()
    dialog = watched_page.locator("#silence")
    expect(dialog.locator("textarea")).to_have_value("rule=checkouts fail\nservice=shop")
    dialog.locator("textarea").fill("rule")
    dialog.locator("[name=why]").fill("it is known")
    dialog.get_by_role("button", name="Silence").click()
    expect(dialog.locator("[data-role=said]")).to_contain_text("“rule” is no label")
    dialog.locator("textarea").fill("rule=nothing *\nservice=shop")
    dialog.locator("select").select_option(label="1 day")
    dialog.get_by_role("button", name="Silence").click()
    expect(dialog).not_to_be_visible()
    silence = watched_page.locator("section", has=watched_page.locator("#t-silences")).locator("tbody tr")
    expect(silence).to_contain_text("it is known")
    expect(silence).to_contain_text("admin")
    silence.get_by_role("button", name="End").click()
    expect(silence).to_have_count(0)


def test_the_editor_checks_while_one_types_tests_on_history_saves_and_deletes(
    watched_page: Page, watched: Dashboard
) -> None:
    page = watched_page
    visit(page, watched, "/rules")
    page.locator("#new-rule summary").click()
    page.locator("#new-rule a", has_text="Threshold").click()
    page.wait_for_url("**/rule?kind=threshold")
    page.wait_for_selector(READY)
    said = page.locator("#rule-said")
    editor = page.locator("#rule-text")
    editor.fill(editor.input_value().replace("above = 0.5", "abov = 0.5"))
    expect(said).to_contain_text("abov")
    expect(editor).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-role=save]")).to_be_disabled()
    name = "slow <b>checkouts</b> & 100 %"
    editor.fill(f"name = '{name}'\nkind = 'threshold'\nmetric = 'p95'\nabove = 0.5\nover = '5m'\nfor = '1m'\n")
    expect(said).to_contain_text(f"✓ “{name}”: threshold")

    page.goto(f"{page.url}&last=6h")
    page.wait_for_selector(READY)
    editor.fill(f"name = '{name}'\nkind = 'threshold'\nmetric = 'p95'\nabove = 0.5\nover = '5m'\nfor = '1m'\n")
    page.get_by_role("button", name="Test on the last 6 h").click()
    expect(page.locator("[data-role=replay-said]")).to_have_text("It would have fired once.")
    expect(page.locator("#replay canvas")).to_be_visible()
    expect(page.locator("[data-role=replay-rows] tr")).to_have_count(1)
    page.locator("#replay [data-act=sheet]").click()
    expect(page.locator("#sheet thead th")).to_have_text(["Time", "value", "limit"])
    page.keyboard.press("Escape")

    page.locator("[data-role=save]").click()
    expect(page.locator("[data-role=heard]")).to_contain_text("is saved")
    expect(page.locator("h1")).to_contain_text(name)
    assert name in [one.name for one in watched.watcher.rules()]

    page.get_by_role("button", name="Delete").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text(name)
    dialog.get_by_role("button", name="Keep").click()
    assert name in [one.name for one in watched.watcher.rules()], "it asks first"
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/rules")
    expect(page.locator("#rules")).not_to_contain_text(name)
    assert name not in [one.name for one in watched.watcher.rules()]


def test_a_rule_of_the_file_can_be_tested_and_not_changed_here(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/rule?name=checkouts%20fail&last=6h")
    expect(watched_page.locator("#rule-text")).to_have_attribute("readonly", "")
    expect(watched_page.locator("[data-role=save]")).to_have_count(0)
    watched_page.get_by_role("button", name="Test on the last 6 h").click()
    expect(watched_page.locator("[data-role=replay-said]")).to_have_text("It would have fired once.")
    visit(watched_page, watched, "/rule?name=broken")
    expect(watched_page.locator(".lead.worse")).to_contain_text("abov")


def test_a_channel_is_added_tested_changed_and_deleted(watched_page: Page, watched: Dashboard) -> None:
    page, secret = watched_page, "hunter2-hunter2"
    visit(page, watched, "/channels")
    before = len(watched.provider.got)
    page.locator("[name=name]").fill("by hand")
    page.locator("[name=kind]").select_option("webhook")
    page.locator("[name=address]").fill(f"{watched.provider.url}/hook")
    page.locator("[name=secret]").fill(secret)
    page.locator("[name=matches]").fill("service=shop*")
    page.get_by_role("button", name="Add").click()
    row = page.locator("#channels tr", has_text="by hand")
    expect(row).to_contain_text("service=shop*")
    row.get_by_role("button", name="Test").click()
    expect(page.locator("[data-role=tested] li")).to_contain_text("✓ by hand took it in")
    assert len(watched.provider.got) == before + 1

    row.get_by_role("link", name="Edit").click()
    expect(page.locator("[name=name]")).to_have_value("by hand")
    expect(page.locator("[name=address]")).to_have_value("")
    page.locator("[name=severities][value=info]").check()
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("page, ticket, info")
    row.get_by_role("button", name="Test").click()
    expect(page.locator("[data-role=tested] li")).to_contain_text("✓ by hand took it in"), "the address was kept"
    assert secret not in page.content()

    row.get_by_role("button", name="Delete").click()
    expect(page.locator("#confirm")).to_contain_text("The channel “by hand” goes")
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_testing_all_channels_says_what_came_of_each(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/channels")
    watched_page.get_by_role("button", name="test all").click()
    results = watched_page.locator("[data-role=tested] li")
    expect(results).to_have_count(3)
    expect(results.filter(has_text="✓ ops")).to_have_count(1)
    expect(results.filter(has_text="egress_allow")).to_have_count(1)
    expect(results.filter(has_text="it answered 410")).to_have_count(1)


def test_a_dead_letter_says_why_and_is_sent_again_or_discarded(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/channels?state=dead")
    rows = watched_page.locator("#deliveries tbody tr")
    expect(rows.filter(has_text="10.255.255.1").first).to_be_visible()
    dead = watched.watcher.deliveries(state="dead")
    count = len(dead)
    rows.filter(has_text="walled off").first.get_by_role("button", name="Discard").click()
    expect(watched_page.locator("#confirm")).to_contain_text("walled off is forgotten")
    watched_page.locator("#confirm").get_by_role("button", name="Discard").click()
    expect(rows).to_have_count(count - 1)
    rows.filter(has_text="gone").first.get_by_role("button", name="Send again").click()
    expect(watched_page.locator("[data-role=heard]")).to_have_text("Send again: done.")
    gone = next(one for one in dead if one.channel == "gone")
    watched.watches.until(
        lambda: any(
            (one.id, one.state) == (gone.id, "dead") and one.done_s != gone.done_s
            for one in watched.watcher.deliveries()
        )
    )


def test_what_changes_elsewhere_is_shown_without_a_reload(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/?last=15m")
    strip = watched_page.locator(".alarm li", has_text="checkouts fail")
    expect(strip).to_be_visible()
    watched.watcher.acknowledge(ident(watched, "checkouts fail"), "eve", "")
    expect(strip).to_contain_text("eve looks after it", timeout=15_000)


def test_where_nobody_watches_the_pages_say_what_to_type(page: Page, dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        for path in ("/slos", "/slo?name=x", "/alerts", "/alert?id=1", "/rules", "/rule?name=x", "/channels"):
            assert "Nobody watches this store from here" in client.get(path).text, path
    visit(page, dashboard, "/alerts")
    expect(page.locator(".empty h2")).to_have_text("Nobody watches this store from here")
    expect(page.locator(".command code").first).to_contain_text("pitstop serve --store sqlite:///")
    visit(page, dashboard, "/")
    expect(page.locator(".alarm")).not_to_be_visible()


def test_keys_lead_to_the_pages_of_alerts(watched_page: Page, watched: Dashboard) -> None:
    visit(watched_page, watched, "/?last=6h")
    for key, path in (("b", "/slos"), ("a", "/alerts"), ("l", "/rules"), ("c", "/channels")):
        watched_page.keyboard.press("g")
        watched_page.keyboard.press(key)
        watched_page.wait_for_url(f"{watched.url}{path}?last=6h")
    watched_page.goto(f"{watched.url}/slos")
    watched_page.wait_for_selector(READY)
    watched_page.keyboard.press("ArrowDown")
    watched_page.keyboard.press("Enter")
    watched_page.wait_for_url("**/slo?name=*")


def test_a_value_is_written_the_same_by_the_page_and_by_its_scripts(watched_page: Page, watched: Dashboard) -> None:
    from pitstop.dashboard import states  # noqa: PLC0415

    visit(watched_page, watched, "/rules")
    values = [(0.9, "s"), (0.05, "ratio"), (2.4e6, "bytes"), (8.25, "/s"), (1200, "series"), (3, ""), (None, "s")]
    script = watched_page.locator("script[type=module]").get_attribute("src")
    assert script
    written = watched_page.evaluate(
        "async ([url, values]) => { const f = await import(url); return values.map(([v, u]) => f.measure(v, u)); }",
        [script.replace("main.js", "format.js"), values],
    )
    assert written == [states.measure(value, unit) for value, unit in values]
