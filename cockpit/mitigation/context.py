"""Says what a step kind may use while it plans, acts and watches.

The cluster's client, the clock, the runbooks, and the optional services that the configuration
names (network CLI, admin database, evidence, history).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cockpit.assessment.imagehistory import Past
from cockpit.clock import Clock
from cockpit.kubeapi.client import KubeClient
from cockpit.model.observed.metrics import QueryResult
from cockpit.model.plan import Proof, Rollout, Target
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation

#: The word that stands for the network's own command line in runbooks.toml, as its documents name
#: it.
NETWORK_CLI = "m0-cli"


@dataclass(frozen=True, slots=True)
class NetworkCli:
    """Holds `[network-cli]`: `argv` takes the place of the word `m0-cli`; `{cluster}` is `cluster`.

    `env` may hold secrets.
    """

    argv: tuple[str, ...] = (NETWORK_CLI,)
    cluster: str = "mainnet"
    timeout_s: float = 60.0
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class CapturedBundle(Protocol):
    """Describes an evidence bundle that was written.

    `missing` pairs a part with the reason that it is not in it.
    """

    @property
    def path(self) -> Path: ...
    @property
    def missing(self) -> Sequence[tuple[str, str]]: ...
    @property
    def words(self) -> str: ...


#: (why it is captured) → the bundle. Raises any Exception with a message when it cannot be written.
CaptureEvidence = Callable[[str], Awaitable[CapturedBundle]]


#: Queries → Prometheus' time (unix seconds), and the answers at that very time. Raises any
#: Exception when it cannot be asked.
Measure = Callable[[Sequence[str]], Awaitable[tuple[float, tuple[QueryResult, ...]]]]


@dataclass(frozen=True, slots=True)
class Backends:
    """Holds optional services beside the cluster: network CLI, admin database, evidence, history.

    None means not configured, and a step that needs it says so.
    """

    network_cli: NetworkCli = NetworkCli()
    admin_url: Callable[[], str | None] = lambda: None  # of Postgres; a secret, read when it is needed
    evidence: CaptureEvidence | None = None
    past: Past | None = None
    measure: Measure | None = None


NO_BACKENDS = Backends()


async def _nothing_worse(obj: Mapping[str, Any]) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Holds what a step kind may use while it plans, acts and watches.

    `stopping` is set when the operator asks that what runs be ended; each mitigation has its own.
    """

    client: KubeClient
    runbooks: Runbooks
    clock: Clock
    place: tuple[str, str]  # context and namespace
    read_only: bool
    backends: Backends
    situation: Callable[[], Situation | None]
    sleep: Callable[[float], Awaitable[None]]  # paces readings
    now: Callable[[], float]  # unix seconds on the cluster's clock
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: Says what is worse than it was shown, given the object as it was read again; "" for nothing.
    judge_again: Callable[[Mapping[str, Any]], Awaitable[str]] = _nothing_worse

    @property
    def namespace(self) -> str:
        return self.place[1]

    def target(self, kind: str, name: str, uid: str = "") -> Target:
        """Return a target in this context and namespace."""
        return Target(*self.place, kind, name, uid)


class OnProgress(Protocol):
    """Hears how a step goes; only what is given changes.

    `output`: the last lines, cleaned. `proof`: of a local check.
    """

    def __call__(
        self,
        words: str | None = None,
        *,
        rollout: Rollout | None = None,
        output: tuple[str, ...] | None = None,
        dropped: str | None = None,
        proof: Proof | None = None,
    ) -> None: ...
