"""Defines what a source's values are: numbers by name, that signals of runbooks.toml stand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import NOTHING_READ, Reading, Unknown, believed
from cockpit.sources.inventory import Inventory
from cockpit.sources.paused_markets import PausedMarkets, paused_markets
from cockpit.sources.spec import Readings


@dataclass(frozen=True, slots=True)
class Value:
    """Holds a number, or why there is none.

    `number` is None when unknown; `reason` then says why.

    `age_s` is the oldest topic's that it stands on. `labels` name the one of several that decided
    (the endpoint, the table, the host). `off`: its part of the source is not configured;
    `starting`: nothing was read yet. `quiet_s`: since the last of what it counts in `window_s`.
    """

    number: float | None
    reason: str = ""
    age_s: float | None = None
    labels: Mapping[str, str] | None = None
    off: bool = False
    starting: bool = False
    quiet_s: float | None = None
    window_s: float | None = None


class Values(Protocol):
    def get(self, name: str) -> Value:
        """Return the value called `name` (whole, with the source's name); it is known to be one."""
        ...


@dataclass(frozen=True, slots=True)
class Onset:
    """Says since when a signal is bad, in unix seconds on the cluster's clock.

    `at_latest`: it was bad already when it was first seen. `slow`: it measures a time; `invalid`:
    it says that what is published is wrong.
    """

    title: str
    at: float
    at_latest: bool
    slow: bool = False
    invalid: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Holds the board at one moment.

    `cluster_now`: unix seconds on the cluster's clock; `mono`: monotonic seconds. `onsets`: of the
    signals that are bad, for the values that hold them against something else.
    """

    board: Readings
    cluster: Cluster
    inventory: Inventory
    cluster_now: float
    mono: float
    onsets: dict[str, Onset] = field(default_factory=dict)

    @cached_property
    def paused(self) -> PausedMarkets:
        """Return which markets are paused: looked for once, for all that ask."""
        return paused_markets(self.board, self.cluster, self.mono)


@dataclass(frozen=True, slots=True)
class Family:
    """Describes the values of one source: how they are read, and how they are named.

    `plain` are full names; `of_service` are heads that take a service of runbooks.toml after them.
    """

    values: Callable[[Snapshot], Values]
    plain: tuple[str, ...] = ()
    of_service: tuple[str, ...] = ()

    def knows(self, value: str) -> bool:
        return value in self.plain

    def service_of(self, value: str) -> str | None:
        """Return the service that `value` names, when it has one of the heads; else None."""
        for head in self.of_service:
            if value.startswith(head + ".") and len(value) > len(head) + 1:
                return value[len(head) + 1 :]
        return None

    @property
    def spelt(self) -> tuple[str, ...]:
        """Return every name, as an error message lists them."""
        return (*self.plain, *(f"{head}.SERVICE" for head in self.of_service))


def doubt(reading: Reading[Any] | None, what: str, mono: float) -> Value | None:
    """Return a value that says why nothing follows from this reading, or None."""
    found = believed(reading, mono)
    return unknown(found, what) if isinstance(found, Unknown) else None


def broken(source: Reading[Any] | None, what: str, mono: float) -> Value:
    """Return the value of a source that published nothing but, perhaps, why it is broken."""
    found = believed(source, mono)
    return unknown(found if isinstance(found, Unknown) else Unknown(NOTHING_READ), what)


def unknown(found: Unknown[Any], what: str) -> Value:
    """Return the value that nothing is known of, with the reason."""
    return Value(None, f"{what}: {found.reason}", found.age_s, off=found.off, starting=found.starting)


def pods_running(snapshot: Snapshot, service: str) -> Value:
    """Count the pods of a service, terminating ones included."""
    found = [reading.believed(snapshot.mono) for reading in snapshot.board.under("kubernetes/pods/").values()]
    blind = next((one for one in found if isinstance(one, Unknown)), None)
    if blind is not None:
        return unknown(blind, "pods")
    if not found or not any(w.name == service for w in snapshot.cluster.workloads.values()):
        return Value(None, f"there is no {service} in the watched namespaces", starting=not found)
    return Value(float(sum(tally.running for tally in snapshot.inventory.of(service))), "", 0.0)
