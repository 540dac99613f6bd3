"""Decodes Prometheus' HTTP API: values as strings, warnings, errors in a 200, HTML from a proxy."""

from __future__ import annotations

import math
import re
import ssl
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from urllib.parse import urlsplit

import msgspec

from cockpit.errors import CockpitError
from cockpit.kubeapi.network import causes, words
from cockpit.model.observed.metrics import Alert, History, QueryResult, Sample
from cockpit.model.reading import Fault, SourceState
from cockpit.text import safe

_LABEL_LIMIT = 200
MOST_SERIES = 2000  # of one query: no signal and no sparkline wants more
_MOST_LABELS = 64
_MOST_WARNINGS = 20
NARROW = "let the query aggregate: sum by, topk"


class PromFault(CockpitError):
    """A request that gave no usable answer."""

    usual_remedy = "check [prometheus] url; `m0-cockpit doctor prometheus` tells more"

    def __init__(self, state: SourceState, reason: str, remedy: str = "", *, rejected: bool = False):
        super().__init__(reason, remedy)
        self.fault = Fault(state, self.reason, self.remedy)
        self.rejected = rejected  # the query is at fault, not the server


class _Series(msgspec.Struct):
    metric: dict[str, str] | None = None
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] | None = None
    histogram: msgspec.Raw | None = None


class _Alert(msgspec.Struct):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    state: str | None = None
    active_at: str | None = msgspec.field(default=None, name="activeAt")


class _Data(msgspec.Struct):
    result_type: str | None = msgspec.field(default=None, name="resultType")
    result: msgspec.Raw = msgspec.Raw(b"null")
    alerts: list[_Alert] | None = None


class _Envelope(msgspec.Struct):
    status: str | None = None
    data: _Data | None = None
    error: str | None = None
    error_type: str | None = msgspec.field(default=None, name="errorType")
    warnings: list[str] | None = None
    infos: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    data: _Data
    warnings: tuple[str, ...]


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_VECTOR = msgspec.json.Decoder(list[_Series])
_POINT = msgspec.json.Decoder(tuple[float, str])
_NONSENSE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(status: int, body: bytes) -> Answer:
    """Return a good answer, else raise PromFault in Prometheus' own words.

    A rejected query (bad_data) says where it is wrong.
    """
    if status == 401:
        raise PromFault(
            SourceState.UNAUTHORISED,
            "Prometheus does not accept the credentials (401)",
            "check its user, password or bearer token in the configuration",
        )
    if status == 403:
        raise PromFault(
            SourceState.DENIED, "Prometheus refuses queries (403)", "ask for the right to GET and POST /api/v1/query"
        )
    try:
        envelope = _ENVELOPE.decode(body)
    except _NONSENSE as error:
        raise _no_answer_of_prometheus(status, body) from error
    if envelope.status == "error" or status >= 400:
        kind = envelope.error_type or f"HTTP {status}"
        said = envelope.error or "no reason given"
        if kind == "bad_data":
            raise PromFault(
                SourceState.DOWN, f"query rejected: {said}", "correct the query in runbooks.toml", rejected=True
            )
        raise PromFault(SourceState.DOWN, f"Prometheus: {kind}: {said}", rejected=kind == "execution")
    if envelope.status != "success" or envelope.data is None:
        raise PromFault(
            SourceState.DOWN, f"HTTP {status} without a Prometheus answer", "check the address and its path prefix"
        )
    return Answer(envelope.data, tuple([safe(w, 200) for w in (envelope.warnings or ())[:_MOST_WARNINGS]]))


#: What a status says when no Prometheus wrote the body: a proxy did, or one that is not ready.
_STATUSES: Mapping[int, tuple[str, str]] = {
    404: ("nothing is at that address (HTTP 404)", "check the address and its path prefix"),
    429: ("Prometheus, or a proxy before it, is asked too often (HTTP 429)", "the cockpit tries again by itself"),
    502: ("the proxy before Prometheus gets no answer from it (HTTP 502)", "is Prometheus up?"),
    503: ("Prometheus is not ready (HTTP 503): it starts, or stops", "the cockpit tries again by itself"),
    504: ("the proxy before Prometheus waits for it in vain (HTTP 504)", "is Prometheus overloaded?"),
}


def _no_answer_of_prometheus(status: int, body: bytes) -> PromFault:
    if status in _STATUSES:
        return PromFault(SourceState.DOWN, *_STATUSES[status])
    if 300 <= status < 400:
        return PromFault(SourceState.DOWN, f"it redirects (HTTP {status}): a sign-in page?", "check the address")
    text = safe(body[:2000].decode("utf-8", "replace"), 2000)
    said = " ".join(re.sub(r"<[^<>]*>", " ", text).split())[:80]
    return PromFault(
        SourceState.DOWN, f"no Prometheus answers there: HTTP {status}: {said}", "check the address and its path prefix"
    )


