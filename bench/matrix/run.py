"""Carries one step out, every guard overridden, and follows it to its proof."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from bench.matrix.cases import Case, parameters
from bench.matrix.rig import Rig
from cockpit.drill.names import MARKETS
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.proof.chain_silence import STOPS
from cockpit.model.plan import DryRunState, Phase, Plan, Progress, Proof
from cockpit.model.runbook import Runbook, Step
from cockpit.sources.solana.settings import RPC_ENDPOINTS

LONGEST_S = 3600.0  # simulated; no proof's window is so long
REFUSED, NOTHING, HELD = "refused", "nothing to do", "held"
NOT_HERE = "needs the real wire"
SEEN_WITHIN_S = 60.0  # an operator waits until what was made is seen on the chain
QUIET_S = 5.0  # without a reveal in the world


@dataclass(frozen=True, slots=True)
class Result:
    """Says how one run ended.

    `verdict`: pass, fail, unknown, none (the step stops harm: no verdict on the incident), "held"
    (it proves what it did itself and nothing more, which is so), "refused" (nothing was sent),
    "nothing to do", or "error".
    `lines`: the proof's, each with its verdict. `took_s`: simulated seconds from the yes to it.
    """

    case: Case
    verdict: str
    words: str
    lines: tuple[str, ...] = ()
    parameters: dict[str, str] | None = None
    took_s: float = 0.0
    guards: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Result:
        lists = {name: tuple(data[name]) for name in ("lines", "guards")}
        return cls(**{**data, **lists, "case": Case(**data["case"])})


class Refused(Exception):
    """Nothing was sent, and why."""


async def carry_out(rig: Rig, case: Case) -> Result:
    """Plan, confirm, watch to the verdict; a sequence part by part."""
    runbook, step = rig.runbooks.step(str(case.runbook), case.step)
    began = rig.clock.mono()
    try:
        if step.kind == "sequence":
            given, progress = await _sequence(rig, case, runbook, step)
        else:
            given, plan = await _planned(rig, case, runbook, step)
            progress = await _sent(rig, plan)
    except Refused as refused:
        nothing = str(refused) == NOTHING
        return Result(case, NOTHING if nothing else REFUSED, str(refused))
    verdict, words = _verdict(progress)
    if verdict == "pass" and not case.cures and (_has_stopped(rig, progress) or _has_paused(rig, case, given)):
        verdict = HELD
    return Result(
        case,
        verdict,
        words,
        tuple(f"{g.proof.value}: {g.text} ({g.signal}): {g.reason}" for g in progress.gauges),
        given,
        rig.clock.mono() - began,
        tuple(g.guard for g in progress.plan.overrides),
    )


def _has_stopped(rig: Rig, progress: Progress) -> bool:
    """Tell whether it proves that publishing stopped, and in the world it has."""
    claims = any(reason.startswith(STOPS) for reason in progress.plan.danger_reasons)
    return claims and rig.drill.world.clock.now() - rig.drill.world.publish.last_reveal > QUIET_S


def _has_paused(rig: Rig, case: Case, given: dict[str, str]) -> bool:
    """Tell whether a step that cures nothing proves that a market is paused, and it is."""
    _, step = rig.runbooks.step(str(case.runbook), case.step)
    meant = set(MARKETS) - set(given.get("canaries", "").split()) if "each" in step.args else {given.get("market")}
    paused = step.args.get("becomes") == "paused" and meant <= rig.drill.world.authority.paused
    return case.holds and paused and not step.validation


def _verdict(progress: Progress) -> tuple[str, str]:
    if progress.journal is None or progress.phase is Phase.STALE:
        return REFUSED, progress.words
    if progress.running:
        return "error", f"no verdict in {LONGEST_S:.0f} s: {progress.words}"
    if progress.phase is not Phase.DONE and progress.proof is Proof.PENDING:
        return (REFUSED if progress.phase is Phase.FAILED else "unknown"), progress.words
    return progress.proof.value, progress.words


async def _planned(rig: Rig, case: Case, runbook: Runbook, step: Step) -> tuple[dict[str, str], Plan]:
    """Plan it with the first parameters that would change something."""
    why = "no value is on offer for a parameter"
    for given in _offers(rig, case, step):
        try:
            plan = await asyncio.wrap_future(rig.executor.plan(runbook, step, given))
        except PlanProblem as problem:
            why = problem.reason
            continue
        if not plan.nothing_to_do:
            return given, plan
        why = NOTHING
    raise Refused(why)


def _offers(rig: Rig, case: Case, step: Step) -> Any:
    scenario = rig.drill.scenario
    endpoints = rig.settings.of(RPC_ENDPOINTS)
    return parameters(step, scenario, rig.runbooks, endpoints, rig.situation, cures=case.cures)


async def _sent(rig: Rig, plan: Plan) -> Progress:
    if plan.blocked:
        raise Refused("; ".join(f"{g.guard}: {g.reason}" for g in plan.blocked))
    if plan.dry_run.state is DryRunState.FAILED:
        raise Refused(f"dry run: {plan.dry_run.reason}")
    try:
        progress = await asyncio.wrap_future(rig.executor.confirm(plan, plan.typed))
    except PlanProblem as problem:
        raise Refused(problem.reason) from problem
    end = rig.clock.mono() + LONGEST_S
    while progress.running and rig.clock.mono() < end:
        await asyncio.sleep(1.0)
        progress = next((p for p in rig.executor.progress if p.plan.id == plan.id), progress)
    return progress


async def _sequence(rig: Rig, case: Case, runbook: Runbook, step: Step) -> tuple[dict[str, str], Progress]:
    """Carry its parts out one after the other.

    A question is answered yes, once the operator's own tool has done what it asks about.
    """
    given: dict[str, str] = {}
    last: Progress | None = None
    state = rig.executor.sequence(runbook, step)
    while state.next is not None:
        index, one = state.next, parts_of(runbook, step)[state.next]
        run = state.run
        if one.kind in ("manual", "view"):
            effect = rig.drill.scenario.by_hand.get(one.id)
            if effect is not None:
                effect(rig.drill.world)
            rig.executor.note_part(runbook.id, step.id, index, run, "done", "yes" if one.kind == "manual" else "")
        else:
            mine, plan = await _planned_part(rig, case, runbook, step, index, run)
            end = rig.clock.mono() + SEEN_WITHIN_S
            while index and plan.blocked and rig.clock.mono() < end:  # what the part before made is not read yet
                await asyncio.sleep(5.0)
                mine, plan = await _planned_part(rig, case, runbook, step, index, run)
            given |= mine
            if not plan.nothing_to_do:
                last = await _sent(rig, plan)
                if last.proof is Proof.FAIL or last.phase is not Phase.DONE:
                    return given, last
            run = plan.part.run if plan.part is not None else run
        state = rig.executor.sequence(runbook, step, run)
        if state.next == index:
            raise Refused(f"the sequence stays at part {index + 1}: {state.items[index].words}")
    if last is None:
        raise Refused(NOTHING)
    return given, last


async def _planned_part(
    rig: Rig, case: Case, runbook: Runbook, step: Step, index: int, run: str
) -> tuple[dict[str, str], Plan]:
    one = parts_of(runbook, step)[index]
    why = "no value is on offer for a parameter"
    for given in _offers(rig, case, one):
        try:
            return given, await asyncio.wrap_future(rig.executor.plan_part(runbook, step, index, given, run))
        except PlanProblem as problem:
            why = problem.reason
    raise Refused(why)
