"""Keeps the journal's anchor on the lease that mitigations take, and compares the journals with it.

An annotation: Events expire, and a right of its own would be one more. What the anchor and the
files say of each other is told by `cockpit/journal/anchor.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.journal import state_files
from cockpit.journal.anchor import Comparison, compare, written
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster import lease


@dataclass(frozen=True, slots=True)
class JournalAnchor:
    """Anchors one journal in one namespace's lease; `place`: context and namespace."""

    journal: Journal
    place: tuple[str, str]
    now: Callable[[], float]

    def taken(self, notes: Mapping[str, Any]) -> None:
        """Journal for ever what contradicts the anchor, before a new one takes its place.

        What went on without the lease is noted too: no contradiction, but nobody vouches for it.
        """
        for one in self._compared(notes):
            if (one.wrong or one.unheld) and one.uid == state_files.me():
                contradicts = {"anchor": one.words} if one.wrong else {}
                with contextlib.suppress(JournalProblem):  # then nothing is sent either: the intent cannot be written
                    self.journal.append({"kind": "note", "words": one.words, **contradicts})

    def stamp(self, notes: Mapping[str, Any], *, under_way: bool) -> dict[str, Any]:
        """Return the lease's annotations with the journal's newest record."""
        end = self.journal.end()
        if self.journal.unreadable and not end[0]:
            return dict(notes)  # what it holds is not known: the anchor that stands says more
        directory = self.journal.path.parent
        return written(notes, state_files.me(), directory, end, self.now(), under_way=under_way)

    def may_seal(self, notes: Mapping[str, Any], opened_at: int) -> bool:
        """Tell whether all that is newer than the anchor was written since it was opened."""
        own = [one for one in self._compared(notes) if one.uid == state_files.me()]
        return any(one.newer > opened_at for one in own)

    def _compared(self, notes: Mapping[str, Any]) -> list[Comparison]:
        return compare(notes, self.journal.chains(), self.journal.path.parent, self.place)


async def compared(
    client: KubeClient, journal: Journal, place: tuple[str, str], now: Callable[[], float]
) -> tuple[list[Comparison], str]:
    """Compare the directory's journals with the lease, and say why it could not be done."""
    held = await lease.read(client, place[1], now)
    if held.problem:
        return [], held.problem
    notes = (held.raw["metadata"].get("annotations") or {}) if held.raw is not None else {}
    return compare(notes, journal.chains(), journal.path.parent, place), ""
