"""Looks up what is asked of the cluster for a round alone: restore tests, and ages of secrets.

Once, when the round is made: Jobs in staging (another namespace, or another context), and the
metadata of the secrets that are named. Of a secret nothing but its metadata is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cockpit.errors import CockpitError
from cockpit.kubeapi.access import Access, load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.convert import unix
from cockpit.maintenance.costs import Price, prices_of
from cockpit.maintenance.words import span
from cockpit.model.maintenance import Finding
from cockpit.patterns import compiled
from cockpit.settings import Settings
from cockpit.text import clean, safe

METADATA = "PartialObjectMetadata"
_ACCEPT = f"application/json;as={METADATA};g=meta.k8s.io;v=v1"
DAY_S = 86400.0

#: A context (None: the one that is watched) → how the cluster is reached. Blocks.
Reach = Callable[[str | None], Access]


@dataclass(frozen=True, slots=True)
class Lookups:
    """Says where to look; without a staging namespace and secrets nothing is asked."""

    reach: Reach
    namespace: str
    staging_context: str | None = None
    staging_namespace: str | None = None
    restore_jobs: str = "(?i)restore"
    secrets: tuple[str, ...] = ()
    secret_age_s: float = 90 * DAY_S
    prices: tuple[Price, ...] = ()  # of the configured RPC endpoints

    async def restore_tests(self, now: float, fresh_s: float) -> list[Finding]:
        """Judge the newest restore test in staging (14.verify.3); [] when none is configured."""
        if self.staging_namespace is None:
            return []
        place = "/".join(filter(None, (self.staging_context, self.staging_namespace)))
        path = f"/apis/batch/v1/namespaces/{quote(self.staging_namespace, safe='')}/jobs"

        async def ask(client: KubeClient) -> list[Finding]:
            answer = await client.get(path, {"limit": "500"})
            wanted = compiled(self.restore_jobs)
            jobs = [job for job in answer.get("items") or [] if wanted.found_in(str(job["metadata"].get("name") or ""))]
            if not jobs:
                return [Finding("attention", f"restore test in {safe(place, 80)}: no Job of that name is there")]
            newest = max(jobs, key=lambda job: unix(job["metadata"].get("creationTimestamp")) or 0.0)
            return [_judged(newest, place, now, fresh_s)]

        return await self._asked(f"restore test in {place}", self.staging_context, ask)

    async def secret_ages(self, now: float) -> list[Finding]:
        """Judge when each named secret was written last (15.weekly.5), by its metadata alone."""
        if not self.secrets:
            return []

        async def ask(client: KubeClient) -> list[Finding]:
            return [await self._secret(client, name, now) for name in self.secrets]

        return await self._asked("ages of secrets", None, ask)

    async def _secret(self, client: KubeClient, name: str, now: float) -> Finding:
        path = f"/api/v1/namespaces/{quote(self.namespace, safe='')}/secrets/{quote(name, safe='')}"
        shown = f"secret {safe(name, 80)}"
        try:
            found = (await client.send("GET", path, accept=_ACCEPT)).json()
        except CockpitError as error:
            return Finding("unknown", f"{shown}: {clean(error.line(), 160)}")
        meta = found.get("metadata") or {}
        if found.get("kind") != METADATA:
            return Finding("unknown", f"{shown}: the API server does not answer its metadata alone")
        written = _written(meta)
        if written is None:
            return Finding("unknown", f"{shown}: when it was written is not known")
        due = now - written > self.secret_age_s
        words = f"{shown}: written {span(now - written)} ago" + (
            f", due after {span(self.secret_age_s)}" if due else ""
        )
        return Finding("attention" if due else "ok", words)

    async def _asked(
        self, what: str, context: str | None, ask: Callable[[KubeClient], Awaitable[list[Finding]]]
    ) -> list[Finding]:
        try:
            access = await asyncio.to_thread(self.reach, context)
            async with KubeClient(access, read_only=True) as client:
                return await ask(client)
        except Exception as error:  # whatever the reason is, it is what there is to say
            reason = error.reason if isinstance(error, CockpitError) else error
            return [Finding("unknown", f"{safe(what, 120)}: {safe(reason, 200)}")]


def lookups_of(settings: Settings, namespace: str, access: Callable[[], Access]) -> Lookups:
    """Return where a round may look, by the configuration; `access`: the watched cluster's."""
    own = settings.maintenance

    def reach(context: str | None) -> Access:
        return access() if context is None else load_access(settings.kubeconfig, context)

    return Lookups(
        reach=reach,
        namespace=namespace or settings.namespace or "default",
        staging_context=own.staging_context,
        staging_namespace=own.staging_namespace,
        restore_jobs=own.restore_jobs,
        secrets=own.secrets,
        secret_age_s=own.secrets_max_age_days * DAY_S,
        prices=prices_of(settings),
    )


def _judged(job: Any, place: str, now: float, fresh_s: float) -> Finding:
    """Say how a restore test ended, when, and how long it took."""
    status, name = job.get("status") or {}, safe(str(job["metadata"].get("name") or "?"), 80)
    head = f"restore test {name} in {safe(place, 80)}"
    conditions = {each.get("type"): each for each in status.get("conditions") or [] if each.get("status") == "True"}
    began = unix(status.get("startTime"))
    if "Failed" in conditions:
        at = unix(conditions["Failed"].get("lastTransitionTime"))
        return Finding("attention", f"{head}: FAILED{f' {span(now - at)} ago' if at is not None else ''}")
    ended = unix(status.get("completionTime"))
    if "Complete" not in conditions or ended is None:
        since = f", begun {span(now - began)} ago" if began is not None else ""
        return Finding("unknown", f"{head}: not finished{since}")
    took = f", took {span(ended - began)}" if began is not None else ""
    old = now - ended > fresh_s
    late = f": older than {span(fresh_s)}" if old else ""
    return Finding("attention" if old else "ok", f"{head}: succeeded {span(now - ended)} ago{took}{late}")


def _written(meta: Any) -> float | None:
    """Return when the data were written last: by the managed fields, else when it was made."""
    fields: Sequence[Any] = meta.get("managedFields") or ()
    times = [unix(each.get("time")) for each in fields if "f:data" in (each.get("fieldsV1") or {})]
    known = [at for at in times if at is not None]
    return max(known) if known else unix(meta.get("creationTimestamp"))
