"""Stacks as text: bounded before they are kept."""

from __future__ import annotations

OF_PROFILES = ";"  # between the frames of a sampled stack
OF_ERRORS = "\n"  # between those of a failure
MOST_FRAMES = 200  # of one stack; what is deeper is recursion
FRAME_CHARS = 400
LEFT_OUT = "…"


def bounded(stack: str, separator: str) -> str:
    """`stack` with at most MOST_FRAMES frames of FRAME_CHARS each: its outer and inner half, ``…`` between."""
    if len(stack) <= FRAME_CHARS:
        return stack
    frames = stack.split(separator)
    if len(frames) > MOST_FRAMES:
        half = MOST_FRAMES // 2
        frames = [*frames[:half], LEFT_OUT, *frames[1 - half :]]
    return separator.join(
        frame if len(frame) <= FRAME_CHARS else frame[: FRAME_CHARS - 1] + LEFT_OUT for frame in frames
    )
