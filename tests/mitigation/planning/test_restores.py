"""A restore knows its bounds, and "back" means the number that ran before (audit B20)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cockpit.commands.asking.wanted import wanted_of
from cockpit.mitigation.choices.preset import defaults
from cockpit.mitigation.choices.restore import moment, replicas_before, restore_times, spelt
from cockpit.mitigation.planning.restorable import restorable
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.model.plan import Change, JournalLine, Verdict
from cockpit.model.reading import Reading
from cockpit.model.runbook import Param, Step
from cockpit.model.situation import Situation
from cockpit.runbooks.schema import load
from tests.support.kube_rig import status
from tests.support.samples.cluster import sample_situation
from tests.support.samples.postgres import calm

PACKAGED = load()
NOW = 1_790_000_000.0
RESTORE = Step(
    id="restore-db",
    title="Restore",
    kind="command",
    argv=("restore", "{time}"),
    params=(Param(name="time", choices_from="restore-times"),),
)


def known(*, archived_s: float | None = 60.0, backup_h: float | None = 6.0, **more: Any) -> Situation:
    archiver = replace(calm()["archiver"], last_archived_age_s=archived_s)
    signals = {} if backup_h is None else {"backup-age": status("backup-age", value=backup_h)}
    return sample_situation(
        wall=NOW,
        mono=1.0,
        runbooks=PACKAGED,
        signals=signals,
        postgres={"archiver": Reading("postgres/archiver", archiver, 1.0)},
        **more,
    )


@pytest.mark.parametrize(
    ("text", "verdict", "words"),
    [
        (spelt(NOW - 3600), Verdict.PASS, "end of the archive"),
        (spelt(NOW - 30), Verdict.BLOCK, "the archive ends at"),
        (spelt(NOW + 3600), Verdict.BLOCK, "in the future"),
        (spelt(NOW - 9 * 3600), Verdict.UNKNOWN, "before the last good backup"),
        ("2026-13-45T99:00:00Z", Verdict.BLOCK, "no time with its zone"),
        ("2026-09-21 13:00:00", Verdict.BLOCK, "no time with its zone"),
    ],
)
def test_a_time_outside_of_the_bounds_is_refused(text: str, verdict: Verdict, words: str) -> None:
    """C 14.restore.2: by the archiver, the last backup and the clock."""
    found = restorable(RESTORE, {"time": text}, known(), 1.0)
    assert found is not None
    assert found.verdict is verdict
    assert words in found.reason


def test_bounds_that_are_not_known_are_unknown() -> None:
    given_time = {"time": spelt(NOW - 3600)}
    for now in (known(archived_s=None), known(backup_h=None), None):
        found = restorable(RESTORE, given_time, now, 1.0)
        assert found is not None
        assert found.verdict is Verdict.UNKNOWN
    assert restorable(PACKAGED.step("14", "stop-quant")[1], {}, known(), 1.0) is None


def test_times_are_offered_by_what_is_known() -> None:
    assert [value for value, _ in restore_times(known())] == [spelt(NOW - 60), spelt(NOW - 6 * 3600)]
    assert restore_times(sample_situation(wall=NOW, mono=1.0)) == []


@given(at=st.integers(0, 4_000_000_000))
def test_a_time_is_read_back_as_it_is_spelt(at: int) -> None:
    assert moment(spelt(float(at))) == at


@given(text=st.text(max_size=40))
def test_no_text_makes_a_time_raise(text: str) -> None:
    moment(text)


def line(number: int, before: str, after: str, **more: Any) -> JournalLine:
    return JournalLine(
        number=number,
        wall=NOW,
        operator="ops1",
        title="Scale",
        target="drill / m0-prod / deployment m0-quant",
        outcome="sent",
        changes=(Change("replicas", before, after),),
        **more,
    )


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ((line(2, "5", "0"),), "5"),
        ((line(3, "7", "0"), line(2, "5", "7")), "7"),
        ((line(3, "0", "5"), line(2, "5", "0")), "2"),
        ((line(3, "5", "0", undone=True), line(2, "3", "0")), "3"),
        ((replace(line(2, "5", "0"), target="drill / m0-prod / deployment m0-quant-b"),), "2"),
        ((), "2"),
    ],
)
def test_back_is_the_number_that_ran_before(journal: tuple[JournalLine, ...], expected: str) -> None:
    """B20: 0 → 2, though the journal knew 5."""
    step = PACKAGED.step("14", "start-quant")[1]
    assert defaults(step, PACKAGED, known(journal=journal)) == {"replicas": expected}
    assert replicas_before(known(journal=journal), "m0-ingestor") == []


def test_a_sequence_says_beforehand_what_it_will_want_typed() -> None:
    """B20, E: the names in their order, so that one command line carries all of it."""
    runbook, step = PACKAGED.step("14", "restore")
    said = wanted_of(parts_of(runbook, step), {})
    assert said[0] == f"in order, {len(said) - 2} parts; each is confirmed on its own:"
    assert said[1] == "  1 Scale m0-submitter to 0: wants m0-submitter typed"
    assert any("asked" in one for one in said)
    assert said[-1] == "  all of it at once: --yes --confirm m0-submitter,m0-quant,m0-aggregator,m0-reconciler"
