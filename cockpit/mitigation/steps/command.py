"""`command` runs a program from an argument list.

Never a shell; each word of `argv` is one word, whatever a parameter holds.

Keys: `argv`: the word `m0-cli` at its start stands for `[network-cli] argv` of the configuration,
"{cluster}" for its cluster, and "{param*}" for as many words as the parameter holds. Optional, in
`args`: `timeout` (seconds), `target` (what it acts on, as shown and typed; else the first
parameter), `kind` (what that is: "market"), `reads` (the id of a step of the same runbook, a
command that only reads) with `expect` (a regular expression that its output matches once this one
was carried out) and `becomes` (what it is then: "paused"), `undo` (the id of a step of the same
runbook that takes it back), `enables` (why it is dangerous while dangerous signals hold: "lets a
paused market publish").

The exit status is the outcome. With `reads` it is known before whether there is anything to do, and
after a crash what became of it; without, a command that was cut off is "unknown: it may have run".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cockpit.mitigation import copied, process
from cockpit.mitigation.context import NETWORK_CLI, NetworkCli
from cockpit.mitigation.kind import Draft, RawInverse, Ready
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled, placed, resolve
from cockpit.model.plan import Change, CommandRun, GuardResult, Proof, Rollout, Verdict
from cockpit.model.runbook import Runbook, Step
from cockpit.patterns import compiled
from cockpit.text import clean, counted, safe, split_words

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared

#: A word of `argv` that stands for several: the parameter's words, separated by spaces or commas.
SPREAD = re.compile(r"\{([a-z][a-z0-9_]*)\*\}")
CLUSTER = "cluster"  # "{cluster}" needs no parameter of that name
_LONGEST_S = 3600.0
_READ_S = 20.0
_LAST = 3  # lines of output in an outcome's words


class Command:
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        runbook, step, values = _asked(request, context)
        cli = context.backends.network_cli
        argv, shown = words_of(step, values, cli)
        env = process.environment(cli.env)
        if process.executable(argv[0], env) is None:
            where = (
                "set [network-cli] argv in the configuration"
                if step.argv[0] == NETWORK_CLI
                else "install it, or correct runbooks.toml: argv"
            )
            raise PlanProblem(f"there is no program {argv[0]} here", where)
        effect = CommandRun(argv, time_limit(step, cli), tuple(sorted(env)))
        name = _target(step, values, argv)
        target = context.target((step.args.get("kind") or "command").capitalize(), name)
        reading = _reading(runbook, step)
        before, guards = await _before(reading, step, values, context)
        enables = step.args.get("enables", "")
        return Draft(
            scope=_scope(runbook, step, values),
            relevant={} if before is None else {"done": before},
            expected={} if before is None else {"done": True},
            changes=_changes(step, name, before),
            kubectl=copied.line(shown),
            blast=_blast(effect, reading),
            inverse=_inverse(runbook, step, values, cli),
            effect=effect,
            target=target,
            guards=guards,
            idle=before is True,
            dangers=(enables,) if enables else ("marked dangerous in the runbook",) if step.dangerous else (),
            relaxing=(f"it {enables} ({name})",) if enables else (),
            hidden=tuple(values[p.name] for p in step.params if p.secret and values.get(p.name))
            + tuple(cli.env.values()),
        )

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        scope = prepared.draft.scope
        if "done" not in prepared.draft.relevant:
            return Ready(prepared.plan.request)
        try:
            done = await read_back(scope, context)
        except PlanProblem as problem:
            return Outcome("stale", problem.line())
        if done is None:
            return Outcome("not sent", "its state could be read when it was planned, and cannot now")
        if done is not prepared.draft.relevant["done"]:
            return Outcome("stale", "it was done since the plan was made" if done else "its state changed since")
        return Ready(prepared.plan.request)

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        effect = ready.effect
        intent(effect)
        assert isinstance(effect, CommandRun)
        on_progress("running")

        def hear(lines: tuple[str, ...], dropped: str) -> None:
            on_progress(f"running: {lines[-1]}" if lines else "running", output=lines, dropped=dropped)

        env = process.environment(context.backends.network_cli.env)
        ended = await process.run(
            effect.argv, env, effect.timeout_s, context.clock, on_output=hear, stop=context.stopping
        )
        lines = " | ".join(ended.output[-_LAST:])
        words = ended.words + (f": {lines}" if lines else "") + (f" ({ended.dropped})" if ended.dropped else "")
        if ended.status is None:
            return Outcome("not sent", words)
        if ended.stopped:
            return await self._after_stop(prepared, context, Outcome("uncertain", words, output=ended.output[-20:]))
        if ended.status == 0 and not ended.timed_out:
            return Outcome("sent", words, output=ended.output[-20:])
        result = "uncertain" if ended.timed_out or ended.status < 0 else "rejected"
        return await self._after_failure(prepared, context, Outcome(result, words, output=ended.output[-20:]))

    async def _after_failure(self, prepared: Prepared, context: StepContext, outcome: Outcome) -> Outcome:
        """Read back what a program did that says it failed: where it can be read, that decides."""
        try:
            done = await read_back(prepared.draft.scope, context)
        except PlanProblem:
            return outcome
        if done is None:
            return outcome
        if done:
            return Outcome("sent", f"done all the same ({outcome.words})", output=outcome.output)
        return Outcome("rejected", f"{outcome.words}; read back: not done", output=outcome.output)

    async def _after_stop(self, prepared: Prepared, context: StepContext, outcome: Outcome) -> Outcome:
        """Read back what a program did before it was ended.

        What it had sent may still take effect: "not done so far" is no "not done".
        """
        try:
            done = await read_back(prepared.draft.scope, context)
        except PlanProblem:
            done = None
        if done:
            return Outcome("sent", f"done all the same ({outcome.words})", output=outcome.output)
        read = (
            "read back: not done so far; what it had sent may still take effect"
            if done is False
            else "it may have had its effect"
        )
        return Outcome("uncertain", f"{outcome.words}; {read}", output=outcome.output)

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        """Read it back, where that can be done: that is the proof."""
        scope = prepared.draft.scope
        if not scope.get("reads"):
            return Rollout(done=True, failed=False, words=outcome.words)
        for attempt in range(5):
            if attempt:
                await context.sleep(1.0)
            try:
                done = await read_back(scope, context)
            except PlanProblem as problem:
                return Rollout(
                    done=True,
                    failed=False,
                    words=f"{outcome.words}; cannot be read back: {problem.line()}",
                )
            if done:
                on_progress(proof=Proof.PASS)
                return Rollout(
                    done=True,
                    failed=False,
                    words=f"{outcome.words}; read back: done",
                )
        words = "its state cannot be read back" if done is None else "read back: it is not done"
        return Rollout(
            done=done is None,
            failed=done is False,
            words=f"{outcome.words}; {words}",
        )

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        scope = intent["scope"]
        if not scope.get("reads"):
            return Judgement("unknown", "it may have run: nothing tells whether it did", final=True)
        done = await read_back(scope, context)
        if done is None:
            return Judgement("unknown", "it may have run; it cannot be read back now")
        return (
            Judgement("applied", "read back: done") if done else Judgement("not applied", "read back: not done so far")
        )


KIND = Command()


def _asked(request: PlanRequest, context: StepContext) -> tuple[Runbook | None, Step, Mapping[str, str]]:
    """Return what is asked for: a step, or the step that takes another back."""
    if request.arguments is None:
        assert request.step is not None
        return request.runbook, request.step, request.values
    runbook, step = named_step(context, request.arguments)
    if any(isinstance(value, Mapping) for value in request.arguments["values"].values()):
        raise PlanProblem("a parameter of the step is a secret, which the journal does not hold", "do it by hand")
    return runbook, step, resolve(step, request.arguments["values"], context.runbooks)


def named_step(context: StepContext, named: Mapping[str, Any]) -> tuple[Runbook, Step]:
    try:
        return context.runbooks.step(str(named["runbook"]), str(named["step"]))
    except KeyError:
        raise PlanProblem(f"the runbooks have no step {named['step']} any more", "correct runbooks.toml") from None


def _open(text: str, name: str) -> str:
    """Return a word that may be shown whole; else what stands for it."""
    return text if safe(text, 300) == text else copied.hidden(name)


def words_of(step: Step, values: Mapping[str, str], cli: NetworkCli) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the argument list, and the same as it may be shown, to be written by `copied.line`.

    Raises PlanProblem for a word that would be taken for an option.
    """
    if not step.argv:
        raise PlanProblem(f"step {step.id} gives no argv", "correct runbooks.toml: argv")
    allowed = {param.name for param in step.params if param.leading_dash or param.type == "int"}
    secret = {param.name for param in step.params if param.secret}
    known = {CLUSTER: cli.cluster, **values}
    argv: list[str] = []
    shown: list[str] = []
    for index, word in enumerate(step.argv):
        if index == 0 and word == NETWORK_CLI:
            argv += cli.argv
            shown += cli.argv
            continue
        spread = SPREAD.fullmatch(word)
        if spread is not None:
            several = split_words(known.get(spread[1], ""))
            if any(one.startswith("-") for one in several):
                raise PlanProblem(f"{spread[1]}: a word of it begins with -", "give other values")
            argv += several
            shown += [copied.hidden(spread[1]) if spread[1] in secret else _open(one, spread[1]) for one in several]
            continue
        text, names = filled(word, known, f"step {step.id}: argv[{index}]"), placed(word)
        if text.startswith("-") and not word.startswith("-") and not names <= allowed:
            raise PlanProblem(
                f"{', '.join(sorted(names))}: {clean(text, 60)} begins with - and would be taken for an option",
                "give another value, or allow it in runbooks.toml: leading-dash",
            )
        if "\0" in text:
            raise PlanProblem(f"{', '.join(sorted(names))}: a word cannot hold a zero byte", "give another value")
        argv.append(text)
        named = next(iter(sorted(names & secret) or sorted(names)), f"word_{index}")
        shown.append(copied.hidden(named) if names & secret else _open(text, named))
    return tuple(argv), tuple(shown)


