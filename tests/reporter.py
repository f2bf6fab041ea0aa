"""What an error reporter shows of an error, with the settings that reporters come with."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import zoho_crm

PACKAGE = Path(zoho_crm.__file__).parent
#: Parts of the package that no site runs.
NOT_SHIPPED = tuple(str(PACKAGE / name) for name in ("simulator", "contrib"))
#: Modules whose functions stand in for a browser, or for what starts a program.
OUTSIDE = ("tests.", "django.test.", "_pytest.", "pluggy.")

#: Libraries that get what is sent and what was answered in plain.
LIBRARIES = ("requests.", "urllib3.", "http.", "json.", "cryptography.", "urllib.", "email.")


class Place(NamedTuple):
    """A place in the code that an error can be raised at."""

    file: str
    line: int
    function: str
    #: ``line``, or ``call`` of the function that begins there.
    event: str


class Interrupted(BaseException):
    """Stands for what can happen at any line: a time limit, Ctrl-C, a bug."""


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
        if not frame.f_globals["__name__"].startswith(OUTSIDE)
    ]
    words = "".join(traceback.format_exception(error))
    return words + "".join(_repr(value) for frame in frames for value in frame.f_locals.values())


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # of an object that is not initialised yet
        return f"{type(value).__name__}: {error}"


class Tracer:
    """
    Notes the places that a call passes, or raises an error at one of them.

    :param libraries: whether to note the functions of ``LIBRARIES``, instead of our lines
    """

    def __init__(
        self,
        stop_at: Place | None = None,
        error: type[BaseException] = Interrupted,
        *,
        libraries: bool = False,
    ) -> None:
        self.stop_at = stop_at
        self.error = error
        self.libraries = libraries
        #: In the order in which they were passed first.
        self.passed: dict[Place, None] = {}

    def run(self, call: Callable[[], Any]) -> Any:
        """
        Make the call while this tracer is active, and return what it returns.

        What an interruption leaves in the context of the thread is forgotten.
        """
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            return copy_context().run(call)
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        if self.libraries:
            if frame.f_globals.get("__name__", "").startswith(LIBRARIES):
                self._pass(frame, "call", None)
            return None
        name = frame.f_code.co_filename
        if not name.startswith(str(PACKAGE)) or name.startswith(NOT_SHIPPED):
            return None
        return self._pass(frame, "call", None)

    def _pass(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event in ("call", "line"):
            code = frame.f_code
            place = Place(code.co_filename, frame.f_lineno, code.co_name, event)
            if place == self.stop_at:
                raise self.error("interrupted")
            self.passed[place] = None
        return self._pass
