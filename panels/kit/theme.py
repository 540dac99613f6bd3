"""Says what a role ("warn", "title", "dim") means in colour, and which signs the terminal has.

Panels write roles and UTF-8 signs; only `Appearance` knows colours and ASCII, so that no panel
needs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from rich.style import Style
from textual.theme import Theme

from cockpit.model.links import Links
from cockpit.model.reading import SourceState
from cockpit.model.signal import Level

# A state is told by its word, its sign and its colour, so that any one of the three is enough.
MARK: Final = {Level.OK: "●", Level.RECOVERING: "△", Level.WARN: "◐", Level.CRIT: "▲", Level.UNKNOWN: "?"}
WORD: Final = {
    Level.OK: "OK",
    Level.RECOVERING: "RECOVERING",
    Level.WARN: "WARN",
    Level.CRIT: "CRIT",
    Level.UNKNOWN: "UNKNOWN",
}
#: The sign behind a panel's title and on its tab: nothing when it needs no look.
ALERT: Final = {Level.OK: "", Level.RECOVERING: "△", Level.WARN: "!", Level.CRIT: "!!", Level.UNKNOWN: "?"}

#: The stage where it stops, so that the eye lands there.
STOP: Final = {
    Level.OK: "bold",
    Level.RECOVERING: "recovering",
    Level.WARN: "halt",
    Level.CRIT: "stop",
    Level.UNKNOWN: "blind",
}

SOURCE_LEVEL: Final = {
    SourceState.LIVE: Level.OK,
    SourceState.STARTING: Level.UNKNOWN,
    SourceState.OFF: Level.UNKNOWN,
    SourceState.STALE: Level.WARN,
    SourceState.DENIED: Level.CRIT,
    SourceState.UNAUTHORISED: Level.CRIT,
    SourceState.DOWN: Level.CRIT,
}

#: One ASCII character for each sign that panels use, so that widths never change.
_ASCII: Final = str.maketrans(
    {
        "●": "o",
        "◐": "!",
        "▲": "X",
        "△": "/",
        "○": "o",
        "◌": "-",
        "▸": ">",
        "▾": "v",
        "◀": "<",
        "▶": ">",
        "·": "-",
        "…": "~",
        "–": "-",
        "—": "-",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "×": "x",
        "▰": "#",
        "▱": ".",
        "✓": "+",
        "✗": "x",
        "≥": ">",
        "≤": "<",
        "µ": "u",
        "╭": "+",
        "╮": "+",
        "╰": "+",
        "╯": "+",
        "─": "-",
        "━": "=",
        "░": ".",
        "└": "+",
        "┴": "+",
        "│": "|",
        "┤": "+",
        "├": "+",
        "┊": "|",
        "▁": "_",
        "▂": ".",
        "▃": "-",
        "▄": "=",
        "▅": "+",
        "▆": "*",
        "▇": "#",
        "█": "#",
    }
)

BACKGROUND: Final = "#0e1318"

_COLOURS: Final = {
    "text": "#c3ccd5",
    "bold": "bold #e4eaf0",
    "dim": "#77838f",
    "faint": "#4a5661",
    "title": "bold #d6dee6",
    "heading": "#8795a3",
    "key": "bold #e6c384",
    "accent": "#7fb4ca",
    "ok": "#8fbf7f",
    "recovering": "#7fc3b0",
    "warn": "bold #e8b45c",
    "crit": "bold #ff6f6f",
    "unknown": "#b58bc2",
    "spark": "#4f7a85",
    "spark-ok": "#4f7a85",
    "spark-recovering": "#4f8a7c",
    "spark-warn": "#a87f3d",
    "spark-crit": "#b0484d",
    "spark-unknown": "#6f5a78",
    "line-1": "#7fb4ca",
    "line-2": "#e6c384",
    "line-3": "#98bb6c",
    "line-4": "#d27e99",
    "line-5": "#957fb8",
    "line-6": "#e4eaf0",
    "line-7": "#7aa89f",
    "line-8": "#ffa066",
    "frame": "#2e3a45",
    "focus": "#6f98b8",
    "brand": "bold #0e1318 on #7fb4ca",
    "alarm": "bold #ffffff on #c4384b",
    "calm": "bold #0e1318 on #8fbf7f",
    "stop": "bold #ffffff on #c4384b",
    "halt": "bold #0e1318 on #e8b45c",
    "blind": "bold #0e1318 on #b58bc2",
    "cursor": "on #22364a",
    "idle": "on #182430",
}
_SIXTEEN: Final = {
    "text": "default",
    "bold": "bold",
    "dim": "bright_black",
    "faint": "bright_black",
    "title": "bold",
    "heading": "bright_black",
    "key": "bold yellow",
    "accent": "cyan",
    "ok": "green",
    "recovering": "cyan",
    "warn": "bold yellow",
    "crit": "bold red",
    "unknown": "magenta",
    "spark": "cyan",
    "spark-ok": "cyan",
    "spark-recovering": "cyan",
    "spark-warn": "yellow",
    "spark-crit": "red",
    "spark-unknown": "magenta",
    "line-1": "bright_cyan",
    "line-2": "yellow",
    "line-3": "green",
    "line-4": "magenta",
    "line-5": "bright_blue",
    "line-6": "bold",
    "line-7": "cyan",
    "line-8": "bright_yellow",
    "frame": "bright_black",
    "focus": "cyan",
    "brand": "bold reverse cyan",
    "alarm": "bold reverse red",
    "calm": "reverse green",
    "stop": "bold reverse red",
    "halt": "bold reverse yellow",
    "blind": "bold reverse magenta",
    "cursor": "bold black on cyan",
    "idle": "underline",
}
_NONE: Final = {
    "text": "default",
    "bold": "bold",
    "dim": "default",
    "faint": "default",
    "title": "bold",
    "heading": "default",
    "key": "bold",
    "accent": "default",
    "ok": "default",
    "recovering": "default",
    "warn": "bold",
    "crit": "bold",
    "unknown": "italic underline",
    "spark": "default",
    "frame": "default",
    "focus": "bold",
    "brand": "bold reverse",
    "alarm": "bold reverse",
    "calm": "bold",
    "stop": "bold reverse",
    "halt": "bold reverse",
    "blind": "italic reverse",
    "cursor": "reverse",
    "idle": "underline",
}

#: The app registers and uses this theme, so that Textual's own parts (palette, inputs, footer)
#: match the panels.
THEME: Final = Theme(
    name="cockpit",
    primary="#7fb4ca",
    secondary="#6f98b8",
    accent="#e6c384",
    foreground="#c3ccd5",
    background=BACKGROUND,
    surface="#141b22",
    panel="#182028",
    success="#8fbf7f",
    warning="#e8b45c",
    error="#ff6f6f",
    dark=True,
)


@dataclass(frozen=True)
class Appearance:
    """Holds a terminal's abilities.

    `colours` as `cockpit.terminal.colours()` names them: "none", "standard", "256", "truecolor".

    `links`: where things can be looked up outside; `hyperlinks`: the terminal is sent them (OSC 8),
    so that a click opens one. `keys`: what the operator has given other keys (`[keys]`), for hints.
    """

    ascii: bool = False
    colours: str = "truecolor"
    links: Links = field(default_factory=Links)
    hyperlinks: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    _cache: dict[str, Style] = field(default_factory=dict, compare=False, repr=False)
    _blanks: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    def style(self, role: str) -> Style:
        """Return the style of a role; roles combine with "+", the later wins ("warn+cursor").

        An unknown role is plain text.
        """
        found = self._cache.get(role)
        if found is None:
            roles = {"none": _NONE, "standard": _SIXTEEN}.get(self.colours, _COLOURS)
            found = Style.parse(f"on {BACKGROUND}") if roles is _COLOURS else Style()
            for part in role.split("+"):
                found += Style.parse(roles.get(part, roles["text"]))
            self._cache[role] = found
        return found

    def hyperlink(self, url: str | None) -> Style:
        """Return what to add to a style; nothing without an address, or without hyperlinks."""
        return _hyperlink(url) if url is not None and self.hyperlinks else _NO_LINK

    def blank(self, role: str) -> str | None:
        """Return a space's background in this role.

        None when it shows more (underlined, reversed).
        """
        if role not in self._blanks:
            style = self.style(role)
            self._blanks[role] = None if style.underline or style.reverse or style.strike else str(style.bgcolor)
        return self._blanks[role]

    def glyphs(self, text: str) -> str:
        """Return the text as this terminal can show it; same width in characters."""
        if not self.ascii or text.isascii():
            return text
        return text.translate(_ASCII).encode("ascii", "replace").decode()

    @property
    def background(self) -> str:
        """Return the screen's background for CSS, the terminal's own where colours are few."""
        return BACKGROUND if self.colours in ("256", "truecolor") else "ansi_default"


_NO_LINK: Final = Style()


@lru_cache(maxsize=1024)
def _hyperlink(url: str) -> Style:
    """Keep each style with a link.

    Its random id tells a terminal one link's cells from another's.
    """
    return Style(link=url)
