"""``pitstop report``: is it fine, what changed, and where the time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.cli import contract, contract_inside, terminal
from pitstop.cli.errors import print_errors
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, opened, store_url, window_now
from pitstop.cli.queries import print_n_plus_one, print_queries
from pitstop.cli.routes import print_routes
from pitstop.model.series import PART, Match

if TYPE_CHECKING:
    from pitstop.analyze import ErrorRow, Health, NPlusOneRow, Overview, QueryRow, Verdict

SHOWN_ROUTES = 10
MOST_INSIDE = 100  # statements in JSON
SHOWN_INSIDE = 3  # statements, repetitions and errors, each: the commands of their names have the rest


def report(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    as_json: AsJson = False,
) -> None:
    """Is it fine? Grade, figures, what changed, and the routes that take the users' time."""
    from pitstop import analyze  # noqa: PLC0415  numpy
    from pitstop.analyze.overview import requests_and_lookups  # noqa: PLC0415

    window = window_now(last, begin, end)
    with opened(store) as kept:
        requests, lookups = requests_and_lookups(kept, window, service)
        before = analyze.routes(kept, window.before(), service)
        parts = kept.rollups(window, Match(service=service, kind=PART), hist=False)
        queries = analyze.queries(kept, window, service, top=MOST_INSIDE)
        repeated = analyze.n_plus_one(kept, window, service)
        errors = analyze.errors(kept, window, service)
    seen = analyze.overview_of(requests, lookups, window, service)
    rows = analyze.routes_of(requests, window.duration_s, parts)
    grade = analyze.health_of(seen)
    verdict = analyze.verdict_of(rows, before)
    if as_json:
        terminal.print_json(
            contract.document(
                window,
                service,
                overview=contract.overview(seen),
                routes=[contract.route(row) for row in rows],
                health=contract.health(grade),
                verdict=contract.verdict(verdict),
                queries=[contract_inside.query(row) for row in queries],
                n_plus_one=[contract_inside.n_plus_one(row) for row in repeated],
                errors=[contract_inside.error(row) for row in errors],
            )
        )
        return
    terminal.say(terminal.title(service, window), style="bold")
    if not seen.stats.requests:
        terminal.say(terminal.nothing_recorded(store_url(store)))
        return
    _print_head(seen, grade, verdict)
    terminal.say()
    print_routes(rows[:SHOWN_ROUTES])
    if len(rows) > SHOWN_ROUTES:
        terminal.say(f"… and {len(rows) - SHOWN_ROUTES} more: pitstop routes")
    _print_inside(queries, repeated, errors)


def _print_inside(queries: list[QueryRow], repeated: list[NPlusOneRow], errors: list[ErrorRow]) -> None:
    """The worst of each, and where the rest is."""
    if queries:
        terminal.say()
        print_queries(queries[:SHOWN_INSIDE])
        if len(queries) > SHOWN_INSIDE:
            terminal.say(f"… and {len(queries) - SHOWN_INSIDE} more: pitstop queries")
    if repeated:
        terminal.say()
        print_n_plus_one(repeated[:SHOWN_INSIDE])
        if len(repeated) > SHOWN_INSIDE:
            terminal.say(f"… and {len(repeated) - SHOWN_INSIDE} more: pitstop queries")
    if errors:
        terminal.say()
        print_errors(errors[:SHOWN_INSIDE])
        if len(errors) > SHOWN_INSIDE:
            terminal.say(f"… and {len(errors) - SHOWN_INSIDE} more: pitstop errors")


def _print_head(seen: Overview, grade: Health, verdict: Verdict) -> None:
    from pitstop.analyze import units  # noqa: PLC0415

    stats = seen.stats
    terminal.say(terminal.printable(verdict.text))
    terminal.say()
    score = "–" if grade.score is None else units.figures(grade.score)
    cache = "no cache seen" if seen.cache_hit_ratio is None else f"{units.ratio_text(seen.cache_hit_ratio)} hits"
    terminal.print_fields(
        [
            ("health", f"{grade.letter}  {score} of 100  ({grade.note})"),
            ("requests", f"{units.count_text(stats.requests)}  ({units.count_text(stats.rate_per_s)}/s)"),
            ("errors", f"{units.ratio_text(stats.error_ratio)}  ({units.count_text(stats.errors)})"),
            ("answered", f"{units.ratio_text(seen.uptime_ratio)} without a server error"),
            (
                "latency",
                " · ".join(
                    f"{name} {units.duration_text(value)}"
                    for name, value in (
                        ("mean", stats.mean_s),
                        ("P50", stats.p50_s),
                        ("P95", stats.p95_s),
                        ("P99", stats.p99_s),
                    )
                ),
            ),
            ("sent", units.bytes_text(stats.bytes)),
            ("cache", cache),
        ]
    )
