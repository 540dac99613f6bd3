"""Says what a bug let through, in one redacted line; its traceback only with --debug, redacted too.

Python, its threads and asyncio would print tracebacks of their own, over the screen and with
whatever an error's text holds (rule 4).
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from cockpit.text import safe

#: What was caught while a screen has the terminal; None: it is printed at once.
_held: list[str] | None = None
MOST_HELD = 20


def install(*, debug: bool) -> None:
    """Take the place of every hook that prints a traceback by itself."""

    def tell(where: str, error: BaseException | None, words: str = "") -> None:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            return
        said = f"{type(error).__name__}: {safe(error, 400)}" if error is not None else safe(words, 400)
        lines = [
            f"m0-cockpit: a bug {where}: {said}" + ("" if debug else " (run again with --debug for the traceback)")
        ]
        if debug and error is not None:
            lines += traceback_lines(error)
        _say(lines)

    def unhandled(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        tell("ended it", error)

    def in_thread(args: Any) -> None:
        tell(f"ended the thread {args.thread.name if args.thread else '?'}", args.exc_value)

    def unraisable(args: Any) -> None:
        tell("was let through", args.exc_value, str(args.err_msg or ""))

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            tell(f"was logged by {record.name}", error, record.getMessage())

    sys.excepthook, threading.excepthook, sys.unraisablehook = unhandled, in_thread, unraisable
    root = logging.getLogger()
    if not root.handlers:  # else python writes warnings to stderr as they are
        handler = Handler(logging.ERROR)
        root.addHandler(handler)


def hold() -> None:
    """Keep what is caught from now on: a screen has the terminal."""
    global _held
    _held = []


def release() -> list[str]:
    """Return what was kept; from now on it is printed at once again."""
    global _held
    kept, _held = _held or [], None
    return kept


def traceback_lines(error: BaseException) -> list[str]:
    """Return the traceback, line by line, redacted and without locals."""
    return [safe(line) for line in "".join(traceback.format_exception(error)).splitlines()]


def _say(lines: list[str]) -> None:
    if _held is not None:
        _held.extend(lines[: max(0, MOST_HELD - len(_held))])
    elif sys.__stderr__ is not None:
        for line in lines:
            print(line, file=sys.__stderr__, flush=True)
