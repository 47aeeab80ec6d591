"""A slow service made faster step by step, with fewer requests and a smaller database than by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faster.measure import STEPS, Course

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = 50
CUSTOMERS = 800


def test_the_slow_service_becomes_ten_times_faster_at_p95_as_pitstop_itself_has_measured_it(tmp_path: Path) -> None:
    said: list[str] = []
    course = Course(tmp_path / "faster", REQUESTS, said.append, CUSTOMERS)
    measured = course.run()
    table = "\n".join(said)
    assert [one.step for one in measured] == list(STEPS), table
    assert {one.stats.requests for one in measured} == {measured[0].stats.requests}, table
    assert {one.stats.errors for one in measured} == {0}, table
    assert any("order_lines (order_id)" in sql for sql in course.advised), table
    assert any("orders (customer_id" in sql for sql in course.advised), table
    slow, waved, cached = measured[0], measured[3], measured[4]
    assert waved.p95_s < slow.p95_s, table
    assert cached.p95_s * 10 <= slow.p95_s, table
