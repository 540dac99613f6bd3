"""Names what a stage may know of the others: the world as physics and harm see it.

`World` is a `Plant`, and its stages satisfy the protocols below. A stage that needs more of another
one asks for it here, so that no stage depends on a neighbour's code or on the whole world.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

    from cockpit.drill.clock import SimClock
    from cockpit.drill.physics.authority import Authority
    from cockpit.drill.physics.fleet import Fleet, PodView
    from cockpit.drill.physics.releases import Releases
    from cockpit.drill.prometheus.series import Registry
    from cockpit.drill.solana.node.network import Network
    from cockpit.drill.solana.program.oracle import Oracle


class ClusterState(Protocol):
    """Offers what the physics reads of the cluster beside its running pods."""

    def config(self, name: str) -> Mapping[str, str]: ...
    def pods(self, service: str) -> Sequence[object]: ...
    def policed(self, name: str) -> bool: ...
    def label(self, pod: str, labels: Mapping[str, str]) -> None: ...


class Feed(Protocol):
    """Shows how an external source comes in: its lag, and how far its odds are off the truth."""

    @property
    def lag_s(self) -> float: ...
    @property
    def skew(self) -> float: ...
    @property
    def disabled(self) -> bool: ...


class IngestStage(Protocol):
    @property
    def connectors(self) -> Mapping[str, Feed]: ...
    @property
    def coverage(self) -> Mapping[str, float]: ...
    @property
    def rate_limited(self) -> int: ...


class QuantStage(Protocol):
    @property
    def delay_s(self) -> float: ...
    @property
    def malformed(self) -> float: ...
    @property
    def expected_sources(self) -> int: ...
    @property
    def degraded(self) -> Collection[str]: ...
    @property
    def manipulated(self) -> Mapping[str, float]: ...
    @property
    def misleading(self) -> Collection[str]: ...
    def decide(self, market: str) -> str | None: ...


class SignStage(Protocol):
    @property
    def signed(self) -> tuple[int, ...]: ...
    @property
    def hashing(self) -> str: ...
    @property
    def signs(self) -> str: ...
    @property
    def misses(self) -> int: ...
    def collect(self, submitter: PodView, set_id: str) -> float | None: ...
    def start_submitter(self) -> None: ...


class PublishStage(Protocol):
    @property
    def epochs(self) -> Mapping[str, int]: ...
    @property
    def published(self) -> Mapping[str, float]: ...
    @property
    def last_reveal(self) -> float: ...
    @property
    def forged(self) -> int: ...
    @property
    def replays(self) -> int: ...
    @property
    def tempo(self) -> float: ...


class ServeStage(Protocol):
    @property
    def failed_requests(self) -> float: ...
    def age_s(self, market: str) -> float: ...


class Plant(Protocol):
    """Describes the world that a stage lives in.

    `began`: unix seconds at which its pods were old enough; `talking`: log lines are written.
    """

    rng: Random
    clock: SimClock
    began: float
    talking: bool
    metrics: Registry
    releases: Releases
    authority: Authority
    network: Network
    chain: Oracle
    fleet: Fleet

    @property
    def kube(self) -> ClusterState: ...
    @property
    def ingest(self) -> IngestStage: ...
    @property
    def quant(self) -> QuantStage: ...
    @property
    def sign(self) -> SignStage: ...
    @property
    def publish(self) -> PublishStage: ...
    @property
    def serve(self) -> ServeStage: ...

    def trace(self) -> str: ...
    def say(self, pod: str, line: str, trace: str | None = None) -> None: ...
