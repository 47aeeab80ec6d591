"""``pitstop alerts``: what is wrong now, what was, who is told; acknowledge, silence, test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import FINDING, alerts_text, contract, contract_watch, terminal
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, window_now
from pitstop.cli.watched import myself, watched
from pitstop.model.errors import SettingError
from pitstop.model.watching import FIRING
from pitstop.model.window import parse_duration_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.watching import Watch

app = typer.Typer(help="What is wrong now, what was, who is told; acknowledge, silence, test.")

Ident = Annotated[int, typer.Argument(min=0, metavar="ID", help="Its number, as in 'pitstop alerts list'.")]
DEFAULT_LAST = "24h"
REPLAY_LAST = "7d"


@app.callback(invoke_without_command=True)
def alerts(context: typer.Context, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """What is wrong now, what was, who is told. Without a command: the list."""
    if context.invoked_subcommand is None:
        show_list(store, as_json=as_json)
    elif store is not None or as_json:
        raise SettingError(f"options go behind the command: pitstop alerts {context.invoked_subcommand} --store …")


@app.command("list")
def show_list(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only these: firing, pending or resolved.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Alerts of the last 24 h, open ones first, and silences in force; exit 1 when one fires and nobody looks."""
    window = window_now(last or (None if begin else DEFAULT_LAST), begin, end)
    with watched(store) as watch:
        incidents = watch.incidents(window, service=service, state=state)
        silences = watch.silences()
    if as_json:
        content = {
            "alerts": [contract_watch.incident(one) for one in incidents],
            "silences": [contract_watch.silence(one) for one in silences],
        }
        terminal.print_json(contract.document(window, service, **content))
    else:
        terminal.say(terminal.title(service, window), style="bold")
        alerts_text.print_incidents(incidents)
        alerts_text.print_silences(silences)
    if any(one.state == FIRING and not (one.acked_by or one.silenced or one.inhibited) for one in incidents):
        raise typer.Exit(FINDING)


@app.command()
def show(ident: Ident, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """One alert from its beginning to its end."""
    with watched(store) as watch:
        incident, moments = watch.incident(ident)
    if as_json:
        timeline = [contract_watch.moment(one) for one in moments]
        terminal.print_json(contract.document(None, alert=contract_watch.incident(incident), timeline=timeline))
    else:
        alerts_text.print_incident(incident, moments)


@app.command()
def ack(
    ident: Ident,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="For whoever comes next.")] = "",
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say that you look after an alert: it is not told again until it ends."""
    with watched(store, readonly=False) as watch:
        incident = watch.acknowledge(ident, myself(), note)
    if as_json:
        terminal.print_json(contract.document(None, alert=contract_watch.incident(incident)))
    else:
        terminal.say(f"✓ {incident.acked_by} looks after alert {ident}, '{incident.rule}'.")


@app.command()
def silence(
    matches: Annotated[list[str], typer.Argument(metavar="LABEL=VALUE…", help="All must match; * is anything.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; kept with your name.")],
    length: Annotated[str, typer.Option("--for", metavar="LENGTH", help="How long: 30m, 2h, 1d …")] = "1h",
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Tell nobody of alerts with these labels for a while; they are still recorded."""
    now_s = time.time()
    with watched(store, readonly=False) as watch:
        made = watch.silence(parse_matches(matches), myself(), why, now_s, now_s + parse_duration_s(length))
    if as_json:
        terminal.print_json(contract.document(None, silence=contract_watch.silence(made)))
    else:
        terminal.say(f"✓ Silence {made.id} until {alerts_text.moment_text(made.end_s)}.")
        terminal.say(f"End it before: pitstop alerts unsilence {made.id}")


@app.command()
def unsilence(ident: Ident, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """End a silence now."""
    with watched(store, readonly=False) as watch:
        watch.unsilence(ident, myself())
    if as_json:
        terminal.print_json(contract.document(None, unsilenced={"id": ident}))
    else:
        terminal.say(f"✓ Silence {ident} has ended.")


@app.command()
def beat(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who reports, as in heartbeat = … of the rule.")],
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Report that a job has run, at its end: what a rule of kind heartbeat waits for."""
    with watched(store, readonly=False) as watch:
        watch.beat(name)
    if as_json:
        terminal.print_json(contract.document(None, beat={"name": name}))


@app.command("test")
def send_test(
    channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Its name; all when left out.")] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message, wait, and say what came of it; exit 1 when a channel did not take it."""
    with watched(store, readonly=False) as watch:
        tested = watch.send_test(channel)
    if as_json:
        terminal.print_json(contract.document(None, tested=[contract_watch.tested(one) for one in tested]))
    elif tested:
        alerts_text.print_tested(tested)
    else:
        terminal.say("Nobody is told of alerts yet. Add a [[channel]] to pitstop-rules.toml, or one in the dashboard:")
        terminal.say("pitstop serve")
    if not tested or not all(one.ok for one in tested):
        raise typer.Exit(FINDING)


@app.command("test-rule")
def replay_rule(
    rule: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file of rules, or the name of one in force.")],
    store: StoreUrl = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    as_json: AsJson = False,
) -> None:
    """Say when a rule would have fired, on what was recorded in the last 7 days; it tells nobody."""
    window = window_now(last or (None if begin else REPLAY_LAST), begin, end)
    with watched(store) as watch:
        replays = [watch.test_rule(text, window) for text in _rules_in(rule, watch)]
    if as_json:
        terminal.print_json(contract.document(window, None, replays=[contract_watch.replay(one) for one in replays]))
        return
    terminal.say(terminal.title(None, window), style="bold")
    for one in replays:
        alerts_text.print_replay(one)


def parse_matches(pairs: Sequence[str]) -> dict[str, str]:
    """``service=shop*`` and the like as a mapping. Raises SettingError for what is no pair."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise SettingError(f"'{pair}' is no label: write LABEL=VALUE, as in service=shop or rule='disk *'")
        found[name.strip()] = value.strip()
    return found


def _rules_in(argument: str, watch: Watch) -> list[str]:
    """The rules to test: those of a file, each as TOML, or one by its name."""
    path = Path(argument)
    if not path.is_file():
        if path.suffix == ".toml":
            raise SettingError(f"there is no file {argument}")
        if all(rule.name != argument for rule in watch.rules()):
            raise SettingError(f"'{argument}' is neither a file nor a rule in force; see them on the page Rules")
        return [argument]
    from pitstop.cli.rules_file import rules_of  # noqa: PLC0415  only where there is a file

    return rules_of(path)
