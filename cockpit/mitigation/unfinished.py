"""After a crash or hang-up: each intent without an outcome is compared with the cluster, and what is found is journalled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.incident.entries import changes_of, target_of
from cockpit.incident.journal import Journal, JournalProblem
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError, NotFound
from cockpit.mitigation import records
from cockpit.mitigation.draft import touched
from cockpit.mitigation.objects import object_path
from cockpit.mitigation.send import Judgement, compare
from cockpit.mitigation.steps import KINDS
from cockpit.model.plan import Unfinished

_TOLD = {"applied": "applied", "not applied": "not applied", "changed": "changed since", "gone": "changed since"}


async def judge_all(client: KubeClient, journal: Journal, context: str, namespace: str) -> tuple[Unfinished, ...]:
    """Those of this context and namespace; others stay for a cockpit that looks there. What cannot be read stays too."""
    found = []
    for intent in journal.unfinished():
        target = target_of(intent)
        if (target.context, target.namespace) != (context, namespace):
            continue
        judged = await judge(client, intent)
        told = _TOLD.get(judged.state, "unknown")
        if told != "unknown":
            try:
                journal.append(records.judged(int(intent["number"]), told, judged.words))
            except JournalProblem as problem:
                judged = Judgement(judged.state, f"{judged.words} (not journalled: {problem.reason})")
        found.append(
            Unfinished(
                int(intent["number"]), str(intent["title"]), target.words, told, judged.words, changes_of(intent)
            )
        )
    return tuple(found)


async def judge(client: KubeClient, intent: Mapping[str, Any]) -> Judgement:
    target = target_of(intent)
    kind = KINDS.get(str(intent["step_kind"]))
    if kind is None:
        return Judgement("unknown", f"this version knows no step of kind {intent['step_kind']}")
    try:
        obj = await client.get(object_path(target.kind, target.namespace, target.name))
    except NotFound:
        return Judgement("gone", f"{target.name} is gone")
    except KubeError as error:
        return Judgement("unknown", f"the target cannot be read: {error.reason}")
    before, after = intent["relevant"], intent["expected"]
    fields = kind.relevant(obj, intent["scope"], str(intent["salt"]))
    return compare(obj, fields, target.uid, before, after, touched(before, after))
