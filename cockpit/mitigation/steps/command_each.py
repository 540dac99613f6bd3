"""`command-each` runs one program once for each market but some.

One confirmation lists them, and one undo takes them all back.

Keys: as of `command`, with `args.each` (the placeholder in `argv` that takes one market after the
other), `args.but` (optional: names that are left out, separated by spaces or commas, usually
"{param}"; one that is no market is an error), and `args.reads` with `args.expect`, which are needed
here: what is so already is left alone, so that the undo takes back what was done and no more. The
markets are those of the situation: the chain's accounts, and what is served. `args.undo` names
another `command-each`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cockpit.mitigation import copied, process
from cockpit.mitigation.choices.live import left_out, markets
from cockpit.mitigation.kind import Draft, RawInverse, Ready
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.command import named_step, read_back, time_limit, words_of
from cockpit.mitigation.steps.parameters import filled, resolve
from cockpit.model.plan import Change, CommandRun, GuardResult, Proof, Rollout, Verdict
from cockpit.model.runbook import Runbook, Step
from cockpit.text import clean, counted, split_words

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared

_AT_ONCE = 4  # programs that read a market each
_NAMED = 6  # markets in one line of words


class CommandEach:
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        runbook, step, values, wanted = _asked(request, context)
        if not step.args.get("reads"):
            raise PlanProblem(f"step {step.id} cannot tell what is done already", "correct runbooks.toml: args.reads")
        cli = context.backends.network_cli
        scope = {"runbook": runbook.id, "step": step.id, "values": dict(values), "each": list(wanted)}
        states = await _states(scope, wanted, context)
        todo = tuple(one for one in wanted if states[one] is not True)
        argvs = [words_of(step, {**values, step.args["each"]: one}, cli) for one in todo]
        env = process.environment(cli.env)
        if argvs and process.executable(argvs[0][0][0], env) is None:
            raise PlanProblem(
                f"there is no program {argvs[0][0][0]} here", "set [network-cli] argv in the configuration"
            )
        effect = CommandRun(
            argvs[0][0] if argvs else (),
            time_limit(step, cli) * max(1, len(argvs)),
            tuple(sorted(env)),
            more=tuple(argv for argv, _ in argvs[1:]),
        )
        scope["each"] = list(todo)
        unread = [one for one in todo if states[one] is None]
        guards = [GuardResult("state", Verdict.UNKNOWN, f"cannot be read: {_names(unread)}")] if unread else []
        guards += _left_out(context) if request.arguments is None else []
        enables = step.args.get("enables", "")
        becomes = step.args.get("becomes") or "done"
        return Draft(
            scope=scope,
            relevant={"done": [one for one in wanted if states[one] is True], "todo": list(todo)},
            expected={"done": list(wanted), "todo": []},
            changes=tuple(Change(one, f"not {becomes}" if states[one] is False else None, becomes) for one in todo),
            kubectl=" && ".join(copied.line(shown) for _, shown in argvs),
            blast=_blast(wanted, todo, becomes),
            inverse=_inverse(runbook, step, values, todo, context),
            effect=effect,
            target=context.target("Markets", _target(step, values)),
            idle=not todo,
            dangers=(enables,) if enables else ("marked dangerous in the runbook",) if step.dangerous else (),
            relaxing=(f"it {enables} ({_names(todo)})",) if enables and todo else (),
            guards=tuple(guards),
            hidden=tuple(cli.env.values()),
        )

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        scope = prepared.draft.scope
        try:
            states = await _states(scope, scope["each"], context)
        except PlanProblem as problem:
            return Outcome("stale", problem.line())
        done = [one for one, state in states.items() if state is True]
        if done:
            return Outcome("stale", f"done since the plan was made: {_names(done)}")
        return Ready(prepared.plan.request)

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        """One after the other; one that fails does not keep the others from it."""
        intent(ready.effect)
        effect, each = ready.effect, prepared.draft.scope["each"]
        assert isinstance(effect, CommandRun)
        env = process.environment(context.backends.network_cli.env)
        argvs = (effect.argv, *effect.more)
        limit = effect.timeout_s / len(argvs)
        failed: dict[str, str] = {}
        lines: list[str] = []
        left: Sequence[str] = ()
        for turn, (one, argv) in enumerate(zip(each, argvs, strict=True), 1):
            on_progress(f"running: {turn} of {len(argvs)}, {one}", output=tuple(lines[-20:]))
            ended = await process.run(argv, env, limit, context.clock, stop=context.stopping)
            last = ended.output[-1] if ended.output else ""
            if ended.status != 0 or ended.timed_out or ended.stopped:
                failed[one] = f"{ended.words}: {last}" if last else ended.words
            lines.append(f"{one}: {failed.get(one, 'done')}")
            if context.stopping.is_set():
                left = each[turn:]
                break
        stopped = context.stopping.is_set()
        words = f"{len(argvs) - len(failed) - len(left)} of {len(argvs)} done"
        if left:
            words = f"stopped by the operator: {words}; not begun: {_names(left)}"
        if failed:
            first = next(iter(failed))
            words += f"; failed: {_names(list(failed))} ({first}: {failed[first]})"
        on_progress(output=tuple(lines[-20:]))
        nothing = len(failed) == len(argvs) and not stopped  # one that was ended half-way may have had its effect
        return Outcome("rejected" if nothing else "sent", words, output=tuple(lines[-20:]))

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        scope = prepared.draft.scope
        undone, total = list(scope["each"]), len(scope["each"])
        for attempt in range(5):
            if attempt:
                await context.sleep(1.0)
            try:
                states = await _states(scope, undone, context)
            except PlanProblem as problem:
                return Rollout(
                    done=False,
                    failed=True,
                    words=f"{outcome.words}; cannot be read back: {problem.line()}",
                    desired=total,
                )
            undone = [one for one, state in states.items() if state is not True]
            if not undone:
                on_progress(proof=Proof.PASS)
                return Rollout(
                    done=True,
                    failed=False,
                    words=f"{outcome.words}; read back: all {total}",
                    updated=total,
                    desired=total,
                )
        on_progress(proof=Proof.FAIL)
        so_far = total - len(undone)
        return Rollout(
            done=False,
            failed=True,
            words=f"{outcome.words}; read back, not done: {_names(undone)}",
            updated=so_far,
            desired=total,
        )

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        scope = intent["scope"]
        states = await _states(scope, scope["each"], context)
        done = [one for one, state in states.items() if state]
        if len(done) == len(states):
            return Judgement("applied", f"read back: all {len(done)}")
        if any(state is None for state in states.values()):
            return Judgement("unknown", "it may have run; not all of it can be read back now")
        if not done:
            return Judgement("not applied", "read back: none of it so far")
        return Judgement("applied", f"read back: {len(done)} of {len(states)}, the rest is not done")


KIND = CommandEach()


def _asked(request: PlanRequest, context: StepContext) -> tuple[Runbook, Step, Mapping[str, str], tuple[str, ...]]:
    """Return what is asked for: a step, or the step that takes another back.

    Raises PlanProblem.
    """
    if request.arguments is not None:
        runbook, step = named_step(context, request.arguments)
        own = {param.name for param in step.params}
        values = {name: value for name, value in request.arguments["values"].items() if name in own}
        return runbook, step, resolve(step, values, context.runbooks), tuple(request.arguments["each"])
    assert request.step is not None
    if request.runbook is None:
        raise PlanProblem("a command for each market belongs to a runbook", "call it by its runbook")
    return request.runbook, request.step, request.values, _wanted(request.step, request.values, context)


def _wanted(step: Step, values: Mapping[str, str], context: StepContext) -> tuple[str, ...]:
    situation = context.situation()
    known = tuple(markets(situation)) if situation is not None else ()
    if not known:
        raise PlanProblem(
            "no market is known: neither the chain nor the served outputs tell", "see `m0-cockpit doctor`"
        )
    but = split_words(filled(step.args.get("but", ""), values, f"step {step.id}: args.but"))
    strange = [name for name in but if name not in known]
    if strange:
        raise PlanProblem(f"there is no market {clean(strange[0], 60)}", f"one of {_names(known)}")
    return tuple(market for market in known if market not in but)


def _left_out(context: StepContext) -> list[GuardResult]:
    """Say what can be no market's name, so that the step does nothing about it.

    Of a label that is served nothing is known; what the chain has is a market all the same, which
    must be seen to by hand.
    """
    situation = context.situation()
    found = left_out(situation) if situation is not None else []
    return [
        GuardResult(
            "markets",
            Verdict.CONFIRM if on_chain else Verdict.NOTE,
            f"left out: {clean(name, 60) or '(empty)'}: {why}" + ("; the chain has it" if on_chain else ""),
            (name,),
        )
        for name, why, on_chain in found[:_NAMED]
    ]


async def _states(scope: Mapping[str, Any], each: Sequence[str], context: StepContext) -> dict[str, bool | None]:
    """Return, by market, whether it is done; None where it cannot be known.

    Raises PlanProblem when the runbooks do not know it any more.
    """
    runbook, step = named_step(context, scope)
    reading = next((s for s in runbook.mitigations if s.id == step.args.get("reads")), None)
    if reading is None or len(reading.params) != 1:
        raise PlanProblem(f"step {step.id}: args.reads names no command for one market", "correct runbooks.toml")
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(market: str) -> bool | None:
        named = {**scope, "reads": reading.id, "values": {reading.params[0].name: market}}
        async with few:
            return await read_back(named, context)

    return dict(zip(each, await asyncio.gather(*map(one, each)), strict=True))


def _target(step: Step, values: Mapping[str, str]) -> str:
    given = filled(step.args.get("target", ""), values, f"step {step.id}: args.target")
    if not given and step.args.get("but"):  # what its parameters name is what is left alone
        return step.args["each"] + "s"
    return clean(given or next((value for value in values.values() if value), "markets"), 120)


def _blast(wanted: Sequence[str], todo: Sequence[str], becomes: str) -> tuple[str, ...]:
    lines = [f"{counted(len(todo), 'market')}, one program each, one after the other: {_names(todo, len(todo))}"]
    if len(todo) < len(wanted):
        lines.append(f"{len(wanted) - len(todo)} are {becomes} already, and stay as they are at an undo")
    return tuple(lines)


def _inverse(
    runbook: Runbook, step: Step, values: Mapping[str, str], todo: Sequence[str], context: StepContext
) -> RawInverse | None:
    wanted = next((s for s in runbook.mitigations if s.id == step.args.get("undo")), None)
    if wanted is None or not todo:
        return None
    own = {param.name: values[param.name] for param in wanted.params if param.name in values}
    arguments = {"runbook": runbook.id, "step": wanted.id, "values": own, "each": list(todo)}
    cli = context.backends.network_cli
    shown = [words_of(wanted, {**own, wanted.args["each"]: one}, cli)[1] for one in todo]
    return RawInverse(arguments, arguments, f"{wanted.title}: {_names(todo)}", " && ".join(map(copied.line, shown)))


def _names(markets: Sequence[str], most: int = _NAMED) -> str:
    more = f" and {len(markets) - most} more" if len(markets) > most else ""
    return ", ".join(clean(market, 60) for market in markets[:most]) + more
