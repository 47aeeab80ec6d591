"""Tasks in parallel waves, from what they need: bounded, from sync and async code, each of them seen in the trace.

from pitstop.tune.waves import Task, Waves

waves = Waves(max_parallel=8)
result = waves.run([
    Task("customer", load_customer),
    Task("orders", load_orders, needs=["customer"]),        # load_orders(customer)
    Task("prices", fetch_prices, timeout_s=2, on_failure="contain", default={}),
    Task("total", add_up, needs=["orders", "prices"]),
])
result["total"], result.speed_up, result.critical_path
"""

from __future__ import annotations

from pitstop.tune.waves.result import TaskResult, WaveResult, WavesResult
from pitstop.tune.waves.task import ON_FAILURE, Task
from pitstop.tune.waves.threads import Threads
from pitstop.tune.waves.waves import Waves

__all__ = ["ON_FAILURE", "Task", "TaskResult", "Threads", "WaveResult", "Waves", "WavesResult"]
