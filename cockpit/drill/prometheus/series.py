"""Holds what services export now (`Registry`), and what Prometheus remembers (`SeriesStore`).

A `Series` keeps beside each raw value the value corrected for counter resets, so that an increase
over any window is one subtraction. Times are unix seconds, rounded to milliseconds as Prometheus
keeps them.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from cockpit.drill.names import METRICS, NAMESPACE

Labels = tuple[tuple[str, str], ...]  # sorted by name, `__name__` included where there is one

_STALE_BITS = 0x7FF0000000000002  # Prometheus' own staleness marker
STALE: float = struct.unpack("<d", struct.pack("<Q", _STALE_BITS))[0]

RETENTION_S = 7200.0


def is_stale(value: float) -> bool:
    """Return whether the value is the staleness marker (an ordinary NaN is not)."""
    return value != value and struct.unpack("<Q", struct.pack("<d", value))[0] == _STALE_BITS


class Series:
    """Holds samples of one set of labels, oldest first.

    `adj` never falls: raw values plus what resets took away.
    """

    __slots__ = ("_clean", "_offset", "adj", "gaps", "label", "labels", "name", "t", "v")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.label = dict(labels)
        self.name = self.label.get("__name__", "")
        self.t: array[float] = array("d")
        self.v: array[float] = array("d")
        self.adj: array[float] = array("d")
        self.gaps = 0  # staleness markers among the samples
        self._offset = 0.0
        self._clean: tuple[Sequence[float], Sequence[float], Sequence[float]] | None = None

    def append(self, at: float, value: float) -> None:
        """Add a sample later than the last.

        A value below the last counts as a counter reset in `adj`.
        """
        if self.v:
            last = self.v[-1]
            if value >= last:  # as nearly always: neither a reset nor a marker
                pass
            elif value != value and is_stale(value):
                if is_stale(last):
                    return
                self.gaps += 1
            elif value < last:
                self._offset += last
            elif last != last and self.gaps:
                before = next((x for x in reversed(self.v) if x == x), value)
                if value < before:
                    self._offset += before
        elif value != value and is_stale(value):
            return
        self.t.append(at)
        self.v.append(value)
        self.adj.append(value + self._offset)
        self._clean = None

    def trim(self, before: float) -> None:
        """Forget samples older than `before`."""
        cut = bisect_left(self.t, before)
        if cut:
            self.gaps -= sum(1 for value in self.v[:cut] if value != value and is_stale(value))
            del self.t[:cut], self.v[:cut], self.adj[:cut]
            self._clean = None

    def samples(self) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Return (times, raw values, corrected values) without staleness markers."""
        if not self.gaps:
            return self.t, self.v, self.adj
        if self._clean is None:
            keep = [i for i, value in enumerate(self.v) if not (value != value and is_stale(value))]
            self._clean = ([self.t[i] for i in keep], [self.v[i] for i in keep], [self.adj[i] for i in keep])
        return self._clean


