"""Only cockpit/model/reading.py reads a reading's data or compares its state."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from cockpit.model.reading import (
    NOTHING_READ,
    Fault,
    Known,
    Reading,
    SourceState,
    Unknown,
    believed,
    kind_unknown,
)
from tests.support.paths import ROOT

GATE = ROOT / "cockpit" / "model" / "reading.py"
STATES = {state.value for state in SourceState}


def breaches(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) for each place that reads a reading's data or judges its state by itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "last_data":
            yield node.lineno, "reads last_data"
        elif isinstance(node, ast.Constant) and node.value == "last_data":
            yield node.lineno, "names last_data"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and NOTHING_READ in node.value:
            yield node.lineno, f"spells {NOTHING_READ!r}"
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            states = any(_is_state(each) for side in sides for each in ast.walk(side))
            words = any(
                isinstance(each, ast.Constant) and each.value in STATES for side in sides for each in ast.walk(side)
            )
            if states or (words and any(_asks_state(side) for side in sides)):
                yield node.lineno, "compares a state"
        elif isinstance(node, ast.MatchValue) and _is_state(node.value):
            yield node.lineno, "compares a state"


def _is_state(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "SourceState"


def _asks_state(node: ast.AST) -> bool:
    """`x.state` or `x.state.value`."""
    if isinstance(node, ast.Attribute) and node.attr == "value":
        node = node.value
    return isinstance(node, ast.Attribute) and node.attr == "state"


def test_nobody_but_the_gate_reads_data_or_compares_states() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for room in ("cockpit", "panels", "bench")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != GATE
        for line, what in breaches(path.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "seen = reading.last_data",
        "seen = getattr(reading, 'last_data')",
        "if reading.believed(mono).state is SourceState.LIVE: pass",
        "if SourceState.STALE != reading.believed(mono).state: pass",
        "if found.state in (SourceState.LIVE, SourceState.OFF): pass",
        "if found.state.value != 'live': pass",
        "if found.state == 'down': pass",
        "match found.state:\n case SourceState.LIVE: pass",
        f"words = f'{{what}}: {NOTHING_READ}'",
    ],
)
def test_each_way_around_the_gate_is_seen(source: str) -> None:
    assert list(breaches(source))


def test_data_are_known_only_while_they_are_whole_fresh_and_without_a_fault() -> None:
    whole = Reading("k", {"a": 1}, observed_at=10.0, max_age_s=15.0)
    assert whole.believed(25.0) == Known({"a": 1}, 15.0)
    assert whole.believed(25.1) == Unknown("last read 15 s ago", SourceState.STALE, 25.1 - 10.0, {"a": 1})
    partial = Reading("k", {"a": 1}, observed_at=10.0, partial=True)
    assert partial.believed(11.0) == Unknown("the first list is still arriving", SourceState.STARTING, 1.0, {"a": 1})
    fault = Fault(SourceState.DENIED, "may not list pods", "ask for it")
    failed = Reading[dict[str, int]]("k", fault=fault).after(whole)
    assert failed.believed(12.0) == Unknown("may not list pods", SourceState.DENIED, 2.0, {"a": 1}, "ask for it")


def test_what_was_never_read_is_unknown_and_says_so() -> None:
    assert believed(None, 5.0) == Reading("k").believed(5.0) == Unknown(NOTHING_READ)
    assert Reading("k", observed_at=1.0).believed(2.0) == Unknown("no data", age_s=1.0)


def test_data_of_another_kind_are_no_data() -> None:
    assert believed(Reading("k", 1, observed_at=1.0), 2.0, int) == Known(1, 1.0)
    assert believed(Reading("k", "1", observed_at=1.0), 2.0, int) == Unknown("no data", age_s=1.0)


def test_a_kind_is_known_when_every_namespace_is() -> None:
    live: Reading[Any] = Reading("pods/a", {}, observed_at=1.0)
    down: Reading[Any] = Reading("pods/b", fault=Fault(SourceState.DOWN, "refused"))
    assert kind_unknown({"pods/a": live}, "pods", 2.0) == ""
    assert kind_unknown({"pods/a": live, "pods/b": down}, "pods", 2.0) == "pods in b: refused"
    assert kind_unknown({"pods/a": live}, "jobs", 2.0) == NOTHING_READ
