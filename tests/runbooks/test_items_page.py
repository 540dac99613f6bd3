"""docs/items.md is what runbooks.toml says, and no line is satisfied by another line's data.

Two lines of the document that say different things never stand on exactly the same signals, at
whatever level: one number would answer both. Two symptoms of one runbook share no signal at all:
one number would count twice for its match.
"""

from __future__ import annotations

import itertools

from bench.items_page import Item, items, page
from cockpit.model.runbook import Runbooks
from cockpit.runbooks.schema import load
from tests.support.paths import ROOT

Pair = tuple[str, str]
#: Lines that may stand on the same data: they say the same, or one asks what the other's names.
SAME: dict[Pair, str] = {
    ("2.symptom.1", "13.when.2"): "an invalid signature is where both runbooks begin",
    ("7.symptom.1", "7.triage.1"): "the worst source is named by the signal that spikes",
}
#: Lines that still wait for data of their own.
WAITING: dict[Pair, str] = {
    ("2.symptom.1", "2.symptom.2"): "log lines of the submitter are not counted yet",
    ("2.symptom.2", "13.when.2"): "log lines of the submitter are not counted yet",
    ("5.symptom.1", "5.symptom.3"): "log lines of the submitter are not counted yet",
    ("5.symptom.2", "5.symptom.3"): "log lines of the submitter are not counted yet",
}


def judged(runbooks: Runbooks) -> list[tuple[Item, frozenset[tuple[str | None, str | None]]]]:
    """Each line that signals decide, with where their numbers come from."""
    found = []
    for one in items(runbooks):
        if one.judged:
            data = frozenset((runbooks.signals[n].promql, runbooks.signals[n].value) for n in one.judged)
            found.append((one, data))
    return found


def shared(runbooks: Runbooks) -> set[Pair]:
    """Pairs of lines that the same data decide; a proof and what was bad before it are none."""

    def one_runbooks(a: Item, b: Item) -> bool:
        return all(each.looks and each.item.split(".")[1] in ("symptom", "when") for each in (a, b)) and (
            a.item.split(".")[0] == b.item.split(".")[0]
        )

    return {
        (a.item, b.item)
        for (a, of_a), (b, of_b) in itertools.combinations(judged(runbooks), 2)
        if (a.role == "proof") == (b.role == "proof") and (of_a == of_b or (one_runbooks(a, b) and of_a & of_b))
    }


def test_the_page_of_items_is_current() -> None:
    assert (ROOT / "docs" / "items.md").read_text("utf-8") == page(), "make it anew: make generated"


def test_the_page_has_every_item_once() -> None:
    found = [one.item for one in items(load())]
    assert len(found) == len(set(found)) == 183


def test_no_line_is_satisfied_by_another_lines_data() -> None:
    assert shared(load()) == set(SAME) | set(WAITING)
