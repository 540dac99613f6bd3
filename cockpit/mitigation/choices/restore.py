"""Knows to which times the database can be restored, and what ran before it was stopped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cockpit.model.observed.postgres import Archiver
from cockpit.model.reading import Unknown, believed

if TYPE_CHECKING:
    from cockpit.model.situation import Situation

Choices = list[tuple[str, str]]
BACKUP = "backup-age"
#: Before what began it, so that the restored database does not have it.
BEFORE_S = 60.0
_ZONE = re.compile(r"([+-]\d{2})$")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Holds unix seconds that a restore can reach; None: not known, and `why`."""

    backup: float | None  # the last good backup: what is before it needs an older one
    archived: float | None  # nothing later is in the archive
    why: str = ""


def bounds(situation: Situation) -> Bounds:
    """Return the bounds of point-in-time recovery, by the archiver and the last backup."""
    age = situation.signals.get(BACKUP)
    known = age is not None and age.value is not None and not age.off and age.level.value != "unknown"
    backup = situation.cluster_now - age.value * 3600.0 if known and age is not None and age.value is not None else None
    found = believed(situation.postgres.get("archiver"), situation.mono, Archiver)
    if isinstance(found, Unknown):
        return Bounds(backup, None, f"the archiver: {found.reason}")
    if found.data.last_archived_age_s is None:
        return Bounds(backup, None, f"the archiver: {found.data.verdict}")
    archived = situation.cluster_now - found.data.last_archived_age_s - (found.age_s or 0.0)
    return Bounds(backup, archived, "" if backup is not None else "the last backup is not known")


def moment(text: str) -> float | None:
    """Return unix seconds of a time with its zone; None where it is none."""
    try:
        found = datetime.fromisoformat(_ZONE.sub(r"\1:00", text.strip()).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def spelt(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def restore_times(situation: Situation) -> Choices:
    """Return times that can be restored to: before the incident, else the end of the archive."""
    known = bounds(situation)
    offers = []
    if situation.incident is not None:
        at = situation.incident.incident.opened - BEFORE_S
        if known.archived is None or at <= known.archived:
            offers.append((spelt(at), "a minute before the incident was opened"))
    if known.archived is not None:
        offers.append((spelt(known.archived), "the end of the archive: nothing later can be restored"))
    if known.backup is not None:
        offers.append((spelt(known.backup), "the last good backup itself"))
    return offers


def replicas_before(situation: Situation, service: str) -> Choices:
    """Return how many ran before a step of the journal scaled the service to 0."""
    for line in situation.journal:
        if line.undone or not line.number or not line.target.endswith(f" {service}"):
            continue
        change = next((c for c in line.changes if c.field == "replicas"), None)
        if change is None:
            continue
        if change.after != "0":
            return []
        return [(change.before, f"as before journal {line.number}")] if change.before not in (None, "0") else []
    return []
