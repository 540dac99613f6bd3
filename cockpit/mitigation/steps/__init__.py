"""The kinds of step: one file a kind, one line here.

`KINDS` patch one object of the cluster, `ACTS` do something else.

`view`, `manual` and `sequence` are not planned: they open, ask, or stand for steps that are.
"""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.mitigation.steps.check import Check
from cockpit.mitigation.steps.command import Command
from cockpit.mitigation.steps.command_each import CommandEach
from cockpit.mitigation.steps.evidence import EvidenceBundle
from cockpit.mitigation.steps.kind import ActKind, StepKind
from cockpit.mitigation.steps.run_job import RunJob
from cockpit.mitigation.steps.set_config import SetConfig
from cockpit.mitigation.steps.sql import Sql
from cockpit.mitigation.steps.verify_signatures import VerifySignatures
from cockpit.mitigation.steps.workload.restart import Restart
from cockpit.mitigation.steps.workload.scale import Scale
from cockpit.mitigation.steps.workload.set_env import SetEnv
from cockpit.mitigation.steps.workload.set_image import SetImage
from cockpit.mitigation.steps.workload.undo_rollout import UndoRollout

KINDS: Mapping[str, StepKind] = {
    kind.kind: kind for kind in (Scale(), SetEnv(), SetImage(), Restart(), UndoRollout(), SetConfig())
}
ACTS: Mapping[str, ActKind] = {
    act.kind: act for act in (Command(), CommandEach(), Sql(), RunJob(), VerifySignatures(), EvidenceBundle(), Check())
}
