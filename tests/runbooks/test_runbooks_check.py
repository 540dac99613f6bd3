"""An operator's runbooks.toml: what is wrong is said with line and key, all at once; a broken one
stops nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cockpit.cli import main
from cockpit.runbooks.schema import check, load, packaged_text

STEP = """
[[runbook]]
id = "mine"
number = 99
title = "Mine"
[[runbook.mitigations]]
id = "a"
title = "A"
"""

CASES = {
    "a number is expected": (
        '[signals.rpc-errors]\nwarn = "much"',
        2,
        "signals.rpc-errors.warn",
        "a number, got a string",
    ),
    "a misspelt key": ("[signals.rpc-errors]\nwran = 3", 2, "signals.rpc-errors.wran", "did you mean 'warn'?"),
    "a missing key": ('[signals.new]\npromql = "up"\ncrit = 1', 1, "signals.new.title", "missing"),
    "an unknown table": ("[signal.x]\ncrit = 1", 1, "signal", "did you mean 'signals'?"),
    "thresholds the wrong way round, above": (
        "[signals.rpc-errors]\nwarn = 50",
        2,
        "signals.rpc-errors.warn",
        "at most `crit`",
    ),
    "thresholds the wrong way round, below": ("[signals.coverage]\nwarn = 0.1", 2, "signals.coverage.warn", "at least"),
    "neither promql nor value": ('[signals.x]\ntitle = "x"\ncrit = 1', 1, "signals.x.promql", "got neither"),
    "both promql and value": (
        '[signals.x]\ntitle = "x"\ncrit = 1\npromql = "up"\nvalue = "kubernetes.unready"',
        5,
        "signals.x.value",
        "got both",
    ),
    "no threshold at all": ('[signals.x]\ntitle = "x"\npromql = "up"', 1, "signals.x.warn", "at least one of"),
    "an infinite threshold": ("[signals.rpc-errors]\ncrit = inf", 2, "signals.rpc-errors.crit", "got inf"),
    "a negative time": ("[signals.rpc-errors]\nfor = -1", 2, "signals.rpc-errors.for", "from 0 to 86,400"),
    "a max-age of nothing": ("[queries.api-p95]\nmax-age = 0", 2, "queries.api-p95.max-age", "from 1 to"),
    "an unknown value": (
        '[signals.x]\ntitle = "x"\ncrit = 1\nvalue = "kubernetes.happy"',
        4,
        "signals.x.value",
        "kubernetes.ready.SERVICE",
    ),
    "a value of an unknown service": (
        '[signals.x]\ntitle = "x"\ncrit = 1\nvalue = "kubernetes.ready.m0-submiter"',
        4,
        "signals.x.value",
        "did you mean 'm0-submitter'?",
    ),
    "PromQL that does not parse": ('[queries.q]\npromql = "sum(rate(x[2m)"', 2, "queries.q.promql", "PromQL"),
    "an unknown signal in a stage": (
        '[[stages]]\nname = "a"\nheadline = "output-aeg"',
        3,
        "stages[a].headline",
        "did you mean 'output-age'?",
    ),
    "an unknown signal in a symptom": (
        '[[runbook]]\nid = "watermark-lag"\nsymptoms = [\n { item = "6.symptom.1", text = "a", signal = "lag" },\n]',
        4,
        "runbook[watermark-lag].symptoms[0].signal",
        "there is no 'lag'",
    ),
    "an unknown query in choices-from": (
        STEP + 'kind = "scale"\nservice = "m0-quant"\nreplicas = "{n}"\n'
        'params = [\n { name = "n", type = "int", choices-from = "label:nope:x" },\n]',
        13,
        "runbook[mine].mitigations[0].params[0].choices-from",
        "the name of a query",
    ),
    "a choices-from that is none": (
        STEP
        + 'kind = "scale"\nservice = "m0-quant"\nreplicas = "{n}"\nparams = [{ name = "n", choices-from = "moon" }]',
        12,
        "runbook[mine].mitigations[0].params[0].choices-from",
        "got 'moon'",
    ),
    "an unknown service": (
        STEP + 'kind = "restart"\nservice = "m0-qaunt"',
        10,
        "runbook[mine].mitigations[0].service",
        "'m0-quant'?",
    ),
    "an unknown view": (STEP + 'kind = "view"\nview = "podz"', 10, "runbook[mine].mitigations[0].view", "'pods'?"),
    "a view of a service that nobody fills in": (
        STEP
        + 'kind = "view"\nview = "logs"\nargs = { service = "{name}" }\nparams = [{ name = "name", type = "string" }]',
        11,
        "runbook[mine].mitigations[0].args.service",
        "there is no '{name}'",
    ),
    "a key that a view does not have": (
        STEP + 'kind = "view"\nview = "logs"\nargs = { service = "m0-quant", filtre = "x" }',
        11,
        "runbook[mine].mitigations[0].args.filtre",
        "unknown for view logs: expected one of service, filter, tail, namespace; did you mean 'filter'?",
    ),
    "a key of a view that takes none": (
        STEP + 'kind = "view"\nview = "alerts"\nargs = { service = "m0-quant" }',
        11,
        "runbook[mine].mitigations[0].args.service",
        "unknown for view alerts: it takes none",
    ),
    "a tail that is no number": (
        STEP + 'kind = "view"\nview = "logs"\nargs = { tail = "all" }',
        11,
        "runbook[mine].mitigations[0].args.tail",
        "expected a number of lines from 1 to 10,000",
    ),
    "a tail of no line": (
        STEP + 'kind = "view"\nview = "logs"\nargs = { tail = "0" }',
        11,
        "runbook[mine].mitigations[0].args.tail",
        "expected a number of lines from 1 to 10,000",
    ),
    "an unknown kind": (STEP + 'kind = "scal"', 9, "runbook[mine].mitigations[0].kind", "did you mean 'scale'?"),
    "a key that the kind needs": (
        STEP + 'kind = "scale"\nservice = "m0-quant"',
        6,
        "runbook[mine].mitigations[0].replicas",
        "needs it",
    ),
    "a parameter that is not declared": (
        STEP + 'kind = "set-env"\nservice = "m0-quant"\nenv = { A = "{level}" }',
        11,
        "runbook[mine].mitigations[0].env.A",
        "{level} is not declared",
    ),
    "a default out of bounds": (
        STEP + 'kind = "scale"\nservice = "m0-quant"\nreplicas = "{n}"\n'
        'params = [{ name = "n", type = "int", default = 99, maximum = 9 }]',
        12,
        "runbook[mine].mitigations[0].params[0].default",
        "expected at most 9, got 99",
    ),
    "a negative number of replicas": (
        STEP + 'kind = "scale"\nservice = "m0-quant"\nreplicas = -1',
        11,
        "runbook[mine].mitigations[0].replicas",
        "from 0 to 10,000",
    ),
    "a filter that is no regular expression": (
        STEP + 'kind = "view"\nview = "logs"\nargs = { filter = "(" }',
        11,
        "runbook[mine].mitigations[0].args.filter",
        "regular expression",
    ),
    "an item that is there twice": (
        '[services.mine]\nitem = "q.service.1"',
        2,
        "services.mine.item",
        "'q.service.1' is there twice",
    ),
    "a step id that is there twice": (
        STEP
        + 'kind = "restart"\nservice = "m0-quant"\n[[runbook.mitigations]]\nid = "a"\ntitle = "B"\nkind = "manual"\n'
        'question = "?"',
        12,
        "runbook[mine].mitigations[1].id",
        "'a' is there twice",
    ),
    "a sequence that goes in a circle": (
        STEP + 'kind = "sequence"\nsteps = ["b"]\n[[runbook.mitigations]]\nid = "b"\ntitle = "B"\nkind = "sequence"\n'
        'steps = ["a"]',
        10,
        "runbook[mine].mitigations[0].steps[0]",
        "circle",
    ),
    "a number that is there twice": (
        '[[runbook]]\nid = "mine"\nnumber = 6\ntitle = "x"',
        3,
        "runbook[mine].number",
        "6 is there twice",
    ),
    "a toggle that is not of its values": (
        "[toggles.M0_PUBLISH_ENABLED]\nusual = 'yes'",
        2,
        "toggles.M0_PUBLISH_ENABLED.usual",
        "true, false",
    ),
    "not TOML": ("[signals.x]\ncrit = = 1", 2, "", "not TOML"),
    "a table that is a number": ("signals = 3", 1, "signals", "expected tables"),
}


@pytest.mark.parametrize(("text", "line", "key", "expected"), CASES.values(), ids=CASES.keys())
def test_the_operator_reads_line_key_and_expectation_of(text: str, line: int, key: str, expected: str) -> None:
    runbooks, problems = check(text, "mine.toml")
    assert runbooks is None
    reported = [(p.line, p.key) for p in problems if expected in p.expected]
    assert (line, key) in reported, [str(p) for p in problems]
    if key:
        assert any(str(p).startswith(f"mine.toml:{line}: {key}: ") for p in problems)


def test_all_errors_are_reported_at_once_in_the_order_of_lines() -> None:
    text = "\n".join(CASES[name][0] for name in ("a misspelt key", "thresholds the wrong way round, below"))
    text += '\n[queries.x]\npromql = "("\nhistory = "long"\n[toggles.y]\ndeployments = ["m0-moon"]'
    _, problems = check(text, "mine.toml")
    assert [(p.line, p.key) for p in problems] == [
        (2, "signals.rpc-errors.wran"),
        (4, "signals.coverage.warn"),
        (6, "queries.x.promql"),
        (7, "queries.x.history"),
        (9, "toggles.y.deployments[0]"),
    ]


def test_an_unknown_key_deep_within_hides_no_other_error() -> None:
    text = (
        STEP
        + 'kind = "scale"\nservice = "m0-nobody"\nreplicas = "{n}"\nparams = [{ name = "n", type = "int", min = 1 }]'
    )
    runbooks, problems = check(text, "own.toml")
    assert runbooks is None
    assert [p.key.rpartition("mitigations[0].")[2] for p in problems] == ["service", "params[0].min"]


def test_hostile_text_in_a_file_is_shown_and_never_sent() -> None:
    _, problems = check('[signals."a\\u001b]52;c;x\\u0007"]\ncrit = 1', "mine\x1b.toml")
    assert problems
    assert all(str(problem).isprintable() for problem in problems)


def test_an_operators_file_extends_and_overrides(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[signals.rpc-errors]\ncrit = 50\n[signals.pods-unready]\npromql = "up"\n'
        '[services.m0-canary]\nrole = "mine"\n'
        '[[runbook]]\nid = "watermark-lag"\ntitle = "Lag"\nsymptoms = []\n'
        '[[runbook]]\nid = "mine"\nnumber = 50\ntitle = "Mine"\n'
    )
    packaged, runbooks = load(), load(mine)
    assert runbooks.problems == () and runbooks.origin == str(mine)
    assert runbooks.signals["rpc-errors"].crit == 50
    assert runbooks.signals["rpc-errors"].promql == packaged.signals["rpc-errors"].promql
    assert runbooks.signals["pods-unready"].value is None
    lag = runbooks.runbook("6")
    assert (lag.title, lag.symptoms, lag.triage) == ("Lag", (), packaged.runbook("6").triage)
    assert runbooks.runbook("mine").number == 50 and len(runbooks.runbooks) == 17


@pytest.mark.parametrize("content", [b"[signals", b"\xff\xfe\x00", b"[signals.x]\ntitle = 1"])
def test_a_broken_file_leaves_the_packaged_runbooks_in_force_and_says_so(tmp_path: Path, content: bytes) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_bytes(content)
    runbooks = load(mine)
    assert runbooks.runbooks == load().runbooks
    assert len(runbooks.problems) >= 2
    assert "packaged runbooks are in force" in runbooks.problems[0]


def test_a_file_that_is_not_there_is_said() -> None:
    assert "No such file" in load("/nonexistent/runbooks.toml").problems[1]


LINES = packaged_text().splitlines()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_mutation_of_the_file_ever_raises(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        what = data.draw(st.sampled_from(["drop", "cut", "swap", "value", "double", "text"]))
        if what == "drop":
            del lines[at]
        elif what == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        elif what == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == "value":
            value = data.draw(
                st.sampled_from(["1", '"x"', "[]", "{}", "true", "nan", "[1]", "1979-05-27", "[[1]]", "{a={b=1}}"])
            )
            lines[at] = f"{lines[at].partition('=')[0]}= {value}"
        elif what == "double":
            lines.insert(at, lines[at])
        else:
            lines.insert(at, data.draw(st.text(max_size=30)))
    runbooks, problems = check("\n".join(lines), "mine.toml")
    assert (runbooks is None) == bool(problems)
    assert all(1 <= problem.line <= len(lines) + 1 for problem in problems)


TOML_VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.booleans(), st.sampled_from(["ok", "m0-quant", "{x}", "(", "label:x:y", ""])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["item", "name", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "title",
        "promql",
        "value",
        "warn",
        "crit",
        "for",
        "id",
        "number",
        "symptoms",
        "mitigations",
        "params",
        "env",
        "steps",
        "args",
    ]
)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    header=st.sampled_from(
        [
            "[signals.x]",
            "[queries.x]",
            "[[runbook]]",
            "[[stages]]",
            "[toggles.x]",
            "[services.x]",
            "[[runbook.mitigations]]",
        ]
    ),
    table=st.dictionaries(KEYS, TOML_VALUES, max_size=6),
)
def test_no_shape_of_a_table_ever_raises(header: str, table: dict[str, object]) -> None:
    lead = '[[runbook]]\nid = "a"\n' if header.startswith("[[runbook.") else ""
    check(lead + header + "\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in table.items()), "mine.toml")


def test_the_file_that_the_shared_flag_names_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[signals.x]\ntitle = "x"\ncrit = 1\n')
    for words in (["runbooks", "check", "--runbooks", str(own)], ["--runbooks", str(own), "runbooks", "check"]):
        assert main(words) == 1
        assert f"{own}:1: signals.x.promql" in capsys.readouterr().out
    assert main(["runbooks", "check", "--runbooks", "/nowhere", str(own)]) == 1, "what is named last and alone counts"


def test_a_triage_line_needs_no_item() -> None:
    """An item ties a line to the packaged document: one's own file has none."""
    own = (
        '[[runbook]]\nid = "mine"\nnumber = 99\ntitle = "Mine"\ntriage = [{ text = "Which", signals = ["coverage"] }]\n'
    )
    runbooks, problems = check(own, "own.toml")
    assert problems == [] and runbooks is not None
    assert runbooks.runbook("99").triage[0].text == "Which"


def test_a_file_with_a_mark_of_its_bytes_is_checked_as_it_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D: an editor's BOM and CRLF: the monitor took the file, the check called it no TOML."""
    own = tmp_path / "own.toml"
    own.write_bytes(b"\xef\xbb\xbf[signals.rpc-errors]\r\ncrit = 50\r\n")
    assert main(["runbooks", "check", str(own)]) == 0, capsys.readouterr().out
    own.write_bytes(b"\xef\xbb\xbf[signals.rpc-errors]\r\ncrti = 50\r\n")
    assert main(["runbooks", "check", str(own)]) == 1
    assert f"{own}:2: signals.rpc-errors.crti: unknown key; did you mean 'crit'?" in capsys.readouterr().out
