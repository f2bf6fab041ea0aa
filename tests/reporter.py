"""What an error reporter shows of an error, with the settings that reporters come with."""

from __future__ import annotations

import traceback
from collections.abc import Iterator


def links_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what is reported along with it."""
    if error is None:
        return
    yield error
    yield from links_of(error.__cause__)
    if not error.__suppress_context__:
        yield from links_of(error.__context__)


def shown_by(error: BaseException) -> str:
    """Return its words, and the variables of its frames and of those of its causes."""
    frames = [
        frame
        for link in links_of(error)
        for frame, _line in traceback.walk_tb(link.__traceback__)
        if not frame.f_globals["__name__"].startswith("tests.")
    ]
    words = "".join(traceback.format_exception(error))
    return words + "".join(repr(frame.f_locals) for frame in frames)
