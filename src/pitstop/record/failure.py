"""What is kept of an exception: its type, where it came from, and what the code itself says of it. No values.

The message keeps only pieces that the code spells out: string constants and names of the function that raised, and
what CPython's own messages are made of; ``…`` stands for what was filled in. Failures are grouped by type and functions
of the host's own code, not by lines, so that a deploy that moves lines keeps the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.trace import Failure
from pitstop.record.caller import OURS, OWN, function_name, place, shown

if TYPE_CHECKING:
    from types import CodeType

MOST_FRAMES = 50  # written of a stack: the outermost few and the innermost most
OUTERMOST = 10
MOST_WALKED = 5000  # frames of a traceback that are looked at
MOST_CAUSES = 5
MOST_CHARACTERS = 500  # of a message
SHORTEST_PIECE = 3  # a shorter one is found in values by chance
MOST_PIECES = 500
GAP = "…"

_CPYTHON = (
    "division by zero", "integer division or modulo by zero", "float division by zero",
    "list index out of range", "tuple index out of range", "string index out of range",
    "pop from empty list", "maximum recursion depth exceeded", "invalid literal for int() with base 10: ",
    "could not convert string to float: ", " object has no attribute ", " object is not subscriptable",
    " object is not callable", " object is not iterable", "unsupported operand type(s) for ", "NoneType",
    "not enough values to unpack (expected ", "too many values to unpack (expected ", " missing ",
    " required positional argument", " required keyword-only argument", " got an unexpected keyword argument ",
    " positional argument", " were given", " was given", " takes ", "No such file or directory", "Permission denied",
    "Connection refused", "Connection reset by peer", "cannot access local variable ", " is not defined", "timed out",
    " where it is not associated with a value", "dictionary changed size during iteration", "name ",
    " not supported between instances of ", "can only concatenate ", "No module named ",
)  # fmt: skip
_BUILT_IN = type(BaseException.__str__)


class _Wording:
    """The setting `error_messages`: keep what exceptions say, scrubbed."""

    full = False


WORDING = _Wording()


def failure_of(error: BaseException) -> Failure:
    """`error` without values. For whoever sees a request or task end with it; about 30 µs, bounded for any depth."""
    error = _innermost_of_group(error)
    frames = _frames(error)
    lines = _lines(frames)
    own = [(code, line) for code, line in frames if OWN[code.co_filename]]
    kinds = [_type_name(error)]
    for cause in _causes(error):
        kinds.append(_type_name(cause))
        below = _frames(cause)
        lines += [f"caused by {kinds[-1]}: {_message(cause, below)}", *_lines(below)]
    innermost = (own or frames)[-1:]
    return Failure(
        fingerprint=_fingerprint(kinds[0], kinds[-1], [code for code, _ in own or frames]),
        type=kinds[0],
        message=_message(error, frames),
        line=place(*innermost[0]) if innermost else "",
        stack="\n".join(lines),
    )


def _innermost_of_group(error: BaseException) -> BaseException:
    """Task groups wrap what failed in them; a group of one is that one."""
    for _ in range(MOST_CAUSES):
        if not isinstance(error, BaseExceptionGroup) or len(error.exceptions) != 1:
            break
        error = error.exceptions[0]
    return error


def _causes(error: BaseException) -> list[BaseException]:
    """What led to `error`, the innermost last."""
    causes: list[BaseException] = []
    while len(causes) < MOST_CAUSES:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None and isinstance(error, BaseExceptionGroup):
            before = error.exceptions[0]
        if before is None or before in causes:
            break
        causes.append(before)
        error = before
    return causes


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def _frames(error: BaseException) -> list[tuple[CodeType, int]]:
    """Code and line, outermost first, without Pitstop's own."""
    frames = []
    tb = error.__traceback__
    for _ in range(MOST_WALKED):
        if tb is None:
            break
        frames.append((tb.tb_frame.f_code, tb.tb_lineno or 0))
        tb = tb.tb_next
    return [frame for frame in frames if not frame[0].co_filename.startswith(OURS)]


