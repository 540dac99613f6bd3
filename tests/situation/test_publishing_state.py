"""Stopped by us, stopped by another, broken: three states; and what is owed back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.assessment.publishing.safety import doubts_of, unsafe
from cockpit.assessment.publishing.state import publishing, stopped_services
from cockpit.journal.entries import debts_from
from cockpit.model.plan import Change, JournalLine
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import PublishingState, ToggleStatus
from cockpit.runbooks.schema import load
from cockpit.sources.paused_markets import NONE_PAUSED, PausedMarkets

RUNBOOKS = load()
WALL = 1_790_000_000.0


def line(number: int, target: str, *changes: Change, undone: bool = False) -> JournalLine:
    return JournalLine(
        number=number,
        wall=WALL - 70,
        operator="alice",
        title="t",
        target=f"c / n / Deployment {target}",
        outcome="sent",
        changes=changes,
        undoable=not undone,
        undone=undone,
    )


KILLED = line(1, "m0-submitter", Change("replicas", "1", "0"))
PAUSED = line(3, "NBA_LAL_BOS", Change("NBA_LAL_BOS", "not paused", "paused"))
OFF = ToggleStatus("M0_PUBLISH_ENABLED", RUNBOOKS.toggles["M0_PUBLISH_ENABLED"], "m0-submitter", "false", "safest")
RELAXED = ToggleStatus(
    "M0_GUARDRAIL_POLICY_LEVEL", RUNBOOKS.toggles["M0_GUARDRAIL_POLICY_LEVEL"], "m0-quant", "NORMAL", "differs"
)


@pytest.mark.parametrize(
    ("desired", "toggles", "paused", "journal", "state", "words"),
    [
        (1, (), NONE_PAUSED, (), PublishingState.ON, ""),
        (0, (), NONE_PAUSED, (KILLED,), PublishingState.OURS, "by alice, journal #1, 70 s ago"),
        (0, (), NONE_PAUSED, (), PublishingState.ANOTHERS, "m0-submitter is scaled to 0"),
        (0, (), NONE_PAUSED, (line(1, "m0-submitter", *KILLED.changes, undone=True),), PublishingState.ANOTHERS, ""),
        (1, (OFF,), NONE_PAUSED, (), PublishingState.ANOTHERS, "M0_PUBLISH_ENABLED is false"),
        (1, (), PausedMarkets(frozenset({"NBA_LAL_BOS"}), 1), (PAUSED,), PublishingState.OURS, "every market"),
        (1, (), PausedMarkets(frozenset({"NBA_LAL_BOS"}), 8), (PAUSED,), PublishingState.ON, ""),
    ],
)
def test_who_stopped_publishing_is_known(
    desired: int, toggles: Any, paused: PausedMarkets, journal: Any, state: PublishingState, words: str
) -> None:
    """B8, B18, U2: the cockpit knows what it stopped itself."""
    found = publishing(RUNBOOKS, {"m0-submitter": desired}, toggles, paused, {}, journal, WALL)
    assert found.state is state and words in found.words


def test_a_service_that_we_scaled_to_zero_is_not_one_that_is_gone() -> None:
    """B10."""
    assert set(stopped_services({"m0-submitter": 0, "m0-quant": 0}, (KILLED,), WALL)) == {"m0-submitter"}


def test_expected_rates_follow_a_pause() -> None:
    """B19: one of eight markets publishes an eighth."""
    paused = PausedMarkets(frozenset("abcdefg"), 8)
    assert paused.share == 0.125 and not paused.every


def signal(name: str, level: Level) -> SignalStatus:
    return SignalStatus(name, name, level, 1.0, "", reason="why")


def test_publish_safety_is_made_of_what_makes_it_unsafe() -> None:
    """B11: a relaxed guardrail, divergence, outliers and bad signatures; unknown where unread."""
    names = ("invalid-signatures", "divergence", "outliers")
    well = {name: signal(name, Level.OK) for name in names}
    assert unsafe(RUNBOOKS, well, ()) == () and doubts_of(RUNBOOKS, well, ()) == ()
    assert unsafe(RUNBOOKS, well, (RELAXED,)) and unsafe(RUNBOOKS, well, (replace(RELAXED, level="usual"),)) == ()
    for name in names:
        assert unsafe(RUNBOOKS, well | {name: signal(name, Level.WARN)}, ())
        assert doubts_of(RUNBOOKS, well | {name: signal(name, Level.UNKNOWN)}, ())
    assert doubts_of(RUNBOOKS, well, (replace(RELAXED, level="unknown"),))


FEWER = ToggleStatus(
    "M0_PUBLISH_CONCURRENCY", RUNBOOKS.toggles["M0_PUBLISH_CONCURRENCY"], "m0-submitter", "2", "differs"
)
RELAXING = line(5, "m0-quant", Change("M0_GUARDRAIL_POLICY_LEVEL", "STRICT", "NORMAL"))


@pytest.mark.parametrize(
    ("desired", "toggles", "paused", "journal", "words"),
    [
        (1, (), NONE_PAUSED, (), ""),
        (0, (), NONE_PAUSED, (), "m0-submitter is scaled to 0"),
        (0, (), NONE_PAUSED, (KILLED,), ""),
        (1, (OFF,), NONE_PAUSED, (), "M0_PUBLISH_ENABLED is false"),
        (0, (OFF,), NONE_PAUSED, (KILLED,), "M0_PUBLISH_ENABLED is false"),
        (1, (), PausedMarkets(frozenset({"A", "NBA_LAL_BOS"}), 8), (PAUSED,), "1 of 8 markets paused: A"),
        (1, (), PausedMarkets(frozenset({"NBA_LAL_BOS"}), 8), (PAUSED,), ""),
        (1, (RELAXED,), NONE_PAUSED, (), "M0_GUARDRAIL_POLICY_LEVEL is NORMAL at m0-quant, usual STRICT"),
        (1, (RELAXED,), NONE_PAUSED, (RELAXING,), ""),
        (1, (replace(RELAXED, value="FAST"),), NONE_PAUSED, (RELAXING,), "is FAST"),
        (1, (FEWER,), NONE_PAUSED, (), "M0_PUBLISH_CONCURRENCY is 2 at m0-submitter, usual 4"),
    ],
)
def test_what_another_stopped_paused_or_relaxed_is_owed_back_too(
    desired: int, toggles: Any, paused: PausedMarkets, journal: Any, words: str
) -> None:
    """Holds an incident open for what no step of this journal did, named as another's (B9)."""
    found = publishing(RUNBOOKS, {"m0-submitter": desired}, toggles, paused, {}, journal, WALL).others
    assert len(found) == bool(words) and words in "".join(found)
    assert all(each.startswith("not by a step of this journal: ") for each in found)


