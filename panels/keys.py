"""Names every key: what the app binds, what `?` explains, what the footer shows.

One place, so that they agree.

Nothing harmful lies on a key that tmux, screen or vim users press by habit: every key here only
looks, or opens a dialog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import punctuation
from typing import Final

from textual.binding import Binding
from textual.keys import _character_to_key

from cockpit.model.registry import RegistryError
from cockpit.model.views import PANELS, VIEWS, WHERE, PanelSpec, key_ranges


def moving(by: str = "move", *, first: str = "first", last: str = "last", ids: str = "") -> list[Binding]:
    """Return the keys that move in a list or a page, for actions of the widget that binds them.

    `by` takes the number of lines. With `ids`, the operator may give them other keys.
    """
    rows = (
        ("down,j", f"{by}(1)", "down"),
        ("up,k", f"{by}(-1)", "up"),
        ("pagedown,ctrl+f", "page(1)", "page-down"),
        ("pageup,ctrl+b", "page(-1)", "page-up"),
        ("home,g", first, "first"),
        ("end,G", last, "last"),
    )
    return [
        Binding(keys, action, name.replace("-", " "), show=False, id=f"{ids}.{name}" if ids else None)
        for keys, action, name in rows
    ]


def of_selection(*, chart: bool = False) -> list[Binding]:
    """Bind, in a view of what can be chosen, the keys that explain it and open its logs."""
    return [
        *([Binding("c", "chart", "Chart", show=False, id="chart")] if chart else []),
        Binding("x", "explain", "Explain", show=False, id="explain"),
        Binding("l", "logs", "Logs", show=False, id="logs"),
    ]


_PANEL_KEYS: Final = tuple(panel.key for panel in PANELS)
#: Views that a key of their own opens; those of what is chosen have actions of their own.
_OPENED: Final = tuple(row for row in VIEWS if row.key and not isinstance(row, PanelSpec) and not row.fetched)
#: The app's own keys; the ids are what `[keys]` in the configuration remaps.
APP: Final = (
    *(
        Binding(panel.key, f"panel({panel.name!r})", f"Panel {panel.key}", show=False, id=f"panel-{number}")
        for number, panel in enumerate(PANELS, 1)
    ),
    Binding("r", "runbooks", "Runbooks", id="runbooks"),
    Binding("colon,ctrl+p", "command_palette", "Palette", id="palette"),
    Binding("slash", "filter", "Filter", id="filter", priority=True),
    Binding("x", "explain", "Explain", id="explain"),
    Binding("l", "logs", "Logs", id="logs"),
    *(Binding(row.key, f"view({row.name!r})", row.title, show=False, id=row.name) for row in _OPENED),
    Binding("z", "enlarge", "Enlarge", id="enlarge"),
    Binding("S", "mouse", "Mouse", show=False, id="mouse"),
    Binding("u", "undo", "Undo", id="undo"),
    Binding("i", "incident", "Incident", id="incident"),
    Binding("K", "kill_switch", "Kill switch", id="kill-switch"),
    Binding("ctrl+k", "kill_switch", "Kill switch", show=False, id="kill-switch-anywhere", priority=True),
    Binding("ctrl+x", "stop_running", "Stop what runs", show=False, id="stop-running"),
    Binding("question_mark", "help", "Help", id="help"),
    Binding("q", "leave", "Quit", id="quit"),
    Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="suspend"),
    Binding("ctrl+c", "copy_or_help", "Copy what is marked", show=False),
    Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
    Binding("escape", "step_back", "Back", show=False),
)


def check(bindings: Iterable[Binding]) -> None:
    """Raise RegistryError for a key of a panel that means something else already."""
    meaning: dict[str, str] = {}
    for binding in bindings:
        for key in binding.key.split(","):
            name = _character_to_key(key) if len(key) == 1 else key
            other = meaning.setdefault(name, binding.action)
            if other != binding.action:
                actions = f"{other} and {binding.action}"
                raise RegistryError(f"{WHERE}: the key {key!r} has two meanings: {actions}")


check(APP)


def footer(keymap: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the footer, most wanted first: what does not fit the width is left to `?`."""

    def key(name: str) -> str:
        return hint(keymap, name)

    return (
        (key("runbooks"), "runbooks"),
        (key("explain"), "explain"),
        (key("logs"), "logs"),
        (key("chart"), "chart"),
        (key("filter"), "filter"),
        (key("palette"), "palette"),
        (key("undo"), "undo"),
        (key("incident"), "incident"),
        (key("help"), "help"),
        (key("quit"), "quit"),
        (key("enlarge"), "enlarge"),
        (key_ranges(_PANEL_KEYS, "-"), "panels"),
        ("space", "open"),
        ("tab", "next panel"),
    )


def hint(keymap: Mapping[str, str], name: str) -> str:
    """Return the first key that a binding has under `keymap`, for a hint in a line."""
    return shown(keymap, name).split(" or ")[0]


