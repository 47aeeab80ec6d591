"""What a level below memory is: a place shared by processes that keeps bytes by key, and counts versions of tags.

A level knows nothing of values, regions, tenants or times to live beyond what it is told: keys are complete (they hold
namespace, region and tenant), blobs are sealed by `pitstop.tune.cache.codec`. Each method exists twice, plain and with
``a`` in front for asyncio, because the wire is where the two colours differ; everything above is written once.

A method may raise whatever it likes: the cache counts it, says so once, and goes on as if the level had nothing. It
must not block without a deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Loaded(NamedTuple):
    """`blob` of a key, None where there is none, and the versions of the tags that were asked for, in their order."""

    blob: bytes | None
    versions: tuple[int, ...]


class Hearer(Protocol):
    """Who is told what other processes have done; the memory level's side. May be called from any thread."""

    def forget_key(self, key: str) -> None:
        """`key` was written or deleted elsewhere."""
        ...

    def forget_tag(self, tag: str) -> None:
        """The version of `tag` was raised elsewhere."""
        ...

    def forget_all(self) -> None:
        """Something may have been missed, such as while a connection was lost."""
        ...


class Level(Protocol):
    """One level. `name` is as in reports (``redis``, ``file``); `breaker` is ``closed``, ``open`` or ``half-open``.

    Versions begin at 0 and rise by one (or more) with each `raise_versions`; a counter must outlive every blob that was
    saved before it was last raised.
    """

    name: str

    @property
    def breaker(self) -> str:
        """Whether it is being asked at all."""
        ...

    @property
    def tells(self) -> bool:
        """Whether the hearer is told now, within about a second, of whatever others change.

        Where not, memory asks again every few seconds.
        """
        ...

    def listen(self, hearer: Hearer) -> None:
        """Tell `hearer` from now on what others change; called once, before anything else."""
        ...

    def load(self, key: str, tags: Sequence[str]) -> Loaded:
        """The blob and the tags' versions, in one round trip where it can."""
        ...

    async def aload(self, key: str, tags: Sequence[str]) -> Loaded:
        """The same."""
        ...

    def versions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The tags' versions."""
        ...

    async def aversions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The same."""
        ...

    def save(self, key: str, blob: bytes, ttl_s: float) -> None:
        """Keep `blob` for `ttl_s`, instead of what was there."""
        ...

    async def asave(self, key: str, blob: bytes, ttl_s: float) -> None:
        """The same."""
        ...

    def remove(self, keys: Sequence[str]) -> int:
        """Forget these; how many there were."""
        ...

    async def aremove(self, keys: Sequence[str]) -> int:
        """The same."""
        ...

    def raise_versions(self, tags: Sequence[str]) -> None:
        """Whatever carries one of these tags is void from now on: one increment each, no keys are looked for."""
        ...

    async def araise_versions(self, tags: Sequence[str]) -> None:
        """The same."""
        ...

    def lease(self, key: str, hold_s: float) -> str | None:
        """A token for whoever may make the value of `key` anew now; None while another process holds one.

        It ends by itself after `hold_s`, for owners that die.
        """
        ...

    async def alease(self, key: str, hold_s: float) -> str | None:
        """The same."""
        ...

    def release(self, key: str, token: str) -> None:
        """Give the lease back, if it is still ours, and wake who waits."""
        ...

    async def arelease(self, key: str, token: str) -> None:
        """The same."""
        ...

    def wait(self, key: str, timeout_s: float) -> None:
        """Come back when the lease of `key` may have been given back, at the latest after `timeout_s`."""
        ...

    async def await_(self, key: str, timeout_s: float) -> None:
        """The same; `wait` with an a in front is a keyword."""
        ...

    def close(self) -> None:
        """Let go of connections and threads. It can be used again afterwards."""
        ...

    def reset_after_fork(self) -> None:
        """This is a child: locks, threads and connections are the parent's, and must not be used nor closed."""
        ...
