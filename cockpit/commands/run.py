"""`m0-cockpit run RUNBOOK STEP` carries out one step without a screen.

The executor, guards, journal and proof are the same.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any

from msgspec.structs import replace

from cockpit.commands.asking.wanted import wanted_of
from cockpit.commands.prompt import Prompt
from cockpit.errors import UnknownName, UsageProblem
from cockpit.model.plan import CommandRun, DryRunState, Phase, Plan, Progress, Proof, Request, SqlRun, Verdict
from cockpit.model.runbook import Runbook, Runbooks, Step
from cockpit.model.seen import Seen
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.text import safe

FAILED, REFUSED, UNPROVEN, CHANGED = 1, 2, 3, 4
HEARD_EVERY_S = 0.2  # how soon ctrl+c is heard
MARKS = {
    Verdict.PASS: "ok",
    Verdict.NOTE: "note",
    Verdict.CONFIRM: "CONFIRM",
    Verdict.UNKNOWN: "UNKNOWN",
    Verdict.BLOCK: "BLOCKED",
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runbook", metavar="RUNBOOK", help="number or id")
    parser.add_argument("step", metavar="STEP", help="step id or item id, e.g. 1.mitigation.A")
    parser.add_argument("--param", action="append", default=[], metavar="K=V", help="a parameter; repeat")
    parser.add_argument("--dry-run", action="store_true", help="plan, ask the server (dryRun=All), print; send nothing")
    parser.add_argument("--yes", action="store_true", help="confirm an ordinary step")
    parser.add_argument(
        "--confirm",
        metavar="NAME",
        help="confirm a dangerous step, or override guards: the target's name (of a sequence: NAME,NAME)",
    )
    parser.add_argument(
        "--in-stages",
        action="store_true",
        help="where a rolling update would run two of a singleton: stop it, wait until gone, change it, start it",
    )
    parser.add_argument("--answer", metavar="TEXT", help="the answer to a manual step, for the journal")
    parser.add_argument(
        "--no-wait", action="store_true", help="stop at the server's answer: no rollout, no proof (exit 3)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end instead of words")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.commands.status import first_situation
    from cockpit.session import Session

    settings = settings_of(args)
    runbooks = runbooks_of(settings)
    runbook, step = runbooks.step(args.runbook, args.step)
    parameters = _parameters(args.param)
    _check_parameters(runbook, step, parameters, runbooks)
    session = Session(settings, runbooks)
    session.start()
    try:
        for notice in first_situation(session).notices:
            print(f"m0-cockpit: {notice}", file=sys.stderr)
        session.ready.wait(30)
        for left in session.unfinished:
            print(f"unfinished: {left.title} on {left.target}: {left.judgement}: {left.explanation}", file=sys.stderr)
        if STEP_KINDS[step.kind].asks:
            return _answer(session, runbook, step, args.answer)
        return carry(session, args, runbook, step, parameters)
    finally:
        session.close(timeout_s=30)


def carry(session: Any, args: argparse.Namespace, runbook: Runbook, step: Step, parameters: dict[str, str]) -> int:
    """Carry out a step at once, or part by part.

    One that was begun in stages and stopped half-way goes on: the service may be down.
    """
    if STEP_KINDS[step.kind].has_parts or (args.in_stages and session.mitigations.sequence(runbook, step).run):
        return _sequence(session, args, runbook, step, parameters)
    plan = session.mitigations.plan(runbook, step, parameters).result(60)
    if args.in_stages and plan.staged and plan.blocked:
        return _sequence(session, args, runbook, step, parameters)
    return Carrier(session, args).carry(plan)


def _answer(session: Any, runbook: Runbook, step: Step, text: str | None) -> int:
    """Record an answer: what somebody knows is never made up here."""
    if not text:
        print(f"{step.title}: {step.question}\nanswer with --answer TEXT; it goes into the journal")
        return REFUSED
    choice = text.split(",")[0].split()[0].lower() if step.args.get("answer") == "yes-no" else ""
    if step.args.get("answer") == "yes-no" and choice not in ("yes", "no"):
        print("the answer begins with yes or no")
        return REFUSED
    session.mitigations.note(runbook.id, step.id, text.removeprefix(choice).strip(" ,"), choice=choice)
    print(f"recorded: {text}")
    return 0


def _sequence(session: Any, args: argparse.Namespace, runbook: Runbook, step: Step, parameters: dict[str, str]) -> int:
    """Carry out a sequence part by part; stop at the first that is not done.

    What it will want to be confirmed with is said before. Something to look at is for the screen,
    and so is a question that `--answer` does not answer.
    """
    from cockpit.mitigation.planning.sequence import parts_of

    parts = parts_of(runbook, step)
    state, code, answer = session.mitigations.sequence(runbook, step), 0, getattr(args, "answer", None)
    if not args.json:
        print("\n".join(wanted_of(parts, parameters)))
    while state.next is not None:
        index, one = state.next, parts[state.next]
        if not args.json:
            print(f"part {index + 1} of {len(state.items)}: {one.title}")
        own = {name: value for name, value in parameters.items() if name in {p.name for p in one.params}}
        if STEP_KINDS[one.kind].asks and answer and not args.dry_run:
            session.mitigations.note_part(runbook.id, step.id, index, state.run, answer, "")
            state, answer = session.mitigations.sequence(runbook, step, state.run), ""
            continue
        if STEP_KINDS[one.kind].asks or STEP_KINDS[one.kind].opens_view:
            print(f"{one.question or one.title}\nthis part is answered on the screen; go on from here afterwards")
            return REFUSED
        plan = session.mitigations.plan_part(runbook, step, index, own, state.run).result(60)
        code = Carrier(session, args).carry(plan)
        state = session.mitigations.sequence(runbook, step, plan.part.run)
        if args.dry_run:
            _later(session, runbook, parts[index + 1 :], parameters, index + 2, silent=args.json)
            return code
        if code not in (0, UNPROVEN) or state.next == index:
            return code
    return code


def _later(
    session: Any, runbook: Runbook, parts: Sequence[Step], parameters: dict[str, str], first: int, *, silent: bool
) -> None:
    """Show what the later parts of a dry run would do, before the first is done."""
    from cockpit.mitigation.problem import PlanProblem

    for number, one in enumerate(() if silent else parts, first):
        print(f"part {number}, planned as things are now, without the parts before it: {one.title}")
        if STEP_KINDS[one.kind].asks or STEP_KINDS[one.kind].opens_view:
            print(f"  {one.question or 'looked at, on the screen'}")
            continue
        own = {name: value for name, value in parameters.items() if name in {p.name for p in one.params}}
        try:
            print(describe(session.mitigations.plan(runbook, one, own).result(60)))
        except PlanProblem as problem:
            print(f"  no plan now: {problem.line()}")


def _parameters(pairs: list[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageProblem(f"--param {safe(pair, 60)} is not of the form name=value", "see `m0-cockpit run --help`")
        parameters[name] = value
    return parameters


def _check_parameters(runbook: Runbook, step: Step, given: dict[str, str], runbooks: Runbooks) -> None:
    """Raise UsageProblem for what no plan can be made of; the cluster is not asked."""
    from cockpit.mitigation.choices.preset import WORKED_OUT
    from cockpit.mitigation.planning.sequence import parts_of
    from cockpit.mitigation.problem import PlanProblem
    from cockpit.mitigation.steps.parameters import resolve

    parts = parts_of(runbook, step) if STEP_KINDS[step.kind].has_parts else [step]
    known = [param.name for part in parts for param in part.params]
    where = f"see `m0-cockpit runbooks show {runbook.number}`"
    for name in given:
        if name not in known:
            raise UnknownName("parameter", name, known, where if not known else "", within=f"step {step.id}")
    try:
        for part in parts:
            own = {param.name for param in part.params} & given.keys()
            asked = tuple(p for p in part.params if p.name in own or p.choices_from not in WORKED_OUT)
            if own or len(parts) == 1:
                resolve(replace(part, params=asked), {name: given[name] for name in own}, runbooks)
    except PlanProblem as problem:
        raise UsageProblem(problem.reason, problem.remedy) from None


class Carrier:
    """Prints a plan, asks, carries out, follows to the proof."""

    def __init__(self, session: Any, args: argparse.Namespace) -> None:
        self.session = session
        self.dry_run: bool = getattr(args, "dry_run", False)
        self.yes: bool = args.yes
        self.confirm: tuple[str, ...] = tuple(filter(None, (args.confirm or "").split(",")))
        self.wait: bool = not getattr(args, "no_wait", False)
        self.json: bool = args.json
        self._seen: Seen | None = None  # when the question was shown and answered

    def carry(self, plan: Plan) -> int:
        self._say(describe(plan))
        if plan.nothing_to_do:
            return self._end(plan, None, 0, "nothing would change; nothing was sent")
        if plan.blocked or plan.dry_run.state is DryRunState.FAILED:
            why = "; ".join(g.reason for g in plan.blocked) or plan.dry_run.reason
            offer = f" (--in-stages does it so: {plan.staged}, each confirmed on its own)" if plan.staged else ""
            return self._end(plan, None, REFUSED, f"refused: {why}{offer}")
        if self.dry_run:
            return self._end(plan, None, 0, "dry run: nothing was sent")
        typed = self._consent(plan)
        if typed is None:
            return self._end(plan, None, REFUSED, self._how_to_confirm(plan))
        progress = self._answered(plan, typed or None)
        if self.wait:
            progress = self._follow(plan, progress)
        return self._end(plan, progress, outcome(progress), progress.words)

    def _answered(self, plan: Plan, typed: str | None) -> Progress:
        """Wait for the answer.

        ctrl+c ends the program or statement that runs, and says what is known of it then; a request
        is not cut.
        """
        asked = threading.Event()
        # No KeyboardInterrupt: wherever it fell, from the sending on, it could leave the program
        # running and unheard.
        usual = signal.signal(signal.SIGINT, lambda *_: asked.set())
        try:
            sent: Future[Progress] = self.session.mitigations.confirm(plan, typed, self._seen)
            last = time.monotonic() + self._patience(plan)
            said = False
            while not sent.done() and time.monotonic() < last:
                if asked.is_set():
                    if not said:
                        said = True
                        last = time.monotonic() + self._patience(plan)
                        self._say("  stopping what runs; what it has done so far stays done")
                    self.session.mitigations.stop_running(plan.id)  # again until it is heard: it may not run yet
                wait((sent,), HEARD_EVERY_S)
            return sent.result(0)
        finally:
            signal.signal(signal.SIGINT, usual)

    @staticmethod
    def _patience(plan: Plan) -> float:
        """Return the seconds to wait: a command or a statement answers when it has ended."""
        limit = plan.request.timeout_s if isinstance(plan.request, CommandRun | SqlRun) else 60.0
        return limit + 60.0

    def _consent(self, plan: Plan) -> str | None:
        """Return the typed name, an empty string for a plain yes, None for no."""
        if plan.harmless:
            return ""
        if plan.typed is None:
            if self.yes or plan.target.name in self.confirm:
                return ""
            return "" if self._ask("type y to do it: ") == "y" else None
        if self.confirm:
            return plan.typed if plan.typed in self.confirm else None
        return plan.typed if not self.yes and self._ask(f"type {plan.typed} to go on: ") == plan.typed else None

    def _ask(self, question: str) -> str:
        if self.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return ""
        prompt = Prompt(question)
        answer = prompt.ask()
        self._seen = prompt.seen
        return answer

    def _how_to_confirm(self, plan: Plan) -> str:
        flag = "--yes" if plan.typed is None else f"--confirm {plan.typed}"
        return f"not confirmed; nothing was sent (confirm with {flag})"

    def _follow(self, plan: Plan, progress: Progress) -> Progress:
        said, named = "", set[str]()
        while progress.running:
            if progress.words != said:
                said = progress.words
                self._say(f"  {progress.phase.value}: {said}")
            for line in progress.rollout.blocking if progress.rollout is not None else ():
                what = line.partition(" | log: ")[0]
                if what not in named:  # its log goes on, and is not told anew each time
                    named.add(what)
                    self._say(f"    in the way: {line}")
            time.sleep(0.1)
            progress = next((p for p in self.session.progress if p.plan.id == plan.id), progress)
        return progress

    def _say(self, text: str) -> None:
        if not self.json:
            print(text, flush=True)

    def _end(self, plan: Plan, progress: Progress | None, code: int, words: str) -> int:
        if self.json:
            print(json.dumps(as_json(plan, progress, code, words)))
        else:
            for line in (progress.dropped, *progress.output) if progress is not None else ():
                if line:
                    print(f"  | {line}")
            print(words)
            if progress is not None and progress.journal is not None:
                way_back = plan.inverse is not None and _took_effect(progress)
                print(
                    f"journal {progress.journal}"
                    + (f"; undo: m0-cockpit journal undo {progress.journal}" if way_back else "")
                )
        return code


def outcome(progress: Progress) -> int:
    if progress.phase is Phase.STALE:
        return CHANGED
    if progress.phase is Phase.FAILED or progress.proof is Proof.FAIL:
        return FAILED
    return 0 if progress.phase is Phase.DONE and progress.proof in (Proof.PASS, Proof.NONE) else UNPROVEN


def _took_effect(progress: Progress) -> bool:
    """Tell whether there may be something to take back."""
    return progress.phase is not Phase.STALE and (progress.phase is not Phase.FAILED or progress.rollout is not None)


def _shown(value: str | None) -> str:
    return "(absent)" if value is None else value or "(empty)"


def describe(plan: Plan) -> str:
    lines = [plan.title, f"  target   {plan.target.words}"]
    lines += [
        f"  change   {c.field}: {_shown(c.before)} -> {_shown(c.after)}" + (f"   ({c.note})" if c.note else "")
        for c in plan.changes
    ]
    if isinstance(plan.request, Request):
        lines.append(f"  kubectl  {plan.kubectl}")
        lines.append(f"  dry run  {plan.dry_run.state.value} {plan.dry_run.reason}".rstrip())
        lines += [f"  warning  {warning}" for warning in plan.dry_run.warnings]
    elif not plan.harmless:
        lines.append(f"  runs     {plan.kubectl}")
    lines += [f"  effect   {line}" for line in plan.blast]
    if not plan.harmless:
        lines.append(f"  undo     {plan.inverse.words if plan.inverse else 'none'}")
    if plan.staged:
        lines.append(f"  stages   {plan.staged}")
    lines += [f"  guard    {MARKS[g.verdict]:<8} {g.guard}: {g.reason}" for g in plan.guards]
    lines += [f"  danger   {reason}" for reason in plan.danger_reasons]
    return "\n".join(lines)


def as_json(plan: Plan, progress: Progress | None, code: int, words: str) -> dict[str, Any]:
    """Hold nothing secret: the plan's digest stands for the request's body."""
    return {
        "runbook": plan.runbook,
        "step": plan.step,
        "item": plan.item,
        "target": {
            "context": plan.target.context,
            "namespace": plan.target.namespace,
            "kind": plan.target.kind,
            "name": plan.target.name,
            "uid": plan.target.uid,
        },
        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in plan.changes],
        "kubectl": plan.kubectl,
        "effect": type(plan.request).__name__,
        "staged": plan.staged,
        "output": list(progress.output) if progress else [],
        "warnings": list(progress.warnings) if progress else [],
        "beyond_plan": list(progress.beyond) if progress else [],
        "dry_run": {
            "state": plan.dry_run.state.value,
            "reason": plan.dry_run.reason,
            "changed": list(plan.dry_run.changed),
            "warnings": list(plan.dry_run.warnings),
        },
        "guards": [{"guard": g.guard, "verdict": g.verdict.value, "reason": g.reason} for g in plan.guards],
        "dangerous": plan.dangerous,
        "digest": plan.digest,
        "journal": progress.journal if progress else None,
        "phase": progress.phase.value if progress else "planned",
        "proof": progress.proof.value if progress else None,
        "validation": [
            {"text": g.text, "signal": g.signal, "proof": g.proof.value, "reason": g.reason}
            for g in (progress.gauges if progress else ())
        ],
        "exit": code,
        "words": words,
    }
