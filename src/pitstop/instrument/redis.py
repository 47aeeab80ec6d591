"""redis-py (≥ 5.0): every command one cache operation, by its name; sync, asyncio, pipelines, clusters.

Recorded is what goes to the server and comes back, so a retried command counts twice, as it does there. What a
connection says by itself (HELLO, health checks, a cluster's topology) is not the application's and not recorded.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.commands import COMMANDS, ERROR, OK, UNKNOWN, shares
from pitstop.instrument.live import fault
from pitstop.model.series import POOL_WAIT
from pitstop.record.caller import line_attrs
from pitstop.record.leaf import leaf
from pitstop.record.operation import reset_current, set_current
from pitstop.record.recorder import NOBODY, RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pitstop.instrument.replacing import Point, Wrap

ATTRS = {"db.system": "redis"}
WAIT_NS = 200_000  # to get a connection: less is the pool's own work, more is connecting or waiting for a free one
_RESPONSES = "_pitstop_responses"  # of a pipeline that raises, until it is filed
BATCHES = 256  # sizes of pipelines whose attributes are kept
_batches: dict[int, Mapping[str, object]] = {}
_now = perf_counter_ns


def _file(args: tuple[Any, ...], start_ns: int, response: Any, error: BaseException | None = None) -> None:
    """File one command, the first of `args`: answered, refused, or without an answer."""
    end_ns = _now()
    try:
        command = COMMANDS[args[0]]
        if command.varies:
            command = command.of(args)
        name = command.name
        if error is None:
            outcome = command.outcome(response) if command.reads else OK
        else:
            outcome = ERROR
            if str(error)[:15].lower() == "unknown command":
                name = UNKNOWN
        leaf(command.kind, name, outcome, start_ns, end_ns, 0, line_attrs(ATTRS))
    except Exception:  # noqa: BLE001  the host goes on
        fault("redis.file")


def _file_all(commands: Sequence[tuple[Any, ...]], responses: Sequence[Any], start_ns: int) -> None:
    """File what shared one round trip; `responses` may have exceptions among them."""
    end_ns = _now()
    try:
        if not RECORDER.on or not commands:
            return
        attrs = line_attrs(_batch(len(commands)))
        spans = shares(start_ns, end_ns, len(commands))
        for args, response, (began_ns, ended_ns) in zip(commands, responses, spans, strict=True):
            command = COMMANDS[args[0]]
            if command.varies:
                command = command.of(args)
            outcome = ERROR if isinstance(response, BaseException) else command.outcome(response)
            leaf(command.kind, command.name, outcome, began_ns, ended_ns, 0, attrs)
    except Exception:  # noqa: BLE001
        fault("redis.pipeline")


def _batch(commands: int) -> Mapping[str, object]:
    """Attributes of each of as many commands that went together: one mapping for each number."""
    known = _batches.get(commands)
    if known is None:
        known = {**ATTRS, "db.operation.batch.size": commands}  # OTel semconv 1.4x
        if len(_batches) < BATCHES:
            _batches[commands] = known
    return known


def _one(at: int) -> Wrap:
    """For a method that sends one command, whose name is its argument number `at`."""

    def wrap(original: Any) -> Any:
        def send_recorded(self: Any, *args: Any, **options: Any) -> Any:
            if not RECORDER.on:
                return original(self, *args, **options)
            start_ns = _now()
            try:
                response = original(self, *args, **options)
            except BaseException as error:
                _file(args[at:], start_ns, None, error)
                raise
            _file(args[at:], start_ns, response)
            return response

        return send_recorded

    return wrap


def _one_async(at: int) -> Wrap:
    """The same for a coroutine function."""

    def wrap(original: Any) -> Any:
        async def send_recorded(self: Any, *args: Any, **options: Any) -> Any:
            if not RECORDER.on:
                return await original(self, *args, **options)
            start_ns = _now()
            try:
                response = await original(self, *args, **options)
            except BaseException as error:
                _file(args[at:], start_ns, None, error)
                raise
            _file(args[at:], start_ns, response)
            return response

        return send_recorded

    return wrap


def _ended(stack: Sequence[Any], responses: Sequence[Any] | None, start_ns: int, *, multi: bool) -> None:
    """File a pipeline, with MULTI and EXEC around it when it is a transaction.

    A transaction without `responses` failed as a whole: the server ran none of its commands.
    """
    commands = [command[0] if isinstance(command, tuple) else command.args for command in stack]
    if not multi:
        _file_all(commands, responses or [], start_ns)
    elif responses is None:
        _file_all([("MULTI",), ("EXEC",)], [None, RuntimeError()], start_ns)
    else:
        _file_all([("MULTI",), *commands, ("EXEC",)], [None, *responses, None], start_ns)


def _failed(self: Any, stack: Sequence[Any], start_ns: int, error: BaseException, *, multi: bool) -> None:
    responses = vars(self).pop(_RESPONSES, None)
    if responses is None and not multi:
        responses = [error] * len(stack)
    _ended(stack, responses, start_ns, multi=multi)


def _many(at: int, *, multi: bool) -> Wrap:
    """For a method that sends a pipeline, its commands the argument number `at`, and returns their responses."""

    def wrap(original: Any) -> Any:
        def execute_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
            if len(args) <= at:
                return original(self, *args, **kwargs)
            stack, start_ns = list(args[at]), _now()
            try:
                responses = original(self, *args, **kwargs)
            except BaseException as error:
                _failed(self, stack, start_ns, error, multi=multi)
                raise
            _ended(stack, responses, start_ns, multi=multi)
            return responses

        return execute_recorded

    return wrap


def _many_async(at: int, *, multi: bool) -> Wrap:
    """The same for a coroutine function."""

    def wrap(original: Any) -> Any:
        async def execute_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
            if len(args) <= at:
                return await original(self, *args, **kwargs)
            stack, start_ns = list(args[at]), _now()
            try:
                responses = await original(self, *args, **kwargs)
            except BaseException as error:
                _failed(self, stack, start_ns, error, multi=multi)
                raise
            _ended(stack, responses, start_ns, multi=multi)
            return responses

        return execute_recorded

    return wrap


def _keep(at: int) -> Wrap:
    """For what raises the first error among the responses: only there is what each command was answered."""

    def wrap(original: Any) -> Any:
        def raise_keeping(self: Any, *args: Any, **kwargs: Any) -> Any:
            responses = args[at] if len(args) > at else ()
            if any(isinstance(response, Exception) for response in responses):
                setattr(self, _RESPONSES, list(responses))
            return original(self, *args, **kwargs)

        return raise_keeping

    return wrap


def _node_write(original: Any) -> Any:
    """For ``NodeCommands.write`` of a cluster's pipeline, of which `_node_read` is the other half."""

    def write_timed(self: Any) -> Any:
        self.pitstop_start_ns = _now()
        return original(self)

    return write_timed


