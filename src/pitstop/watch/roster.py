"""All channels: those of the rules file and those made on the page, which are sealed in the ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pitstop.model import NotFoundError, SettingError, SystemClock
from pitstop.watch import outbox_rows as rows
from pitstop.watch.channel_spec import KINDS, LONGEST_NAME, ChannelSpec, environment, parse_channel
from pitstop.watch.secrets import Secret

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from pitstop.model import Clock
    from pitstop.watch.ledger import Ledger
    from pitstop.watch.secrets import Vault

DASHBOARD = "dashboard"
MOST_CHANNELS = 100  # each has a thread of its own
OPTIONS = ("severities", "matches", "enabled", "secret", "timeout", "per_minute")


class Channels:
    """Safe from any thread. One that cannot be used is there with its `problem` and takes no other with it."""

    def __init__(self, ledger: Ledger, vault: Vault, *, clock: Clock | None = None) -> None:
        self._ledger = ledger
        self._vault = vault
        self._clock = clock or SystemClock()
        self._of_file: tuple[ChannelSpec, ...] = ()
        self._seen: dict[str, tuple[tuple[object, ...], ChannelSpec]] = {}

    def load(
        self, tables: Sequence[Mapping[str, object]], source: str, env: Mapping[str, str] | None = None
    ) -> list[ChannelSpec]:
        """Take these ``[[channel]]`` of the rules file instead of those before; what became of each."""
        specs: dict[str, ChannelSpec] = {}
        for number, table in enumerate(tables, 1):
            try:
                spec = parse_channel(table, source, environment() if env is None else env)
            except SettingError as error:
                spec = _unusable(table, f"channel {number}", source, str(error))
            if spec.name in specs:
                spec = _unusable({}, f"channel {number}", source, f"{source}: there are two channels {spec.name!r}")
            specs[spec.name] = spec
        for name in list(specs)[MOST_CHANNELS:]:
            problem = f"{source}: there are more than {MOST_CHANNELS} channels, and this one is beyond"
            specs[name] = specs[name]._replace(enabled=False, problem=problem)
        self._of_file = tuple(specs.values())
        return list(self._of_file)

    def all(self) -> list[ChannelSpec]:
        """Those of the file, in its order, then the others by name. A name in both is the file's."""
        with self._ledger.read() as db:
            found = db.execute(
                "SELECT name, kind, sealed, options, saved_s FROM channel ORDER BY name LIMIT ?", (MOST_CHANNELS,)
            ).fetchall()
        taken = {spec.name for spec in self._of_file}
        return [*self._of_file, *(self._opened(row) for row in found if row[0] not in taken)]

    def find(self, name: str) -> ChannelSpec | None:
        """The one of that name, or None."""
        return next((spec for spec in self.all() if spec.name == name), None)

    def get(self, name: str) -> ChannelSpec:
        """The one of that name. Raises NotFoundError."""
        spec = self.find(name)
        if spec is None:
            names = ", ".join(one.name for one in self.all()) or "none yet"
            raise NotFoundError(f"there is no channel {name!r}; there are: {names}")
        return spec

    def save(self, name: str, kind: str, address: str, options: Mapping[str, object], who: str) -> ChannelSpec:
        """Add or replace one. An empty address or secret keeps the one it had. Raises SettingError."""
        if any(spec.name == name for spec in self._of_file):
            raise SettingError(f"the channel {name!r} is in {self._of_file[0].source}: change it there")
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise SettingError(f"{unknown[0]!r} is no option of a channel; there are {', '.join(OPTIONS)}")
        with self._ledger.write() as db:
            before = self._row(db, name)
            old = self._opened(before) if before else None
            if old is None and db.execute("SELECT count(*) FROM channel").fetchone()[0] >= MOST_CHANNELS:
                raise SettingError(f"there are {MOST_CHANNELS} channels, which is the most there can be")
            kept: dict[str, object] = json.loads(before[3]) if before else {}
            kept.update({key: value for key, value in options.items() if key != "secret"})
            table = {
                "name": name,
                "kind": kind,
                "url": address or (old.url.reveal() if old else ""),
                "secret": options.get("secret") or (old.secret.reveal() if old else ""),
                **kept,
            }
            spec = parse_channel(table, DASHBOARD)
            sealed = self._vault.seal(json.dumps([spec.url.reveal(), spec.secret.reveal()]), f"{name}\0{kind}")
            db.execute(
                "REPLACE INTO channel VALUES (?, ?, ?, ?, ?, ?)",
                (name, kind, sealed, json.dumps(kept), who, self._clock.now_s()),
            )
        return spec

    def delete(self, name: str) -> None:
        """Remove one that was made on the page, and give up what waits for it. Raises SettingError, NotFoundError."""
        if any(spec.name == name for spec in self._of_file):
            raise SettingError(f"the channel {name!r} is in {self._of_file[0].source}: remove it there")
        with self._ledger.write() as db:
            if not db.execute("DELETE FROM channel WHERE name = ?", (name,)).rowcount:
                raise NotFoundError(f"there is no channel {name!r}")
            rows.bury(db, name, self._clock.now_s(), "its channel was removed")

    @staticmethod
    def _row(db: sqlite3.Connection, name: str) -> tuple[str, str, bytes, str, float] | None:
        found: tuple[str, str, bytes, str, float] | None = db.execute(
            "SELECT name, kind, sealed, options, saved_s FROM channel WHERE name = ?", (name,)
        ).fetchone()
        return found

    def _opened(self, row: tuple[str, str, bytes, str, float]) -> ChannelSpec:
        seen = self._seen.get(row[0])
        if seen is not None and seen[0] == row:
            return seen[1]
        name, kind, sealed, options, _ = row
        try:
            url, secret = json.loads(self._vault.unseal(sealed, f"{name}\0{kind}"))
            table = {"name": name, "kind": kind, "url": url, "secret": secret, **json.loads(options)}
            spec = parse_channel(table, DASHBOARD)
        except (SettingError, ValueError) as error:
            problem = str(error) if isinstance(error, SettingError) else "it cannot be read"
            spec = ChannelSpec(name, kind, Secret(), enabled=False, problem=problem)
        self._seen[name] = (row, spec)
        return spec


def _unusable(table: Mapping[str, object], number: str, source: str, problem: str) -> ChannelSpec:
    name, kind = table.get("name"), table.get("kind")
    return ChannelSpec(
        name[:LONGEST_NAME] if isinstance(name, str) and name else number,
        str(kind) if kind in KINDS else "unknown",
        Secret(),
        enabled=False,
        source=source,
        problem=problem,
    )
