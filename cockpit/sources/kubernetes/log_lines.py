"""Reads one line of a container's log: time, safe text, trace id, whether it is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cockpit.kubeapi.convert import unix
from cockpit.redaction.forms import KeyLines
from cockpit.text import safe

#: Bytes of a line that are read, searched and kept: only the picture is cut further.
MAX_LINE = 64 * 1024
#: What stands at the end of a line that was longer.
CUT = f" … (line cut at {MAX_LINE // 1024} kB)"
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ?")
_HEX = r"[0-9a-fA-F]{32}"
_TRACE = re.compile(
    rf"""(?x)
    \b00-({_HEX})-[0-9a-fA-F]{{16}}-[0-9a-fA-F]{{2}}\b                      # W3C traceparent
    | (?i:\btrace[-_.]?id|\btraceparent|\bx-b3-traceid)["']?\s*[=:]\s*["']?([0-9a-zA-Z][0-9a-zA-Z-]{{7,63}})
    | (?<![0-9a-zA-Z])({_HEX})(?![0-9a-zA-Z])
    """
)
_ERROR = re.compile(
    r"""(?x)
    \b(?:ERROR|FATAL|CRITICAL|PANIC|SEVERE)\b
    | (?i:\b(?:level|lvl|severity)["']?\s*[=:]\s*["']?(?:error|err|fatal|critical|panic|alert|emerg)\b)
    | \bTraceback\b | ^\s*panic: | (?i:^\s*(?:error|fatal)\b) | ^E\d{4}\ \d\d:
    """
)
_NO_TRACE = re.compile(r"^0+$")


@dataclass(frozen=True, slots=True)
class LogLine:
    """Describes one line of a log.

    `at` in unix seconds (None when the line bears no time); `text` is safe to show; `trace` the id
    picked out of it.
    """

    at: float | None
    pod: str
    container: str
    text: str
    trace: str | None
    error: bool


def trace_id(text: str) -> str | None:
    """Return the first trace id, if any.

    A traceparent, a trace_id= or "traceId": field, or 32 hex digits standing alone.
    """
    match = _TRACE.search(text)
    if match is None:
        return None
    found = next(group for group in match.groups() if group)
    if found[:3] == "00-" and len(found) == 55:
        found = found[3:35]
    return None if _NO_TRACE.match(found) else found


def parse(raw: bytes, pod: str, container: str, keys: KeyLines | None = None) -> tuple[LogLine, str]:
    """Split a raw line into its content and the server's RFC 3339 stamp, "" without one.

    `keys` follows the lines of one stream, in which a private key may stand. Never raises.
    """
    match = _STAMP.match(raw)
    stamp = match[1].decode("ascii") if match else ""
    body = raw[match.end() :] if match else raw
    said = body.rstrip(b"\r").decode("utf-8", "replace")
    text = safe(keys.shown(said) if keys is not None else said, MAX_LINE)
    if len(raw) >= MAX_LINE:
        text += CUT
    at = unix(stamp)
    return LogLine(
        at=at, pod=pod, container=container, text=text, trace=trace_id(text), error=_ERROR.search(text) is not None
    ), stamp if at is not None else ""
