"""Simulates the models: the version that runs, how well it fits, what a recalibration changes.

Drift is the distance between live features and what the running version was fitted to: the world's
`shift` since then, and what is wrong with the version itself. A recalibration fits the running
version to the present; it does not repair a faulty version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cockpit.drill.names import MODEL_VERSION, MODELS, QUANT

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

BASE_DRIFT = 0.08
WINDOW_S = 40.0  # of the live evaluation: scores follow slowly
VARIABLE = "M0_MODEL_VERSION"
VERSIONS = ("2025.12", MODEL_VERSION, "2026.2")  # in the registry: an engine asked for another ends at its start


@dataclass(slots=True)
class Version:
    """Describes a version of the models.

    `fitted`: the shift of the world that its training has seen.

    `fault`: what is wrong with it whatever the world does, of every model in it.
    """

    fitted: float = 0.0
    fault: float = 0.0
    faults: dict[str, float] = field(default_factory=dict)  # model → what is wrong with that one alone


class Models:
    """Holds the registry of versions and the drift of each model.

    `shift` is how far the world has moved from what the models of a calm day know: scenarios move
    it.

    The registry holds the version before, which knows an older world, the one of a calm day, and
    the next, which a scenario may have spoiled.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.shift = 0.0
        self.registry = {name: Version() for name in VERSIONS}
        self.registry["2025.12"].fitted = -0.08
        self.drift = dict.fromkeys(MODELS, BASE_DRIFT)

    @property
    def running(self) -> str:
        """Return the newest working engine's version; that of a calm day when none works."""
        pods = sorted(self.plant.fleet.working(QUANT), key=lambda pod: pod.started_at)
        return pods[-1].env.get(VARIABLE, MODEL_VERSION) if pods else MODEL_VERSION

    def step(self, dt: float) -> None:
        version = self.registry.get(self.running, self.registry[MODEL_VERSION])
        target = BASE_DRIFT + abs(self.shift - version.fitted) + version.fault
        share = min(1.0, dt / WINDOW_S)
        for model in self.drift:
            own = target + version.faults.get(model, 0.0)
            self.drift[model] += (own - self.drift[model]) * share
        if self.plant.talking and self.plant.rng.random() < 0.1 * dt:
            self._talk()

    def recalibrate(self) -> None:
        """Fit the running version to the present, as the completed recalibration job does."""
        self.registry[self.running].fitted = self.shift

    def _talk(self) -> None:
        pods = self.plant.fleet.working(QUANT)
        if not pods:
            return
        rng = self.plant.rng
        model = rng.choice(MODELS)
        drift = self.drift[model]
        level = "WARN" if drift > 0.2 else "INFO"
        self.plant.say(
            pods[rng.randrange(len(pods))].name,
            f"{level} feature distribution model={model} version={self.running} psi={drift * 1.1:.2f} "
            f"drift={drift:.2f}",
        )
