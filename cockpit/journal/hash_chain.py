"""Chains the journal by hash: how a record becomes a line, and how a file of lines is checked.

A line is the canonical JSON of its record and nothing else, so that any changed byte shows. `hash`
is sha256(previous line's hash + canonical JSON of the record without `hash`). `seq` counts records
from 1.

A line that a crash cut off stays in the file: the record after it names its sha256 in `torn`, and
the chain goes from the record before it to the one after. `gap` in a record says that its writer
found the end of the journal missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.text import clean

GENESIS = "0" * 64


#: What an undo sends again, or what is compared with the cluster: it stays as it was written.
_AS_WRITTEN = frozenset(("baseline", "expected", "hash", "inverse", "relevant", "salt", "scope"))
_LONGEST = 65_536


def cleaned(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it may be shown: whoever can write the file may have put anything in."""
    return {clean(key, 200): value if key in _AS_WRITTEN else _clean(value) for key, value in record.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, _LONGEST)
    if isinstance(value, dict):
        return {clean(key, 400): _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list) else value


def hashed_line(record: Mapping[str, Any], previous: str) -> tuple[bytes, str]:
    """Return the record's line (newline included) and its hash.

    `record` must not hold `hash`.
    """
    digest = hashlib.sha256((previous + canonical(record)).encode()).hexdigest()
    return (canonical({**record, "hash": digest}) + "\n").encode(), digest


def checked_line(line: bytes, previous: str | None) -> tuple[dict[str, Any] | None, str]:
    """Return the record of a line (without newline), and what is wrong with it ("" when nothing).

    `previous` None: the line before is not to be trusted, so only the line's own spelling can
    be checked.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None, "not JSON"
    if not isinstance(record, dict) or not isinstance(record.get("hash"), str) or type(record.get("seq")) is not int:
        return None, "not a journal record"
    try:
        same = canonical(record).encode() == line
    except ValueError:
        same = False
    if not same:
        return record, "edited (not as it was written)"
    if previous is not None:
        body = {key: value for key, value in record.items() if key != "hash"}
        if hashlib.sha256((previous + canonical(body)).encode()).hexdigest() != record["hash"]:
            return record, "does not follow the line before it (edited, cut out or moved)"
    return record, ""


@dataclass(slots=True)
class CheckedJournal:
    """Says what a file holds: good records, the chain's end, and every problem with its line."""

    records: list[dict[str, Any]] = field(default_factory=list)
    seq: int = 0
    hash: str = GENESIS
    torn: bytes = b""  # the bytes after the last newline: a write that a crash cut off
    unended: bool = False  # the last record is whole, but for its newline
    problems: list[str] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)  # by seq


def read(data: bytes) -> CheckedJournal:
    """Check a whole journal and never raise."""
    result = CheckedJournal()
    *lines, result.torn = data.split(b"\n")
    pending: tuple[int, bytes, str] | None = None  # a bad line that the next record may own up to as torn
    trusted = True
    for number, line in enumerate(lines, start=1):
        record, wrong = checked_line(line, result.hash if trusted else None)
        if record is None:
            if pending is not None:
                result.problems.append(f"line {pending[0]}: {pending[2]}")
            pending = (number, line, wrong)
            continue
        if pending is not None:
            if record.get("torn") != hashlib.sha256(pending[1]).hexdigest():
                result.problems.append(f"line {pending[0]}: {pending[2]}")
            pending = None
        elif "torn" in record:
            wrong = wrong or "the cut-off line before it is gone"
        if not wrong and record["seq"] != result.seq + 1:
            wrong = f"record {record['seq']} where {result.seq + 1} was due"
        if "gap" in record:
            result.problems.append(
                f"line {number}: records before it were missing when it was written: {clean(str(record['gap']), 400)}"
            )
        if wrong:
            result.problems.append(f"line {number}: {wrong}")
        if wrong.startswith("edited"):
            trusted = False  # its hash is not to be trusted: the next line is checked by itself
            result.seq += 1
            continue
        result.records.append(cleaned(record))
        result.seq, result.hash, trusted = record["seq"], record["hash"], True
        result.hashes[result.seq] = result.hash
    if pending is not None:
        result.problems.append(f"line {pending[0]}: {pending[2]}")
    if result.torn and pending is None and trusted:
        record, wrong = checked_line(result.torn, result.hash)
        if record is not None and not wrong and record["seq"] == result.seq + 1 and "torn" not in record:
            result.records.append(cleaned(record))
            result.seq, result.hash, result.torn, result.unended = record["seq"], record["hash"], b"", True
            result.hashes[result.seq] = result.hash
            result.problems.append(f"line {len(lines) + 1}: not ended by a newline; the record itself stands")
    if result.torn:
        result.problems.append(
            f"line {len(lines) + 1}: cut off in the middle (a crash while writing); the records before it stand"
        )
    return result
