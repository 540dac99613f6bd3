"""What an operator's file says that cannot be meant is refused, with line and key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from cockpit.model.runbook import Param
from cockpit.runbooks.bounds import BOUNDS
from cockpit.runbooks.schema import check, load, packaged_text
from cockpit.runbooks.shape import ARRAYS, TABLES

HEAD = '[[runbook]]\nid = "mine"\nnumber = 99\ntitle = "Mine"\n'
STEP = HEAD + '[[runbook.mitigations]]\nid = "a"\ntitle = "A"\n'
SCALE = STEP + 'kind = "scale"\nservice = "m0-ingestor"\n'
ENV = STEP + 'kind = "set-env"\nservice = "m0-submitter"\n'
RUN = STEP + 'kind = "command"\n'
LAG = '[[runbook]]\nid = "watermark-lag"\n'
SIGNAL = '[signals.x]\ntitle = "x"\nwarn = 1\n'

WRONG = {
    "changes of steps beside a list of ones own": (
        LAG + 'mitigations = [{ id = "a", title = "A", kind = "evidence" }]\n'
        '[runbook.steps.scale-ingestors]\nnote = "never seen"',
        4,
        "steps",
        "expected either `steps` or `mitigations`",
    ),
    "a packaged runbook misspelt": ('[[runbook]]\nid = "watermark-lagg"\nsummary = "x"', 2, "id", "'watermark-lag'?"),
    "a packaged runbook twice": (LAG + 'title = "a"\n' + LAG + 'title = "b"', 5, "id", "is there twice"),
    "an id that is a number": (HEAD.replace('"mine"', '"6"'), 2, "id", "a letter first"),
    "an id of two words": (HEAD.replace('"mine"', '"my lag"'), 2, "id", "a letter first"),
    "no id of a step": (STEP.replace('id = "a"', 'id = ""') + 'kind = "evidence"', 6, "id", "a letter first"),
    "a number below one": (HEAD.replace("99", "-3"), 3, "number", "from 1 to 9,999"),
    "a number beyond all": (HEAD.replace("99", "99999999999999999999999"), 3, "number", "from 1 to 9,999"),
    "a title of nothing": (HEAD.replace('"Mine"', '" "'), 4, "title", "expected words"),
    "replicas of a restart": (
        STEP + 'kind = "restart"\nservice = "m0-quant"\nreplicas = 4',
        10,
        "replicas",
        "unknown for kind restart",
    ),
    "a program of a scaling": (SCALE + 'replicas = 4\nargv = ["rm"]', 11, "argv", "unknown for kind scale"),
    "a question of a scaling": (SCALE + 'replicas = 4\nquestion = "?"', 11, "question", "unknown for kind scale"),
    "two leaders": (
        STEP + 'kind = "scale"\nservice = "m0-submitter"\nreplicas = 2',
        10,
        "replicas",
        "at most 1: m0-submitter is a singleton",
    ),
    "more pods than any cluster has": (SCALE + "replicas = 99999999999", 10, "replicas", "from 0 to 10,000"),
    "replicas by a word": (
        SCALE + 'replicas = "{n}"\nparams = [{ name = "n", type = "string" }]',
        11,
        "params[0].type",
        'expected "int"',
    ),
    "a default that its pattern refuses": (
        ENV + 'env = { A = "{n}" }\nparams = [{ name = "n", pattern = "[0-9]+", default = "ten" }]',
        11,
        "params[0].default",
        "expected something like [0-9]+",
    ),
    "a choice outside the bounds": (
        SCALE + 'replicas = "{n}"\nparams = [{ name = "n", type = "int", maximum = 9, choices = ["3", "12"] }]',
        11,
        "params[0].choices[1]",
        "expected at most 9",
    ),
    "a choice that is no number": (
        SCALE + 'replicas = "{n}"\nparams = [{ name = "n", type = "int", choices = ["three"] }]',
        11,
        "params[0].choices[0]",
        "expected a whole number",
    ),
    "a value that the variable cannot have": (
        ENV + 'env = { M0_PUBLISH_CONCURRENCY = "999" }',
        10,
        "env.M0_PUBLISH_CONCURRENCY",
        "from 1 to 64",
    ),
    "a level that there is not": (
        ENV + 'env = { M0_GUARDRAIL_POLICY_LEVEL = "LOOSE" }',
        10,
        "env.M0_GUARDRAIL_POLICY_LEVEL",
        "STRICT, NORMAL, FAST",
    ),
    "a default that the key cannot have": (
        STEP + 'kind = "set-config"\nargs = { configmap = "c", key = "publish_cadence_ms", value = "{n}" }\n'
        'params = [{ name = "n", type = "int", default = 7 }]',
        10,
        "params[0].default",
        "from 50 to 60000",
    ),
    "a way of what has no order": (
        ENV + 'direction = "raises"\nenv = { M0_MODE = "loud" }',
        11,
        "env.M0_MODE",
        "a number, or a level of [variables.M0_MODE]",
    ),
    "more of what is no list": (
        ENV + 'direction = "adds"\nenv = { M0_PUBLISH_CONCURRENCY = "3" }',
        10,
        "direction",
        'is no list: its type is "int"',
    ),
    "a program that reads itself": (
        RUN + 'argv = ["x"]\nargs = { reads = "a", expect = "x" }',
        10,
        "args.reads",
        "a command that only reads",
    ),
    "a reading program that is dangerous": (
        RUN + 'argv = ["x"]\nargs = { reads = "b", expect = "x" }\n'
        '[[runbook.mitigations]]\nid = "b"\ntitle = "B"\nkind = "command"\nargv = ["y"]\ndangerous = true',
        10,
        "args.reads",
        "a command that only reads",
    ),
    "a program of no name": (RUN + 'argv = [""]', 9, "argv[0]", "the name of a program"),
    "a cause twice": (
        HEAD + 'causes = [\n { id = "c", text = "a" },\n { id = "c", text = "b" },\n]',
        7,
        "causes[1].id",
        "'c' is there twice",
    ),
    "a symptom at a level that there is not": (
        SIGNAL + 'promql = "up"\n' + HEAD + 'symptoms = [{ text = "t", signal = "x", at = "crit" }]',
        9,
        "symptoms[0].at",
        "x has no `crit`",
    ),
    "a condition at a level that there is not": (
        SIGNAL + 'promql = "up"\n[conditions.c]\ntext = "t"\nsignals = ["x"]\nat = "crit"',
        8,
        "conditions.c.at",
        "x has no `crit`",
    ),
    "a level of no signal": (
        '[conditions.c]\ntext = "t"\nscales = "m0-quant"\nat = "warn"',
        4,
        "conditions.c.at",
        "only with `signals` or `one-of`",
    ),
    "a level that the toggle does not have": (
        '[conditions.c]\ntext = "t"\ntoggle = "M0_PUBLISH_ENABLED"\nis = ["yes"]',
        4,
        "conditions.c.is[0]",
        "one of true, false",
    ),
    "a symptom that weighs more than all": (
        HEAD + 'symptoms = [{ text = "t", signal = "coverage", weight = 1e308 }]',
        5,
        "weight",
        "from 0.01 to 1,000",
    ),
    "a value twice": ('[variables.X]\nvalues = ["a", "a"]', 2, "values[1]", "'a' is there twice"),
    "values and a type": ('[variables.X]\nvalues = ["a"]\ntype = "int"', 3, "type", "either `type` or `values`"),
    "a bound that is no number": ('[variables.X]\ntype = "int"\nminimum = nan', 3, "minimum", "got nan"),
    "a service that no cluster can have": ('[services."M0 X"]\nrole = "x"', 1, "services.M0 X", "lower-case"),
    "PromQL of a range": (SIGNAL + 'promql = "x[5m]"', 4, "signals.x.promql", "a value at one time"),
    "PromQL that is a word": (SIGNAL + "promql = '\"x\"'", 4, "signals.x.promql", "a value at one time"),
    "a view of no query": (
        HEAD + 'triage = [{ text = "t", view = "queries", args = { names = " , " } }]',
        5,
        "args.names",
        "the name of a query",
    ),
}


@pytest.mark.parametrize(("text", "line", "key", "expected"), WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_meant_is_refused(text: str, line: int, key: str, expected: str) -> None:
    """D3: each of these was taken without a word, or said in words that hid the mistake."""
    runbooks, problems = check(text, "mine.toml")
    assert runbooks is None
    assert [p for p in problems if p.line == line and p.key.endswith(key) and expected in p.expected], [
        str(problem) for problem in problems
    ]


def test_a_part_may_use_another() -> None:
    """D2: the inner part was an unknown key, and one that nobody uses."""
    text = (
        '[parts.inner]\nkind = "scale"\nservice = "m0-quant"\n[parts.outer]\nuse = "inner"\ntitle = "Outer"\n'
        + HEAD
        + '[[runbook.mitigations]]\nid = "a"\nuse = "outer"\nreplicas = 3\n'
    )
    runbooks, problems = check(text, "mine.toml")
    assert runbooks is not None, [str(problem) for problem in problems]
    step = runbooks.step("99", "a")[1]
    assert (step.kind, step.service, step.title, step.replicas) == ("scale", "m0-quant", "Outer", 3)
    _, problems = check(text.replace('"m0-quant"', '"m0-qant"'), "mine.toml")
    assert [(p.line, "'m0-quant'?" in p.expected) for p in problems] == [(3, True)]
    _, problems = check(text.replace('kind = "scale"', 'use = "outer"'), "mine.toml")
    assert any("no circle" in p.expected for p in problems), [str(problem) for problem in problems]


def test_a_condition_of_one_toggle_of_many() -> None:
    """D2: a toggle whose name ends in * stands for any suffix, in a condition too."""
    runbooks, problems = check('[conditions.c]\ntext = "t"\ntoggle = "M0_MARKET_PAUSE_NBA"\nis = ["true"]', "mine.toml")
    assert runbooks is not None, [str(problem) for problem in problems]


def test_the_packaged_file_says_nothing_of_that() -> None:
    assert check(packaged_text(), "runbooks.toml")[1] == [] and load().problems == ()


def test_every_number_of_the_file_has_bounds() -> None:
    """B21: `history = 1e12`, `share = 7`: each number says what it may be."""

    def numbers(kind: Any) -> Iterator[tuple[type[Any], str]]:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for field in msgspec.structs.fields(kind):
                if {int, float} & {field.type, *get_args(field.type)} - {bool}:
                    yield kind, field.name
                yield from numbers(field.type)
        for each in get_args(kind):
            yield from numbers(each)

    for kind, name in {one for row in (*TABLES.values(), *ARRAYS.values()) for one in numbers(row)}:
        held = [BOUNDS[own][name] for own in kind.__mro__ if name in BOUNDS.get(own, {})]
        free = (kind, name) == (Param, "default")  # what its own bounds say
        assert held or free, f"{kind.__name__}.{name} may be any number"
    for text, key in (
        ("[signals.rpc-errors]\nhistory = 1e12", "history"),
        (HEAD + 'validation = [{ text = "t", signal = "coverage", share = 7 }]', "share"),
        (HEAD + 'validation = [{ text = "t", signal = "coverage", within = 1e9 }]', "within"),
        ("[queries.api-p95]\nhistory = 0.001", "history"),
    ):
        _, problems = check(text, "mine.toml")
        assert [p for p in problems if p.key.endswith(key) and "expected a" in p.expected and p.line], text
