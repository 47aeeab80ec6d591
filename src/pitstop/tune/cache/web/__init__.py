"""Answers of a web service kept by the rules of HTTP (RFC 9111), in front of an ASGI or WSGI application.

    app = CachingMiddleware(app, cache)          # ASGI: FastAPI, Starlette, Litestar, Quart …
    app = WSGICachingMiddleware(app, cache)      # WSGI: Flask, Django, Pyramid …

What an answer says of itself (Cache-Control, Expires, Vary) decides; nothing is kept that does not say that it may be.
"""

from pitstop.tune.cache.web.asgi import CachingMiddleware
from pitstop.tune.cache.web.marking import Marker, mark
from pitstop.tune.cache.web.responses import ResponseCache
from pitstop.tune.cache.web.wsgi import WSGICachingMiddleware

__all__ = ["CachingMiddleware", "Marker", "ResponseCache", "WSGICachingMiddleware", "mark"]
