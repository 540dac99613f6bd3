"""Holds the Lease `m0-cockpit`, which tells others who acts in a namespace, and on what.

It is a courtesy, not a fence (the fence is the resourceVersion in every request): a lease that
cannot be had is said, and the operator decides. coordination.k8s.io/v1; every write carries the
resourceVersion that was read, so a race has one winner. What a cockpit of this host left when it
was killed is nobody's: nobody acts, so it is taken over, and that is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from cockpit.canonical_json import canonical
from cockpit.journal.processes import known_gone, this_process
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, KubeError, NotFound
from cockpit.mitigation.cluster.times import micro, unix
from cockpit.text import clean, safe

NAME = "m0-cockpit"
DOING = "m0-cockpit/doing"
PROCESS = "m0-cockpit/process"
DURATION_S = 60
RENEW_EVERY_S = 15.0
_TRIES = 3  # who gives it back, or only writes an anchor on it, may be quicker than we are: then it is free


@dataclass(frozen=True, slots=True)
class Held:
    """Holds the lease as it was read: who holds it.

    `holder` is "" when it is free; `problem` says why it could not be read. `orphaned`: the process
    that took it is known to be gone.
    """

    holder: str = ""
    doing: str = ""
    since: float | None = None
    expired: bool = False
    problem: str = ""
    raw: Any = None
    orphaned: bool = False

    def by_other(self, identity: str) -> bool:
        return bool(self.holder) and self.holder != identity and not (self.expired or self.orphaned)

    def left_over(self, identity: str) -> bool:
        """Tell whether it stands still, and whoever took it is dead."""
        return bool(self.holder) and self.holder != identity and self.orphaned and not self.expired

    @property
    def words(self) -> str:
        what = f" ({self.doing})" if self.doing else ""
        when = f" since {micro(self.since)[:19]}Z" if self.since is not None else ""
        return f"{self.holder}{what}{when}"


def path(namespace: str, name: str = "") -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases" + (f"/{name}" if name else "")


async def read(client: KubeClient, namespace: str, now: Callable[[], float]) -> Held:
    """Read the lease as it is.

    Never raises KubeError: what went wrong is in `problem`.
    """
    try:
        raw = await client.get(path(namespace, NAME))
    except NotFound:
        return Held()
    except KubeError as error:
        return Held(problem=error.line())
    spec = raw.get("spec") or {}
    renewed = unix(spec.get("renewTime"))
    duration = float(spec.get("leaseDurationSeconds") or 0)
    notes = raw["metadata"].get("annotations") or {}
    return Held(
        clean(str(spec.get("holderIdentity") or ""), 120),
        safe(notes.get(DOING, ""), 200),
        unix(spec.get("acquireTime")),
        renewed is None or renewed + duration < now(),
        raw=raw,
        orphaned=_orphaned(notes, spec.get("holderIdentity")),
    )


def _orphaned(notes: Mapping[str, Any], holder: Any) -> bool:
    try:
        process = json.loads(notes.get(PROCESS) or "null")
    except (ValueError, TypeError, RecursionError):
        return False  # written by something else: it tells nothing
    return isinstance(process, Mapping) and process.get("holder") == holder and known_gone(process)


class Anchors(Protocol):
    """Keeps what the lease says of the journal (`anchor.JournalAnchor`)."""

    def taken(self, notes: Mapping[str, Any], /) -> None: ...

    def stamp(self, notes: Mapping[str, Any], /, *, under_way: bool) -> dict[str, Any]: ...

    def may_seal(self, notes: Mapping[str, Any], opened_at: int, /) -> bool: ...


class Lease:
    """Keeps our hold on one namespace's lease.

    `trouble` says why there is none; shared by all mitigations of this process.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        now: Callable[[], float],
        anchors: Anchors | None = None,
    ) -> None:
        self._anchors = anchors
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._now = now
        self._raw: Any = None
        self._users = 0
        self._doing = ""
        self._turn = asyncio.Lock()
        self.trouble = ""
        self.inherited = ""  # whose it was, when it was taken over from a process that is dead

    @property
    def held(self) -> bool:
        return self._raw is not None

    async def acquire(self, doing: str) -> str:
        """Take it, or join our own.

        Returns "" or why not (someone else holds it, or it cannot be written).
        """
        self._users += 1
        async with self._turn:
            if self._raw is None:
                self._doing = doing
            return await self._acquire(doing)

    async def _acquire(self, doing: str) -> str:
        self.inherited = ""
        if self._raw is not None:
            return ""
        for _ in range(_TRIES):
            held = await read(self._client, self._namespace, self._now)
            if held.problem:
                self.trouble = f"the lease cannot be read: {held.problem}"
                return self.trouble
            if held.by_other(self._identity):
                self.trouble = f"someone else is acting: {held.words}"
                return self.trouble
            if self._anchors is not None and held.raw is not None:
                self._anchors.taken(held.raw["metadata"].get("annotations") or {})
            try:
                self.trouble = await self._write(held.raw, self._identity, doing)
            except Conflict:
                self.trouble = "someone else wrote to the lease at the same time, time after time"
                continue
            self.inherited = held.words if held.left_over(self._identity) and not self.trouble else ""
            return self.trouble
        return self.trouble

    async def renew(self) -> str:
        """Say that we are still at it.

        Returns "" or why we do not hold it; what was lost (the server was away for a while) or was
        somebody else's is asked for again.
        """
        async with self._turn:
            if self._raw is None:
                return await self._acquire(self._doing) if self._users else self.trouble
            try:
                self.trouble = await self._write(self._raw, self._identity, None)
            except Conflict:
                held = await read(self._client, self._namespace, self._now)
                self.trouble = f"someone else took the lease first: {held.words or 'no longer held'}"
            if self.trouble:
                self._raw = None
            return self.trouble

    async def release(self) -> None:
        """Give it back once nobody of this process uses it; best effort, it expires by itself."""
        self._users = max(0, self._users - 1)
        async with self._turn:
            if self._users == 0 and self._raw is not None:
                with contextlib.suppress(Conflict):  # then it is another's already
                    await self._write(self._raw, "", "")
                self._raw = None

    async def seal(self, opened_at: int) -> None:
        """Anchor what this cockpit journalled beside its steps, when nobody acts; best effort.

        `opened_at`: the journal's newest record when it was opened. Only an anchor that stands is
        moved on.
        """
        async with self._turn:
            if self._anchors is None or self._raw is not None:
                return
            held = await read(self._client, self._namespace, self._now)
            if held.raw is None or (held.holder and not held.expired):
                return
            if self._anchors.may_seal(held.raw["metadata"].get("annotations") or {}, opened_at):
                with contextlib.suppress(Conflict):
                    await self._write(held.raw, "", "")
                self._raw = None

    async def _write(self, raw: Any, identity: str, doing: str | None) -> str:
        """Return "" or why it could not be written; raises Conflict if another was quicker."""
        now = micro(self._now())
        fresh: dict[str, Any] = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME},
            "spec": {},
        }
        lease = (
            fresh if raw is None else {**raw, "spec": dict(raw.get("spec") or {}), "metadata": dict(raw["metadata"])}
        )
        spec = lease["spec"]
        if doing is not None:
            process = canonical({**this_process(), "holder": identity}) if identity else ""
            notes = {**(lease["metadata"].get("annotations") or {}), DOING: doing, PROCESS: process}
            lease["metadata"]["annotations"] = {k: v for k, v in notes.items() if v}
        if self._anchors is not None:
            notes = lease["metadata"].get("annotations") or {}
            lease["metadata"]["annotations"] = self._anchors.stamp(notes, under_way=bool(identity))
        if spec.get("holderIdentity") != identity:
            spec["acquireTime"] = now
        if identity and raw is not None and (raw.get("spec") or {}).get("holderIdentity") != identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec.update(holderIdentity=identity, leaseDurationSeconds=DURATION_S if identity else 1, renewTime=now)
        method, where = ("POST", path(self._namespace)) if raw is None else ("PUT", path(self._namespace, NAME))
        try:
            answer = await self._client.send(
                method, where, body=canonical(lease), content_type="application/json", timeout_s=5.0
            )
            self._raw = answer.json()
        except Conflict:
            raise
        except KubeError as error:
            return f"the lease cannot be written: {error.line()}"
        return ""
