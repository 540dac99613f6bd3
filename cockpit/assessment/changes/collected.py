"""Keeps what was changed, bounded: what was watched and what is reconstructed become one list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from cockpit.model.observed.changes import Change
from cockpit.model.plan import JournalLine

#: The same field to the same value, so near in time, is one change.
SAME_S = 90.0
#: Our own step is what the cluster shows so soon after it.
OURS_S = 120.0
#: How long changes are kept, and how many: the oldest go first.
KEEP_S = 86400.0
MOST = 2000
#: More of one field within so long count as one, with how often.
FLAPS_S = 3600.0
_PLACE = " / "


class CollectedChanges:
    """Holds changes by what they changed; adding one that is known makes it known better."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str, str, str], list[Change]] = {}
        self._count = 0
        self.dropped = 0
        self.revision = 0  # grows with each that is taken

    def watch(self, found: Iterable[Change]) -> None:
        """Take what was seen to change."""
        for change in found:
            self.revision += 1
            own = self._watched.setdefault(change.key, [])
            last = own[-1] if own else None
            if last is not None and len(own) > 1 and change.at - own[-2].at < FLAPS_S:
                # to and fro: the newest stands, with the value of before and how often
                own[-1] = replace(change, times=last.times + 1)
                self.dropped += 1
                continue
            own.append(change)
            self._count += 1
        if self._count > MOST:
            self._shed()

    def _shed(self) -> None:
        oldest = sorted((change for own in self._watched.values() for change in own), key=lambda each: each.at)
        gone = {id(change) for change in oldest[: self._count - MOST * 9 // 10]}
        self._watched = {
            key: left
            for key, own in self._watched.items()
            if (left := [change for change in own if id(change) not in gone])
        }
        self.dropped += len(gone)
        self._count -= len(gone)

    def together(self, found: Sequence[Change], journal: Sequence[JournalLine], now: float) -> list[Change]:
        """Return all of them, each once: watched where it was, by whom as far as anybody tells."""
        newest = sorted(found, key=lambda each: -each.at)[:MOST]
        merged: dict[tuple[str, str, str, str], list[Change]] = {
            key: list(own) for key, own in self._watched.items() if own[-1].at > now - KEEP_S
        }
        for change in newest:
            own = merged.setdefault(change.key, [])
            at = next((i for i, each in enumerate(own) if _same(each, change)), None)
            if at is None:
                own.append(change)
            elif own[at].seen == "watched":
                known = own[at]
                own[at] = replace(
                    known,
                    by=known.by or change.by,
                    note=known.note or change.note,
                    at=change.at if not change.at_latest else known.at,
                    revision=change.revision,
                )
        every = [change for own in merged.values() for change in own]
        return sorted(_with_ours(every, journal), key=lambda each: -each.at)[:MOST]


def _same(one: Change, other: Change) -> bool:
    return abs(one.at - other.at) <= SAME_S and (one.after == other.after or not other.before_seen)


def _with_ours(found: Sequence[Change], journal: Sequence[JournalLine]) -> list[Change]:
    """Name our own steps as what did it; those that show nowhere else stand by themselves."""
    changes = list(found)
    of: dict[tuple[str, str, str], list[int]] = {}
    for number, each in enumerate(changes):
        of.setdefault((each.namespace, each.owner.lower(), each.name), []).append(number)
    for line in journal:
        place = line.target.split(_PLACE)
        if len(place) < 3 or not line.changes or not line.undoable:
            continue
        namespace, (owner, _, name) = place[1], place[2].partition(" ")
        by = f"{line.operator}, journal {line.number}"
        for step in line.changes:
            field = step.field.removeprefix("data ")
            mine = [
                i
                for i in of.get((namespace, owner, name), ())
                if (changes[i].field == field or (changes[i].kind == "restart" and "restartedAt" in field))
                and -SAME_S <= changes[i].at - line.wall <= OURS_S
            ]
            for i in mine:
                changes[i] = replace(changes[i], by=by)
            if not mine:
                of.setdefault((namespace, owner.lower(), name), []).append(len(changes))
                changes.append(
                    Change(
                        kind="step",
                        namespace=namespace,
                        owner=owner,
                        name=name,
                        field=step.field,
                        before=step.before,
                        after=step.after,
                        at=line.wall,
                        by=by,
                        seen="watched",
                    )
                )
    return changes
