"""Chains the journal by hash: how a record becomes a line, and how a file of lines is checked.

A line is the canonical JSON of its record and nothing else, so that any changed byte shows. `hash`
is sha256(previous line's hash + canonical JSON of the record without `hash`). `seq` counts records
from 1.

A line that a crash cut off stays in the file: the record after it names its sha256 in `torn`, and
the chain goes from the record before it to the one after. `gap` in a record says that its writer
found the end of the journal missing, `anchor` that the cluster's anchor said otherwise.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from cockpit.canonical_json import canonical
from cockpit.text import clean

GENESIS = "0" * 64
#: No record is longer: what an object of Kubernetes may hold fits in several times.
LINE_LIMIT = 8 * 1024 * 1024
PROBLEMS_KEPT = 1000
#: What an undo sends again, or what is compared with the cluster: it stays as it was written.
_AS_WRITTEN = frozenset(("baseline", "expected", "hash", "inverse", "relevant", "salt", "scope"))
_LONGEST = 65_536


def cleaned(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it may be shown: whoever can write the file may have put anything in."""
    return {clean(key, 200): value if key in _AS_WRITTEN else _clean(value) for key, value in record.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() and len(value) < _LONGEST else clean(value, _LONGEST)
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
    except (ValueError, RecursionError):
        same = False
    if not same:
        return record, "edited (not as it was written)"
    if previous is None or hashlib.sha256(previous.encode() + _body(line, record)).hexdigest() == record["hash"]:
        return record, ""
    return record, "does not follow the line before it (edited, cut out or moved)"


def _body(line: bytes, record: Mapping[str, Any]) -> bytes:
    """Return the canonical spelling without `hash`: cut out of the line, where that is plain."""
    own = b'"hash":' + json.dumps(record["hash"]).encode() + b","
    if line.count(own) == 1 and line.count(b'"hash":') == 1:
        return line.replace(own, b"", 1)
    return canonical({key: value for key, value in record.items() if key != "hash"}).encode()


@dataclass(slots=True)
class CheckedJournal:
    """Says what a file holds: good records, the chain's end, and every problem with its line."""

    records: list[dict[str, Any]] = field(default_factory=list)
    seq: int = 0
    hash: str = GENESIS
    torn: str = ""  # sha256 of the bytes after the last newline: a write that a crash cut off
    unended: bool = False  # the last record is whole, but for its newline
    problems: list[str] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)  # by seq
    lines: int = 0
    size: int = 0  # bytes that were read
    pending: tuple[int, str, str] | None = None  # a bad line that the next record may own up to as torn
    trusted: bool = True

    @property
    def clean_end(self) -> bool:
        """Tell whether reading can go on from here when the file has grown."""
        return not (self.torn or self.unended or self.pending) and self.trusted


@dataclass(slots=True)
class _Line:
    data: bytes  # without its newline; empty when it is too long to be kept
    digest: str  # of one that is too long
    ended: bool
    long: bool = False

    @property
    def sha256(self) -> str:
        return self.digest or hashlib.sha256(self.data).hexdigest()


def _lines(file: BinaryIO, result: CheckedJournal) -> Iterator[_Line]:
    while data := file.readline(LINE_LIMIT + 1):
        result.size += len(data)
        if data.endswith(b"\n"):
            yield _Line(data[:-1], "", ended=True)
            continue
        if len(data) <= LINE_LIMIT:
            yield _Line(data, "", ended=False)
            continue
        digest = hashlib.sha256(data)
        ended = False
        while more := file.readline(LINE_LIMIT):
            result.size += len(more)
            ended = more.endswith(b"\n")
            digest.update(more[:-1] if ended else more)
            if ended:
                break
        yield _Line(b"", digest.hexdigest(), ended=ended, long=True)


def read(data: bytes) -> CheckedJournal:
    """Check a whole journal and never raise."""
    return read_on(io.BytesIO(data), CheckedJournal())


def read_on(file: BinaryIO, result: CheckedJournal) -> CheckedJournal:
    """Check what follows, where reading had come to a clean end (or begins).

    Never keeps more than a line beside the records. Raises OSError alone.
    """
    last = _Line(b"", "", ended=True)
    for line in _lines(file, result):
        last = line
        if line.ended:
            result.lines += 1
            _take(result, line)
    if result.pending is not None:
        _say(result, f"line {result.pending[0]}: {result.pending[2]}")
    if not last.ended:
        _take_rest(result, last)
    return result


def _say(result: CheckedJournal, problem: str) -> None:
    if len(result.problems) < PROBLEMS_KEPT:
        result.problems.append(problem)
    elif len(result.problems) == PROBLEMS_KEPT:
        result.problems.append("and more: only the first 1,000 problems are listed")


def _take(result: CheckedJournal, line: _Line) -> None:
    number = result.lines
    record, wrong = (
        (None, f"longer than {LINE_LIMIT >> 20} MB")
        if line.long
        else checked_line(line.data, result.hash if result.trusted else None)
    )
    pending = result.pending
    if record is None:
        if pending is not None:
            _say(result, f"line {pending[0]}: {pending[2]}")
        result.pending = (number, line.sha256, wrong)
        return
    if pending is not None:
        if record.get("torn") != pending[1]:
            _say(result, f"line {pending[0]}: {pending[2]}")
        result.pending = None
    elif "torn" in record:
        wrong = wrong or "the cut-off line before it is gone"
    if not wrong and record["seq"] != result.seq + 1:
        wrong = f"record {record['seq']} where {result.seq + 1} was due"
    if "gap" in record:
        _say(result, f"line {number}: records before it were missing when it was written: {_short(record['gap'])}")
    if "anchor" in record:
        _say(result, f"line {number}: when it was written, {_short(record['anchor'])}")
    if wrong:
        _say(result, f"line {number}: {wrong}")
    if wrong.startswith("edited"):
        result.trusted = False  # its hash is not to be trusted: the next line is checked by itself
        result.seq += 1
        return
    _keep(result, record)
    result.trusted = True


def _short(words: Any) -> str:
    return clean(str(words), 400)


def _keep(result: CheckedJournal, record: dict[str, Any]) -> None:
    result.records.append(cleaned(record))
    result.seq, result.hash = record["seq"], record["hash"]
    result.hashes[result.seq] = result.hash


def _take_rest(result: CheckedJournal, rest: _Line) -> None:
    """Judge what follows the last newline: a whole record, or a write that was cut off."""
    result.torn = rest.sha256
    if result.pending is None and result.trusted and not rest.long:
        record, wrong = checked_line(rest.data, result.hash)
        if record is not None and not wrong and record["seq"] == result.seq + 1 and "torn" not in record:
            _keep(result, record)
            result.torn, result.unended = "", True
            _say(result, f"line {result.lines + 1}: not ended by a newline; the record itself stands")
    if result.torn:
        _say(
            result,
            f"line {result.lines + 1}: cut off in the middle (a crash while writing); the records before it stand",
        )
