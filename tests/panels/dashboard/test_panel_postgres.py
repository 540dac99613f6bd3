"""What the Postgres panel and its pages say: in words, with ages, and never as OK what is not
known.
"""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.model.observed import postgres as pg
from cockpit.model.reading import Fault, SourceState
from cockpit.model.signal import Level
from cockpit.model.views import BY_NAME
from cockpit.runbooks.references import Names, check_view
from panels.app.palette import commands
from panels.dashboard.frame.panel import fault_lines
from panels.dashboard.postgres import PostgresPanel
from panels.kit.spans import line_width, plain, to_strip
from panels.kit.theme import Appearance
from panels.messages import OpenView
from panels.screens.postgres.pages import TOPICS, page
from panels.screens.postgres.view import PostgresView
from tests.support.paths import ROOT
from tests.support.samples import situations
from tests.support.samples.dialogs import Harness
from tests.support.samples.postgres import HOT, calm, query, situation_of, troubled

DENIED = Fault(SourceState.DENIED, "insufficient privilege: 3 of 5 sessions are hidden", "GRANT pg_monitor TO cockpit")


def packaged_views() -> list[dict[str, str]]:
    """The arguments of every view of the database that the packaged runbooks open."""
    runbooks = tomllib.loads((ROOT / "runbooks.toml").read_text("utf-8"))["runbook"]
    lines = [line for runbook in runbooks for line in (*runbook.get("triage", ()), *runbook.get("mitigations", ()))]
    return [line.get("args", {}) for line in lines if line.get("view") == "postgres"]


def said(situation: object, width: int = 90) -> list[str]:
    return [plain(line) for line in PostgresPanel().content(situation, width)]  # type: ignore[arg-type]


def test_a_calm_database_in_seven_lines() -> None:
    lines = said(situation_of(calm()))
    assert [line.split()[0] for line in lines] == ["●"] * 7
    assert "12 of 37  32 %" in lines[0] and "3 active" in lines[0]
    assert "41 %" in lines[1] and HOT[:30] in lines[1]
    assert "none is missing" in lines[2] and "nothing overdue" in lines[3] and "no transaction open" in lines[4]
    assert "replica-1 12ms" in lines[5] and "works, last 14s ago" in lines[6], "ages grow with the reading's own"


def test_trouble_is_named_with_its_object() -> None:
    text = "\n".join(said(situation_of(troubled()), 120))
    assert "93.0 %  395ms × 4.8/s" in text
    assert "lacks one: outputs (market_id, epoch)" in text
    assert "publish_state 75 % dead, vacuumed never, autovacuum off" in text
    assert "2 blocked by 91 psql as ops, idle in transaction for 700 s" in text
    assert "none streams, 1 idle slot keeps WAL" in text
    assert "FAILING, last 15m ago, 40 waiting" in text
    assert text.count("◐ WARN") == 3, "what no signal judges is judged where the words leave no doubt"


def test_signals_judge_the_lines_they_are_for() -> None:
    bad = situations.signal("pg-blocked", "Sessions blocked", 2.0, "", Level.CRIT, warn=1.0, crit=2.0)
    situation = situation_of(troubled(), signals={"pg-blocked": bad})
    assert any(line.startswith("▲ CRIT") and "locks" in line for line in said(situation))
    assert PostgresPanel().level(situation) is Level.CRIT


def test_not_configured_is_a_state() -> None:
    panel = PostgresPanel()
    situation = situations.calm()
    (trouble,) = panel.trouble(situation)
    assert (trouble.what, trouble.state, trouble.hard) == ("Postgres", "not configured", False)
    assert said(situation) == [] and panel.level(situation) is Level.UNKNOWN
    assert "[postgres] url" in plain(fault_lines([trouble], 80)[0])


def test_a_database_that_is_down_is_reported_once_and_keeps_its_last_data() -> None:
    fault = Fault(SourceState.DOWN, "the database answered nothing for 9 s: it is frozen", "is the host alive?")
    situation = situation_of(calm(), dict.fromkeys(calm(), fault), age_s=40.0)
    (trouble,) = PostgresPanel().trouble(situation)
    assert (trouble.what, trouble.state, trouble.hard) == (
        "Postgres",
        "down",
        True,
    ) and "(shown: 40s old)" in trouble.reason
    lines = said(situation)
    assert all(line.startswith("? UNKNOWN") for line in lines) and "12 of 37" in lines[0]
    starting = PostgresPanel().trouble(situation_of({}))
    assert [(t.state, t.reason) for t in starting] == [("starting", "nothing read yet")]


def test_what_is_hidden_from_the_role_is_unknown_and_the_rest_stands() -> None:
    situation = situation_of(calm(), {"activity": DENIED, "queries": DENIED})
    lines = said(situation)
    assert [line.split()[0] for line in lines] == ["●", "?", "●", "●", "?", "●", "●"]
    (trouble,) = PostgresPanel().trouble(situation)
    assert trouble.what == "queries and activity" and trouble.remedy == "GRANT pg_monitor TO cockpit"
    three = situation_of(
        calm(), {"activity": DENIED, "queries": DENIED, "vacuum": Fault(SourceState.DOWN, "took longer")}
    )
    assert [t.what for t in PostgresPanel().trouble(three)] == ["queries and activity", "vacuum"]


