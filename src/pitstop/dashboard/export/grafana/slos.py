"""Whether objectives are met, how much of each error budget is left, and what fires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.panels import NUMBER, RATIO, TIME, Panel, dashboard

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_SERVICE = '{service_name=~"$service|"}'  # objectives of all services together have none


def board() -> Json:
    """The dashboard."""
    panels = [
        Panel("Least budget left", [(f"min(pitstop_slo_budget_left_ratio{_SERVICE})", "")], RATIO, 8, "stat", low=None),
        Panel("Alerts that fire", [('sum(pitstop_alerts{state="firing"})', "")], NUMBER, 8, "stat"),
        Panel("Rules that cannot be evaluated", [("sum(pitstop_alert_rule_problems)", "")], NUMBER, 8, "stat"),
        Panel(
            "How much of each error budget is left?",
            [(f"min by (slo, service_name) (pitstop_slo_budget_left_ratio{_SERVICE})", "{{slo}} {{service_name}}")],
            RATIO,
            low=None,
            high=1,
        ),
        Panel(
            "How fast do budgets burn?",
            [
                (
                    f"max by (slo, service_name, over) (pitstop_slo_burn_rate{_SERVICE})",
                    "{{slo}} {{service_name}} {{over}}",
                )
            ],
            NUMBER,
            text="1 spends the budget in exactly its window; 14.4 over an hour pages.",
        ),
        Panel(
            "Are objectives met?",
            [(f"pitstop_slo_good_ratio{_SERVICE} - pitstop_slo_target_ratio{_SERVICE}", "{{slo}} {{service_name}}")],
            RATIO,
            low=None,
            text="Above zero: met.",
        ),
        Panel("Which alerts are there?", [("pitstop_alerts", "{{severity}} {{state}}")], NUMBER, stacked=True),
        Panel(
            "When were rules looked at?",
            [("min(pitstop_alert_rule_checked_timestamp_seconds) * 1000", "")],
            TIME,
            8,
            "stat",
            low=None,
        ),
        Panel("Components", [("sum by (component, state) (pitstop_component_state == 1)", "")], NUMBER, 16, "table"),
        Panel(
            "What do channels do?",
            [
                ("sum by (channel) (rate(pitstop_notifications_sent_total[$__rate_interval]))", "{{channel}} sent"),
                ("pitstop_notifications_waiting", "{{channel}} waiting"),
                ("pitstop_notifications_dead", "{{channel}} dead"),
            ],
            NUMBER,
            24,
        ),
    ]
    return dashboard("slos", "Objectives and alerts", "Error budgets, burn rates, incidents and channels.", panels)
