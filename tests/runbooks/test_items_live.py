"""Every item of the operational runbooks is live: a signal, a view, a step, a service or toggle
that is watched.

What only a person can answer is a short list, each with its reason, and the operator reads that
reason where the question is asked.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from cockpit.incident import checklist as incident_lines
from cockpit.maintenance import deploy as deploy_lines
from cockpit.model.runbook import Cause, Runbooks, Step, Symptom, Triage, Validation
from cockpit.model.views import BY_NAME
from cockpit.runbooks.own_commands import with_commands
from cockpit.runbooks.schema import load, packaged_text
from cockpit.settings import FailoverSettings, RestoreSettings, Settings
from panels.dialogs.manual import ManualDialog
from tests.runbooks.test_packaged_runbooks import LETTERED, PARTS

#: Every step that asks a person, with what it says of the reason.
MANUAL = {
    ("api-errors", "failover-db"): "only the operator's own tool knows which replica to promote",
    ("postgres-saturation", "scale-db"): "while [scale-db] argv is not configured: it is the provider's own tool",
    ("postgres-saturation", "analytics-moved"): "known to its owner alone",
    ("emergency-disable", "communicate"): "people are told by people",
    ("backup-restore", "test-restore"): "staging is another cluster",
    ("backup-restore", "restore-db"): "only the operator's own tool knows where backups lie",
    ("routine-maintenance", "weekly-rpc-costs"): "no endpoint tells its price",
    ("routine-maintenance", "weekly-keys"): "only its issuer knows",
    ("routine-maintenance", "monthly-rotation"): "a policy is a decision",
    ("routine-maintenance", "monthly-authority"): "whether people can be reached is asked",
    ("checklists", "dashboards-watched"): "only people know",
    ("checklists", "migrations-applied"): "only while no pod of a migration job is there",
    ("checklists", "canary-enabled"): "only while [maintenance] canary-markets names none",
}
#: Of these, the items whose step is manual; each of the other 175 is answered or carried out by the
#: machine.
ITEMS = {
    "9.mitigation.4",
    "10.mitigation.1",
    "13.step.3",
    "14.verify.3",
    "14.restore.2",
    "15.weekly.5",
    "15.monthly.1",
    "15.monthly.2",
}


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


def live(runbooks: Runbooks) -> dict[str, str]:
    """Item → what is live of it."""
    found: dict[str, str] = {}

    def signals(*names: str) -> bool:
        return bool(names) and all(
            n in runbooks.signals and (runbooks.signals[n].promql or runbooks.signals[n].value) for n in names
        )

    for kind, entries in (("services", runbooks.services), ("toggles", runbooks.toggles)):
        text: dict[str, Any] = tomllib.loads(packaged_text())[kind]
        found |= {text[name]["item"]: kind for name in entries if "item" in text.get(name, {})}
    for runbook in runbooks.runbooks:
        judged: list[Symptom | Validation] = [*runbook.symptoms, *runbook.validation]
        found |= {one.item: "signal" for one in judged if one.item and signals(one.signal)}
        shown: list[Triage | Cause] = [*runbook.triage, *runbook.causes]
        found |= {one.item: "signals" for one in shown if one.item and signals(*one.signals)}
        opening: list[Triage | Step] = [*runbook.triage, *runbook.mitigations]
        assert all(one.view is None or one.view in BY_NAME for one in opening), runbook.id
        for step in runbook.mitigations:
            if step.item and step.kind != "manual" and (step.kind != "check" or signals(*step.signals)):
                found[step.item] = step.kind
        for line in runbook.checklist:
            machine = line.item.removeprefix(deploy_lines.PREFIX) in deploy_lines._LINES or (
                line.item.removeprefix(incident_lines.PREFIX) in incident_lines._SEEN
            )
            if machine or (line.signal and signals(line.signal)):
                found[line.item] = "checklist"
    severities = {
        b["severity-item"]: b["severity"] for b in tomllib.loads(packaged_text())["runbook"] if "severity-item" in b
    }
    return found | severities


def test_every_item_is_live_but_for_the_few_that_only_a_person_can_answer(runbooks: Runbooks) -> None:
    parts = [part.rpartition(":") for part in PARTS.split()]
    every = {f"{name}.{number}" for name, _, last in parts for number in range(1, int(last) + 1)} | LETTERED
    assert len(every) == 183
    found = live(runbooks)
    assert every - set(found) == ITEMS
    assert found["2.severity"] == "SEV0"


def test_what_is_manual_is_this_short_list_and_says_why_where_it_asks(runbooks: Runbooks) -> None:
    asking = {
        (runbook.id, step.id): step
        for runbook in runbooks.runbooks
        for step in runbook.mitigations
        if step.kind == "manual"
    }
    assert set(asking) == set(MANUAL)
    for (runbook, name), step in asking.items():
        reason = MANUAL[runbook, name]
        assert step.note.startswith("manual") and reason in step.note, name
        shown = "\n".join(span[0] for one in ManualDialog(runbook, step).words() for span in one.spans)
        assert step.question in shown and reason in shown, name


def test_the_operators_own_commands_take_the_place_of_the_question(runbooks: Runbooks) -> None:
    own = with_commands(
        runbooks,
        Settings(
            failover=FailoverSettings(argv=("patronictl", "failover")),
            restore=RestoreSettings(argv=("pgbackrest", "--target={time}", "restore")),
        ),
    )
    failover, restore = own.step("9", "9.mitigation.4")[1], own.step("14", "14.restore.2")[1]
    for step, argv in ((failover, ("patronictl", "failover")), (restore, ("pgbackrest", "--target={time}", "restore"))):
        assert (step.kind, step.argv, step.question, step.args["target"], step.dangerous) == (
            "command",
            argv,
            "",
            "database",
            True,
        )
    assert [p.name for p in restore.params] == ["time"] and failover.params == ()
    with pytest.raises(ValueError, match="nothing is filled in"):
        FailoverSettings(argv=("patronictl", "{replica}"))
    assert with_commands(runbooks, Settings()) is runbooks


def test_an_operators_own_step_is_left_alone(runbooks: Runbooks) -> None:
    from msgspec.structs import replace

    def scaled(step: Step) -> Step:
        return replace(step, kind="restart", service="m0-postgres") if step.item == "9.mitigation.4" else step

    changed = replace(
        runbooks,
        runbooks=tuple(replace(b, mitigations=tuple(scaled(s) for s in b.mitigations)) for b in runbooks.runbooks),
    )
    assert (
        with_commands(changed, Settings(failover=FailoverSettings(argv=("x",)))).step("9", "9.mitigation.4")[1].kind
        == "restart"
    )
