"""Answers the deploy checklist (16.deploy.*), each line by the machine where it can.

Pure. What cannot be seen here (a canary that nobody named, a migration whose job is gone) is asked,
and says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.assessment.imagehistory import Ran, runs
from cockpit.maintenance.answers import question
from cockpit.maintenance.configs import config_findings
from cockpit.maintenance.words import span
from cockpit.model.maintenance import Finding, Question, RoundLine
from cockpit.model.observed.cluster import Pod
from cockpit.model.observed.postgres import Migrations
from cockpit.model.reading import Unknown, believed, kind_unknown
from cockpit.model.runbook import PAUSE_TOGGLE, Runbooks
from cockpit.model.situation import Situation
from cockpit.patterns import compiled
from cockpit.text import clean, counted

PREFIX = "16.deploy."
#: An answer to a line of a deploy checklist is for this deploy, not for the last one.
FRESH_S = 12 * 3600.0
CHECKLISTS = "checklists"
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Deploying:
    """Holds what the checklist is judged by.

    `canaries`: the markets that get a release first; `migration_jobs`: a regular expression.
    """

    situation: Situation
    runbooks: Runbooks
    records: Sequence[Mapping[str, Any]]
    wall: float
    canaries: tuple[str, ...] = ()
    migration_jobs: str = "(?i)migrat"

    def ask(self, step: str) -> Question | None:
        return question(self.records, self.runbooks, CHECKLISTS, step, now=self.wall, fresh_s=FRESH_S)


Line = tuple[list[Finding], Question | None]


def deploy_lines(at: Deploying) -> tuple[RoundLine, ...]:
    done = []
    for runbook in at.runbooks.runbooks:
        for line in runbook.checklist:
            judge = _LINES.get(line.item.removeprefix(PREFIX)) if line.item.startswith(PREFIX) else None
            if judge is not None:
                findings, asked = judge(at)
                done.append(RoundLine(line.item, line.text, tuple(findings), asked))
    return tuple(done)


def _migrations(at: Deploying) -> Line:
    """Judge what the database records, and the newest pod of a migration job that is still there.

    Finished jobs are cleaned away after a while. A record tells what was applied, not whether that
    is all of this release: that is asked while no job has said so.
    """
    recorded = _recorded(at.situation)
    blind = kind_unknown(at.situation.kinds, "pods", at.situation.mono)
    if blind:
        return [*recorded, Finding("unknown", f"migration jobs: {blind}")], None
    pods = [pod for pod in at.situation.cluster.pods.values() if _migrates(pod, at.migration_jobs)]
    if not pods:
        return recorded, at.ask("migrations-applied")
    newest = max(pods, key=lambda pod: pod.created_at or 0.0)
    age = f", {span(at.situation.cluster_now - newest.created_at)} ago" if newest.created_at is not None else ""
    words = f"job {newest.owner_name or newest.service}: {newest.phase}{age}"
    state = {"Succeeded": "ok", "Failed": "attention"}.get(newest.phase, "unknown")
    return [*recorded, Finding(state, words)], None


def _recorded(situation: Situation) -> list[Finding]:
    """Return what the migrations' own table says, where [postgres] migrations asks it."""
    reading = situation.postgres.get("migrations")
    if reading is None:
        return []
    found = believed(reading, situation.mono, Migrations)
    if isinstance(found, Unknown):
        return [Finding("unknown", f"migrations in the database: {clean(found.reason, 160)}")]
    held = found.data
    if not held.applied:
        return [Finding("attention", "migrations in the database: none is recorded")]
    failed = ", ".join(each.version for each in held.failed[:_SHOWN])
    if failed:
        return [Finding("attention", f"migrations in the database: {failed} FAILED")]
    newest = max(held.applied, key=lambda each: (each.at or 0.0, each.version))
    age = f", applied {span(situation.cluster_now - newest.at)} ago" if newest.at is not None else ""
    words = f"migrations in the database: {len(held.applied)}, none failed; newest {newest.version}{age}"
    return [Finding("ok", words)]


def _migrates(pod: Pod, pattern: str) -> bool:
    return pod.owner_kind == "Job" and compiled(pattern).found_in(pod.owner_name)


def _configs(at: Deploying) -> Line:
    """Hold each toggle, variable and key against what it may be."""
    return config_findings(at.situation, at.runbooks), None


