"""Advice on indexes: which to make, which to drop, which statistics are of another time.

    advise(engine, [Workload("SELECT * FROM orders WHERE customer_id = ?", calls=5000)]).suggestions

Nothing is changed, and nothing of the host's is run: statements are planned, in a transaction that is rolled back.
"""

from pitstop.tune.database.advice.advise import advise
from pitstop.tune.database.advice.answer import Advice, Suggestion
from pitstop.tune.database.advice.workload import Workload

__all__ = ["Advice", "Suggestion", "Workload", "advise"]
