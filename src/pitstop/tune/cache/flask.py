"""Flask (≥ 2.3): views whose answers are kept, by a decorator.

pages = FlaskCache(cache, app)           # or FlaskCache(cache), later pages.init_app(app)

@app.get("/items/<int:item_id>")
@pages.kept_for(60, tags=["item:{item_id}"])
def item(item_id: int): ...

pages.cache.invalidate("item:7")
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

try:
    import flask
except ImportError as error:  # pragma: no cover  the host's choice
    message = "pitstop.tune.cache.flask needs Flask, which is not installed: pip install flask"
    raise ImportError(message) from error

from pitstop.model.errors import SettingError
from pitstop.tune.cache.web.marking import mark, named_tags
from pitstop.tune.cache.web.responses import ResponseCache
from pitstop.tune.cache.web.wsgi import WSGICachingMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.cache import Cache

EXTENSION: Final = "pitstop_cache"


class FlaskCache:
    """Keeps answers of one application or several in `cache`; options as for `ResponseCache`.

    What says so by its own Cache-Control is kept as well as views that are decorated.
    """

    def __init__(self, cache: Cache, app: flask.Flask | None = None, **options: Any) -> None:
        self.cache = cache
        self.responses = ResponseCache(cache, **options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Put the cache in front of `app`."""
        if EXTENSION in app.extensions:
            raise SettingError(f"{app.name} has a cache in front of it: use app.extensions[{EXTENSION!r}]")
        app.extensions[EXTENSION] = self
        app.wsgi_app = WSGICachingMiddleware(app.wsgi_app, self.responses)  # type: ignore[method-assign]  # as Flask has it done

    def kept_for(
        self,
        ttl_s: float,
        *,
        public: bool = False,
        client_s: int = 0,
        stale_s: float = 0.0,
        stale_if_error_s: float = 0.0,
        vary: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a view, sync or async; see `pitstop.tune.cache.web.mark`. Tags may name the view's arguments."""
        told = {"public": public, "client_s": client_s, "stale_s": stale_s, "stale_if_error_s": stale_if_error_s}
        mark({}, ttl_s, vary=vary, tags=tags, **told)  # type: ignore[arg-type]  # refused now, where it is written

        def tell(arguments: dict[str, Any]) -> None:
            named = named_tags(tags, arguments)
            mark(flask.request.environ, ttl_s, vary=vary, tags=named, **told)  # type: ignore[arg-type]  # as above

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            if inspect.iscoroutinefunction(view):

                @functools.wraps(view)
                async def acall(*args: Any, **kwargs: Any) -> Any:
                    tell(kwargs)
                    return await view(*args, **kwargs)

                return acall

            @functools.wraps(view)
            def call(*args: Any, **kwargs: Any) -> Any:
                tell(kwargs)
                return view(*args, **kwargs)

            return call

        return decorate