def record(number: int, name: str, field: str, before: str | None, after: str, **more: Any) -> list[dict[str, Any]]:
    target = {"context": "c", "namespace": "n", "kind": "Deployment", "name": name, "uid": "u"}
    changes = [{"field": field, "before": before, "after": after}]
    intent = {"kind": "intent", "number": number, "at": WALL, "title": "t", "target": target, "changes": changes}
    intent |= {"step_kind": "scale", "digest": "d", "plan": "p", **more}
    return [intent, {"kind": "outcome", "at": WALL, "of": number, "number": number + 50, "result": "sent", "words": ""}]


def test_stopped_publishing_and_paused_markets_are_debts_until_they_are_put_back() -> None:
    """B9, B19, B20: they hold an incident open."""
    stopped = record(1, "m0-submitter", "replicas", "1", "0")
    paused = record(2, "markets", "NBA_LAL_BOS", "not paused", "paused")
    disabled = record(3, "m0-submitter", "M0_PUBLISH_ENABLED", "true", "false")
    assert [d.number for d in debts_from([*stopped, *paused, *disabled])] == [1, 2, 3]
    back = [
        *record(4, "m0-submitter", "replicas", "0", "1"),
        *record(5, "NBA_LAL_BOS", "NBA_LAL_BOS", "not active", "active"),
        *record(6, "m0-submitter", "M0_PUBLISH_ENABLED", "false", "true"),
    ]
    assert debts_from([*stopped, *paused, *disabled, *back]) == ()
    fewer = [*record(1, "m0-quant", "replicas", "5", "0"), *record(2, "m0-quant", "replicas", "0", "2")]
    assert [d.number for d in debts_from(fewer)] == [1]
