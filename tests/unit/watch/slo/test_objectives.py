from __future__ import annotations

import tomllib

import pytest

from pitstop.model import SettingError
from pitstop.watch.objectives import Objective, default_objectives, parse_objective


def parsed(text: str) -> Objective:
    return parse_objective(tomllib.loads(text), "pitstop-rules.toml")


def test_an_objective_is_written_as_the_rules_file_says() -> None:
    text = """
        name = "checkout answers in time"
        kind = "latency"
        service = "shop"
        routes = ["POST /checkout"]
        tenant = "acme"
        target = 0.99
        threshold = "500ms"
        window = "month"
        least_events = 50
    """
    assert parsed(text) == Objective(
        name="checkout answers in time", kind="latency", target=0.99, service="shop", routes=("POST /checkout",),
        tenant="acme", threshold_s=0.5, window="month", least_events=50, source="pitstop-rules.toml",
    )  # fmt: skip


def test_an_error_ratio_may_be_written_as_what_may_fail_or_as_what_may_not() -> None:
    for target in ("0.001", "0.999"):
        assert parsed(f'name = "e"\nkind = "error_ratio"\ntarget = {target}').target == pytest.approx(0.999)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "latency"\ntarget = 0.9', "name is missing"),
        ('name = "a"\nkind = "speed"\ntarget = 0.9', "'speed' is none of availability, latency, error_ratio"),
        ('name = "a"\nkind = "availability"', "target is missing: write a number of 0 … 1"),
        ('name = "a"\nkind = "availability"\ntarget = 99.9', "target = 99.9 is no number of 0 … 1"),
        ('name = "a"\nkind = "availability"\ntarget = true', "target = True is no number"),
        ('name = "a"\nkind = "availability"\ntarget = 1', "leaves no budget"),
        ('name = "a"\nkind = "error_ratio"\ntarget = 0', "leaves no budget"),
        ('name = "a"\nkind = "latency"\ntarget = 0.9', "threshold is missing"),
        ('name = "a"\nkind = "latency"\ntarget = 0.9\nthreshold = "fast"', "is no length of time"),
        ('name = "a"\nkind = "latency"\ntarget = 0.9\nthreshold = true', "is no length of time"),
        ('name = "a"\nkind = "latency"\ntarget = 0.9\nthreshold = "9h"', "threshold = '9h' is outside 1e-06 s … 10000"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nthreshold = "1s"', "threshold is for latency and freshness"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nprobe = "home"', 'probe is for kind = "probe"'),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nwindow = "30m"', "window = '30m' is outside 3600 s"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nwindow = "5401s"', "no whole number of hours"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nwindow = "year"', "'year' is no length of time"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nleast_events = 0', "least_events = 0 is no number of 1 …"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nleast_events = 2.5', "is no whole number"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nroutes = [1]', "is no list of texts"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nby = ["method"]', "may have route and tenant only"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nalert = "no"', "is neither true nor false"),
        ('name = "a"\nkind = "availability"\ntarget = 0.9\nservices = "x"', "'services' is no key of it"),
        ('name = "a\\nb"\nkind = "availability"\ntarget = 0.9', "has control ones"),
        ('name = 7\nkind = "availability"\ntarget = 0.9', "name = 7 is no text"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_value_limit_and_place(text: str, said: str) -> None:
    with pytest.raises(SettingError) as refused:
        parsed(text)
    assert said in str(refused.value)
    assert str(refused.value).startswith("pitstop-rules.toml: slo")


def test_every_service_is_promised_what_the_requirements_say() -> None:
    found = {one.name: (one.kind, one.target, one.threshold_s, one.alert) for one in default_objectives(["shop"])}
    assert found == {
        "uptime": ("availability", 0.999, None, True),
        "errors": ("error_ratio", 0.999, None, False),
        "P95": ("latency", 0.95, 0.5, True),
        "P99": ("latency", 0.99, 1.0, True),
    }
    (probe,) = default_objectives([], ["home page"])
    assert (probe.kind, probe.target, probe.probe) == ("probe", 0.999, "home page")
