"""Links on the screen: copied by `o`, and as OSC 8 hyperlinks on trace ids; not a byte of them
without `[links]`.
"""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial

from rich.console import Console
from textual.strip import Strip

from cockpit.model.links import Links
from cockpit.model.observed.chain import FailureClass, ProgramActivity
from cockpit.model.reading import Reading
from cockpit.model.runbook import Runbooks
from cockpit.sources.kubernetes.log_lines import LogLine
from panels.app.palette import commands
from panels.dashboard.signals import SignalsPanel
from panels.kit.theme import Appearance
from panels.messages import CopyText
from panels.screens.logs.view import LogView
from tests.support.harness import DashboardApp
from tests.support.samples import situations
from tests.support.samples.dialogs import Harness

LINKS = Links(
    trace="https://traces.example.com/t/{trace}",
    signal="https://grafana.example.com/d?s={signal}",
    transaction="https://explorer.example.com/tx/{signature}",
    dashboard="https://grafana.example.com/d?ns={namespace}",
)
LINKED = Appearance(links=LINKS, hyperlinks=True)
BREAK_OUT = "\x1b\\\x1b]52;c;aGk=\x07"  # ends the hyperlink, then sets the clipboard


def line(trace: str | None) -> LogLine:
    return LogLine(
        at=1_790_000_000.0,
        pod="m0-submitter-0",
        container="m0-submitter",
        text=f"sent trace_id={trace} ok",
        trace=trace,
        error=False,
    )


def sent(strips: list[Strip]) -> str:
    """What reaches a terminal."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200)
    return "\n".join(strip.render(console) for strip in strips)


async def log_bytes(appearance: Appearance, trace: str) -> str:
    app = Harness(partial(LogView, "m0-submitter", appearance=appearance))
    async with app.run_test(size=(100, 20)) as pilot:
        app.subject.append([line(trace)])
        await pilot.pause()
        return sent(app.screen._compositor.render_strips())


async def test_a_trace_id_is_a_hyperlink_where_the_terminal_has_them() -> None:
    written = await log_bytes(LINKED, "4bf92f3577b34da6")
    assert written.count("https://traces.example.com/t/4bf92f3577b34da6\x1b\\") == 1
    assert written.count("\x1b]8;") == 2  # it begins and ends


async def test_without_links_or_hyperlinks_there_is_not_a_byte_of_one() -> None:
    plain = await log_bytes(Appearance(), "4bf92f3577b34da6")
    assert "\x1b]" not in plain
    assert "\x1b]" not in await log_bytes(Appearance(links=LINKS), "4bf92f3577b34da6")
    assert "\x1b]" not in await log_bytes(Appearance(hyperlinks=True), "4bf92f3577b34da6")
    assert "\x1b]" not in await log_bytes(replace(LINKED, links=Links(signal=LINKS.signal)), "4bf92f3577b34da6")


async def test_a_hostile_id_cannot_break_out_of_the_escape() -> None:
    url = LINKS.of_trace(BREAK_OUT)
    assert url == "https://traces.example.com/t/%1B%5C%1B%5D52%3Bc%3BaGk%3D%07"
    style = LINKED.style("text") + LINKED.hyperlink(url)
    written = style.render("id")
    assert written.count("\x1b]") == 2 and "\x07" not in written and "]52" not in written


async def test_o_copies_the_link_and_says_why_not() -> None:
    app = Harness(partial(LogView, "m0-submitter", appearance=LINKED))
    async with app.run_test(size=(100, 20)) as pilot:
        app.subject.append([line("4bf92f3577b34da6"), line(None)])
        await pilot.press("o")
        await pilot.pause()
        assert not app.requested(CopyText) and "no trace id in this line" in app.words()
        assert "o link" in app.words()
        await pilot.press("up", "o")
        await pilot.pause()
        assert [w.text for w in app.requested(CopyText)] == ["https://traces.example.com/t/4bf92f3577b34da6"]


async def test_unconfigured_o_says_so_and_is_not_offered() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(100, 20)) as pilot:
        app.subject.append([line("4bf92f3577b34da6")])
        await pilot.press("o")
        await pilot.pause()
        assert not app.requested(CopyText) and "[links] trace is not configured" in app.words()
        assert "o link" not in app.words()


class Copies(DashboardApp):
    def __init__(self, appearance: Appearance) -> None:
        super().__init__(situations.rpc_outage(), appearance, 10)
        self.copied: list[str] = []

    def on_copy_text(self, event: CopyText) -> None:
        self.copied.append(event.text)


async def test_a_signals_link_is_copied_from_its_row() -> None:
    app = Copies(LINKED)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("o", "down", "o")
        panel = app.dashboard.panels["signals"]
        assert isinstance(panel, SignalsPanel)
        expected = [LINKS.of_signal(str(key)) for key in panel.keys_shown[:2]]
        assert app.copied == expected
    app = Copies(Appearance())
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("o")
        await pilot.pause()
        assert app.copied == []


def test_the_palette_copies_the_dashboard_and_failed_transactions() -> None:
    failure = FailureClass(
        name="ReplayViolation",
        code=6013,
        instruction="RevealPrediction",
        count=3,
        per_minute=1.0,
        runbook=5,
        last_signature="5Signature",
        last_slot=1000,
    )
    activity = ProgramActivity("prog", "rpc-a", 0.0, True, failures=(failure,))
    situation = situations.calm(solana={"program": Reading("solana/program", activity, 0.0)})
    empty = Runbooks(queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=())
    offered = {c.title: c.request() for c in commands(situation, empty, LINKS) if "link" in c.title}
    assert {title: request.text for title, request in offered.items() if isinstance(request, CopyText)} == {
        "Copy the dashboard's link": f"https://grafana.example.com/d?ns={situation.namespaces[0]}",
        "Copy the link of the newest ReplayViolation": "https://explorer.example.com/tx/5Signature",
    }
    assert not [c for c in commands(situation, empty) if "link" in c.title]