def _canary(at: Deploying) -> Line:
    """Check that the canaries are active and every other market is paused, by chain and toggles."""
    if not at.canaries:
        return [], at.ask("canary-enabled")
    paused, why = _paused(at.situation)
    if paused is None:
        return [Finding("unknown", f"which markets are paused is not known: {why}")], None
    idle = [market for market in at.canaries if paused.get(market, False)]
    missing = [market for market in at.canaries if market not in paused]
    others = sorted(market for market, stopped in paused.items() if not stopped and market not in at.canaries)
    found = [Finding("attention", f"canary {clean(market, 60)} is paused") for market in idle]
    found += [Finding("attention", f"canary {clean(market, 60)}: the chain has no such market") for market in missing]
    if others:
        words = f"{counted(len(others), 'other market')} publishing too: {clean(', '.join(others[:_SHOWN]), 200)}"
        found.append(Finding("attention", words))
    return found or [Finding("ok", f"only the canaries publish: {clean(', '.join(at.canaries), 200)}")], None


def _paused(situation: Situation) -> tuple[dict[str, bool] | None, str]:
    """Return market → paused, by the chain or by its toggle."""
    reading = situation.solana.get("markets")
    if reading is None:
        return None, "the chain is not read ([solana] program-id)"
    found = reading.believed(situation.mono)
    if isinstance(found, Unknown):
        return None, clean(found.reason, 200)
    by_toggle = {
        t.name.removeprefix(PAUSE_TOGGLE)
        for t in situation.toggles
        if t.name.startswith(PAUSE_TOGGLE) and (t.value or "").lower() == "true"
    }
    return {m.market_id: not m.active or m.market_id in by_toggle for m in found.data.values()}, ""


def _dashboards(at: Deploying) -> Line:
    """Check that every configured source answers and no alert fires; ask who watches."""
    lights = [light for light in at.situation.sources if not light.state.off]
    found = [
        Finding(
            "unknown", f"{light.name}: {light.state.value}" + (f", {clean(light.reason, 160)}" if light.reason else "")
        )
        for light in lights
        if not light.state.live
    ]
    live = [light.name for light in lights if light.state.live]
    if not live:
        return found or [Finding("unknown", "no source answers")], at.ask("dashboards-watched")
    firing = [alert for alert in at.situation.alerts if alert.state == "firing"]
    if firing:
        names = ", ".join(sorted({clean(alert.name, 40) for alert in firing})[:_SHOWN])
        found.append(Finding("attention", f"{counted(len(firing), 'alert')} firing already: {names}"))
    return [Finding("ok", f"live: {', '.join(live)}"), *found], at.ask("dashboards-watched")


def _rollback(at: Deploying) -> Line:
    """Check that every deployment has an older revision whose image is pinned by digest.

    That is what "last known good" can be set to.
    """
    kinds, mono = at.situation.kinds, at.situation.mono
    blind = kind_unknown(kinds, "replicasets", mono) or kind_unknown(kinds, "deployments", mono)
    if blind:
        return [Finding("unknown", f"revisions: {blind}")], None
    situation = at.situation
    ready, found = [], []
    for name in at.runbooks.services:
        workloads = [w for w in situation.cluster.workloads.values() if w.name == name]
        if not workloads:
            found.append(Finding("unknown", f"{name}: not in the watched namespaces"))
        for workload in workloads:
            if workload.kind != "Deployment":
                found.append(Finding("unknown", f"{name} is a {workload.kind}: its older revisions are not watched"))
                continue
            lacks = _lacks(runs(situation.cluster, workload.namespace, name))
            if lacks:
                found.append(Finding("attention", f"{name}: {lacks}"))
            else:
                ready.append(name)
    if ready:
        found.append(Finding("ok", f"can go back to a pinned image: {', '.join(ready)}"))
    return found, None


def _lacks(found: Sequence[Ran]) -> str:
    older = [ran for ran in found if not ran.current]
    if not older:
        return "no older revision is kept to go back to"
    if not any(_DIGEST.search(ran.image) for ran in older):
        return "no older revision has an image with a digest: a tag may be another image by now"
    return ""


_LINES: Mapping[str, Callable[[Deploying], Line]] = {
    "1": _migrations,
    "2": _configs,
    "3": _canary,
    "4": _dashboards,
    "5": _rollback,
}
