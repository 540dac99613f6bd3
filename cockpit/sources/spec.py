"""Says what a source's folder declares: all that the rest of the house asks of a source.

Descriptors are light: clients and libraries are imported when a source is made, after the first
paint.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cockpit.clock import Clock
from cockpit.model.reading import Reading
from cockpit.model.registry import LEFT_OUT, RowType
from cockpit.settings import Key, Settings

if TYPE_CHECKING:
    from cockpit.kubeapi.access import Access
    from cockpit.model.observed.cluster import Cluster
    from cockpit.model.runbook import Runbooks
    from cockpit.sources.timing import PollSchedule


class Source(Protocol):
    def readings(self) -> AsyncIterator[Reading[Any]]: ...


class Readings(Protocol):
    """Shows what sources and values see of the board."""

    def get(self, topic: str) -> Reading[Any] | None: ...

    def under(self, prefix: str) -> Mapping[str, Reading[Any]]: ...


@dataclass(frozen=True, slots=True)
class SourceContext:
    """Holds what a source is made of.

    `cluster`: as it was last seen. `access` blocks and raises AccessProblem.
    """

    settings: Settings
    clock: Clock
    polls: PollSchedule
    board: Readings
    runbooks: Callable[[], Runbooks]
    cluster: Callable[[], Cluster | None]
    access: Callable[[], Access]
    namespaces: Callable[[], tuple[str, ...]]
    rng: random.Random = field(default_factory=random.Random)  # of what is spread out by chance
    unwell: Callable[[], frozenset[str]] = frozenset  # the signals that are not OK, as last judged


@dataclass(frozen=True, slots=True)
class Feed:
    """Describes a second stream of readings of one source, under a topic of its own."""

    topic: str
    wanted: Callable[[Settings], bool]
    make: Callable[[SourceContext], Source]


@dataclass(frozen=True, slots=True)
class SourceSpec(metaclass=RowType):
    """Describes one row of the sources; every part must be given."""

    name: str = LEFT_OUT  # of its folder, its topics, its values and its doctor area
    light: str = LEFT_OUT  # its name in the top strip and in `status --json`
    title: str = LEFT_OUT  # subject and verb of "... not configured": "Solana is"
    remedy: str = LEFT_OUT  # what configures it
    sections: tuple[Key[Any], ...] = LEFT_OUT  # its keys of the configuration file
    configured: Callable[[Settings], bool] = LEFT_OUT
    make: Callable[[SourceContext], Source] = LEFT_OUT  # its readings' topics begin with its name
    also: tuple[Feed, ...] = LEFT_OUT
    partly: bool = LEFT_OUT  # a topic that fails leaves the rest standing: the light is stale, not down
    exposed: Callable[[Settings], Iterable[str]] = LEFT_OUT  # what of it travels unprotected, a line each
    has_values: bool = LEFT_OUT  # its folder has a `values.py`: `FAMILY` says what signals may name