def shown(keymap: Mapping[str, str], *ids: str) -> str:
    """Return the keys that these bindings have under `keymap`, as help writes them."""
    own = {binding.id: binding.key for binding in APP if binding.id}
    keys = [key for name in ids for key in keymap.get(name, own[name]).split(",")]
    return " or ".join(dict.fromkeys(_SIGNS.get(key.strip(), key.strip()) for key in keys))


_SIGNS: Final = {_character_to_key(sign): sign for sign in punctuation} | {"escape": "esc"}


def help_rows(keymap: Mapping[str, str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return what `?` explains, with the keys that the operator has given."""
    return {"Anywhere": _anywhere(keymap), **_IN}


def _anywhere(keymap: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    def key(*ids: str) -> str:
        return shown(keymap, *ids)

    return (
        (key_ranges(_PANEL_KEYS, " … "), "go to a panel"),
        ("tab, shift+tab", "next, previous panel"),
        (key("enlarge"), "enlarge the panel, and back; so does enter on one that opens nothing"),
        (key("runbooks"), "runbooks, best match first"),
        (
            key("kill-switch", "kill-switch-anywhere"),
            f"kill switch: asks before it stops publishing; {key('kill-switch-anywhere')} also while you type",
        ),
        (key("palette"), "palette: every step, runbook and panel, by a few letters of its name"),
        (key("filter"), "filter the panel; esc takes the filter back"),
        (key("explain"), "explain the chosen pod, service or signal in words"),
        (key("logs"), "logs of the chosen pod or service, or of the chosen signal's service"),
        *((key(row.name), f"{row.title.lower()}: {row.words}") for row in _OPENED),
        (key("undo"), "undo the newest step (a plan like any other)"),
        (key("stop-running"), "stop the program or statement that a step runs; asks first"),
        (key("incident"), "the incident: open one, or its page"),
        (key("help"), "this page"),
        (key("quit"), "quit; asks while a mitigation is under way or an incident is open"),
        (key("suspend"), "suspend; fg comes back"),
        (key("mouse"), "leave the mouse to the terminal, to mark text its own way, and take it back"),
        ("ctrl+c", "copy again what the mouse has marked"),
        ("esc", "close what is open; an enlarged panel goes back"),
    )


_IN: Final = {
    "In a list": (
        ("↑ ↓ or k j", "move; the cursor stays on its object, whatever is sorted"),
        ("pgup pgdn home end", "move further"),
        ("enter", "open more: Signals (chart), Signers, Publish, RPC, Postgres; another panel is enlarged"),
        ("space or enter", "Pods: open or close a service"),
        ("a", "Pods: open or close all"),
        ("↓, enter", "Journal: choose a step, and plan to take it back"),
        ("o", "Signals: copy its link, where [links] has one"),
    ),
    "In a confirmation": (
        ("y", "do it (ordinary steps)"),
        ("the name, then ctrl+y", "do it (dangerous steps, and overriding a guard)"),
        ("c or ctrl+o", "copy the kubectl line"),
        ("r", "plan again, once it expired or the target changed"),
        ("ctrl+x", "while a program or statement runs: stop it, after a question"),
        ("enter, esc", "cancel: Enter never accepts"),
    ),
    "In a runbook": (
        ("enter", "open the view, or plan the step: nothing is sent before you confirm"),
        ("n", "to the next sensible step"),
        ("d", "all that is known of a step"),
        ("x  l  c", "explain the line's worst signal, or the step's service · its logs · its chart"),
        ("← →", "previous, next runbook"),
    ),
    "In a chart": (
        ("← →, pgup pgdn", "read value by value; home and end: the oldest, the newest"),
        ("- +", "a shorter, a longer range: 5 min to 30 d"),
        ("↑ ↓", "of several series, which one lies on top"),
        ("x  l", "explain the signal · logs of its service"),
    ),
    "In an incident": (
        ("n  t", "note · tell others (an update, posted to the webhook)"),
        ("s  a", "severity · give a role"),
        ("enter", "tick a line of the checklist by hand"),
        ("e  p  c", "capture evidence · write the report · close"),
        ("y or ctrl+y", "in a form that opens or closes: do it; Enter never does"),
    ),
    "In logs": (
        ("space", "pause and go on; nothing is lost meanwhile"),
        ("/ and !", "show, or hide, what matches a regular expression"),
        ("e E", "next, previous error"),
        ("p  s", "previous container · since when"),
        ("w  y  t  o", "wrap · copy the line · copy its trace id · copy its link"),
    ),
    "With the mouse": (
        ("click", "a stage, the runbook that matches, a key of the footer, a tab, a panel: as its key"),
        ("drag", "mark text: it is copied when the button is let go (OSC 52)"),
        ("shift and drag", "mark text as the terminal does, in most terminals"),
    ),
}

HELP: Final = help_rows({})
FOOTER: Final = footer({})
