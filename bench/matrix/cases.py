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

    `cures`: the scenario says so; `holds`: it stops the harm and cures nothing. `elsewhere`: it
    sends what cures, by the name of another runbook, whose own lines judge it, or as one part of a
    sequence.
    """

    scenario: str
    seed: int
    runbook: int
    step: str
    cures: bool
    holds: bool = False
    elsewhere: bool = False

    @property
    def label(self) -> str:
        return f"{self.runbook}/{self.step}"

    @property
    def name(self) -> str:
        return f"{self.scenario} {self.label} seed {self.seed}"


def case_of(scenario: Scenario, seed: int, runbooks: Runbooks, named: str) -> Case:
    """Return the case of one step, named as in a scenario."""
    number, name = scenario.qualified(named)
    _, step = runbooks.step(number, name)
    right, holding = (
        _effects(scenario, runbooks, cures_of(scenario)),
        _effects(scenario, runbooks, scenario.holding_steps),
    )
    runbook = runbooks.runbook(number)
    key = _effect(step, runbook)
    parts = {_effect(part, runbook) for part in parts_of(runbook, step)} if step.kind == "sequence" else set()
    meant = {scenario.qualified(each)[0] for each in cures_of(scenario)}
    return Case(
        scenario=scenario.name,
        seed=seed,
        runbook=int(number),
        step=name,
        cures=key in right or bool(parts & right),
        holds=key in holding or step.holds,
        elsewhere=number not in meant if key in right else bool(parts & right),
    )


def cures_of(scenario: Scenario) -> tuple[str, ...]:
    """Return the steps that cure it each by itself."""
    return (*(step for step in scenario.right_steps if step not in scenario.repeated), *scenario.enlarged)


def cases(scenario: Scenario, seed: int, runbooks: Runbooks, situation: Situation, *, wrong: bool) -> list[Case]:
    """List the cures, and with `wrong` every other step that changes something.

    Those are of the runbooks of which symptoms hold now, and those that the scenario itself names
    as wrong. What two runbooks call differently and sends the same is the same. A program that only
    reads back what another step did changes nothing.
    """
    named = {scenario.qualified(step) for step in (*scenario.right_steps, *scenario.enlarged)}
    if wrong:
        named |= {scenario.qualified(step) for step in (*scenario.wrong_steps, *scenario.holding_steps)}
    matching = {match.runbook.number for match in situation.matches if match.score > 0} if wrong else set()
    found = []
    for runbook in runbooks.runbooks:
        for step in runbook.mitigations:
            wanted = (str(runbook.number), step.id) in named or runbook.number in matching
            if wanted and changes_something(runbook, step):
                found.append(case_of(scenario, seed, runbooks, f"{runbook.number}/{step.id}"))
    return [case for case in found if wrong or case.cures]


def needs_database(case: Case, runbooks: Runbooks) -> bool:
    """Tell whether it can only be carried out where there is a real PostgreSQL."""
    runbook, step = runbooks.step(str(case.runbook), case.step)
    parts = parts_of(runbook, step) if step.kind == "sequence" else (step,)
    return any(part.kind == "sql" for part in parts)


def _effects(scenario: Scenario, runbooks: Runbooks, steps: tuple[str, ...]) -> set[object]:
    found = (scenario.qualified(step) for step in steps)
    return {_effect(runbooks.step(*name)[1], runbooks.runbook(name[0])) for name in found}


def _effect(step: Step, runbook: Runbook) -> object:
    """Return what a step sends, whatever it is called."""
    if step.kind == "sequence":
        return tuple(_effect(part, runbook) for part in parts_of(runbook, step))
    sent = (step.service, step.replicas, step.image, step.argv, sorted(step.env.items()), sorted(step.args.items()))
    return (step.kind, *map(str, sent), tuple(sorted(param.name for param in step.params)))


def changes_something(runbook: Runbook, step: Step) -> bool:
    if step.id in {each.args.get("reads") for each in runbook.mitigations}:
        return False
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
