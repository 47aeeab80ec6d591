"""Flask (≥ 3.0): the URL rule as template, blueprints' prefixes included, and its static folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pitstop.instrument.wsgi import Environ


def template_of(environ: Environ) -> str:
    """The rule that matched; "" when none did. Werkzeug leaves the request in the environ."""
    request = environ.get("werkzeug.request")
    rule = None if request is None else getattr(request, "url_rule", None)
    return "" if rule is None else rule.rule


def static_of(app: Any) -> tuple[str, ...]:
    """Path prefixes of the application's and its blueprints' static folders."""
    return tuple(
        {
            prefix
            for rule in app.url_map.iter_rules()
            if rule.endpoint.rpartition(".")[2] == "static"
            and "filename" in rule.arguments
            and (prefix := rule.rule.partition("<")[0]) not in {"", "/"}
        }
    )
