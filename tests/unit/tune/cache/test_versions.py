"""Versions of tags, flights and marks: what makes values void, and who makes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.cache.flights import Flights
from pitstop.tune.cache.loading import Loading
from pitstop.tune.cache.versions import Versions


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=80), st.integers(1, 12))
def test_an_entry_is_void_once_its_tag_was_raised_even_where_tags_are_forgotten(
    steps: list[tuple[bool, int]], most: int
) -> None:
    versions, valid = Versions(most=most), {}
    for made, tag in steps:
        if made:
            valid[tag] = versions.epoch
        else:
            versions.bump([str(tag)])
            valid.pop(tag, None)
        for each, since in valid.items():
            if most >= 10:
                assert versions.holds([str(each)], since)
    for tag in range(10):
        if tag not in valid:
            raised = any(not made and number == tag for made, number in steps)
            assert not (raised and versions.holds([str(tag)], 1))


def test_raising_everything_voids_what_has_no_tag_of_its_own() -> None:
    versions = Versions()
    since = versions.epoch
    versions.bump_all()
    assert not versions.holds(["any"], since)
    assert versions.holds(["any"], versions.epoch)


def test_forgetting_old_tags_voids_too_much_and_never_too_little() -> None:
    versions = Versions(most=2)
    since = versions.epoch
    for number in range(5):
        versions.bump([str(number)])
    assert not any(versions.holds([str(number)], since) for number in range(5))
    assert not versions.holds(["never raised"], since)
    assert versions.holds(["never raised"], versions.epoch)


def test_one_of_those_who_come_leads_and_the_next_generation_leads_anew() -> None:
    flights = Flights()
    flight, leads = flights.board("k")
    assert leads
    assert flights.board("k") == (flight, False)
    flights.land("k", flight, 1)
    assert flight.landed
    other, leads = flights.board("k")
    assert leads
    assert other is not flight
    flights.give_up("k", other)
    assert not other.landed
    assert len(flights) == 0


def test_a_mark_is_shared_and_taken_away_from_all() -> None:
    loading = Loading()
    one, other = loading.begin("k"), loading.begin("k")
    loading.end("k", one)
    assert loading.undisturbed("k", other)
    loading.disturb("k")
    later = loading.begin("k")
    assert not loading.undisturbed("k", other)
    assert loading.undisturbed("k", later)
    loading.end("k", other)
    assert loading.undisturbed("k", later)
    loading.disturb_all()
    assert not loading.undisturbed("k", later)
    loading.end("k", later)
    assert len(loading) == 0
