"""Holds what Prometheus answered: samples with their labels, and the history behind a sparkline."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """Holds one element of an instant vector.

    `value` may be NaN or infinite: the reader decides, never passes it for OK. `at`: when the
    newest sample under it was true, in unix seconds of the server; None: when it was evaluated.
    """

    labels: Mapping[str, str]
    value: float
    at: float | None = None


class History(msgspec.Struct, frozen=True):
    """Holds points (unix seconds, value) oldest first, for one set of labels."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class QueryResult(msgspec.Struct, frozen=True):
    """Holds the answer to one query of runbooks.toml.

    An empty vector has no samples; that is not zero.
    """

    samples: tuple[Sample, ...] = ()
    warnings: tuple[str, ...] = ()  # Prometheus' own, partial results among them
    history: tuple[History, ...] = ()
    evaluated_at: float | None = None  # unix seconds on the server's clock
    why_empty: str = ""  # where the metric is there and the answer is empty all the same

    def by(self, label: str) -> dict[str, float]:
        """Return values by label; samples without the label are left out."""
        return {s.labels[label]: s.value for s in self.samples if label in s.labels}


class Newest(msgspec.Struct, frozen=True):
    """Holds the answer to a query over its newest seconds alone: its windows hold nothing older."""

    result: QueryResult
    span_s: float  # so long are its windows now
    window_s: float  # so long they are in the query itself


class Exposed(msgspec.Struct, frozen=True, gc=False):
    """Holds one line of a service's own `/metrics`, read directly."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: float | None = None  # unix seconds, where the page dates it


class Alert(msgspec.Struct, frozen=True):
    """Describes a firing or pending alert of Prometheus' own rules.

    `since`: unix seconds of the server from which on its expression holds; None: not said.
    """

    name: str
    state: str
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    summary: str = ""
    since: float | None = None