def test_the_pages_are_those_that_runbooks_may_name() -> None:
    assert tuple(TOPICS) == tuple(BY_NAME["postgres"].pages)
    named = {args["show"] for args in packaged_views() if "show" in args}
    assert named and named <= set(TOPICS)


@pytest.mark.parametrize("width", [78, 158])
@pytest.mark.parametrize("show", list(TOPICS))
def test_every_page_fits_and_says_all_of_it(show: str, width: int) -> None:
    for data in (calm(), troubled()):
        lines = page(situation_of(data), show, width)
        assert lines and all(line_width(line) <= width for line in lines), show
    assert plain(page(situation_of({}), show, width)[0]) == "nothing read yet"


def test_the_index_page_gives_the_statement_and_the_reason() -> None:
    text = " ".join(plain(line).strip() for line in page(situation_of(troubled()), "missing-indexes", 80))
    assert (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS outputs_market_id_epoch_idx ON public.outputs (market_id, epoch)"
        in text
    )
    assert "768,000 rows a second" in text and "column unknown" in text and "DROP INDEX CONCURRENTLY" in text


def test_other_pages_tell_the_rest() -> None:
    def text(show: str) -> str:
        return "\n".join(plain(line) for line in page(situation_of(troubled()), show, 158))

    assert "93.0 %" in text("top-queries") and "busy sessions 1.90" in text("top-queries")
    assert "OVERDUE" in text("vacuum") and "never" in text("vacuum") and "scanning heap 40 %" in text("vacuum")
    assert "92 m0-reconciler  waits 10m for ShareLock" in text("activity") and "1 deadlock since" in text("activity")
    assert "NO" in text("archiver") and "recovery ends at the last archived segment" in text("archiver")
    assert "9 GiB" in text("replication") and "m0-api-gateway" in text("connections")


@given(st.text(max_size=60))
def test_hostile_text_controls_nothing(text: str) -> None:
    data = calm() | {
        "queries": pg.TopQueries(
            window_s=60.0,
            queries=(query(text, 0.5, 1.0),),
            slowest=query(text, 0.5, 1.0),
            tracked=1,
            evicted=0,
            load=1.0,
        )
    }
    for line in (*PostgresPanel().content(situation_of(data), 80), *page(situation_of(data), "top-queries", 80)):
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in to_strip(line, 80, Appearance()).text)


def screen(view: PostgresView) -> str:
    return "\n".join(view.rows.render_line(y).text.rstrip() for y in range(view.rows.size.height))


def bar(view: PostgresView, which: str) -> str:
    return "".join(text for text, _ in view.query_one(which)._said)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_view_turns_its_pages_and_follows_the_situation(size: tuple[int, int]) -> None:
    app = Harness(lambda: PostgresView("missing-indexes", situation_of(troubled())))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        view = app.subject
        assert "outputs  lacks an index" in screen(view) and "● LIVE 2s" in bar(view, "#state")
        await pilot.press("right")
        assert view.page == "vacuum" and "OVERDUE" in screen(view)
        await pilot.press("left", "left")
        assert view.page == "top-queries" and "busy sessions" in screen(view)
        view.show(situation_of(calm(), {"queries": DENIED}))
        assert "? DENIED" in bar(view, "#state") and "GRANT pg_monitor" in bar(view, "#state")
        view.show(situations.calm())
        assert "○ NOT CONFIGURED" in bar(view, "#state") and not screen(view).strip()
        await pilot.press("escape")
        assert [type(request).__name__ for request in app.requests] == ["CloseLayer"]


async def test_a_page_that_no_runbook_should_name_shows_the_first() -> None:
    app = Harness(lambda: PostgresView("nonsense", situation_of({})))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.subject.page == "top-queries"
        assert "nothing read yet" in screen(app.subject)


def test_the_palette_offers_each_page_of_a_configured_database() -> None:
    found = {c.title: c for c in commands(situation_of(calm()), situations.runbooks())}
    opened = found["Postgres: vacuum"].request()
    assert isinstance(opened, OpenView) and (opened.name, dict(opened.args)) == ("postgres", {"show": "vacuum"})
    assert not [c for c in commands(situations.calm(), situations.runbooks()) if c.title.startswith("Postgres")]


def test_a_page_of_another_name_is_an_error_of_the_runbooks() -> None:
    problems: list[str] = []
    check_view("postgres", {"show": "vaccuum"}, ("x",), Names({}), lambda path, words: problems.append(words))
    assert len(problems) == 1 and "'vaccuum'" in problems[0] and "missing-indexes" in problems[0]
    check_view("postgres", {}, ("x",), Names({}), lambda path, words: problems.append(words))
    assert len(problems) == 1