def _node_read(original: Any) -> Any:
    def read_recorded(self: Any) -> Any:
        try:
            return original(self)
        finally:
            start_ns = getattr(self, "pitstop_start_ns", 0)
            if start_ns:
                _ended(self.commands, [command.result for command in self.commands], start_ns, multi=False)

    return read_recorded


def _node_pipeline_async(original: Any) -> Any:
    """For ``ClusterNode.execute_pipeline(commands)``, which leaves the responses in the commands."""

    async def execute_recorded(self: Any, commands: Any) -> Any:
        start_ns = _now()
        try:
            return await original(self, commands)
        finally:
            _ended(commands, [command.result for command in commands], start_ns, multi=False)

    return execute_recorded


def _unseen(original: Any) -> Any:
    """For what the library asks by itself, such as a cluster's topology."""

    def call_unseen(*args: Any, **kwargs: Any) -> Any:
        token = set_current(NOBODY)
        try:
            return original(*args, **kwargs)
        finally:
            reset_current(token)

    return call_unseen


def _unseen_async(original: Any) -> Any:
    async def call_unseen(*args: Any, **kwargs: Any) -> Any:
        token = set_current(NOBODY)
        try:
            return await original(*args, **kwargs)
        finally:
            reset_current(token)

    return call_unseen


def _waited(start_ns: int) -> None:
    """File the wait for a connection."""
    if RECORDER.on:
        leaf(POOL_WAIT, "redis connection", OK, start_ns, _now(), 0, ATTRS)


def _connection(original: Any) -> Any:
    """For ``ConnectionPool.get_connection``: connecting, or waiting for a free one."""

    def get_timed(*args: Any, **kwargs: Any) -> Any:
        start_ns = _now()
        connection = original(*args, **kwargs)
        if _now() - start_ns >= WAIT_NS:
            _waited(start_ns)
        return connection

    return get_timed


def _connection_async(original: Any) -> Any:
    async def get_timed(*args: Any, **kwargs: Any) -> Any:
        start_ns = _now()
        connection = await original(*args, **kwargs)
        if _now() - start_ns >= WAIT_NS:
            _waited(start_ns)
        return connection

    return get_timed


def _of_client(one: Callable[[int], Wrap], many: Callable[..., Wrap]) -> tuple[Point, ...]:
    return (
        ("Redis", "_send_command_parse_response", one(2)),
        ("Pipeline", "_execute_pipeline", many(1, multi=False)),
        ("Pipeline", "_execute_transaction", many(1, multi=True)),
        ("Pipeline", "raise_first_error", _keep(1)),
        ("PubSub", "execute_command", one(0)),  # only sends; what arrives then is somebody else's and not recorded
    )


def _of_transactions(one: Callable[[int], Wrap], many: Callable[..., Wrap]) -> tuple[Point, ...]:
    return (
        ("TransactionStrategy", "_send_command_parse_response", one(3)),
        ("TransactionStrategy", "_execute_transaction", many(0, multi=True)),
        ("TransactionStrategy", "_raise_first_error", _keep(0)),
    )


POINTS: dict[str, tuple[Point, ...]] = {
    "redis.client": _of_client(_one, _many),
    "redis.asyncio.client": _of_client(_one_async, _many_async),
    "redis.connection": (
        ("ConnectionPool", "get_connection", _connection),
        ("BlockingConnectionPool", "get_connection", _connection),
    ),
    "redis.asyncio.connection": (
        ("ConnectionPool", "get_connection", _connection_async),
        ("BlockingConnectionPool", "get_connection", _connection_async),
    ),
    "redis.cluster": (
        *_of_transactions(_one, _many),
        ("RedisCluster", "_execute_command", _one(1)),  # redirections are in its time
        ("NodeCommands", "write", _node_write),
        ("NodeCommands", "read", _node_read),
        ("NodesManager", "initialize", _unseen),
    ),
    "redis.asyncio.cluster": (
        *_of_transactions(_one_async, _many_async),
        ("ClusterNode", "execute_command", _one_async(0)),
        ("ClusterNode", "execute_pipeline", _node_pipeline_async),
        ("NodesManager", "initialize", _unseen_async),
    ),
    "redis._parsers.commands": (
        ("CommandsParser", "initialize", _unseen),
        ("AsyncCommandsParser", "initialize", _unseen_async),
    ),
}
"""What is replaced, by module."""


def attach(module: Any) -> None:
    """Record what `module`, one of `POINTS`, sends from now on."""
    replacing.attach(module, POINTS[module.__name__])


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS[module.__name__])
