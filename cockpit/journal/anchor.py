"""Compares the journal with what was kept of it elsewhere: count and hash of its newest record.

Whoever can write the journal's directory can write a whole new journal with its head, cut both or
remove both. What a lease in the cluster bears since the last mitigation, they cannot change there.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cockpit.canonical_json import canonical

MOST = 32  # journals that one annotation bears: several operators and hosts act in one namespace
_WRITTEN_WITH_A_LEASE = ("intent", "outcome", "rollout", "proof")

Anchor = tuple[str, int, str]  # which journal, its count of records, the hash of the newest


def name_of(path: Path) -> str:
    """Name a journal by host and place, so that one that is gone is still known by its anchor."""
    place = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    return f"{socket.gethostname()[:63]}/{place}"


def read(annotation: object) -> dict[str, tuple[int, str]]:
    """Return journal → (count, hash); what makes no sense is left out."""
    try:
        found = json.loads(annotation) if isinstance(annotation, str) else {}
    except (ValueError, RecursionError):
        found = {}
    anchors: dict[str, tuple[int, str]] = {}
    for name, value in found.items() if isinstance(found, dict) else ():
        match value:
            case [int(count), str(digest)] if count >= 0:
                anchors[str(name)] = (count, digest)
    return anchors


def renewed(annotation: object, anchor: Anchor) -> str:
    """Return the annotation with this journal's anchor in it, those of others as they were."""
    name, count, digest = anchor
    others = [(key, value) for key, value in read(annotation).items() if key != name][-(MOST - 1) :]
    return canonical({key: list(value) for key, value in [*others, (name, (count, digest))]})


def differences(
    anchored: tuple[int, str] | None, records: Sequence[Mapping[str, Any]], hashes: Mapping[int, str], *, held: bool
) -> list[str]:
    """Say what of the journal is not as the anchor has it; empty when they agree.

    `held`: somebody holds the lease, or died with it: the newest records may not be anchored yet.
    """
    if anchored is None:
        return []
    count, digest = anchored
    last = max(hashes, default=0)
    if last < count:
        left = f"{last} are left" if last else "none is left"
        return [f"the cluster's lease knows of {count} records, {left}: the end was cut off, with its head"]
    if count and hashes.get(count) != digest:
        return [f"record {count} is not the one that the cluster's lease knows: the journal was written anew"]
    looks = {r.get("number") for r in records if r.get("kind") == "intent" and r.get("effect") == "LocalCheck"}
    later = [
        r
        for r in records
        if int(r.get("seq") or 0) > count
        and r.get("kind") in _WRITTEN_WITH_A_LEASE
        and r.get("number", r.get("of")) not in looks
    ]
    if later and not held:
        first = later[0]
        return [
            f"record {first['seq']} ({first['kind']}) is newer than what the cluster's lease knows ({count} records): "
            "it was added without the lease, which every mitigation takes"
        ]
    return []