def time_limit(step: Step, cli: NetworkCli) -> float:
    text = step.args.get("timeout", "")
    try:
        seconds = float(text) if text else cli.timeout_s
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise PlanProblem(
            f"timeout {clean(text, 40)}: expected seconds, up to {_LONGEST_S:.0f}", "correct args.timeout"
        )
    return seconds


def _target(step: Step, values: Mapping[str, str], argv: tuple[str, ...]) -> str:
    """Name what must be typed when it is dangerous: the market, rather than the program."""
    if "target" in step.args:
        return clean(filled(step.args["target"], values, f"step {step.id}: args.target"), 120)
    first = next((values[param.name] for param in step.params if not param.secret and values.get(param.name)), "")
    return clean(first or argv[0].rpartition("/")[2], 120)


def _scope(runbook: Runbook | None, step: Step, values: Mapping[str, str]) -> dict[str, Any]:
    """Return what reading back needs.

    Names and parameters, never an argument list that a file could have changed.
    """
    scope: dict[str, Any] = {"runbook": runbook.id if runbook is not None else "", "step": step.id}
    if runbook is not None and step.args.get("reads"):
        scope |= {"reads": step.args["reads"], "values": {p.name: values[p.name] for p in step.params if not p.secret}}
    return scope


def _reading(runbook: Runbook | None, step: Step) -> Step | None:
    """Find the step that reads back.

    Raises PlanProblem.
    """
    wanted = step.args.get("reads")
    if not wanted:
        return None
    found = next((s for s in runbook.mitigations if s.id == wanted), None) if runbook is not None else None
    if found is None or found.kind != "command" or not step.args.get("expect"):
        raise PlanProblem(
            f"step {step.id}: args.reads must name a command of the same runbook, and args.expect what it prints",
            "correct runbooks.toml",
        )
    return found


