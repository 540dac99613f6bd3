"""Shows the physics the cluster: which pods of a service run, and with what environment.

Refreshed once a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cockpit.drill.names import SERVICES


class PodView(Protocol):
    """Describes a running pod (`cockpit.drill.kubernetes.RunningPod`)."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def started_at(self) -> float: ...
    @property
    def ready(self) -> bool: ...
    @property
    def terminating(self) -> bool: ...


class Fleet:
    """Holds a snapshot of all services' running pods.

    A terminating pod still works until it is gone (so two submitters can overlap), but gets no new
    requests where a Service would route.
    """

    def __init__(self, running: Callable[[str], Sequence[PodView]]) -> None:
        self._running = running
        self.pods: dict[str, tuple[PodView, ...]] = {}
        self._working: dict[str, tuple[PodView, ...]] = {}
        self.refresh()

    def refresh(self) -> None:
        self.pods = {name: tuple(self._running(name)) for name in SERVICES}
        self._working = {name: tuple(pod for pod in pods if pod.ready) for name, pods in self.pods.items()}

    def working(self, service: str) -> tuple[PodView, ...]:
        """Return the pods that do the service's work.

        Their container has become ready; terminating ones are included.
        """
        return self._working[service]

    def ready(self, service: str) -> tuple[PodView, ...]:
        """Return the pods that a Service would route to."""
        return tuple(pod for pod in self._working[service] if not pod.terminating)


def number(env: Mapping[str, str], name: str, default: float) -> float:
    """Read a numeric variable; what does not parse counts as the default.

    The services do the same (they log it).
    """
    try:
        return float(env.get(name, ""))
    except ValueError:
        return default
