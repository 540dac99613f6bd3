"""Compares journals with what the cluster's lease says of them: an anchor outside this machine.

Whoever may write the journal's files can write a chain that is whole. The lease that mitigations
take bears, for each user of each state directory on each host, the number and hash of the newest
record as it was then. A cut, a record in another's place and a journal that is gone do not agree
with it; a record of a mitigation that came after the lease was given back does not either. Pure.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.journal.hash_chain import GENESIS, CheckedJournal
from cockpit.journal.state_files import user_name
from cockpit.text import counted, safe

PREFIX = "m0-cockpit/journal-"
KEPT = 32  # anchors on one lease: those of hosts that are gone make room for new ones
_LONGEST = 2000
_UNDER_LEASE = ("intent", "outcome", "rollout", "proof")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Tells how far a user's journal in one directory of one host had come.

    `open`: it was written while a step was under way.
    """

    uid: int
    host: str
    directory: str
    seq: int
    hash: str
    at: float
    open: bool

    @property
    def words(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.at))
        return f"{counted(self.seq, 'record')}, the newest {self.hash[:12]}, at {when}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Says how one journal compares with its anchor; `wrong`: they contradict each other."""

    uid: int
    words: str
    wrong: bool = False
    newer: int = 0  # the first record that is newer than the anchor, 0 for none
    known: bool = True  # there is an anchor to compare with
    under_way: bool = False  # the anchor was written while a step was under way
    unheld: bool = False  # steps that say of themselves that they went on without the lease are newer

    @property
    def line(self) -> str:
        """Return the words with whose journal it is."""
        return f"journal of {user_name(self.uid)}: {self.words}"


def directory_id(path: Path) -> str:
    """Name a state directory of this host without telling the cluster its path."""
    return hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]


def key_of(uid: int, directory: Path) -> str:
    own = f"{uid}@{socket.gethostname()}:{directory_id(directory)}"
    return PREFIX + hashlib.sha256(own.encode()).hexdigest()[:24]


def written(
    notes: Mapping[str, Any], uid: int, directory: Path, end: tuple[int, str], at: float, *, under_way: bool
) -> dict[str, Any]:
    """Return a lease's annotations with this journal's anchor as of now."""
    fields = {
        "uid": uid,
        "host": socket.gethostname(),
        "dir": directory_id(directory),
        "seq": end[0],
        "hash": end[1],
        "at": round(at, 3),
        "open": under_way,
    }
    kept = {**notes, key_of(uid, directory): canonical(fields)}
    anchors = sorted((key for key in kept if key.startswith(PREFIX)), key=lambda key: _at(kept[key]), reverse=True)
    for old in anchors[KEPT:]:
        if old != key_of(uid, directory):
            del kept[old]
    return kept


def _at(text: Any) -> float:
    found = _anchor(text)
    return found.at if found is not None else 0.0


def _anchor(text: Any) -> Anchor | None:
    """Return the anchor that an annotation holds; None when it is none."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        held = json.loads(text)
        found = Anchor(
            uid=held["uid"],
            host=str(held["host"]),
            directory=str(held["dir"]),
            seq=held["seq"],
            hash=str(held["hash"]),
            at=float(held["at"]),
            open=bool(held["open"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = type(found.uid) is int and type(found.seq) is int and found.seq >= 0 and 0 <= found.at < 1e11
    return found if sound else None


def compare(
    notes: Mapping[str, Any], chains: Mapping[int, CheckedJournal], directory: Path, place: tuple[str, str]
) -> list[Comparison]:
    """Compare each journal of this directory with its anchor, those that are gone among them.

    `place`: context and namespace of the lease; steps elsewhere are anchored there.
    """
    here = (socket.gethostname(), directory_id(directory))
    found: dict[int, Anchor | None] = dict.fromkeys(chains)
    for key, text in notes.items():
        if not key.startswith(PREFIX):
            continue
        anchor = _anchor(text)
        if anchor is not None and (anchor.host, anchor.directory) == here and key == key_of(anchor.uid, directory):
            found[anchor.uid] = anchor
    empty = CheckedJournal()
    return [
        _compared(uid, anchor, chains.get(uid, empty), place)
        for uid, anchor in found.items()
        if anchor is not None or chains[uid].records
    ]


def _compared(uid: int, anchor: Anchor | None, chain: CheckedJournal, place: tuple[str, str]) -> Comparison:
    if anchor is None:
        return Comparison(uid, "not compared: the cluster's lease has no anchor of it yet", known=False)
    says = f"the cluster's anchor says {anchor.words}"
    held = f"{counted(chain.seq, 'record')}, the newest {chain.hash[:12]}" if chain.seq else "no record"
    if chain.seq < anchor.seq:
        return Comparison(uid, f"{says}; the file has {held}", wrong=True)
    there = chain.hashes.get(anchor.seq, GENESIS if anchor.seq == 0 else "")
    if there != anchor.hash:
        other = f"its record {anchor.seq} is {there[:12] or 'not there'}"
        return Comparison(uid, f"{says}; the file has {held}, and {other}", wrong=True)
    newer = [record for record in chain.records if int(record["seq"]) > anchor.seq]
    if not newer:
        return Comparison(uid, f"as the cluster's anchor says: {anchor.words}")
    steps = [] if anchor.open else _steps(newer, chain.records, place)
    strange = [record for record, unheld in steps if not unheld]
    first = strange[0] if strange else newer[0]
    what = f"{safe(first.get('kind', ''), 40)} {safe(first.get('title') or first.get('words') or '', 80)}".strip()
    words = f"{says}; the file has {held}: record {first['seq']} ({what}) is newer than the anchor"
    first_newer = int(newer[0]["seq"])
    if strange:
        return Comparison(uid, f"{words}, though no step was under way", wrong=True, newer=first_newer)
    unheld = ", by its own words taken without the lease" if steps else ""
    return Comparison(
        uid,
        f"{words}{unheld}: nothing outside vouches for what is newer",
        newer=first_newer,
        under_way=anchor.open,
        unheld=bool(steps),
    )


def _steps(
    newer: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]], place: tuple[str, str]
) -> list[tuple[Mapping[str, Any], bool]]:
    """List the records of steps in this place; of each, whether it says that it had no lease."""
    intents = {record.get("number"): record for record in records if record.get("kind") == "intent"}
    found = []
    for record in newer:
        if record.get("kind") not in _UNDER_LEASE:
            continue
        intent = record if record.get("kind") == "intent" else intents.get(record.get("of"))
        target = intent.get("target") if intent is not None else None
        if intent is None or not isinstance(target, Mapping):
            found.append((record, False))  # of no shape that this program writes
        elif intent.get("effect") != "LocalCheck" and (target.get("context"), target.get("namespace")) == place:
            found.append((record, bool(intent.get("without_lease"))))
    return found
