"""What the kinds of step may use while they plan and act: the cluster's client, the clock, the runbooks, the means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from cockpit.clock import Clock
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.means import Means
from cockpit.model.plan import Proof, Rollout
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation


@dataclass(frozen=True, slots=True)
class Office:
    """`place` is context and namespace; `sleep` paces looks; `now` is unix seconds on the cluster's clock. `stopping` is set when
    the operator asks that what runs be ended; each mitigation has its own."""

    client: KubeClient
    runbooks: Runbooks
    clock: Clock
    place: tuple[str, str]
    means: Means
    situation: Callable[[], Situation | None]
    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], float]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


class Told(Protocol):
    """Hears how it goes; only what is given changes. `output`: the last lines, cleaned. `proof`: of a local check."""

    def __call__(
        self, words: str | None = None, *, rollout: Rollout | None = None, output: tuple[str, ...] | None = None,
        dropped: str | None = None, proof: Proof | None = None,
    ) -> None: ...  # fmt: skip
