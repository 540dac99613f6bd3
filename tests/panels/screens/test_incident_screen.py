"""The incident on the screen: forms that begin safely, a page that tells all, a strip that fits."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.model.incident import Reminder
from cockpit.model.situation import Situation
from panels.dashboard.strips.open_incident import incident_line
from panels.dashboard.strips.topstrip import NARROW
from panels.dialogs.incident import FORMS, IncidentForm, best_match
from panels.kit.layer import CancelButton
from panels.kit.spans import line_width, plain
from panels.messages import AskIncident, Cancelled, CloseLayer, IncidentAct
from panels.screens.incident.page import page
from panels.screens.incident.view import IncidentView
from tests.support.harness import DashboardApp
from tests.support.samples.dialogs import Harness
from tests.support.samples.incident_screen import incident, now
from tests.support.samples.situations import WALL, calm, match, rpc_outage

SIZES = [(80, 24), (160, 48)]


def during(**changes: Any) -> Situation:
    return rpc_outage(wall=WALL, incident=now(**changes))


# --- pictures -------------------------------------------------------------------------------------

PICTURES = {
    "open": lambda: IncidentForm(FORMS["open"], rpc_outage()),
    "close": lambda: IncidentForm(FORMS["close"], during()),
    "update": lambda: IncidentForm(FORMS["update"], during()),
    "role": lambda: IncidentForm(FORMS["role"], during()),
    "page": lambda: IncidentView(during()),
    "closed": lambda: IncidentView(rpc_outage()),
}


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x48"])
@pytest.mark.parametrize("name", PICTURES)
def test_picture(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await pilot.pause()

    assert snap_compare(Harness(PICTURES[name]), terminal_size=size, run_before=before)


# --- forms ----------------------------------------------------------------------------------------


async def test_what_opens_begins_with_cancel_and_enter_never_opens_it() -> None:
    app = Harness(PICTURES["open"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen.focused, CancelButton)
        await pilot.press("enter")
        assert app.requested(Cancelled) and not app.requested(IncidentAct)
        await pilot.press("tab", *["enter"] * 6)
        assert not app.requested(IncidentAct)


async def test_y_opens_it_with_what_matches_best() -> None:
    app = Harness(lambda: IncidentForm(FORMS["open"], rpc_outage(), fixed={"runbook": "book-1"}))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("y", "y")
        (act,) = app.requested(IncidentAct)
        assert (act.action, act.values) == (
            "open",
            {"runbook": "book-1", "title": "Publishing stops", "severity": "SEV1", "commander": ""},
        )


async def test_the_fields_can_be_filled_in_and_ctrl_y_does_it_from_there() -> None:
    app = Harness(PICTURES["open"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("tab", "ctrl+u", *"sky", "enter", "up", "enter", *"eve y", "ctrl+y")
        (act,) = app.requested(IncidentAct)
        assert act.values == {"title": "sky", "severity": "SEV0", "commander": "eve y"}


async def test_a_refusal_is_reported_and_the_words_stay() -> None:
    app = Harness(PICTURES["update"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"hello", "enter", "enter")
        assert len(app.requested(IncidentAct)) == 1  # once, however often Enter is pressed
        app.subject.refused("the journal cannot be written: [/b] No space left on device")
        await pilot.pause()
        assert "No space left on device" in app.words() and "hello" in app.words()
        await pilot.press("enter")
        assert [act.values for act in app.requested(IncidentAct)] == [{"words": "hello"}] * 2


async def test_a_title_is_wanted() -> None:
    app = Harness(lambda: IncidentForm(FORMS["open"], calm()))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("y")
        await pilot.pause()
        assert not app.requested(IncidentAct) and "needs a value" in app.words()


async def test_closing_with_a_debt_wants_a_word_and_without_one_does_not() -> None:
    app = Harness(PICTURES["close"])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("y")
        await pilot.pause()
        assert not app.requested(IncidentAct)
        assert "debt 28" in app.words() and "cannot be closed now: mitigation 31" in app.words()
        await pilot.press(*"ok", "ctrl+y")
        assert app.requested(IncidentAct)[0].values == {"reason": "ok"}  # the missing word had the focus
    free = Harness(lambda: IncidentForm(FORMS["close"], during(close_wants=(), close_blocked="")))
    async with free.run_test(size=(80, 24)) as pilot:
        await pilot.press("y")
        assert free.requested(IncidentAct)[0].values == {"reason": ""}


def test_what_matches_best() -> None:
    assert best_match(rpc_outage()) == ("Publishing stops", "SEV1", "book-1")
    assert best_match(calm(matches=())) == ("", "SEV2", "")
    stopped = rpc_outage(matches=(match(6, "Lag", False),))
    assert best_match(stopped) == ("commit is CRIT", "SEV2", "")


# --- the page -------------------------------------------------------------------------------------


async def test_keys_of_the_page_ask_for_forms_and_act() -> None:
    app = Harness(PICTURES["page"])
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("n", "t", "s", "a", "c")
        assert [w.action for w in app.requested(AskIncident)] == ["note", "update", "severity", "role", "close"]
        await pilot.press("e", "p")
        assert [w.action for w in app.requested(IncidentAct)] == ["evidence", "report"]
        await pilot.press("down", "enter", *["down"] * 4, "enter")
        asked = app.requested(AskIncident)[-2:]
        assert [(w.action, dict(w.values)) for w in asked] == [
            ("role", {"role": "on-call"}),
            ("check", {"item": "16.incident.2"}),
        ]
        await pilot.press("escape")
        assert app.requested(CloseLayer)


async def test_all_of_it_can_be_reached_at_80_by_24() -> None:
    app = Harness(PICTURES["page"])
    async with app.run_test(size=(80, 24)) as pilot:
        seen = ""
        for _ in range(6):
            seen += app.words() + "\n"
            await pilot.press("pagedown")
            await pilot.pause()
        for words in (
            "ROLES",
            "CHECKLIST 16.2",
            "BEFORE CLOSING",
            "EVIDENCE",
            "UPDATES",
            "TIMELINE",
            "opened SEV1",
            "failed: answered 503",
        ):
            assert words in seen, words
        assert all(len(line) <= 80 for line in seen.splitlines())


async def test_it_follows_and_says_when_it_was_closed() -> None:
    app = Harness(PICTURES["page"])
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        app.subject.show(during(capturing="collecting evidence (on demand)"))
        await pilot.pause()
        assert "collecting evidence (on demand)" in app.words()
        app.subject.show(rpc_outage())
        await pilot.pause()
        assert "incident #14 is closed" in app.words() and "TIMELINE" not in app.words()


def test_a_tick_that_the_machine_contradicts_stands_out() -> None:
    lines = {p.key: p for p in page(now(), during())}
    spans = lines["check:16.incident.2"]
    assert spans.label[0] == ("  ✗ CONTRADICTED".ljust(16), "crit") or spans.label[0][1] == "crit"
    assert lines["check:16.incident.5"].label[0][1] == "unknown"
    assert lines["check:16.incident.1"].label[0][1] == "ok"


# --- the strip ------------------------------------------------------------------------------------


def strip(room: int, **changes: Any) -> str:
    return plain(incident_line(during(**changes), room))


def test_the_strip_tells_as_much_as_fits() -> None:
    quiet = Reminder("quiet", 900.0, "next update within 15 min")
    assert strip(60, reminder=quiet) == " INCIDENT #14 SEV1 00:07:32   IC ops1"
    assert strip(80) == " INCIDENT #14 SEV1 00:07:32   IC ops1  update due in 3 min"
    assert strip(50) == " #14 SEV1 00:07:32   IC ops1  update due in 3 min"
    assert strip(42) == " #14 SEV1 00:07:32   update due in 3 min"
    assert strip(30) == " #14 SEV1 00:07:32   update!"
    assert strip(20) == " #14 SEV1 00:07:32 "
    assert strip(12) == " #14 SEV1 "
    assert strip(3) == "#14"
    assert strip(60, incident=incident(roles=()), reminder=quiet).endswith("  no IC")
    overdue = Reminder("overdue", -240.0, "update OVERDUE 4 min")
    assert (f"{'update OVERDUE 4 min'}", "crit") in incident_line(during(reminder=overdue), 80)
    assert plain(incident_line(calm(), 40)) == "no incident"


@pytest.mark.parametrize("width", [80, 100, 119, 120, 140, 160, 200])
async def test_it_stands_in_the_top_strip_at_every_width(width: int) -> None:
    app = DashboardApp(during())
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        rows = app.picture()[: 1 if width >= NARROW else 2]
        assert "#14 SEV1" in rows[0] and "00:07:32" in rows[0], rows
        assert rows[0].rstrip().endswith("Z")
        assert "update due in 3 min" in "".join(rows) or "update!" in rows[0]
        assert "prod-eu/m0-prod" in rows[0] and "PRODUCTION" in rows[0]
        assert line_width(incident_line(during(), 3)) == 3
