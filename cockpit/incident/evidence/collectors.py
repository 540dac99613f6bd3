"""Collects what an evidence bundle holds: runbook 2's list (2.immediate.2) and what explains it.

Last bundle content hash, signer set id and pubkeys, failing transaction signatures, logs with trace
ids of submitter and signer agents, deployment images and config, signal values, the journal, the
flight recorder, the runbooks' digest. A part whose source is not live is kept with its age and
fault; one that was never read is missing, with the reason.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.incident.evidence.bundle import Collect, Missing
from cockpit.incident.evidence.onchain import FindLast, chain_parts, fault_words, last_bundle, standing
from cockpit.incident.flight_recorder import RecordedChange
from cockpit.journal.incidents import Record
from cockpit.model.observed.cluster import EnvVar, Workload
from cockpit.model.reading import Fault, believed, last_known
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.text import HIDDEN

LOG_SERVICES = ("m0-submitter", "m0-signer-agent")
LOG_LINES = 1000  # of each pod, the newest
JOURNAL_RECORDS = 500
CHANGES = 3000
#: Services whose pods are read at most so many at a time: a set of signers, not a fleet of
#: thousands.
_PODS = 24
#: A transaction signature: 64 bytes in base58.
_SIGNATURE = re.compile(r"(?<![1-9A-HJ-NP-Za-km-z])[1-9A-HJ-NP-Za-km-z]{86,88}(?![1-9A-HJ-NP-Za-km-z])")

#: (namespace, ((pod, container), ...), lines a pod) → log lines and faults, oldest first
#: (`cockpit.sources.kubernetes.logs`).
ReadLogs = Callable[[str, tuple[tuple[str, str | None], ...], int], Awaitable[Sequence[Any]]]


def collectors(
    situation: Situation | None,
    records: Sequence[Record],
    changes: Sequence[RecordedChange],
    runbooks: Runbooks,
    read_logs: ReadLogs | None,
    shown: Callable[[str, str], str],
    find: FindLast | None = None,
) -> dict[str, Collect]:
    """Return part → collector.

    `shown(name, value)` gives a variable's value as it may be kept; `find` finds the last
    reveal on the chain when none was seen.
    """
    parts: dict[str, Callable[[], Any]] = {
        "journal.jsonl": lambda: (
            [canonical(dict(r)) for r in records[-JOURNAL_RECORDS:]] or _missing("the journal is empty")
        ),
        "flight-recorder.json": lambda: list(changes[-CHANGES:]) or _missing("nothing was recorded"),
        "runbooks.json": lambda: runbooks_digest(runbooks),
    }
    live = {
        **chain_parts(),
        "signals.json": _signals,
        "sources.json": _sources,
        "pods.json": _pods,
        "events.json": _events,
        "toggles.json": _toggles,
        "signers.json": _signers,
    }
    for name, collect in live.items():
        parts[name] = _of(situation, collect)
    parts["deployments.json"] = _of(situation, lambda known: _deployments(known, shown))
    made: dict[str, Collect] = {name: _now(part) for name, part in parts.items()}
    made["bundle.json"] = last_bundle(situation, find)
    for service in log_services(situation, runbooks):
        made[f"logs/{service}.log"] = _logs(situation, service, read_logs)
    return made


def log_services(situation: Situation | None, runbooks: Runbooks) -> tuple[str, ...]:
    """Return whose logs are kept: of those that publish, and of the runbook that fits."""
    best = situation.matches[0] if situation is not None and situation.matches else None
    named: list[str] = []
    if best is not None and (best.holds or best.pinned):
        own = best.runbook
        named = [line.args.get("service", "") for line in own.triage]
        named += [step.service or step.args.get("service", "") for step in own.mitigations]
    return tuple(dict.fromkeys([*LOG_SERVICES, *(name for name in named if name in runbooks.services)]))


def _now(part: Callable[[], Any]) -> Collect:
    async def collect() -> Any:
        return part()

    return collect


def _of(situation: Situation | None, collect: Callable[[Situation], Any]) -> Callable[[], Any]:
    def part() -> Any:
        if situation is None:
            raise Missing("no live look at the cluster")
        return collect(situation)

    return part


def _missing(reason: str) -> Any:
    raise Missing(reason)


def runbooks_digest(runbooks: Runbooks) -> dict[str, Any]:
    return {
        "origin": runbooks.origin,
        "sha256": hashlib.sha256(canonical(runbooks.as_json()).encode()).hexdigest(),
        "problems": list(runbooks.problems),
        "runbooks": [f"{runbook.number} {runbook.id}" for runbook in runbooks.runbooks],
    }


# --- signals and sources --------------------------------------------------------------------------


def _signals(situation: Situation) -> Any:
    def entry(name: str) -> dict[str, Any]:
        s = situation.signals[name]
        return {
            "title": s.title,
            "level": s.level.value,
            "value": s.value,
            "unit": s.unit,
            "reason": s.reason,
            "age_s": s.age_s,
            "warn": s.warn,
            "crit": s.crit,
            "direction": s.direction,
            "baseline": s.baseline,
            "labels": s.worst_labels,
        }

    return {name: entry(name) for name in situation.signals} or _missing("no signals are defined")


def _sources(situation: Situation) -> Any:
    return {light.name: light for light in situation.sources}


# --- cluster --------------------------------------------------------------------------------------


def _kinds(situation: Situation, plural: str) -> dict[str, Any]:
    """Say how far the readings of a kind can be believed, by namespace.

    Raises Missing when there is none.
    """
    found = {t: standing(r, situation.mono) for t, r in situation.kinds.items() if t.partition("/")[0] == plural}
    own = [r for t, r in situation.kinds.items() if t.partition("/")[0] == plural]
    if all(last_known(reading.believed(situation.mono)) is None for reading in own):
        why = next((each["fault"] for each in found.values() if each["fault"]), "")
        raise Missing(f"{plural} were never read" + (f": {why}" if why else ""))
    return found


def _deployments(situation: Situation, shown: Callable[[str, str], str]) -> Any:
    readings = _kinds(situation, "deployments")
    workloads = sorted(situation.cluster.workloads.values(), key=lambda w: (w.namespace, w.name))
    configmaps = {
        f"{c.namespace}/{c.name}": {
            "resource_version": c.resource_version,
            "data": {k: shown(k, v) for k, v in sorted(c.data.items())},
        }
        for c in situation.cluster.configmaps.values()
    }
    return {"workloads": [_workload(w, shown) for w in workloads], "configmaps": configmaps, "readings": readings}


def _workload(workload: Workload, shown: Callable[[str, str], str]) -> dict[str, Any]:
    def variable(entry: EnvVar) -> str:
        return f"from {entry.source}" if entry.value is None else shown(entry.name, entry.value)

    return {
        "kind": workload.kind,
        "namespace": workload.namespace,
        "name": workload.name,
        "uid": workload.uid,
        "generation": workload.generation,
        "resource_version": workload.resource_version,
        "desired": workload.desired,
        "ready": workload.ready,
        "strategy": workload.strategy,
        "containers": {
            c.name: {"image": c.image, "env": {v.name: variable(v) for v in c.env}} for c in workload.containers
        },
    }


def _pods(situation: Situation) -> Any:
    readings = _kinds(situation, "pods")
    pods = sorted(situation.cluster.pods.values(), key=lambda p: (p.healthy, p.namespace, p.name))[:2000]
    return {
        "pods": [
            {
                "namespace": p.namespace,
                "name": p.name,
                "uid": p.uid,
                "service": p.service,
                "phase": p.phase,
                "reason": p.reason,
                "message": p.message,
                "node": p.node,
                "terminating": p.terminating,
                "restarts": p.restarts,
                "containers": list(p.containers),
            }
            for p in pods
        ],
        "readings": readings,
    }


def _events(situation: Situation) -> Any:
    readings = _kinds(situation, "events")
    newest = sorted(situation.cluster.events.values(), key=lambda e: e.last_seen or 0.0)[-500:]
    return {"events": newest, "readings": readings}


def _toggles(situation: Situation) -> Any:
    return [
        {"name": t.name, "deployment": t.deployment, "value": t.value, "level": t.level, "reason": t.reason}
        for t in situation.toggles
    ] or _missing("no toggles are defined")


def _signers(situation: Situation) -> Any:
    """Say what each agent reports of itself: the key that it signs with, and for which set."""
    reading = situation.probes.get("signers")
    found = believed(reading, situation.mono)
    reports = last_known(found)
    if reading is None or reports is None:
        raise Missing("no signer agent was asked ([probes.signers])")
    return {"agents": dict(reports), "reading": standing(reading, situation.mono)}


# --- logs -----------------------------------------------------------------------------------------


def _logs(situation: Situation | None, service: str, read_logs: ReadLogs | None) -> Collect:
    async def collect() -> Any:
        if situation is None or read_logs is None:
            raise Missing("no connection to the cluster")
        by_namespace: dict[str, list[tuple[str, str | None]]] = {}
        for pod in situation.cluster.pods.values():
            if pod.service == service:
                own = [c.name for c in pod.containers if not c.init]
                container = service if service in own else own[0] if own else None
                by_namespace.setdefault(pod.namespace, []).append((pod.name, container))
        if not by_namespace:
            raise Missing(f"no {service} pod is there to read from")
        lines: list[Any] = []
        for namespace, pods in sorted(by_namespace.items()):
            lines += await read_logs(namespace, tuple(sorted(pods)[:_PODS]), LOG_LINES)
        return list(_as_text(lines)) or _missing(f"the {service} pods have logged nothing")

    return collect


def _as_text(lines: Sequence[Any]) -> Iterable[str]:
    """Put the trace ids and transaction signatures first, then every line."""
    faults = [line for line in lines if isinstance(line, Fault)]
    logged = [line for line in lines if not isinstance(line, Fault)]
    if lines and not logged:
        raise Missing("; ".join(fault_words(fault) for fault in faults))
    traces = dict.fromkeys(line.trace for line in logged if line.trace)
    failed = dict.fromkeys(s for line in logged if line.error for s in _SIGNATURE.findall(line.text))
    yield from _listed("trace ids", list(traces))
    yield from _listed("transaction signatures in error lines", list(failed))
    for fault in faults:
        yield f"# not complete: {fault_words(fault)}"
    for line in logged:
        at = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(line.at)) + f".{line.at % 1 * 1000:03.0f}Z"
            if line.at
            else "-"
        )
        yield f"{at} {line.pod}/{line.container} {line.text}"


def _listed(what: str, found: Sequence[str]) -> Iterable[str]:
    yield f"# {what} ({len(found)}):" + ("" if found else " none")
    for at in range(0, len(found), 8):
        yield f"#   {' '.join(found[at : at + 8])}"


def manifest_about(
    situation: Situation | None,
    *,
    incident: int | None,
    severity: str,
    reason: str,
    who: Mapping[str, str],
    version: str,
    journal_end: tuple[int, str],
) -> dict[str, Any]:
    """Return what the manifest says of the bundle as a whole."""
    place = {"context": situation.context, "namespaces": list(situation.namespaces)} if situation is not None else None
    return {
        "incident": incident,
        "severity": severity or None,
        "reason": reason,
        "operator": dict(who),
        "cockpit": version,
        "place": place,
        "journal": {"records": journal_end[0], "hash": journal_end[1]},
        "hidden": HIDDEN,
    }
