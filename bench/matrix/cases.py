"""Says which steps are tried in a scenario, and with which parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from cockpit.drill.scenarios.scenario import Scenario
from cockpit.mitigation.choices.live import choices
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.model.runbook import Param, Runbook, Runbooks, Step
from cockpit.model.situation import Situation
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.sources.solana.settings import RpcEndpoint

#: For parameters that have neither a default nor a choice: what an operator might type.
TYPED = {"set_id": "101", "threshold": "4", "key": "publish_cadence_ms", "value": "510", "sources": "4"}
MOST_TRIES = 6  # combinations of choices, until one would change something


@dataclass(frozen=True, slots=True)
class Case:
    """Names one run: a step of a runbook, in a scenario, by a seed.

    `cures`: the scenario says so; `holds`: it stops the harm and cures nothing.
    """

    scenario: str
    seed: int
    runbook: int
    step: str
    cures: bool
    holds: bool = False

    @property
    def name(self) -> str:
        return f"{self.scenario} {self.runbook}/{self.step} seed {self.seed}"


def cures(scenario: Scenario) -> set[tuple[int, str]]:
    return {_numbered(scenario, step) for step in scenario.right_steps}


def _numbered(scenario: Scenario, step: str) -> tuple[int, str]:
    number, name = scenario.qualified(step)
    return int(number), name


def cases(scenario: Scenario, seed: int, runbooks: Runbooks, situation: Situation, *, wrong: bool) -> list[Case]:
    """List the cures, and with `wrong` every other step that changes something.

    Those are of the runbooks of which symptoms hold now, and those that the scenario itself names
    as wrong.
    """
    right = cures(scenario)
    holding = {_numbered(scenario, step) for step in scenario.holding_steps}
    named = {_numbered(scenario, step) for step in scenario.wrong_steps} | holding if wrong else set()
    matching = {match.runbook.number for match in situation.matches if match.score > 0} if wrong else set()
    found = []
    for runbook in runbooks.runbooks:
        for step in runbook.mitigations:
            key = (runbook.number, step.id)
            wanted = key in right or key in named or runbook.number in matching
            if wanted and changes_something(runbook, step):
                found.append(Case(scenario.name, seed, *key, cures=key in right, holds=key in holding))
    return found


def changes_something(runbook: Runbook, step: Step) -> bool:
    parts = parts_of(runbook, step) if step.kind == "sequence" else (step,)
    return any(not STEP_KINDS[part.kind].only_reads for part in parts)


def parameters(
    step: Step,
    scenario: Scenario,
    runbooks: Runbooks,
    endpoints: tuple[RpcEndpoint, ...],
    situation: Situation,
    *,
    cures: bool,
) -> Iterator[dict[str, str]]:
    """Yield what may be given to it, the most usual first.

    Defaults, what is offered now, what one would type; for a cure the scenario's own arguments come
    before all.
    """
    offers = []
    for param in step.params:
        own = [scenario.arguments[param.name]] if param.name in scenario.arguments else []
        usual = _usual(param, runbooks, endpoints, situation)
        offers.append([*own, *usual] if cures else [*usual, *own])
    names = [param.name for param in step.params]
    for count, values in enumerate(product(*(dict.fromkeys(offer) for offer in offers))):
        if count < MOST_TRIES:
            yield dict(zip(names, values, strict=True))


def _usual(param: Param, runbooks: Runbooks, endpoints: tuple[RpcEndpoint, ...], situation: Situation) -> list[str]:
    default = [] if param.default is None else [str(param.default)]
    offered = [value for value, _ in choices(param, runbooks, endpoints, situation)]
    typed = [TYPED[param.name]] if param.name in TYPED else []
    return [*default, *offered, *typed]
