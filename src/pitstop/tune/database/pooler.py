"""Poolers between a service and PostgreSQL: what in a URL tells of one, and what must not be done behind it.

In transaction mode a server connection is lent for one transaction: nothing that outlives one may be left on it,
neither prepared statements nor session settings (pgbouncer.org/features.html, supabase.com/docs/guides/database).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from sqlalchemy import URL

Pooler = Literal["auto", "transaction", "none"]

SUPABASE: Final = ".pooler.supabase.com"
SUPABASE_TRANSACTION_PORT: Final = 6543  # 5432 of the same host is session mode
PGBOUNCER_PORT: Final = 6432  # PgBouncer's default: its mode is not known, so the stricter one is assumed
_NEON: Final = "-pooler."


def is_transaction_pooled(url: URL, pooler: Pooler) -> bool:
    """Whether connections are lent for a transaction; with ``auto`` by host and port."""
    if pooler != "auto":
        return pooler == "transaction"
    host, port = url.host or "", url.port
    if host.endswith(SUPABASE):
        return port == SUPABASE_TRANSACTION_PORT
    return port == PGBOUNCER_PORT or _NEON in host
