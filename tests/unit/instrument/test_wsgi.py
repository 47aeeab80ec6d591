# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ANN204, ARG001  fixtures are known by name, applications by their protocol
"""Every WSGI request is one operation, finished once, and the server gets what it would get without us."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.instrument.live import IN_FLIGHT
from pitstop.instrument.options import Options
from pitstop.instrument.wsgi import RecordingMiddleware
from pitstop.model.record import named
from pitstop.record import CURRENT, Recorder
from pitstop.record.operation import current


def environ_for(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "SCRIPT_NAME": "", **more}
    setup_testing_defaults(environ)
    return environ


def call(app: Any, environ: dict[str, Any], *, take: int | None = None) -> tuple[list[Any], bytes, str]:
    """Act as a server: what start_response got, the body (at most `take` pieces), and the exception."""
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(*args: Any) -> Any:
        started.append(args[:2])
        return written.append

    try:
        body = app(environ, start_response)
        try:
            for i, piece in enumerate(body):
                written.append(piece)
                if i + 1 == take:
                    break
        finally:
            if hasattr(body, "close"):
                body.close()
    except BaseException as error:  # noqa: BLE001  compared
        return started, b"".join(written), repr(error)
    return started, b"".join(written), ""


def answering(*pieces: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", list(headers))
        return iter(pieces)

    return app


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_a_request_is_recorded_whatever_kind_of_iterable_it_answers(recorder, kind):
    def app(environ, start_response):
        start_response("201 Created", [])
        return kind([b"ab", b"c"])

    middleware = RecordingMiddleware(app, recorder, template_of=lambda _: "/items/<id>")
    assert call(middleware, environ_for("/items/3", "POST"))[1] == b"abc"
    (op,) = named(recorder.drain().records)
    assert (op.name, op.outcome, op.nbytes) == ("POST /items/<id>", "201", 3)
    assert [child.name for child in op.children or ()] == (["first byte"] if kind is iter else [])


@pytest.mark.parametrize(("take", "outcome"), [(1, "499"), (2, "499"), (3, "499"), (None, "200")])
def test_a_generator_abandoned_at_any_piece_is_a_client_that_left(recorder, seen, take, outcome):
    call(RecordingMiddleware(answering(b"a", b"b", b"c"), recorder), environ_for(), take=take)
    assert seen() == [("(unmatched)", outcome)]
    assert not IN_FLIGHT


def test_a_server_that_stops_after_the_declared_length_had_it_all(recorder, seen):
    app = answering(b"abc", headers=(("Content-Length", "3"),))
    call(RecordingMiddleware(app, recorder), environ_for(), take=1)
    assert seen() == [("(unmatched)", "200")]


def test_a_body_that_is_never_closed_is_recorded_when_it_is_collected(recorder, seen):
    body = RecordingMiddleware(answering(b"a"), recorder)(environ_for(), lambda *_: None)
    assert seen() == []
    del body
    assert seen() == [("(unmatched)", "499")]


def test_closing_passes_on_and_is_recorded_once(recorder, seen):
    closed = []

    class Body:
        def __iter__(self):
            return iter([b"x"])

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body()

    call(RecordingMiddleware(app, recorder), environ_for())
    assert closed == [True]
    assert seen() == [("(unmatched)", "200")]


def test_a_file_wrapper_stays_what_the_server_knows(recorder, tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    file = (tmp_path / "file").open("rb")

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    body = RecordingMiddleware(app, recorder)(environ_for(**{"wsgi.file_wrapper": FileWrapper}), lambda *_: None)
    assert type(body) is FileWrapper
    body.close()
    (op,) = named(recorder.drain().records)
    assert (op.outcome, op.nbytes) == ("200", 5)


def test_a_file_wrapper_without_a_size_counts_no_bytes(recorder):
    def app(environ, start_response):
        start_response("200 OK", [])
        return FileWrapper(io.BytesIO(b"123"))

    call(RecordingMiddleware(app, recorder), environ_for(**{"wsgi.file_wrapper": FileWrapper}))
    assert named(recorder.drain().records)[0].nbytes == 0


def test_what_is_written_through_the_callable_counts(recorder):
    def app(environ, start_response):
        start_response("200 OK", [])(b"abc")
        return [b"d"]

    assert call(RecordingMiddleware(app, recorder), environ_for())[1] == b"abcd"
    assert named(recorder.drain().records)[0].nbytes == 4


@pytest.mark.parametrize("where", ["call", "piece"])
def test_an_exception_is_a_500_and_passes_through(recorder, seen, where):
    def app(environ, start_response):
        if where == "call":
            raise ZeroDivisionError
        start_response("200 OK", [])

        def pieces():
            yield b"a"
            raise ZeroDivisionError

        return pieces()

    assert call(RecordingMiddleware(app, recorder), environ_for())[2] == "ZeroDivisionError()"
    assert seen() == [("(unmatched)", "500")]


def test_a_second_start_after_an_error_counts(recorder, seen):
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("503 Down", [], (ValueError, ValueError(), None))
        return [b""]

    call(RecordingMiddleware(app, recorder), environ_for())
    assert seen() == [("(unmatched)", "503")]


def test_the_path_an_application_is_mounted_at_is_part_of_its_template(recorder, seen):
    def mounting(environ, start_response):
        environ["SCRIPT_NAME"] += "/shop"
        start_response("200 OK", [])
        return [b""]

    app = RecordingMiddleware(mounting, recorder, template_of=lambda _: "/orders/<id>")
    call(app, environ_for(SCRIPT_NAME="/outer"))
    assert seen() == [("GET /shop/orders/<id>", "200")]


def test_excluded_nested_and_switched_off_requests_pass_untouched(recorder, seen):
    handed = object()
    app = RecordingMiddleware(lambda *_: handed, recorder, exclude=("/static/",))
    assert app(environ_for("/static/a.css"), None) is handed
    off = Recorder()
    assert RecordingMiddleware(lambda *_: handed, off)(environ_for(), None) is handed
    call(RecordingMiddleware(RecordingMiddleware(answering(b""), recorder), recorder), environ_for())
    assert len(seen()) == 1


def test_timing_headers_come_only_when_asked_for(recorder):
    options = Options(exec_time=True, server_timing=True)
    ((_, headers),), _, _ = call(RecordingMiddleware(answering(b""), recorder, options=options), environ_for())
    assert [name for name, _ in headers] == ["X-Exec-Time", "Server-Timing"]


def test_the_traceparent_of_the_caller_is_kept(recorder):
    given_id = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    trace_ids = []

    def app(environ, start_response):
        trace_ids.append(current().trace_id)
        return answering(b"")(environ, start_response)

    call(RecordingMiddleware(app, recorder), environ_for(HTTP_TRACEPARENT=given_id))
    call(RecordingMiddleware(app, recorder), environ_for())
    assert trace_ids[0] == "0af7651916cd43dd8448eb211c80319c" != trace_ids[1]


def test_pieces_are_made_below_their_request(recorder):
    inside = []

    def app(environ, start_response):
        start_response("200 OK", [])

        def pieces():
            inside.append(CURRENT.get())
            yield b"a"

        return pieces()

    call(RecordingMiddleware(app, recorder), environ_for())
    (request,) = named(recorder.drain().records)
    assert [op.start_ns for op in inside] == [request.start_ns]
    assert CURRENT.get() is None


def test_we_keep_the_rules_that_the_validator_of_the_standard_library_knows(recorder):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"a", b"b"])

    assert call(validator(RecordingMiddleware(validator(app), recorder)), environ_for(QUERY_STRING=""))[1:] == (
        b"ab",
        "",
    )


@given(
    pieces=st.lists(st.binary(max_size=3), max_size=4),
    as_list=st.booleans(),
    status=st.sampled_from(["200 OK", "404", "", "abc", "1000000 What"]),
    take=st.none() | st.integers(1, 4),
    error_at=st.none() | st.integers(0, 4),
    without=st.sets(st.sampled_from(["PATH_INFO", "REQUEST_METHOD", "SCRIPT_NAME"])),
)
def test_whatever_an_application_does_the_server_sees_the_same(pieces, as_list, status, take, error_at, without):
    def app(environ, start_response):
        start_response(status, [("A", "b")])

        def make():
            for i, piece in enumerate(pieces):
                if i == error_at:
                    raise ValueError(i)
                yield piece

        return list(make()) if as_list else make()

    recorder = Recorder()
    recorder.on = True
    seen = []
    for wrapped in (app, RecordingMiddleware(app, recorder)):
        environ = environ_for()
        for key in without:
            environ.pop(key, None)
        seen.append(call(wrapped, environ, take=take))
    assert seen[0] == seen[1]
    assert not IN_FLIGHT
    assert len(named(recorder.drain().records)) <= 1


@pytest.mark.parametrize("where", ["template_of", "finish", "finish_child"])
@pytest.mark.parametrize("pieces", [(b"a",), (b"a", b"b", b"c")])
def test_the_server_sees_no_difference_when_our_own_code_fails(recorder, where, pieces):
    def failing(*_args):
        raise RuntimeError("a fault of ours")

    app = RecordingMiddleware(answering(*pieces), recorder)
    setattr(app if where == "template_of" else recorder, where, failing)
    assert call(app, environ_for()) == call(answering(*pieces), environ_for())
