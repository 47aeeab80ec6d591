"""Memory: leaks found while they are small, the garbage collector fitted to the service, pressure answered in time."""

from pitstop.tune.memory.leaks import Finding, LeakWatch

__all__ = ["Finding", "LeakWatch"]
