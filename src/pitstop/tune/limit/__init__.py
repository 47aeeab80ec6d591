"""How many requests may run at once, found by measuring, and who goes first when there are more."""

from pitstop.tune.limit.asgi import LimitMiddleware
from pitstop.tune.limit.gradient2 import Gradient2
from pitstop.tune.limit.limiter import Limiter, Priority
from pitstop.tune.limit.wsgi import WsgiLimitMiddleware

__all__ = ["Gradient2", "LimitMiddleware", "Limiter", "Priority", "WsgiLimitMiddleware"]
