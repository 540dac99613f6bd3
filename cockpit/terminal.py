"""Tells what the terminal can do, before textual is imported, which reads its environment then."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def problem() -> str | None:
    """Say why the screen cannot start here, in one line; None when it can.

    A small terminal is no problem: it says so itself.
    """
    for stream, name in ((sys.stdin, "standard input"), (sys.stdout, "standard output")):
        if stream is None or not stream.isatty():
            return f"{name} is not a terminal: run it in one (ssh -t), or use `m0-cockpit status` and `m0-cockpit run`"
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "TERM is not set to a real terminal: export TERM=xterm-256color, or use `m0-cockpit status`"
    return None


def utf8(env: Mapping[str, str] | None = None) -> bool:
    """Return whether the locale can show more than ASCII; M0_COCKPIT_ASCII=1 says no.

    `env`: as the process was started.
    """
    env = _started_with() if env is None else env
    if env.get("M0_COCKPIT_ASCII", "").lower() in ("1", "true", "yes"):
        return False
    if env.get("TERM") in ("linux", "vt100", "vt220"):
        return False  # the console's font lacks the signs
    name = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C"
    return "utf8" in name.lower().replace("-", "")


def _started_with() -> Mapping[str, str]:
    """Return the environment before Python's start, which may set LC_CTYPE (PEP 538)."""
    if os.environ.get("LC_CTYPE") != "C.UTF-8" or os.environ.get("LC_ALL"):
        return os.environ
    try:
        pairs = Path("/proc/self/environ").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return os.environ
    first = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return {**os.environ, "LC_CTYPE": first.get("LC_CTYPE", "")}


def colours(env: Mapping[str, str] | None = None) -> str:
    """Return `none`, `standard` (16), `256` or `truecolor`, from NO_COLOR, COLORTERM and TERM."""
    env = os.environ if env is None else env
    term = env.get("TERM", "")
    if env.get("NO_COLOR"):
        return "none"
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    return "256" if "256color" in term or "direct" in term or "kitty" in term else "standard"


#: Terminals that print an OSC 8 sequence, or lose text after it: the Linux console, real ones, GNU
#: screen, and what says so of itself.
_NO_HYPERLINKS = ("linux", "vt", "ansi", "dumb", "cons25", "sun", "screen")
_VTE_WITH_HYPERLINKS = 5000  # VTE_VERSION of 0.50, the first that takes the sequence's end


def hyperlinks(wanted: str = "auto", env: Mapping[str, str] | None = None) -> bool:
    """Return whether OSC 8 hyperlinks are sent: `wanted` is "auto", "always" or "never".

    Nothing can be asked, and over SSH only TERM comes along; a terminal that follows ECMA-48 drops
    what it does not know. So all get them but those known not to drop it. tmux passes them on from
    3.4, and drops them before.
    """
    env = os.environ if env is None else env
    if wanted != "auto":
        return wanted == "always"
    term = env.get("TERM", "")
    if env.get("TERM_PROGRAM") == "Apple_Terminal" or (env.get("STY") and not env.get("TMUX")):
        return False
    vte = env.get("VTE_VERSION", "")
    if vte.isdigit() and int(vte) < _VTE_WITH_HYPERLINKS:
        return False
    return bool(term) and (bool(env.get("TMUX")) or not term.startswith(_NO_HYPERLINKS))


#: What answers a terminal's questions itself, by a variable and by the name of its process.
_RELAYS_BY_VARIABLE = {"TMUX": "tmux", "STY": "screen", "ZELLIJ": "zellij"}
_RELAYS_BY_PROCESS = {"tmux": "tmux", "screen": "screen", "mosh-server": "mosh", "zellij": "zellij"}


def relay(env: Mapping[str, str] | None = None, ancestors: Sequence[str] | None = None) -> str:
    """Return what answers in the terminal's place, like "tmux"; "" for nothing known.

    `ancestors`: the names of the processes that this one descends from. TERM tells of a tmux or
    screen on the other side of an SSH connection, the processes of one whose variables sudo took.
    """
    env = os.environ if env is None else env
    for variable, name in _RELAYS_BY_VARIABLE.items():
        if env.get(variable):
            return name
    family = env.get("TERM", "").partition("-")[0].partition(".")[0]
    if family in ("tmux", "screen"):
        return family
    for process in _ancestors() if ancestors is None else ancestors:
        found = _RELAYS_BY_PROCESS.get(process.split(":")[0].lower())
        if found is not None:
            return found
    return ""


def _ancestors() -> Sequence[str]:
    """Return their names, as far as /proc tells them."""
    names: list[str] = []
    process = os.getppid()
    while process > 1 and len(names) < 64:
        try:
            head, _, tail = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")
            names.append(head.partition("(")[2])
            process = int(tail.split()[1])
        except (OSError, ValueError, IndexError):
            break
    return names


def prepare() -> None:
    """Set what textual reads at import.

    No animations (347 kB a page-down against 20), the colours.
    """
    depth = colours()
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    os.environ["TEXTUAL_COLOR_SYSTEM"] = "standard" if depth == "none" else depth
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")  # tmux and screen pass only half of the protocol on