async def read_back(scope: Mapping[str, Any], context: StepContext) -> bool | None:
    """Tell whether it is done; None: it cannot be known.

    Raises PlanProblem when the runbooks do not know it any more.
    """
    if not scope.get("reads"):
        return None
    runbook, step = named_step(context, scope)
    reading = _reading(runbook, step)
    assert reading is not None
    values = {name: str(value) for name, value in scope["values"].items()}
    own = {p.name for p in reading.params}
    known = resolve(reading, {n: v for n, v in values.items() if n in own}, context.runbooks)
    argv, _ = words_of(reading, known, context.backends.network_cli)
    env = process.environment(context.backends.network_cli.env)
    ended = await process.run(argv, env, min(_READ_S, time_limit(reading, context.backends.network_cli)), context.clock)
    said = "\n".join(ended.output)
    if not ended.timed_out and step.args.get("absent") and compiled(step.args["absent"]).found_in(said):
        return False
    if ended.status != 0 or ended.timed_out:
        return None
    if not compiled(step.args["expect"]).found_in(said):
        return False
    wanted = _words(step, values)
    missing = [word for word in wanted if not re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", said)]
    if missing:
        raise PlanProblem(
            f"{step.args.get('kind') or 'it'} {_target(step, values, argv)} is there already, and is another: "
            f"it lacks {', '.join(clean(word, 60) for word in missing[:2])}{' …' if len(missing) > 2 else ''}",
            "choose another id",
        )
    return True


def _words(step: Step, values: Mapping[str, str]) -> list[str]:
    """Return the words that what is read back must have, for it to be what the step makes."""
    text = step.args.get("with", "")
    return split_words(filled(text, values, f"step {step.id}: args.with"))


async def _before(
    reading: Step | None, step: Step, values: Mapping[str, str], context: StepContext
) -> tuple[bool | None, tuple[GuardResult, ...]]:
    """Tell whether it is done already, and what the guards should know of that."""
    if reading is None:
        return None, ()
    runbook = next((b for b in context.runbooks.runbooks if reading in b.mitigations and step in b.mitigations), None)
    done = await read_back(_scope(runbook, step, values), context)
    if done is None:
        reason = f"what it is now cannot be read ({reading.title})"
        return None, (GuardResult("state", Verdict.UNKNOWN, reason),)
    return done, (GuardResult("state", Verdict.PASS, "read just now"),)


def _changes(step: Step, name: str, before: bool | None) -> tuple[Change, ...]:
    if before is None:
        return ()
    after = step.args.get("becomes") or f"as after: {step.title}"
    return (Change(name, after if before else f"not {after}", after),)


def _blast(effect: CommandRun, reading: Step | None) -> tuple[str, ...]:
    lines = [
        f"one program, {len(effect.argv)} words, no shell; "
        f"ended after {effect.timeout_s:.0f} s with all that it started"
    ]
    lines.append(f"it sees {counted(len(effect.environment), 'variable')}: {', '.join(effect.environment)}")
    lines.append(
        f"read back by: {reading.title}"
        if reading is not None
        else "nothing reads it back: its exit status is what is known"
    )
    return tuple(lines)


def _inverse(runbook: Runbook | None, step: Step, values: Mapping[str, str], cli: NetworkCli) -> RawInverse | None:
    wanted = step.args.get("undo")
    found = next((s for s in runbook.mitigations if s.id == wanted), None) if runbook is not None and wanted else None
    if found is None or runbook is None:
        return None
    own = {p.name: values[p.name] for p in found.params if p.name in values}
    secret = {p.name for p in found.params if p.secret}
    raw = {"runbook": runbook.id, "step": found.id, "values": own}
    kept = {**raw, "values": {n: {"hidden": True} if n in secret else v for n, v in own.items()}}
    _, shown = words_of(found, {p.name: str(p.default or "") for p in found.params} | own, cli)
    return RawInverse(raw, kept, found.title, copied.line(shown))