class SeriesStore:
    """Holds all series by metric name."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[Series]] = {}
        self._by_labels: dict[Labels, Series] = {}

    def series(self, labels: Labels) -> Series:
        """Return the series with exactly these labels, made at first use."""
        found = self._by_labels.get(labels)
        if found is None:
            found = self._by_labels[labels] = Series(labels)
            self.by_name.setdefault(found.name, []).append(found)
        return found

    def all(self) -> Iterable[Series]:
        return self._by_labels.values()

    def trim(self, now: float) -> None:
        """Drop samples past the retention, and series that have none left."""
        for labels, series in list(self._by_labels.items()):
            series.trim(now - RETENTION_S)
            if not series.t:
                del self._by_labels[labels]
                self.by_name[series.name].remove(series)


def labels_of(name: str, labels: Mapping[str, str]) -> Labels:
    """Sort labels, with `__name__`; empty values are left out, as Prometheus does."""
    return tuple(sorted([("__name__", name), *((k, v) for k, v in labels.items() if v != "")]))


class Value:
    """Holds a counter's or gauge's current value."""

    __slots__ = ("labels", "name", "rows", "value")

    def __init__(self, name: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.labels = dict(labels)
        self.value = 0.0
        self.rows: list[Series] = []  # where its samples go

    def inc(self, by: float = 1.0) -> None:
        self.value += by


class Histogram:
    """Holds bucket counts (not cumulative; the last is +Inf), sum and count."""

    __slots__ = ("bounds", "counts", "labels", "name", "rows", "total")

    def __init__(self, name: str, labels: Mapping[str, str], bounds: tuple[float, ...]) -> None:
        self.name = name
        self.labels = dict(labels)
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.rows: list[Series] = []  # buckets by bound, +Inf, sum, count

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def cumulative(self) -> list[int]:
        return list(accumulate(self.counts))


def bound_text(bound: float) -> str:
    """Write a bound as client libraries write `le`: `5.0`."""
    return str(bound)


class Registry:
    """Holds the current values of every service ("job").

    A restarted process begins with a clean slate: `reset`.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, Labels], Value] = {}
        self._histograms: dict[tuple[str, str, Labels], Histogram] = {}
        self._gone: list[tuple[str, str, Mapping[str, str]]] = []

    def value(self, job: str, name: str, **labels: str) -> Value:
        """Return the counter or gauge, made at zero at first use."""
        key = (job, name, _key(labels))
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = Value(name, labels)
        return found

    def histogram(self, job: str, name: str, **labels: str) -> Histogram:
        key = (job, name, _key(labels))
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = Histogram(name, labels, METRICS[name].buckets)
        return found

    def remove(self, job: str, name: str, **labels: str) -> None:
        """Stop exporting this gauge or counter."""
        gone = self._values.pop((job, name, _key(labels)), None)
        if gone is not None:
            self._gone.append((job, name, labels))

    def reset(self, job: str) -> None:
        """Forget all that the job had counted: its process was replaced."""
        for key in [key for key in self._values if key[0] == job]:
            gone = self._values.pop(key)
            self._gone.append((job, gone.name, gone.labels))
        for key in [key for key in self._histograms if key[0] == job]:
            histogram = self._histograms.pop(key)
            for name, labels in _histogram_labels(histogram):
                self._gone.append((job, name, labels))

    def families(self, jobs: Iterable[str]) -> Iterator[tuple[str, list[Value | Histogram], str]]:
        """Return (metric name, children, job) of the given jobs, for the exposition."""
        for job in jobs:
            grouped: dict[str, list[Value | Histogram]] = {}
            for (owner, name, _), value in self._values.items():
                if owner == job:
                    grouped.setdefault(name, []).append(value)
            for (owner, name, _), histogram in self._histograms.items():
                if owner == job:
                    grouped.setdefault(name, []).append(histogram)
            for name, children in grouped.items():
                yield name, children, job

    def current(self, up: set[str]) -> Iterator[tuple[Labels, float]]:
        """Yield every series of the jobs that are up, with its value now."""
        for (job, name, _), value in self._values.items():
            if job in up:
                yield _target_labels(job, name, value.labels), value.value
        for (job, _, _), histogram in self._histograms.items():
            if job in up:
                running = histogram.cumulative()
                numbers = [*running, histogram.total, running[-1]]
                for (name, labels), number in zip(_histogram_labels(histogram), numbers, strict=True):
                    yield _target_labels(job, name, labels), number

    def sample(self, store: SeriesStore, at: float, up: set[str]) -> None:
        """Scrape every job that is up into the store.

        What is gone, or whose job is down, is marked stale.
        """
        at = round(at, 3)
        for job, name, labels in self._gone:
            store.series(_target_labels(job, name, labels)).append(at - 0.001, STALE)
        self._gone.clear()
        for (job, name, _), value in self._values.items():
            if not value.rows or not value.rows[0].t:
                value.rows = [store.series(_target_labels(job, name, value.labels))]
            value.rows[0].append(at, value.value if job in up else STALE)
        for (job, _, _), histogram in self._histograms.items():
            if not histogram.rows or not histogram.rows[0].t:
                histogram.rows = [
                    store.series(_target_labels(job, name, labels)) for name, labels in _histogram_labels(histogram)
                ]
            if job in up:
                running = histogram.cumulative()
                for row, number in zip(histogram.rows, [*running, histogram.total, running[-1]], strict=True):
                    row.append(at, number)
            else:
                for row in histogram.rows:
                    row.append(at, STALE)


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items())) if len(labels) > 1 else tuple(labels.items())


def _target_labels(job: str, name: str, labels: Mapping[str, str]) -> Labels:
    return labels_of(name, {**labels, "job": job, "instance": f"{job}:9090", "namespace": NAMESPACE})


def _histogram_labels(histogram: Histogram) -> list[tuple[str, dict[str, str]]]:
    rows = [(f"{histogram.name}_bucket", {**histogram.labels, "le": bound_text(bound)}) for bound in histogram.bounds]
    rows.append((f"{histogram.name}_bucket", {**histogram.labels, "le": "+Inf"}))
    rows.append((f"{histogram.name}_sum", dict(histogram.labels)))
    rows.append((f"{histogram.name}_count", dict(histogram.labels)))
    return rows
