# ruff: noqa: ANN001, ANN201, ARG001, PLC0415  fixtures are known by name; libraries are imported when they are hooked
"""Renderings are spans by their template's name, and what runs in them is below them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import jinja2
import pytest

from pitstop.instrument import django_templates
from pitstop.instrument import jinja2 as integration
from pitstop.model.record import named
from pitstop.record import RECORDER, leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.record import Child

PAGES = {"base.html": "<b>{% block body %}{% endblock %}</b>", "part.html": "{{ query() }}"}
PAGES["page.html"] = "{% extends 'base.html' %}{% block body %}{% include 'part.html' %}{% endblock %}"


def query() -> str:
    leaf("db", "SELECT ?", "ok", 1, 2)
    return "42"


@pytest.fixture
def recorded() -> Iterator[None]:
    integration.attach(jinja2.environment)
    RECORDER.drain()
    RECORDER.on = True
    yield
    RECORDER.on = False
    RECORDER.drain()
    integration.detach(jinja2.environment)


def below_and_root() -> tuple[list[Child], tuple[str, str, str]]:
    (record,) = named(RECORDER.drain().records)
    return list(record.children or ()), (record.kind, record.name, record.outcome)


def test_a_rendering_is_one_span_with_its_queries_below(recorded):
    pages = jinja2.Environment(loader=jinja2.DictLoader(PAGES), autoescape=True)
    assert pages.get_template("page.html").render(query=query) == "<b>42</b>"
    children, root = below_and_root()
    assert root == ("template", "page.html", "ok")
    assert [(child.kind, child.name) for child in children] == [("db", "SELECT ?")]
    assert children[0].parent_ns > 0


@pytest.mark.parametrize("how", ["awaited", "called"])
def test_an_async_rendering_is_one_span_too(recorded, how):
    pages = jinja2.Environment(loader=jinja2.DictLoader(PAGES), autoescape=True, enable_async=True)
    template = pages.get_template("page.html")
    text = asyncio.run(template.render_async(query=query)) if how == "awaited" else template.render(query=query)
    assert text == "<b>42</b>"
    children, root = below_and_root()
    assert (root, len(children)) == (("template", "page.html", "ok"), 1)


def test_a_template_without_a_name_does_not_show_its_text(recorded):
    jinja2.Environment(autoescape=True).from_string("secret {{ 1 / 1 }}").render()
    assert below_and_root()[1] == ("template", "(string)", "ok")


def test_a_rendering_that_fails_is_an_error_and_raises_what_jinja_raises(recorded):
    with pytest.raises(ZeroDivisionError):
        jinja2.Environment(autoescape=True).from_string("{{ 1 / 0 }}").render()
    assert below_and_root()[1] == ("template", "(string)", "error")


def test_djangos_renderings_are_spans(recorded):
    import django.template.backends.django as backend
    from django.template.engine import Engine

    django_templates.attach(backend)
    try:
        pages = {"page.html": "{% include 'part.html' %}{{ query }}", "part.html": "part "}
        engine = Engine(loaders=[("django.template.loaders.locmem.Loader", pages)])
        backed = SimpleNamespace(engine=engine)
        assert backend.Template(engine.get_template("page.html"), backed).render({"query": query}) == "part 42"
        children, root = below_and_root()
        assert (root, [child.name for child in children]) == (("template", "page.html", "ok"), ["SELECT ?"])
        backend.Template(engine.from_string("secret"), backed).render({})
        assert below_and_root()[1][1] == "(string)"
    finally:
        django_templates.detach(backend)
    assert not hasattr(backend.Template.render, "__wrapped__")