def _lines(frames: list[tuple[CodeType, int]]) -> list[str]:
    if len(frames) <= MOST_FRAMES:
        return [place(code, line) for code, line in frames]
    inner = frames[OUTERMOST - MOST_FRAMES :]
    left_out = f"{GAP} {len(frames) - MOST_FRAMES} more"
    return [*_lines(frames[:OUTERMOST]), left_out, *_lines(inner)]


def _fingerprint(kind: str, cause: str, codes: list[CodeType]) -> str:
    """Each function once: however deep a recursion went, it is the same failure."""
    from hashlib import blake2b  # noqa: PLC0415  a host that does not fail should not pay for it

    functions = dict.fromkeys(f"{shown(code.co_filename)} {function_name(code)}" for code in dict.fromkeys(codes))
    text = "\n".join((kind, cause, *functions))
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _message(error: BaseException, frames: list[tuple[CodeType, int]]) -> str:
    text = _text(error)
    if WORDING.full:
        from pitstop.record.scrub import scrubbed  # noqa: PLC0415  only where it was asked for

        return scrubbed(text)
    return spelled_out(text, [code for code, _ in frames[-1:]])


def _text(error: BaseException) -> str:
    """What it says, without running a `__str__` or `__repr__` of the host's, which may be slow."""
    args = error.args
    if isinstance(type(error).__str__, _BUILT_IN) and all(isinstance(arg, str | int | None) for arg in args):
        return str(error)[:MOST_CHARACTERS]
    first = args[0] if args else ""
    return first[:MOST_CHARACTERS] if isinstance(first, str) else GAP


def spelled_out(text: str, codes: list[CodeType]) -> str:
    """`text` with ``…`` for everything that is no constant or name of `codes`."""
    pieces = _pieces(codes)
    out: list[str] = []
    gap_at = at = 0
    while at < len(text):
        piece = next((piece for piece in pieces.get(text[at], ()) if _stands_at(piece, text, at)), "")
        if piece:
            out += (_gap(text[gap_at:at]), piece)
            at = gap_at = at + len(piece)
        else:
            at += 1
    out.append(_gap(text[gap_at:]))
    return "".join(out)


def _gap(text: str) -> str:
    """Signs between two pieces, such as a quote or a bracket, are no value."""
    return GAP if len(text) >= SHORTEST_PIECE or any(sign.isalnum() for sign in text) else text


def _stands_at(piece: str, text: str, at: int) -> bool:
    """Whether `piece` is there as words of its own, and not part of a longer word."""
    end = at + len(piece)
    if not text.startswith(piece, at):
        return False
    before, after = text[at - 1 : at], text[end : end + 1]
    return not (piece[0].isalnum() and before.isalnum()) and not (piece[-1].isalnum() and after.isalnum())


def _pieces(codes: list[CodeType]) -> dict[str, list[str]]:
    """What the code spells out, by first letter, longest first."""
    spelled = list(_CPYTHON)
    for code in codes:
        for constant in code.co_consts:
            if isinstance(constant, str) and len(constant) <= MOST_CHARACTERS:
                spelled += _between_fields(constant)
        spelled += code.co_names
        if len(spelled) > MOST_PIECES:
            break
    by_first: dict[str, list[str]] = {}
    for piece in sorted(set(spelled), key=len, reverse=True):
        if len(piece.strip()) >= SHORTEST_PIECE:
            by_first.setdefault(piece[0], []).append(piece)
    return by_first


def _between_fields(constant: str) -> list[str]:
    """The parts of a template: ``no item %s of {}`` has two, and is one itself where nothing is filled in."""
    parts, start, at = [constant], 0, 0
    while at < len(constant):
        sign = constant[at]
        end = 0
        if sign == "{":
            end = constant.find("}", at) + 1
        elif sign == "%":
            end = at + 1
            while end < len(constant) and not constant[end].isalpha() and end - at < SHORTEST_PIECE * 4:
                end += 1
            end += 1
        if end > at:
            parts.append(constant[start:at])
            start = at = end
        else:
            at += 1
    return [*parts, constant[start:]]
