"""Nobody judges a reading but by the gate: its parts are private, its users listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from cockpit.model.reading import (
    AHEAD_S,
    NOTHING_READ,
    Fault,
    Known,
    Reading,
    SourceState,
    Unknown,
    believed,
    kind_unknown,
    spell,
)
from tests.support.paths import ROOT

GATE = ROOT / "cockpit" / "model" / "reading.py"
STATES = {state.value for state in SourceState}

#: Who may have the newest value though it is not known, and what for.
LAST_KNOWN = {
    "cockpit/assessment/assessor.py": "objects of a cluster that is silent stay on screen; their signals ask the gate",
    "cockpit/assessment/signals.py": "the last value stands dimmed beside UNKNOWN, and the sparkline before it",
    "cockpit/assessment/stopped.py": "a longer reveal delay asks for more quiet, never for less; what an account told stands",
    "cockpit/assessment/verdicts/conditions.py": "names that a query listed; what is judged of them asks the gate",
    "cockpit/incident/evidence/collectors.py": "evidence keeps what was last known, and says how old it is",
    "cockpit/incident/evidence/onchain.py": "evidence keeps what was last known, and says how old it is",
    "cockpit/mitigation/choices/live.py": "names of a form's offers; the numbers beside them ask the gate",
    "cockpit/mitigation/planning/comes_back.py": "knows an endpoint by its host; what it is like now asks the gate",
    "cockpit/sources/paused_markets.py": "a pause that was seen does not end unseen",
    "cockpit/sources/probes/source.py": "an output is compared with the one before, to see it advance",
    "cockpit/sources/solana/values.py": "where an endpoint is does not change with whether it answers",
    "panels/app/palette.py": "links of transactions that were seen",
    "panels/dashboard/facts/chain.py": "drawn dimmed, with its age",
    "panels/dashboard/facts/database.py": "drawn dimmed, with its age",
    "panels/dashboard/facts/metrics.py": "drawn dimmed, with its age",
    "panels/screens/compare.py": "which markets there are; their numbers ask the gate",
    "panels/screens/metrics.py": "drawn dimmed, with its age",
    "panels/screens/queries.py": "drawn dimmed, with its age",
    "bench/chain.py": "measures when something arrives",
}
#: Who may have the state by its name, to show it.
LIGHT_OF = {
    "cockpit/assessment/lights.py": "makes the lights",
    "cockpit/incident/evidence/onchain.py": "a word in the evidence",
    "cockpit/mitigation/choices/live.py": "a word beside an endpoint that is offered",
    "panels/dashboard/facts/chain.py": "a word of the panel",
    "panels/dashboard/facts/database.py": "a word of the panel",
    "panels/dashboard/facts/metrics.py": "a word of the panel",
    "panels/screens/metrics.py": "a word of the page",
}
LISTED = {"last_known": LAST_KNOWN, "light_of": LIGHT_OF}
INSIDE = ("_Reading__", "_Unknown__", "last_of_unknown", "state_of_unknown")


def breaches(source: str, where: str = "") -> Iterator[tuple[int, str]]:
    """(line, what) for each way past the gate that privacy alone does not close."""
    tree = ast.parse(source)
    aliases = {"SourceState"}
    own = {id(each) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for each in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "cockpit.model.reading":
            for name in node.names:
                if name.asname is not None:
                    yield node.lineno, f"{name.name} under another name"
        if (
            isinstance(node, ast.Assign)
            and id(node) not in own
            and (_is_state(node.value, aliases) or (isinstance(node.value, ast.Name) and node.value.id in aliases))
        ):
            yield node.lineno, "keeps a state under another name"
    for node in ast.walk(tree):
        for text in _texts(node):
            if text.startswith(INSIDE[:2]) or (text in INSIDE and not isinstance(node, ast.FunctionDef)):
                yield _line(node), f"reaches into the gate: {text}"
            if text in LISTED and where not in LISTED[text]:
                yield _line(node), f"{text}: not in the list of who may"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NOTHING_READ in node.value:
            yield node.lineno, f"spells {NOTHING_READ!r}"
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            states = any(_is_state(each, aliases) for side in sides for each in ast.walk(side))
            if states or (any(_word(e) for s in sides for e in ast.walk(s)) and any(_asks_state(s) for s in sides)):
                yield node.lineno, "compares a state"
        elif isinstance(node, ast.MatchValue) and (_is_state(node.value, aliases) or _word(node.value)):
            yield _line(node), "compares a state"
        elif isinstance(node, ast.Call) and _named(node.func) == "believed":
            at = node.args[-1] if node.args else None
            if isinstance(at, ast.Constant) and isinstance(at.value, int | float):
                yield node.lineno, "believes at a time of its own choosing"


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.alias):
        yield node.name
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _named(node: ast.AST) -> str:
    return next(_texts(node), "")


def _word(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in STATES


def _is_state(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names


def _asks_state(node: ast.AST) -> bool:
    """`x.state`, in any wrapping: `x.state.value`, `x.state.name`, `str(x.state)`."""
    return any(isinstance(each, ast.Attribute) and each.attr == "state" for each in ast.walk(node))


def test_nobody_goes_past_the_gate() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for room in ("cockpit", "panels", "bench")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != GATE
        for line, what in breaches(path.read_text(), path.relative_to(ROOT).as_posix())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", LISTED)
def test_the_lists_name_only_who_uses_them(name: str) -> None:
    for where in LISTED[name]:
        assert name in (ROOT / where).read_text(), f"{where} no longer needs {name}"


@pytest.mark.parametrize(
    "source",
    [
        "data = reading._Reading__data",
        "data = getattr(reading, '_Reading__data')",
        "last = Unknown.last_of_unknown(found)",
        "from cockpit.model.reading import last_known",
        "from cockpit.model import reading\nvalue = reading.last_known(found)",
        "from cockpit.model.reading import SourceState as S",
        "L = SourceState.LIVE",
        "S = SourceState",
        "if light_of(found) is SourceState.LIVE: pass",
        "if light.state in (SourceState.LIVE, SourceState.OFF): pass",
        "if light.state == 'down': pass",
        "if str(light.state) != 'live': pass",
        "if light.state.value != 'live': pass",
        "match light.state:\n case SourceState.LIVE: pass",
        "match light.state:\n case 'down': pass",
        "found = believed(reading, 0.0)",
        "found = reading.believed(0)",
        f"words = f'{{what}}: {NOTHING_READ}'",
    ],
)
def test_each_way_around_the_gate_is_seen(source: str) -> None:
    assert list(breaches(source))


@pytest.mark.parametrize(
    "way",
    [
        "reading.last_data",
        "reading.data",
        "reading.fault is None",
        "10.0 - reading.observed_at < 15",
        "reading.age_s(10.0) < 15",
        "reading.partial",
        "reading.__data",
        "vars(reading)",
        "believed(reading, 99.0).last",
        "believed(reading, 99.0).data",
        "believed(reading, 99.0).state is SourceState.DOWN",
        "believed(reading, 99.0).state.name == 'DOWN'",
        "msgspec.structs.astuple(reading)",
        "msgspec.structs.astuple(believed(reading, 99.0))",
        "(lambda topic, data, *more: data)(*reading)",
    ],
)
def test_what_is_private_cannot_be_had(way: str) -> None:
    reading = Reading("k", {"a": 1}, observed_at=1.0)
    with pytest.raises((AttributeError, TypeError)):
        eval(way, {"reading": reading, "believed": believed, "msgspec": msgspec, "SourceState": SourceState})


def test_a_reading_cannot_be_taken_apart_by_a_pattern() -> None:
    with pytest.raises(TypeError):
        exec("match r:\n case R(topic, data): pass", {"r": Reading("k", 1, observed_at=1.0), "R": Reading})


def test_a_moment_before_the_reading_makes_nothing_fresh() -> None:
    reading = Reading("k", 1, observed_at=1000.0)
    assert not believed(reading, 0.0).live and not believed(reading, 1000.0 - AHEAD_S - 0.1).live
    assert believed(reading, 999.9).live, "another thread's clock, a moment earlier"


def test_a_question_asked_now_does_not_make_an_old_sample_fresh() -> None:
    """P12: the age is that of the newest sample under the value, not of the question."""
    reading = Reading("k", 1, observed_at=100.0, asked_at=230.0, max_age_s=30.0, max_sample_s=45.0)
    found = reading.believed(230.0)
    assert (found.reason, found.age_s, found.stale) == ("last sample 2:10 ago", 130.0, True)
    assert isinstance(found, Unknown) and found.asked_s == 0.0
    assert Reading("k", 1, 190.0, asked_at=230.0, max_age_s=30.0, max_sample_s=45.0).believed(230.0) == Known(1, 40.0)
    assert Reading("k", 1, 190.0, asked_at=190.0, max_sample_s=99.0).believed(230.0).reason == "last read 40 s ago"
    assert [spell(s) for s in (0.2, 99.4, 100, 130, 3661)] == ["0 s", "99 s", "1:40", "2:10", "1:01:01"]


def test_data_are_known_only_while_they_are_whole_fresh_and_without_a_fault() -> None:
    whole = Reading("k", {"a": 1}, observed_at=10.0, max_age_s=15.0)
    assert whole.believed(25.0) == Known({"a": 1}, 15.0, 15.0)
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
    assert believed(Reading("k", 1, observed_at=1.0), 2.0, int) == Known(1, 1.0, 1.0)
    assert believed(Reading("k", "1", observed_at=1.0), 2.0, int) == Unknown("no data", age_s=1.0)


def test_a_kind_is_known_when_every_namespace_is() -> None:
    live: Reading[Any] = Reading("pods/a", {}, observed_at=1.0)
    down: Reading[Any] = Reading("pods/b", fault=Fault(SourceState.DOWN, "refused"))
    assert kind_unknown({"pods/a": live}, "pods", 2.0) == ""
    assert kind_unknown({"pods/a": live, "pods/b": down}, "pods", 2.0) == "pods in b: refused"
    assert kind_unknown({"pods/a": live}, "jobs", 2.0) == NOTHING_READ
