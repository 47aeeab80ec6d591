"""PromQL over our histograms, whether they come as classic buckets or as native ones."""

from __future__ import annotations

SERVICE = 'service_name=~"$service"'
_OVER = "[$__rate_interval]"


def selector(*conditions: str) -> str:
    """``{service_name=~"$service",…}``."""
    return "{" + ",".join((SERVICE, *conditions)) + "}"


def quantile(q: float, metric: str, *conditions: str, by: str = "") -> str:
    """The quantile of a histogram; `by` are labels, comma-separated."""
    chosen = selector(*conditions)
    labels = f"le, {by}" if by else "le"
    classic = f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{chosen}{_OVER})))"
    native = f"histogram_quantile({q}, sum by ({by}) (rate({metric}{chosen}{_OVER})))"
    return f"{classic} or {native}"


def per_second(metric: str, *conditions: str, by: str = "") -> str:
    """How often a histogram was added to, each second."""
    chosen = selector(*conditions)
    classic = f"sum by ({by}) (rate({metric}_count{chosen}{_OVER}))"
    return f"{classic} or sum by ({by}) (histogram_count(rate({metric}{chosen}{_OVER})))"


def seconds_per_second(metric: str, *conditions: str, by: str = "") -> str:
    """What a histogram's values add up to, each second: how many are busy at once, on average."""
    chosen = selector(*conditions)
    classic = f"sum by ({by}) (rate({metric}_sum{chosen}{_OVER}))"
    return f"{classic} or sum by ({by}) (histogram_sum(rate({metric}{chosen}{_OVER})))"


def mean(metric: str, *conditions: str, by: str = "") -> str:
    """The mean of a histogram's values."""
    return f"({seconds_per_second(metric, *conditions, by=by)}) / ({per_second(metric, *conditions, by=by)})"


def ratio(metric: str, part: str, *conditions: str, by: str = "") -> str:
    """Which share of a histogram's values also meets `part`; 0 when none does."""
    whole = per_second(metric, *conditions, by=by)
    return f"(({per_second(metric, part, *conditions, by=by)}) or ({whole}) * 0) / ({whole})"


def rate(counter: str, *conditions: str, by: str = "") -> str:
    """How fast a counter grows, each second. `counter` without ``_total``."""
    return f"sum by ({by}) (rate({counter}_total{selector(*conditions)}{_OVER}))"


def top(number: int, expression: str) -> str:
    """The largest `number` of an expression."""
    return f"topk({number}, {expression})"
