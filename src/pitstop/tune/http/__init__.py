"""Calls to other services that reuse connections, wait no longer than they may, and are tried again within a budget.

from pitstop.tune.http import aclient

billing = aclient("https://billing.internal", timeout_s=2)   # once, at the top of a module

async def invoices() -> list: return (await billing.get("/invoices")).json()
"""

from pitstop.tune.http.budget import RetryBudget
from pitstop.tune.http.factory import aclient, client
from pitstop.tune.http.hosts import get_metrics
from pitstop.tune.http.retrying import Retries

__all__ = ["Retries", "RetryBudget", "aclient", "client", "get_metrics"]
