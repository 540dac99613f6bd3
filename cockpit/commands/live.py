"""`m0-cockpit` shows the screen on a cluster."""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING

from cockpit import crash, terminal
from cockpit.settings import Settings

if TYPE_CHECKING:
    from cockpit.model.scene import Coach

#: How long the sources' thread may keep the screen's waiting: a key passes through several turns of
#: the screen's loop.
SWITCH_S = 0.001
NO_TERMINAL = 69  # EX_UNAVAILABLE


def add(parser: argparse.ArgumentParser) -> None:
    """Declare no flags beyond the shared ones."""


def run(args: argparse.Namespace) -> int:
    why = terminal.problem()
    if why is not None:
        print(f"m0-cockpit: {why}", file=sys.stderr)
        return NO_TERMINAL
    from cockpit.commands.settings import settings_of

    return show(settings_of(args), debug=bool(args.debug))


def show(settings: Settings, *, debug: bool = False, coach: Coach | None = None) -> int:
    """Run the screen until the operator leaves; return the exit code of the app.

    `coach`: who watches over a drill.
    """
    # Nothing that start-up makes is garbage, and collecting would cost a tenth of it; the app turns
    # it on again once it has settled down.
    gc.disable()
    sys.setswitchinterval(SWITCH_S)
    terminal.prepare()
    from cockpit.app.main import CockpitApp
    from cockpit.session import Session

    app = CockpitApp(
        Session(settings),
        ascii_only=not terminal.utf8(),
        colours=terminal.colours(),
        debug_errors=debug,
        relay=terminal.relay(),
    )
    app.coaching.coach = coach
    crash.hold()
    try:
        code = app.run_to_end()
    finally:
        held = crash.release()
    for line in (*app.last_words, *held):
        print(line, file=sys.stderr)
    return code
