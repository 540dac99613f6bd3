"""Does what the screen calls the next step, until the incident is over or there is none.

Each form is left at its default and no guard is overridden. What it came to the drill's referee
says, from inside the world.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from bench.matrix.loop import hurry, simulate
from bench.matrix.rig import Rig, rig
from cockpit.drill.scenarios import find
from cockpit.drill.scenarios.scenario import Scenario
from cockpit.drill.school.referee import Referee
from cockpit.mitigation.choices.preset import presets
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Plan, Progress, Proof
from cockpit.model.runbook import Runbook, Step
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.session import journal_path
from cockpit.sources.solana.settings import RPC_ENDPOINTS
from panels.screens.runbook.next_step import called_for

SETTLED_S = 90.0  # simulated: every signal has held for as long as it must
LONGEST_S = 3600.0  # simulated, of the whole
PATIENCE_S = 1200.0  # without a next step, and without an end
ASK_S = 5.0
SPEED = 4.0  # of what needs a real PostgreSQL
LATEST_S = 900.0  # simulated, until it answers


@dataclass
class Path:
    """Says what was done in one scenario, and what it came to."""

    scenario: str
    seed: int
    steps: list[str] = field(default_factory=list)  # each with how it went
    cured: bool = False
    held: bool = False
    harm: list[str] = field(default_factory=list)
    why: str = ""  # why it went no further
    took_s: float = 0.0

    @property
    def good(self) -> bool:
        """Tell whether it is as it should be: cured, or held where no step cures."""
        scenario = find(self.scenario)
        return (self.cured if curable(scenario) else self.held) and not self.harm

    def __str__(self) -> str:
        how = "cured" if self.cured else "held" if self.held else "NOT CURED"
        mark = "  " if self.good else "✗ "
        lines = [f"{mark}{self.scenario} seed {self.seed}: {how} after {self.took_s:.0f} s"]
        lines += [f"      ▶ {step}" for step in self.steps]
        lines += [f"      harm: {one}" for one in self.harm]
        return "\n".join([*lines, *([f"      {self.why}"] if self.why and not self.good else [])])


def curable(scenario: Scenario) -> bool:
    """Tell whether a step of its own runbook cures it; of the others one stops the harm."""
    return any(scenario.qualified(step)[0] == str(scenario.runbook) for step in scenario.right_steps)


def follow(scenario: str, seed: int = 1, speed: float = SPEED) -> Path:
    """Follow the next step through one scenario.

    What needs a real PostgreSQL goes on in real time, so many times as fast.
    """
    if find(scenario).needs_database:
        return hurry(_follow(scenario, seed, wire=True), speed)
    return simulate(_follow(scenario, seed, wire=False))


async def _follow(scenario: str, seed: int, *, wire: bool) -> Path:
    path = Path(scenario, seed)
    async with rig(scenario, seed, wire=wire) as made:
        referee = Referee(made.drill.world, made.drill.scenario, made.runbooks, journal_path(made.settings))
        await _pass(made, referee, SETTLED_S)
        late = made.clock.mono() + LATEST_S
        while wire and any(s.name == "pg" and not s.state.live for s in made.situation.sources):
            if made.clock.mono() > late:
                path.why = "the database did not answer: a machine that is too busy for this speed"
                return path
            await _pass(made, referee, 1.0)
        began = waiting = made.clock.mono()
        while made.clock.mono() - began < LONGEST_S and not path.cured:
            found = called_for(made.situation)
            if found.step is None or found.runbook is None:
                path.why = f"no next step: {found.reason}"
                if made.clock.mono() - waiting > PATIENCE_S or (path.held and not curable(made.drill.scenario)):
                    break
                await _pass(made, referee, ASK_S)
            else:
                try:
                    done = await _carried_out(made, referee, found.runbook, found.step)
                except _Stopped as stopped:
                    path.steps.append(f"{found.runbook.number}/{found.step.id}: STOPPED: {stopped}")
                    path.why = "a step that is next could not be carried out as it stands"
                    break
                path.steps.append(f"{found.runbook.number}/{found.step.id}: {done}")
                await _pass(made, referee, ASK_S)
                waiting = made.clock.mono()
                if len(path.steps) > _MOST:
                    path.why = f"more than {_MOST} steps"
                    break
            _judged(path, referee, made, seed)
        await _pass(made, referee, 0.0 if path.cured else 60.0)
        _judged(path, referee, made, seed)
        path.took_s = made.clock.mono() - began
    return path


_MOST = 8


class _Stopped(Exception):
    """Nothing was sent, and why."""


def _judged(path: Path, referee: Referee, made: Rig, seed: int) -> None:
    score = referee.score(at=made.clock.wall(), seed=seed)
    path.cured = bool(score.incidents) and all(one.recovered_s is not None for one in score.incidents)
    path.held = any(step.verdict in ("holding", "right") for step in score.steps)
    path.harm = [f"{step.step} is wrong here" for step in score.steps if step.verdict == "wrong"]
    held = [step for step in score.steps if step.verdict not in ("holding", "right")]
    path.harm += [f"{step.step}: {worse}" for step in held for worse in step.worse or ()]


async def _pass(made: Rig, referee: Referee, seconds: float) -> None:
    """Let time pass, under the referee's eyes."""
    end = made.clock.mono() + seconds
    while True:
        referee.follow()
        if made.clock.mono() >= end:
            return
        await asyncio.sleep(1.0)


