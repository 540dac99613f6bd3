"""What the terminal can do, decided before textual is imported (it reads its environment at import)."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from collections.abc import MutableMapping

MIN_COLUMNS, MIN_LINES = 80, 24


def problem() -> str | None:
    """Why the screen cannot start here, in one line; None when it can. A small terminal is no problem: it says so itself."""
    for stream, name in ((sys.stdin, "standard input"), (sys.stdout, "standard output")):
        if stream is None or not stream.isatty():
            return f"{name} is not a terminal: run it in one (ssh -t), or use `m0-cockpit status` and `m0-cockpit run`"
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "TERM is not set to a real terminal: export TERM=xterm-256color, or use `m0-cockpit status`"
    return None


def utf8() -> bool:
    """Whether the locale can show more than ASCII; M0_COCKPIT_ASCII=1 says no."""
    if os.environ.get("M0_COCKPIT_ASCII", "").lower() in ("1", "true", "yes"):
        return False
    if os.environ.get("TERM") in ("linux", "vt100", "vt220"):
        return False  # the console's font lacks the signs
    name = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    return "utf" in name.lower() or "utf" in locale.getpreferredencoding(do_setlocale=False).lower()


def colours(env: MutableMapping[str, str] | None = None) -> str:
    """`none`, `standard` (16), `256` or `truecolor`, from NO_COLOR, COLORTERM and TERM."""
    env = os.environ if env is None else env
    term = env.get("TERM", "")
    if env.get("NO_COLOR"):
        return "none"
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    return "256" if "256color" in term or "direct" in term or "kitty" in term else "standard"


def prepare() -> None:
    """Set what textual reads at import: no animations (347 kB a page-down against 20), a frame cap, the colour system."""
    depth = colours()
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    os.environ.setdefault("TEXTUAL_FPS", "30")
    os.environ["TEXTUAL_COLOR_SYSTEM"] = "standard" if depth == "none" else depth
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")  # tmux and screen pass only half of the protocol on


def size() -> tuple[int, int]:
    columns, lines = shutil.get_terminal_size()
    return columns, lines
