"""Reads and verifies the journals of a shared directory's other users; never appends to them.

Each user's journal bears that user's number in its name (`journal-1001.jsonl`; the plain
`journal.jsonl` is whoever's it is). A file that is not owned by the user whose number it bears is
not read, and that is said: unreadable is never "none".
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cockpit.journal import state_files
from cockpit.journal.following import FollowedFile
from cockpit.journal.records import fits
from cockpit.text import clean

PLAIN = "journal.jsonl"
_NAME = re.compile(r"journal(?:-(\d{1,10}))?\.jsonl")
_FILES = 64  # so many users share a directory at most; more are said, not read
_COLLIDED = 100_000


def own_path(directory: state_files.Directory) -> Path:
    """Return where this user's journal is: `journal.jsonl`, unless the directory is shared.

    There it bears the user's number; one of the plain name that is one's own is gone on with.
    """
    plain = directory.path / PLAIN
    if not directory.shared:
        return plain
    try:
        if plain.lstat().st_uid == state_files.me():
            return plain
    except OSError:
        pass
    return directory.path / f"journal-{state_files.me()}.jsonl"


def unreadable_in(directory: state_files.Directory) -> list[str]:
    """Say which journals in the state directory cannot be read, without reading them."""
    if directory.trouble or not directory.there:
        return [directory.trouble] if directory.trouble else []
    own, found = own_path(directory), []
    for path in {own, *(directory.path.iterdir() if directory.shared else ())}:
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            owner = int(match[1]) if match[1] else path.lstat().st_uid if path != own else state_files.me()
            os.close(state_files.open_plain(path, os.O_RDONLY, owner=owner))
        except FileNotFoundError:
            continue
        except (OSError, OverflowError) as error:
            found.append(_unread(error, path))
    return sorted(found)


def _unread(error: OSError | OverflowError, path: Path) -> str:
    return state_files.words_of(error if isinstance(error, OSError) else OSError(0, str(error)), path)


class OtherJournals:
    """Follows the others' journals; `problems` says which file of whom cannot be read, and why."""

    def __init__(self, own: Path) -> None:
        self._own = own
        self._files: dict[Path, FollowedFile] = {}
        self.problems: tuple[str, ...] = ()

    def refresh(self, directory: state_files.Directory) -> bool:
        """Look for what is new; tell whether anything is."""
        if not directory.shared or directory.trouble:
            changed = bool(self._files or self.problems)
            self._files, self.problems = {}, ()
            return changed
        problems: list[str] = []
        try:
            found = sorted(
                (path, match)
                for path in directory.path.iterdir()
                if path != self._own and (match := _NAME.fullmatch(path.name)) is not None
            )
        except OSError as error:
            problems.append(f"{clean(str(directory.path), 200)} cannot be listed: {error.strerror or error}")
            found = []
        if len(found) > _FILES:
            problems.append(f"{len(found)} journals in {directory.path}: only {_FILES} are read")
        changed, files = False, {}
        for path, match in found[:_FILES]:
            try:
                owner = int(match[1]) if match[1] else path.lstat().st_uid
                file = self._files.get(path)
                if file is None or file.owner != owner:
                    file = FollowedFile.of(path, owner)
                changed |= file.refresh()
                files[path] = file
            except FileNotFoundError:
                continue  # taken away between the listing and the look
            except (OSError, OverflowError) as error:
                problems.append(_unread(error, path))
        changed |= files.keys() != self._files.keys() or tuple(problems) != self.problems
        self._files, self.problems = files, tuple(problems)
        return changed

    @property
    def files(self) -> tuple[FollowedFile, ...]:
        return tuple(self._files.values())

    def verify(self) -> list[str]:
        """List what is wrong with them, each with its file and whose it is."""
        found = list(self.problems)
        for file in self.files:
            try:
                anew = FollowedFile.of(file.path, file.owner)
                anew.refresh()
            except OSError as error:
                found.append(state_files.words_of(error, file.path))
                continue
            gone = anew.lost()
            whose = f"{file.path.name} of {state_files.user_name(file.owner)}"
            found += [f"{whose}: {problem}" for problem in anew.reading.problems]
            found += [f"{whose}: end of the journal: {gone}"] if gone else []
        return found

    def merged(self, own: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        """Return every record, own and others', in the order in which they were written.

        The numbers of intents are one series; where two journals have the same one all the same
        (one could not be read by the other), the other's gets a number of its own here.
        """
        taken = {int(r["number"]) for r in own if r.get("kind") == "intent" and type(r.get("number")) is int}
        chains: list[Iterable[dict[str, Any]]] = [own]
        for file in self.files:
            theirs = [record for record in file.reading.records if fits(record)]
            numbers = [int(r["number"]) for r in theirs if r["kind"] == "intent"]
            again = {n: file.owner * _COLLIDED + n for n in numbers if n in taken}
            chains.append([_renumbered(r, again) for r in theirs] if again else theirs)
            taken |= {again.get(n, n) for n in numbers}
        return tuple(record for _, record in heapq.merge(*map(_ordered, chains), key=lambda pair: pair[0]))

    def newest_number(self) -> int:
        """Return the highest number of an intent in them."""
        return max(
            (
                int(record["number"])
                for file in self.files
                for record in file.reading.records
                if record.get("kind") == "intent" and fits(record)
            ),
            default=0,
        )


def order_of(record: dict[str, Any]) -> float:
    """Return the time by which a record is put among those of other journals."""
    found = record.get("order", record.get("at"))
    return float(found) if isinstance(found, (int, float)) and abs(found) < 1e12 else 0.0


def _ordered(records: Iterable[dict[str, Any]]) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield each record with its place: never before the one before it in its journal."""
    last = 0.0
    for record in records:
        last = max(last, order_of(record))
        yield last, record


def _renumbered(record: dict[str, Any], again: dict[int, int]) -> dict[str, Any]:
    changed = {key: again[record[key]] for key in ("number", "of", "undoes") if record.get(key) in again}
    return {**record, **changed} if changed else record