def unreachable(error: Exception, base: str) -> PromFault:
    """Say a network failure in an operator's words."""
    host = urlsplit(base).netloc.rpartition("@")[2]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes(error)):
        return PromFault(SourceState.DOWN, f"{host}: {words(error)}", "set the CA file for Prometheus")
    if any(isinstance(cause, ssl.SSLError) for cause in causes(error)):
        return PromFault(SourceState.DOWN, f"{host}: {words(error)}", "http or https?")
    if isinstance(error, TimeoutError):
        return PromFault(SourceState.DOWN, f"no answer from Prometheus at {host}", "check network and address")
    return PromFault(
        SourceState.DOWN, f"cannot reach Prometheus at {host}: {words(error)}", "check network and address"
    )


def number(text: str) -> float:
    """Read Prometheus' numbers: NaN, +Inf and -Inf too; nonsense is NaN, never zero."""
    try:
        return float(text)
    except ValueError:
        return math.nan


@lru_cache(maxsize=8192)
def _short_label(text: str) -> str:
    return safe(text, _LABEL_LIMIT)


def _label(text: str) -> str:
    """Return the text cleaned; a long one is not kept."""
    return _short_label(text) if len(text) <= _LABEL_LIMIT else safe(text, _LABEL_LIMIT)


def _labels(metric: Mapping[str, str] | None) -> dict[str, str]:
    return {_label(k): _label(v) for k, v in islice((metric or {}).items(), _MOST_LABELS)}


def _bounded(series: list[_Series]) -> list[_Series]:
    """Return the series when they are no more than can be judged; raises PromFault.

    A part of them would be a lie: the worst may be in the rest.
    """
    if len(series) > MOST_SERIES:
        raise PromFault(SourceState.DOWN, f"the query gives more than {MOST_SERIES:,} series: not read", NARROW)
    return series


def samples(answer: Answer) -> tuple[tuple[Sample, ...], float | None]:
    """Return the instant values and the server's evaluation time, None when nothing tells it.

    A vector and a scalar are read; native histograms have no single value and count as NaN.
    """
    kind = answer.data.result_type
    try:
        if kind in ("scalar", "string"):
            at, value = _POINT.decode(answer.data.result)
            return (Sample({}, number(value)),), at
        if kind != "vector":
            raise PromFault(
                SourceState.DOWN,
                f"the query gives a {safe(kind or 'nothing', 40)}, not a vector",
                "correct the query",
            )
        series = _bounded(_VECTOR.decode(answer.data.result))
    except _NONSENSE as error:
        raise PromFault(SourceState.DOWN, "Prometheus' answer has an unknown shape") from error
    found = tuple([Sample(_labels(s.metric), number(s.value[1]) if s.value else math.nan) for s in series])
    return found, next((s.value[0] for s in series if s.value), None)


def histories(answer: Answer) -> tuple[History, ...]:
    """Return the series of a range query, oldest point first."""
    if answer.data.result_type != "matrix":
        return ()
    try:
        series = _bounded(_VECTOR.decode(answer.data.result))
    except _NONSENSE as error:
        raise PromFault(SourceState.DOWN, "Prometheus' answer has an unknown shape") from error
    return tuple([History(_labels(s.metric), tuple([(t, number(v)) for t, v in s.values or ()])) for s in series])


def result(answer: Answer, at: float) -> QueryResult:
    """Return an answer as samples, or as raw series where it is a range vector."""
    if answer.data.result_type == "matrix":
        return QueryResult(warnings=answer.warnings, history=histories(answer), evaluated_at=at)
    return QueryResult(samples(answer)[0], answer.warnings, evaluated_at=at)


def _same(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def append(
    history: Iterable[History], values: Iterable[Sample], at: float, since: float, step: float
) -> tuple[History, ...]:
    """Add one point to each history, and drop those before `since`.

    Within `step` of the point before the last, the last point is replaced: as many points as a
    range query would give.
    """
    now = {_same(v.labels): v for v in values}
    grown: list[History] = []
    for one in history:
        sample = now.pop(_same(one.labels), None)
        points = one.points[bisect_left(one.points, (since,)) :]
        if sample is not None and (not points or at > points[-1][0]):
            kept = points[:-1] if len(points) > 1 and at - points[-2][0] < step else points
            points = (*kept, (at, sample.value))
        if points:
            grown.append(History(one.labels, points))
    grown += [History(sample.labels, ((at, sample.value),)) for sample in now.values()]
    return tuple(grown[-MOST_SERIES:])  # names that change with each round would pile up; the newest stay


def _unix(text: str | None) -> float | None:
    """Read a time as Prometheus writes it (RFC 3339, nanoseconds); None for none and nonsense."""
    try:
        found = msgspec.convert(text, datetime) if text else None
        return found.timestamp() if found is not None and found.tzinfo is not None else None
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


def alerts(answer: Answer) -> tuple[Alert, ...]:
    """Return firing and pending alerts, firing first."""
    found = []
    every = answer.data.alerts or []
    if len(every) > MOST_SERIES:
        raise PromFault(
            SourceState.DOWN, f"more than {MOST_SERIES:,} alerts are active: not read", "see Prometheus' own page"
        )
    for one in every:
        labels, notes = _labels(one.labels), one.annotations or {}
        summary = safe(notes.get("summary") or notes.get("description") or notes.get("message") or "", 300)
        found.append(
            Alert(labels.get("alertname", "?"), safe(one.state or "unknown", 40), labels, summary, _unix(one.active_at))
        )
    return tuple(sorted(found, key=lambda a: (a.state != "firing", a.name)))
