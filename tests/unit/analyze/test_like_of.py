from __future__ import annotations

from typing import NotRequired, TypedDict

from pitstop.analyze.reports import like_of, shaped


class Item(TypedDict):
    name: str
    counts: list[int]


class Body(TypedDict):
    flag: bool
    ratio: float
    limit: int | None
    by_name: dict[str, int]
    tenants: dict[str, list[int]]
    items: list[Item]
    one: Item
    perhaps: Item | None
    route: NotRequired[str]


def test_what_a_body_is_without_anything_follows_from_its_type() -> None:
    assert like_of(Body) == {
        "flag": False, "ratio": 0.0, "limit": None, "by_name": {"": 0}, "tenants": {"": [0]},
        "items": [{"name": "", "counts": [0]}], "one": {}, "perhaps": {}, "route": "",
    }  # fmt: skip
    assert list(like_of(Body, "items", "one", "perhaps", "route")) == ["flag", "ratio", "limit", "by_name", "tenants"]


def test_whatever_another_version_wrote_gets_that_shape() -> None:
    written = {"flag": 1, "ratio": "much", "limit": 5, "items": [{"name": "a", "more": 1}, "text"], "newer": True}
    assert shaped(written, like_of(Body)) == {
        "flag": False, "ratio": 0.0, "limit": 5, "by_name": {}, "tenants": {},
        "items": [{"name": "a", "counts": []}], "one": {}, "perhaps": {}, "route": "",
    }  # fmt: skip
