"""A WSGI application inside a request that is recorded already: mounted in an ASGI application, it runs in a thread.

The thread has a copy of the request's context, as Starlette's and a2wsgi's ``WSGIMiddleware`` make one. The request
stays the outer application's; the inner one gives it its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.instrument import wsgi
from pitstop.instrument.live import MARK, fault
from pitstop.instrument.names import BY_METHOD
from pitstop.model.series import HTTP
from pitstop.record.operation import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pitstop.instrument.wsgi import Environ, StartResponse
    from pitstop.record.operation import Operation

MOUNTS = 32  # path prefixes that may stand in names: one with a parameter would make a name for each of its values
_IN_THREADS = "wsgi.multithread"  # clients in process (werkzeug's, Django's, httpx's) say no: theirs are other requests

_mounts: set[str] = set()


class RecordingMiddleware(wsgi.RecordingMiddleware):
    """Records what is not recorded yet, and names what is."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        op = CURRENT.get()
        if op is not None and MARK not in environ and environ.get(_IN_THREADS):
            op = op.root or op
            if op.kind == HTTP and not op.end_ns:
                environ[MARK] = op
                start_response = _naming(op, environ, start_response, self.template_of)
        return super().__call__(environ, start_response)


def _naming(
    op: Operation, environ: Environ, start_response: StartResponse, template_of: Callable[[Environ], str]
) -> StartResponse:
    def start(*args: Any, **kwargs: Any) -> Callable[[bytes], object]:
        try:
            template = template_of(environ)
            if template and not op.name and not op.end_ns:
                mount = environ.get("SCRIPT_NAME", "")
                if mount in _mounts or len(_mounts) < MOUNTS:
                    _mounts.add(mount)
                    op.name = BY_METHOD[environ["REQUEST_METHOD"]][mount + template]
        except Exception:  # noqa: BLE001  the host goes on
            fault("inside.name")
        return start_response(*args, **kwargs)

    return start
