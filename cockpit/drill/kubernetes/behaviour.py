"""Describes how containers behave, and what the world may ask about the pods that run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """Describes how a service's containers behave.

    Asked at each start of a pod and at every step while it runs.

    `startup_s`: from the container's start to readiness. `crash_after_s`: it exits that long after
    its start, with `exit_code`. `pull_error`: the image cannot be pulled, with this message.
    `stop_s`: from deletion to gone. `log`: lines written at each start.
    """

    startup_s: float = 3.0
    ready: bool = True
    crash_after_s: float | None = None
    exit_code: int = 1
    pull_error: str | None = None
    stop_s: float = 1.0
    log: tuple[str, ...] = ()


#: (service, image, environment) → behaviour. The service is the deployment's or statefulset's name.
BehaviourOf = Callable[[str, str, Mapping[str, str]], Behaviour]


@dataclass(frozen=True)
class RunningPod:
    """Describes a pod whose main container runs.

    `started_at` is the container's start in simulated unix seconds.
    """

    name: str
    uid: str
    image: str
    env: Mapping[str, str]
    started_at: float
    ready: bool
    terminating: bool
