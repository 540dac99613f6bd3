"""Puts the operator's own commands into the runbooks.

`[restore] argv` into 14.restore.2, `[failover] argv` into 9.mitigation.4, `[scale-db] argv` into
10.mitigation.1, `[move-analytics] argv` into the second part of 10.mitigation.4, and
`[maintenance] canary-markets` into what 2.validation.2 asks for.

Without them, those steps ask.

Only the operator's own tools know where the backups lie and which replica may be promoted, so their
words are configuration; the step around them (confirmed, journalled, ended after its timeout, never
a shell) is the cockpit's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cockpit.model.runbook import Param, Runbooks, Step
from cockpit.model.step_kinds import STEP_KINDS

if TYPE_CHECKING:
    from cockpit.settings import OwnCommand, RestoreSettings, Settings

#: RFC 3339, or as PostgreSQL's recovery_target_time takes it.
TIME = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)"
_TIME = Param(
    name="time",
    type="string",
    title="restore to, with its zone (2026-11-23T04:10:00Z)",
    pattern=TIME,
    choices_from="restore-times",
)
#: The live list whose first is what `[maintenance] canary-markets` names (2.validation.2).
CANARIES = "canary-markets"
#: Item, or a step's id where another has the item → the section that holds its command.
_SECTIONS = {
    "14.restore.2": "restore",
    "9.mitigation.4": "failover",
    "10.mitigation.1": "scale-db",
    "analytics-moved": "move-analytics",
}


def with_commands(runbooks: Runbooks, settings: Settings) -> Runbooks:
    """Put the operator's commands in the place of the steps that ask for them.

    The runbooks stay the same when nothing is configured, or an operator's own file has made
    something else of the step.
    """

    def made(step: Step) -> Step:
        name = _SECTIONS.get(step.item or step.id) if STEP_KINDS[step.kind].asks else None
        section: RestoreSettings | OwnCommand | None = None
        if name is not None:
            section = getattr(settings, name.replace("-", "_"))
        if name is None or section is None or not section.argv:
            return step
        return replace(
            step,
            kind="command",
            argv=section.argv,
            params=(_TIME,) if any("{time}" in word for word in section.argv) else (),
            question="",
            note=f"runs [{name}] argv of the configuration",
            args={"timeout": f"{section.timeout:g}", "target": "database", "kind": name},
        )

    canaries = " ".join(settings.maintenance.canary_markets)

    def with_canaries(step: Step) -> Step:
        if not canaries or not any(param.choices_from == CANARIES for param in step.params):
            return step
        params = (replace(p, default=canaries) if p.choices_from == CANARIES else p for p in step.params)
        return replace(step, params=tuple(params))

    own = tuple(
        replace(runbook, mitigations=tuple(with_canaries(made(step)) for step in runbook.mitigations))
        for runbook in runbooks.runbooks
    )
    return replace(runbooks, runbooks=own) if own != runbooks.runbooks else runbooks
