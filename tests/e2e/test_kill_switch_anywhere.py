"""The kill switch is one key away wherever the operator is: panels, views, dialogs, forms, and
while a line is being typed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from panels.app import overlays
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.confirm_words import Stage
from tests.support.terminals.screen import Screen, screen

#: Where, the keys that lead there, and what is on the screen then. The last key may stand in the
#: middle of a word.
PLACES = {
    "the dashboard": ((), r"MATCH"),
    "a filter that is typed": (("/", "qua"), r"/qua"),
    "the palette, typed in": ((":", "scale"), r"scale"),
    "the runbooks": (("r",), r"RUNBOOKS"),
    "a runbook's details": (("r", "n", "d"), r"Close"),
    "a form, a list": (("r", "n", "enter"), r"RPC endpoint"),
    "a form, a line that is typed": (("r", "n", "enter", "tab", "https"), r"https"),
    "help": (("?",), r"kill switch: asks"),
    "the form of an incident": (("i",), r"Open an incident"),
    "the form of an incident, a field": (("i", "shift+tab", "words"), r"Open an incident"),
    "logs": (("1", "down", "l"), r"(?i)logs"),
    "logs, a filter that is typed": (("1", "down", "l", "/", "err"), r"err"),
    "explanation": (("1", "down", "x"), r"Why:"),
    "the undo of nothing": (("u",), r"nothing in the journal can be undone|Undo"),
}
NAMES = {"/": "slash", ":": "colon", "?": "question_mark"}


#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("rpc-outage", 1500.0)


async def leave(cockpit: Screen) -> None:
    for _ in range(6):
        await cockpit.settled()
        if not cockpit.app.layers() and not cockpit.app.in_palette:
            break
        cockpit.burst("escape")
    await cockpit.settled()
    cockpit.burst("escape")
    await cockpit.until(lambda: not cockpit.app.layers() and not cockpit.app.in_palette)


def asked(cockpit: Screen) -> bool:
    """It is the uppermost layer, planned, and wants the name typed."""
    layers = cockpit.app.layers()
    top = layers[-1] if layers else None
    return (
        not cockpit.app.in_palette
        and isinstance(top, ConfirmDialog)
        and top.stage is Stage.ASKING
        and top.plan is not None
        and (top.plan.item, top.plan.typed) == ("13.step.1", "m0-submitter")
    )


async def test_one_key_from_anywhere(drill: DrillThread, tmp_path: Path) -> None:
    settings = replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")
    async with screen(settings, (80, 24)) as cockpit:
        await cockpit.wait(r"MATCH +1 Publishing stops")
        await cockpit.until(cockpit.app.session.ready.is_set)
        for place, (keys, there) in PLACES.items():
            for key in keys:
                if key in NAMES or len(key) == 1 or key in ("enter", "tab", "shift+tab", "down"):
                    cockpit.write(key) if key in NAMES else cockpit.burst(key)
                else:
                    cockpit.write(key)
                await cockpit.settled()
            await cockpit.wait(there)
            cockpit.burst("ctrl+k")
            try:
                await cockpit.until(lambda: asked(cockpit))
            except AssertionError as error:
                raise AssertionError(f"not from {place}: {error}") from None
            await cockpit.wait(r"type m0-submitter to go on")
            cockpit.burst("enter")  # Cancel has the focus
            await cockpit.until(lambda: not cockpit.app.base.query(overlays.ConfirmDialog))
            await leave(cockpit)
        journal = cockpit.app.session.journal
        assert journal is not None and not [r for r in journal.records() if r["kind"] == "intent"]
