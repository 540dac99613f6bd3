"""Parses a page of metrics in one pass: each character is looked at a bounded number of times.

Reference: Prometheus text exposition format 0.0.4, with the quoted names of Prometheus 3. The
client library's own parser takes quadratic time for a line of many backslashes, and a thread that
parses cannot be ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cockpit.errors import CockpitError

MOST_SAMPLES = 20_000
MOST_LABELS = 64
_LONGEST_LINE = 64 * 1024

_NAME = re.compile(r"[A-Za-z_:][\w:.]*", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')  # its two ways begin differently: no way back is ever taken twice
_SPACE = re.compile(r"[ \t]*")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n"}


class ExpositionProblem(CockpitError):
    """The answer is no page of metrics; one line that says why."""

    usual_remedy = "does the service give Prometheus's text format at this address?"


def samples(page: str) -> Iterator[tuple[str, dict[str, str], float, float | None]]:
    """Yield (name, labels, value, unix seconds or None) of every sample, in the page's order.

    Raises ExpositionProblem.
    """
    for line in page.split("\n"):
        text = line.strip()
        if text and not text.startswith("#"):
            if len(text) > _LONGEST_LINE:
                raise ExpositionProblem(f"a line of more than {_LONGEST_LINE // 1024} kB: not read")
            yield _sample(text)


def _sample(text: str) -> tuple[str, dict[str, str], float, float | None]:
    named = _NAME.match(text)
    name, at = (named.group(), named.end()) if named else ("", 0)
    at = _skipped(text, at)
    labels: dict[str, str] = {}
    if text[at : at + 1] == "{":
        at = _skipped(text, at + 1)
        while text[at : at + 1] != "}":
            key, at = _key(text, at)
            if text[at : at + 1] == "=":
                labels[key], at = _quoted(text, _skipped(text, at + 1))
            elif not name:
                name = key  # {"a name", label="…"}
            else:
                raise _unreadable()
            if len(labels) > MOST_LABELS:
                raise ExpositionProblem(f"a sample with more than {MOST_LABELS} labels: not read")
            at = _skipped(text, at)
            if text[at : at + 1] == ",":
                at = _skipped(text, at + 1)
            elif text[at : at + 1] != "}":
                raise _unreadable()
        at += 1
    value = text[at:].split(maxsplit=2)[:2]
    if not name or not value or "_" in value[0]:
        raise _unreadable()
    try:
        dated = len(value) > 1 and not value[1].startswith("#")  # an exemplar is no time
        return name, labels, float(value[0]), float(value[1]) / 1000.0 if dated else None
    except ValueError:
        raise _unreadable() from None


def _key(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == '"':
        key, at = _quoted(text, at)
        return key, _skipped(text, at)
    found = _NAME.match(text, at)
    if found is None:
        raise _unreadable()
    return found.group(), _skipped(text, found.end())


def _quoted(text: str, at: int) -> tuple[str, int]:
    found = _QUOTED.match(text, at)
    if found is None:
        raise _unreadable()
    return _ESCAPED.sub(lambda one: _ESCAPES.get(one[1], one[1]), found[1]), _skipped(text, found.end())


def _skipped(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _unreadable() -> ExpositionProblem:
    return ExpositionProblem("no page of metrics: it cannot be parsed")
