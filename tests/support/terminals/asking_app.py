"""A small screen that asks: `o` an ordinary plan, `d` a dangerous one, `s` a second one over it.

Each confirmation becomes one JSON line of the file that it is given. Run by the tests on a terminal
of their own: `python -m tests.support.terminals.asking_app FILE`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import ClassVar

from cockpit import terminal

terminal.prepare()

from msgspec import to_builtins  # noqa: E402
from msgspec.structs import replace  # noqa: E402
from textual import on  # noqa: E402
from textual.app import ComposeResult  # noqa: E402
from textual.binding import Binding, BindingType  # noqa: E402
from textual.widgets import Static  # noqa: E402

from cockpit.model.plan import Plan  # noqa: E402
from panels.dialogs.confirm import ConfirmDialog  # noqa: E402
from panels.kit.terminal_app import TerminalApp  # noqa: E402
from panels.kit.theme import Appearance  # noqa: E402
from panels.messages import Cancelled, CloseLayer, Confirmed  # noqa: E402
from tests.support.samples.dialogs import dangerous, plan  # noqa: E402


class AskingApp(TerminalApp):
    CSS = "Screen { layers: default dialog; overflow: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "ask('ordinary')"),
        Binding("d", "ask('dangerous')"),
        Binding("ctrl+k", "ask('dangerous')", priority=True),
        Binding("q", "leave"),
        Binding("b", "break_it"),
    ]

    def __init__(self, journal: Path) -> None:
        super().__init__(Appearance(), relay=terminal.relay())
        self._journal = journal

    def compose(self) -> ComposeResult:
        yield Static("an asking screen")

    def on_mount(self) -> None:
        self.listen()

    def _made(self, kind: str) -> Plan:
        made = dangerous() if kind == "dangerous" else plan()
        return replace(made, created_mono=time.monotonic())

    async def action_ask(self, kind: str) -> None:
        for layer in self.layers():
            await layer.remove()
        await self.open_layer(ConfirmDialog(time.monotonic, self._made(kind), appearance=self.appearance))

    async def action_leave(self) -> None:
        self.end(0)

    def action_break_it(self) -> None:
        raise ValueError("token=hunter2 broke it")

    @on(Confirmed)
    async def _confirmed(self, event: Confirmed) -> None:
        said = {"at": time.monotonic(), "plan": event.plan.id, "typed": event.typed, "seen": to_builtins(event.seen)}
        with self._journal.open("a") as file:
            file.write(json.dumps(said) + "\n")
        await self._close()

    @on(CloseLayer)
    @on(Cancelled)
    async def _close(self) -> None:
        for layer in self.layers():
            await layer.remove()


if __name__ == "__main__":
    app = AskingApp(Path(sys.argv[1]))
    code = app.run_to_end()
    for line in app.last_words:
        sys.stderr.write(line + "\n")
    sys.exit(code)
