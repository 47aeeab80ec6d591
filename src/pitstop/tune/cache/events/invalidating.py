"""Events that void what a cache keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.events.bus import Bus
    from pitstop.tune.cache.events.event import Event


def topic_as_tag(event: Event) -> Sequence[str]:
    """``table.orders`` voids what carries the tag ``table.orders``."""
    return (event.topic,)


def invalidate_on(
    bus: Bus, cache: Cache, topic: str, tags: Callable[[Event], Sequence[str]] = topic_as_tag
) -> Callable[[], None]:
    """Void what carries one of ``tags(event)`` whenever an event of `topic` comes; what is returned ends that.

    After a gap, in which events may have been missed, everything is void.
    """
    ended = False

    def invalidate(event: Event) -> None:
        names = tags(event)
        if names:
            cache.invalidate(*names, how="event")

    def missed() -> None:
        if not ended:
            cache.invalidate(everything=True)

    end_subscription = bus.subscribe(topic, invalidate)
    bus.on_gap(missed)

    def end() -> None:
        nonlocal ended
        ended = True
        end_subscription()

    return end
