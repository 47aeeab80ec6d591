"""What the settings say to the middlewares. One object, shared by all that were not given their own."""

from __future__ import annotations


class Options:
    """`exclude`: path prefixes that are not recorded. `exec_time`, `server_timing`: headers to add to the answer.

    `propagate`: hosts that calls tell the trace id. `log_trace_ids`: whether log records carry it.
    """

    __slots__ = ("exclude", "exec_time", "log_trace_ids", "propagate", "server_timing", "version")

    def __init__(self, exclude: tuple[str, ...] = (), *, exec_time: bool = False, server_timing: bool = False) -> None:
        self.version = 0
        self.configure(exclude=exclude, exec_time=exec_time, server_timing=server_timing)

    def configure(
        self,
        *,
        exclude: tuple[str, ...],
        exec_time: bool,
        server_timing: bool,
        propagate: tuple[str, ...] = ("same-site",),
        log_trace_ids: bool = False,
    ) -> None:
        """Change what holds from the next request on."""
        self.propagate = propagate
        self.log_trace_ids = log_trace_ids
        self.exclude = exclude
        self.exec_time = exec_time
        self.server_timing = server_timing
        self.version += 1

    def timing_headers(self, duration_ns: int) -> list[tuple[str, str]]:
        """``X-Exec-Time`` in seconds and ``Server-Timing`` in milliseconds, as asked for."""
        headers = []
        if self.exec_time:
            headers.append(("X-Exec-Time", f"{duration_ns / 1e9:.6f}"))
        if self.server_timing:
            headers.append(("Server-Timing", f"app;dur={duration_ns / 1e6:.3f}"))
        return headers


OPTIONS = Options()
"""What `configure` of `pitstop.instrument` sets."""