async def _carried_out(made: Rig, referee: Referee, runbook: Runbook, step: Step) -> str:
    """Carry one step out, a sequence part by part; return how it went."""
    if STEP_KINDS[step.kind].has_parts:
        state, words = made.executor.sequence(runbook, step), "nothing to do"
        while state.next is not None:
            index, one = state.next, parts_of(runbook, step)[state.next]
            run = state.run
            if STEP_KINDS[one.kind].asks or STEP_KINDS[one.kind].opens_view:
                _by_hand(made, referee, one)
                made.executor.note_part(runbook.id, step.id, index, run, "done", "yes")
            else:
                given = _given(made, one)
                plan = await _planned(made.executor.plan_part(runbook, step, index, given, run))
                if not plan.nothing_to_do:
                    words = _words(await _sent(made, referee, plan))
                run = plan.part.run if plan.part is not None else run
            state = made.executor.sequence(runbook, step, run)
            if state.next == index:
                return f"stays at part {index + 1}: {words}"
        return words
    if STEP_KINDS[step.kind].asks:
        _by_hand(made, referee, step)
        made.executor.note(runbook.id, step.id, "done", choice="yes" if step.args.get("answer") else "")
        await _pass(made, referee, ASK_S)
        return "answered"
    if STEP_KINDS[step.kind].opens_view:
        made.executor.note(runbook.id, step.id, f"looked at {step.view}", choice="")
        await _pass(made, referee, ASK_S)
        return "looked at"
    if step.kind == "evidence":  # there is no place for it here
        made.executor.note(runbook.id, step.id, "captured", choice="")
        return "captured"
    plan = await _planned(made.executor.plan(runbook, step, _given(made, step)))
    if plan.nothing_to_do:
        raise _Stopped("nothing would change")
    changed = "".join(f"; {c.field} {c.before} → {c.after}" for c in plan.changes)
    return _words(await _sent(made, referee, plan)) + changed


def _given(made: Rig, step: Step) -> dict[str, str]:
    return presets(step, made.runbooks, made.settings.of(RPC_ENDPOINTS), made.situation)


def _by_hand(made: Rig, referee: Referee, step: Step) -> None:
    """Let the operator's own tool do what a question asks about."""
    effect = made.drill.scenario.by_hand.get(step.id)
    if effect is not None:
        effect(made.drill.world)
        referee.by_hand(step.id)


async def _planned(asked: Any) -> Plan:
    try:
        plan: Plan = await asyncio.wrap_future(asked)
    except PlanProblem as problem:
        raise _Stopped(problem.reason) from problem
    if not plan.nothing_to_do and (plan.blocked or plan.overrides):
        raise _Stopped("; ".join(f"{g.guard}: {g.reason}" for g in (*plan.blocked, *plan.overrides)))
    return plan


async def _sent(made: Rig, referee: Referee, plan: Plan) -> Progress:
    try:
        progress: Progress = await asyncio.wrap_future(made.executor.confirm(plan, plan.typed))
    except PlanProblem as problem:
        raise _Stopped(problem.reason) from problem
    end = made.clock.mono() + LONGEST_S
    while progress.running and made.clock.mono() < end:
        await _pass(made, referee, 1.0)
        progress = next((p for p in made.executor.progress if p.plan.id == plan.id), progress)
    if progress.phase not in (Phase.DONE, Phase.FAILED):
        raise _Stopped(f"{progress.phase.value}: {progress.words}")
    return progress


def _words(progress: Progress) -> str:
    return progress.proof.value if progress.proof is not Proof.NONE else "done"
