"""Each row of the step kinds has all its parts, and both halves of a kind find each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cockpit.clock import SystemClock
from cockpit.mitigation import steps
from cockpit.mitigation.steps.registry import KINDS, PARTS, acting_halves
from cockpit.model.registry import LEFT_OUT, RegistryError
from cockpit.model.runbook import Step
from cockpit.model.step_kinds import STEP_KINDS, StepRight, StepSpec, step_kinds
from tests.commands.test_doctor_rights import granted
from tests.support.kube_rig import situation

ROWS = tuple(STEP_KINDS.values())
PLACES = (
    {"workloads": "deployments", "revisions": "replicasets"},
    {"workloads": "statefulsets", "revisions": "controllerrevisions"},
)
#: Modules of `mitigation/steps` that several kinds share.
SHARED = {"budgets", "local", "parameters", "patch", "registry", "toggles", "workload.template"}


def a_step(kind: str) -> Step:
    """Make a step that has whatever its row needs."""
    needed = (key.removeprefix("args.") for key in STEP_KINDS[kind].alternatives if key.startswith("args."))
    return Step(
        id="a",
        title="A step",
        kind=kind,
        service="m0-quant",
        replicas=2,
        env={"NAME": "value"},
        image="m0/quant",
        argv=("m0-cli", "market", "pause"),
        view="pods",
        args=dict.fromkeys(needed, "text"),
        signals=("rpc-errors",),
        question="Is it so?",
        steps=("b",),
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind)
def test_a_row_previews_its_step_in_one_line(row: StepSpec) -> None:
    now = situation(SystemClock())
    words = row.preview(a_step(row.kind), now)
    assert words and "\n" not in words
    assert row.holds(a_step(row.kind), now) is False


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind)
def test_the_example_roles_grant_every_right_of_a_row(row: StepSpec) -> None:
    rules = [*granted("m0-cockpit-view"), *granted("m0-cockpit-act")]
    asked = {(r.verb, r.group, r.resource.format(**place)) for r in row.rights for place in PLACES}
    refused = [
        right
        for right in asked
        if not any(right[0] in r.verbs and right[1] in r.groups and right[2] in r.resources for r in rules)
    ]
    assert refused == []


def test_every_right_to_act_on_a_target_is_some_rows() -> None:
    """The lease and the Event belong to any step; all else must be asked for by a row."""
    asked = {(r.verb, r.group, r.resource.format(**p)) for row in ROWS for r in row.rights for p in PLACES}
    idle = [
        (verb, rule.groups[0], resource)
        for rule in granted("m0-cockpit-act")
        for verb in rule.verbs
        for resource in rule.resources
        if resource not in ("leases", "events") and (verb, rule.groups[0], resource) not in asked
    ]
    assert idle == []


PARTS_OF_A_ROW = [field.name for field in dataclasses.fields(StepSpec)]


@pytest.mark.parametrize("part", PARTS_OF_A_ROW)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind)
def test_a_row_that_lacks_any_part_is_refused_by_name(row: StepSpec, part: str) -> None:
    left_out = StepSpec(**{name: getattr(row, name) for name in PARTS_OF_A_ROW if name != part})
    expected = "row 1 has no name" if part == "kind" else f"row '{row.kind}' lacks {part}"
    with pytest.raises(RegistryError, match=expected):
        step_kinds((left_out,))


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(RegistryError, match=r"two rows are named 'scale'"):
        step_kinds((*ROWS, STEP_KINDS["scale"]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": 7}, "row 1: expected a name of lower-case words joined by -, got 7"),
        ({"kind": "za p"}, "row 1: expected a name of lower-case words joined by -, got 'za p'"),
        ({"preview": None}, "row 'scale': preview: expected a function, got None"),
        ({"needs": "service"}, r"row 'scale': needs: expected a tuple \(text each\), got 'service'"),
        ({"only_reads": "no"}, "row 'scale': only_reads: expected true or false, got 'no'"),
        ({"patches": "Pod"}, "row 'scale': patches: expected one of '', 'workload', 'ConfigMap', 'CronJob', got 'Pod'"),
        ({"rights": ("get",)}, r"row 'scale': rights: expected a tuple \(a StepRight each\), got \('get',\)"),
    ],
)
def test_a_row_with_a_part_of_another_type_is_refused_by_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        step_kinds((dataclasses.replace(STEP_KINDS["scale"], **changes),))  # type: ignore[arg-type]


def test_a_row_that_is_none_or_has_a_strange_part_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"row 1: expected a StepSpec, got \('scale', 'sets'\)"):
        step_kinds((("scale", "sets"),))  # type: ignore[arg-type]
    with pytest.raises(RegistryError, match=r"StepSpec, row 'scale': got an unexpected keyword argument 'colour'"):
        StepSpec(kind="scale", colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": ""}, "its title is empty"),
        ({"needs": ("servise",)}, "needs 'servise', which is no key of a step"),
        ({"rights": ()}, "asks for no right to patch"),
        ({"rights": (StepRight("patch", "apps", "deployments", "args.name"),)}, "a right is of 'args.name'"),
        ({"only_reads": True}, "it only reads, but patches"),
        ({"unplanned": "it asks"}, "it is not planned, but"),
        ({"verb": "looked"}, "a verb of the journal is for kinds that only read"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RegistryError, match=f"row 'scale': .*{words}"):
        step_kinds((dataclasses.replace(STEP_KINDS["scale"], **changes),))  # type: ignore[arg-type]


# the half that acts


def test_each_kind_that_is_planned_has_its_other_half_and_no_other_has() -> None:
    assert set(KINDS) == {row.kind for row in ROWS if not row.unplanned}


def test_each_module_of_steps_is_the_half_of_a_row_or_shared() -> None:
    root = Path(steps.__file__).parent
    found = {".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.py")}
    modules = {name for name in found if not name.endswith("__init__")}
    assert modules == {row.module for row in ROWS if row.module} | SHARED


def test_a_row_without_its_module_is_refused_by_name() -> None:
    lonely = dataclasses.replace(STEP_KINDS["restart"], kind="jump")
    with pytest.raises(RegistryError, match=r"row 'jump' has no file cockpit/mitigation/steps/workload/jump.py"):
        acting_halves({"jump": lonely})


@pytest.mark.parametrize("part", PARTS)
def test_a_module_that_lacks_a_part_is_refused_by_name(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    half = type("Half", (), {name: None for name in PARTS if name != part})()
    monkeypatch.setattr("cockpit.mitigation.steps.check.KIND", half)
    with pytest.raises(RegistryError, match=f"row 'check': its KIND lacks {part}"):
        acting_halves({"check": STEP_KINDS["check"]})


def test_a_module_that_offers_no_kind_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("cockpit.mitigation.steps.check.KIND")
    with pytest.raises(RegistryError, match=r"row 'check': .*steps/check.py has no KIND"):
        acting_halves({"check": STEP_KINDS["check"]})


def test_what_is_left_out_is_nothing() -> None:
    assert not LEFT_OUT and repr(LEFT_OUT) == "left out"
