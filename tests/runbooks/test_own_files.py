"""An operator's own file says all that ours does: parts, keys of packaged steps, its mistakes."""

from __future__ import annotations

import msgspec
import pytest

from cockpit.errors import UnknownName
from cockpit.runbooks.schema import check, load, packaged_text

PARTS = """
[parts.count]
name = "replicas"
type = "int"
minimum = 1
maximum = 9

[parts.grow]
title = "Scale the cache"
kind = "scale"
service = "m0-quant"
replicas = "{replicas}"
direction = "raises"
params = [{ use = "count", default = 3 }]

[[runbook]]
id = "cache"
number = 17
title = "The cache is cold"
checklist = [{ text = "told the clients" }]
triage = [{ text = "Is it warm", signals = ["output-age"] }]

[[runbook.mitigations]]
id = "scale"
use = "grow"
title = "Scale it"
"""


def test_a_part_is_said_once_and_used_with_keys_of_ones_own() -> None:
    """D(2), D(4): the same step was written three times; a checklist line needed an `item`."""
    runbooks, problems = check(PARTS, "mine.toml")
    assert runbooks is not None, problems
    step = runbooks.step("17", "scale")[1]
    assert (step.title, step.kind, step.service) == ("Scale it", "scale", "m0-quant")
    (param,) = step.params
    assert (param.name, param.minimum, param.maximum, param.default) == ("replicas", 1, 9, 3)


def test_one_key_of_a_packaged_step_is_changed_without_copying_the_list() -> None:
    """D(6): to change one default the whole list had to be written again."""
    before = load().step("6", "scale-ingestors")[1]
    text = """
[[runbook]]
id = "watermark-lag"
[runbook.steps.scale-ingestors]
note = "ask the provider first"
[runbook.steps.scale-ingestors.params.replicas]
default = 6
"""
    runbooks, problems = check(text, "mine.toml")
    assert runbooks is not None, problems
    after = runbooks.step("6", "scale-ingestors")[1]
    assert after.note == "ask the provider first" and after.params[0].default == 6
    params = (msgspec.structs.replace(after.params[0], default=before.params[0].default),)
    assert msgspec.structs.replace(after, note=before.note, params=params) == before
    assert len(runbooks.runbook("6").mitigations) == len(load().runbook("6").mitigations)


WRONG = {
    "a part that there is not": (PARTS.replace('use = "grow"', 'use = "grwo"'), 25, "did you mean 'grow'?"),
    "a part within itself": (PARTS.replace('use = "count", default', 'use = "grow", default'), 14, "no circle"),
    "a part that nobody uses": (
        PARTS.replace('use = "count", default = 3', 'name = "replicas", type = "int"'),
        2,
        "to be used",
    ),
    "a wrong key of a part": (PARTS.replace('type = "int"', 'typ = "int"'), 4, "did you mean 'type'?"),
    "a wrong value of a part": (PARTS.replace("minimum = 1", 'minimum = "one"'), 5, "a whole number, got a string"),
    "a default beside the bounds of a part": (PARTS.replace("default = 3", "default = 30"), 14, "from 1 to 9, got 30"),
    "parts that are no tables": ("parts = 3", 1, "expected tables [parts.NAME]"),
    "a step that there is not": (
        '[[runbook]]\nid = "watermark-lag"\n[runbook.steps.scale-ingestor]\nnote = "x"',
        3,
        "did you mean 'scale-ingestors'?",
    ),
    "a parameter that there is not": (
        '[[runbook]]\nid = "watermark-lag"\n[runbook.steps.scale-ingestors.params.replica]\ndefault = 1',
        3,
        "did you mean 'replicas'?",
    ),
    "a wrong key of a packaged step": (
        '[[runbook]]\nid = "watermark-lag"\n[runbook.steps.scale-ingestors]\nnot = "x"',
        4,
        "did you mean 'note'?",
    ),
    "a wrong default of a packaged parameter": (
        '[[runbook]]\nid = "watermark-lag"\n[runbook.steps.scale-ingestors.params.replicas]\ndefault = 999',
        4,
        "got 999",
    ),
    "steps of a runbook of ones own": (
        '[[runbook]]\nid = "x"\nnumber = 40\ntitle = "X"\n[runbook.steps.a]\nnote = "x"',
        5,
        "unknown key",
    ),
    "a parameter that nothing says": (PARTS.replace('replicas = "{replicas}"', "replicas = 4"), 14, "to be used"),
    "near what is usual of what has no baseline": (
        PARTS + 'validation = [{ text = "t", signal = "output-age", expect = "near-baseline" }]',
        27,
        "expected a signal with `baseline`",
    ),
    "a cause that there is not": (PARTS + 'cause = "17.cause.9"', 27, "there is no '17.cause.9'"),
}


@pytest.mark.parametrize(("text", "line", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_said_with_its_line(text: str, line: int, expected: str) -> None:
    """D(3), D(5): the line is the one where it was said, in a part or beside it."""
    runbooks, problems = check(text, "mine.toml")
    assert runbooks is None
    assert line in [p.line for p in problems if expected in p.expected], [str(p) for p in problems]


@pytest.mark.parametrize("text", ["signals = 3", "queries = []", "runbook = 'x'", "stages = 1", "parts = 1"])
def test_a_table_of_a_wrong_kind_is_one_error(text: str) -> None:
    """D: what is packaged stays known, so that one slip is not 417 errors."""
    assert len(check(text, "mine.toml")[1]) == 1


VIEWS = """
[queries.hits]
promql = "cache_hits_total"
[[runbook]]
id = "cache"
number = 17
title = "Cache"
triage = [
  { text = "how warm", view = "queries", args = { names = "hits, lag-by-connector" } },
  { text = "else", view = "runbook", args = { runbook = "9" } },
]
"""


def test_own_queries_and_other_runbooks_are_views() -> None:
    """D(2): an own query was shown nowhere; no line led over to another runbook."""
    assert not check(VIEWS, "mine.toml")[1]
    for wrong, meant in (("hits,", "hit,"), ('"9"', '"99"')):
        (problem,) = check(VIEWS.replace(wrong, meant), "mine.toml")[1]
        assert "expected the name of a" in str(problem)


def test_a_broken_file_is_named_where_its_runbook_is_missed() -> None:
    """D(7): "runbook 17 has no step", and no word of the file that should have brought it."""
    broken = msgspec.structs.replace(load(), problems=("the packaged runbooks are in force: 1 error in mine.toml",))
    with pytest.raises(UnknownName) as found:
        broken.runbook("17")
    assert found.value.line() == "there is no runbook '17' (the packaged runbooks are in force: 1 error in mine.toml)"


def test_every_mistake_is_said_at_once() -> None:
    """D: all errors of a file, not the first only."""
    text = (
        PARTS.replace('use = "grow"', 'use = "grow"\ncause = "17.cause.9"').replace("minimum = 1", "minimum = 12")
        + '[[runbook]]\nid = "watermark-lag"\n[runbook.steps.nothing]\nnote = "x"\n[signals.x]\ncrit = 1\n'
    )
    _, problems = check(text, "mine.toml")
    assert len({p.line for p in problems}) >= 4, [str(p) for p in problems]


def test_the_packaged_file_passes_its_own_checks() -> None:
    runbooks, problems = check(packaged_text(), "runbooks.toml")
    assert runbooks is not None, [str(p) for p in problems]
