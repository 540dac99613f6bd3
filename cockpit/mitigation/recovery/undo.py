"""Takes a step back by its captured inverse; refuses when others changed the same fields.

Values that were hidden are not in the journal. The process that sent the step remembers them; later
they are found in the ReplicaSets of the deployment, which keep older templates: the one that held
the value is known by its fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cockpit.journal.entries import JournalEntry, changes_of, entries_of, target_of
from cockpit.journal.journal import Journal
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.cluster.objects import env_entries, fetch, find_container, selector
from cockpit.mitigation.kind import PlanRequest
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.patch import REVISION
from cockpit.mitigation.steps.registry import KINDS
from cockpit.secrets import env_value, fingerprint


def undoable(journal: Journal, number: int, context: str, namespace: str) -> JournalEntry:
    """Return the journal's entry, if it can be undone from here.

    Raises PlanProblem with the reason.
    """
    entry = entries_of(journal.records()).get(number)
    if entry is None:
        raise PlanProblem(f"the journal has no step {number}", "see `m0-cockpit journal show`")
    target = target_of(entry.intent)
    if entry.applied is None:
        raise PlanProblem(
            f"it is not known whether step {number} was applied ({entry.words})",
            "look at it by hand; nothing was taken back",
        )
    if entry.applied is False:
        raise PlanProblem(f"step {number} was not applied ({entry.words})", "there is nothing to take back")
    if entry.undone_by is not None:
        raise PlanProblem(
            f"step {number} is undone already, by step {entry.undone_by}", "there is nothing left to take back"
        )
    if not entry.intent.get("inverse"):
        raise PlanProblem(f"step {number} ({entry.intent['title']}) has no inverse", "what it did cannot be taken back")
    if (target.context, target.namespace) != (context, namespace):
        raise PlanProblem(
            f"step {number} was done in {target.context} / {target.namespace}, not here",
            f"start with --context {target.context} -n {target.namespace}",
        )
    return entry


def _origin(journal: Journal, entry: JournalEntry) -> tuple[Mapping[str, Any], bool]:
    """Find the step that undos of undos go back to, and whether this undo does it again."""
    entries = entries_of(journal.records())
    again = False
    while (before := entries.get(int(entry.intent.get("undoes") or 0))) is not None and before.number < entry.number:
        entry, again = before, not again
    return entry.intent, again


async def undo_request(
    client: KubeClient, journal: Journal, entry: JournalEntry, raw: Mapping[str, Any] | None
) -> PlanRequest:
    """Return the request that takes a journalled step back.

    `raw` are the inverse's arguments as this process remembers them. Raises PlanProblem, KubeError.
    """
    intent, kind = entry.intent, str(entry.intent["step_kind"])
    if kind not in KINDS:
        raise PlanProblem(f"this version knows no step of kind {kind}", "undo it with the version that did it")
    danger, relaxes = _danger(journal, entry)
    return PlanRequest(
        kind=kind,
        title=f"Undo {entry.number}: {intent['title']}",
        arguments=raw if raw is not None else await recover(client, intent),
        undoes=entry.number,
        undone=intent,
        proven=entry.proof,
        journal_problems=tuple(journal.verify()),
        danger=danger,
        relaxes=relaxes,
    )


def _danger(journal: Journal, entry: JournalEntry) -> tuple[str, bool]:
    """Say why taking a step back is dangerous ("" if it is not), and whether it relaxes anything.

    As dangerous as the way it goes. Of a toggle and of a number of replicas the change itself tells
    that; of anything else the way back from a dangerous step is taken for dangerous too (an older
    model, another signer set), unless the step relaxed something: then it goes back to what is
    safer.
    """
    first, again = _origin(journal, entry)
    dangerous, relaxed = bool(first.get("dangerous")), bool(first.get("relaxes"))
    danger = ""
    if dangerous and again:
        danger = "does a dangerous step again"
    elif dangerous and not relaxed:
        danger = "takes back a dangerous step"
    return danger, relaxed and again


async def recover(client: KubeClient, intent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inverse's arguments, hidden values looked up in older ReplicaSets.

    Raises PlanProblem.
    """
    kept = dict(intent["inverse"])
    if isinstance(kept.get("value"), Mapping):  # of a ConfigMap's key: nothing keeps the older ones
        raise PlanProblem(
            f"the value of {kept.get('key')} before the step is hidden in the journal, and nothing else holds it",
            "set it by hand",
        )
    env = kept.get("env")
    hidden = {n: v["hidden"] for n, v in (env or {}).items() if isinstance(v, Mapping) and "hidden" in v}
    if not hidden:
        return kept
    found: dict[str, Any] = {}
    target = target_of(intent)
    _, obj = await fetch(client, target.namespace, target.name, target.kind)
    for replicaset in await _replicasets(client, intent, obj):
        container = find_container(replicaset, str(kept["container"]))
        for entry in env_entries(container[1]) if container is not None else []:
            name, value = str(entry["name"]), env_value(entry)
            if name in hidden and fingerprint(str(intent["salt"]), value) == hidden[name]:
                found[name] = value
    missing = [name for name in hidden if name not in found]
    if missing:
        shown = {c.field: c.before for c in changes_of(intent)}
        raise PlanProblem(
            f"the value of {', '.join(missing)} before the step is hidden in the journal, "
            "and no ReplicaSet holds it any more",
            f"set it by hand; it was {', '.join(str(shown.get(n)) for n in missing)} "
            f"(revision {intent.get('revision') or '?'})",
        )
    return {**kept, "env": {name: found.get(name, value) for name, value in (env or {}).items()}}


async def _replicasets(
    client: KubeClient, intent: Mapping[str, Any], obj: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Read the deployment's ReplicaSets, that of the revision before the step first.

    Raises PlanProblem.
    """
    target = intent["target"]
    namespace = quote(str(target["namespace"]), safe="")
    try:
        listed = await client.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets", {"labelSelector": selector(obj)})
    except KubeError as error:
        raise PlanProblem(
            f"the value before the step is hidden in the journal, and ReplicaSets cannot be read: {error.reason}",
            "undo needs the right to list replicasets",
        ) from error
    own = [
        rs
        for rs in listed.get("items") or []
        if any(o.get("uid") == target["uid"] for o in rs["metadata"].get("ownerReferences") or [])
    ]
    wanted = str(intent.get("revision") or "")
    return sorted(own, key=lambda rs: (rs["metadata"].get("annotations") or {}).get(REVISION) != wanted)
