"""Words a confirmation from a plan alone.

All that an operator must know before saying yes (rule 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from cockpit.model.plan import (
    Change,
    CommandRun,
    DryRunState,
    GuardResult,
    LocalCheck,
    Phase,
    Plan,
    Progress,
    Request,
    SqlRun,
    Verdict,
)
from panels.keys import hint
from panels.kit.marks import PROOFS, VERDICTS, countdown, proof_time, sign, trend_words
from panels.kit.prose import Para, labelled, para
from panels.kit.spans import Span
from panels.kit.words import value

LABEL = 16

_DRY_RUN = {
    DryRunState.OK: ("ok", "ok"),
    DryRunState.REFUSED: ("warn", "refused by the server: what it would change is not known"),
    DryRunState.FAILED: ("crit", "FAILED: the server would reject this"),
    DryRunState.UNKNOWN: ("unknown", "UNKNOWN"),
}


class Stage(StrEnum):
    WAITING = "waiting"  # the plan is being made
    PROBLEM = "problem"  # no plan could be made
    ASKING = "asking"
    EXPIRED = "expired"
    CHANGED = "changed"  # the target changed since
    SENDING = "sending"
    WATCHING = "watching"  # the server answered; rollout and proof go on in the journal too


def stage_lines(stage: Stage, reason: str, harmless: bool) -> list[Para]:
    """Return what stands above a plan that is not asked for any more."""
    if stage is Stage.EXPIRED:
        words = " after 120 s: what it was checked against may be old. Nothing was sent."
        return [para((f"{sign('warn')} EXPIRED", "warn"), words)]
    if stage is Stage.CHANGED:
        return [
            para((f"{sign('warn')} NO LONGER AS SHOWN", "warn"), f": {reason}"),
            para("Nothing was sent. What follows no longer holds."),
        ]
    if stage is Stage.SENDING:
        doing = "looking …" if harmless else "sending …"
        tail = "  journalled first; the outcome is recorded even if you close this"
        return [para((f"{sign('next')} {doing}", "accent"), tail)]
    return []


def title_of(plan: Plan) -> str:
    """Return "Switch RPC endpoint – runbook 1, mitigation A"."""
    where = f"runbook {plan.runbook_number}" if plan.runbook_number is not None else ""
    if plan.undoes is not None:
        where = f"undoes journal {plan.undoes}"
    if plan.part is not None:
        where = f"{where}, part {plan.part.index + 1} of {plan.part.of}".removeprefix(", ")
    item = plan.item or ""
    letter = item.split(".")[-1] if ".mitigation." in item else ""
    tail = ", ".join(part for part in (where, f"mitigation {letter}" if letter else "") if part)
    return f"{plan.title} {sign('dash')} {tail}" if tail else plan.title


def _target(plan: Plan, production: bool) -> Para:
    target = plan.target
    spans: list[Span] = [
        (target.context, "bold"),
        (" / ", "dim"),
        (target.namespace, "bold"),
        (" / ", "dim"),
        (f"{target.kind.lower()} ", "text"),
        (target.name, "bold"),
    ]
    if target.container:
        spans += [(" / container ", "dim"), (target.container, "text")]
    if production:
        spans = [(" PRODUCTION ", "alarm"), ("  ", "text"), *spans]
    return Para(tuple(spans))


def change_lines(changes: tuple[Change, ...], width: int = 0) -> list[Para]:
    """Return a line "SOLANA_RPC_URL  before → after   note" for each change."""
    column = max([width, *(len(change.field) for change in changes)]) + 2
    lines = []
    for change in changes:
        spans: list[Span] = [
            ("(absent)" if change.before is None else change.before or '""', "dim"),
            (f"  {sign('arrow')}  ", "accent"),
            ("(absent)" if change.after is None else change.after or '""', "bold"),
        ]
        if change.note:
            spans.append((f"   {change.note}", "dim"))
        room = max(min(max(column, LABEL), 34), len(change.field) + 2)  # a longer name keeps its distance too
        lines.append(labelled(change.field, room, *spans, role="accent"))
    return lines


def _dry_run(plan: Plan) -> list[Para]:
    role, words = _DRY_RUN[plan.dry_run.state]
    count = len(plan.dry_run.changed)
    spans: list[Span] = [(words, role)]
    if plan.dry_run.state is DryRunState.OK:
        spans.append((f", {count} field{'' if count == 1 else 's'} change{'s' if count == 1 else ''}", "text"))
    if plan.dry_run.reason:
        spans.append((f": {plan.dry_run.reason}", "text"))
    lines = [labelled("server dry run", LABEL, *spans)]
    lines += [labelled("server warns", LABEL, (text, "warn"), role="warn") for text in plan.dry_run.warnings[:4]]
    lines += [labelled("", LABEL, (path, "dim")) for path in plan.dry_run.changed[:8]]
    if count > 8:
        lines.append(labelled("", LABEL, (f"and {count - 8} more", "dim")))
    return lines


def _guard_lines(plan: Plan) -> list[Para]:
    """Put the guards that pass on one line, and each other on its own with the reason.

    The worst come first.
    What blocks, and what typing the name overrides, stands on top.
    """
    order = (Verdict.CONFIRM, Verdict.UNKNOWN, Verdict.NOTE)
    above = (*order[:2], Verdict.PASS) if _overriding(plan) else (Verdict.PASS, Verdict.BLOCK)
    rest = sorted((g for g in plan.guards if g.verdict not in above), key=lambda g: order.index(g.verdict))
    lines: list[Para] = []

    def label() -> str:
        return "guards" if not lines else ""

    for guard in rest:
        lines.append(_guard(guard, label()))
    passed: list[Span] = []
    for guard in plan.guards:
        if guard.verdict is Verdict.PASS:
            name, role = VERDICTS[guard.verdict]
            passed.append((f"{guard.guard} {name}", role))
            passed.append((f" {guard.reason}", "dim"))
            passed.append(("   ", "text"))
    if passed:
        lines.append(labelled(label(), LABEL, *passed[:-1]))
    return lines or (
        [] if plan.blocked or plan.overrides else [labelled("guards", LABEL, ("none were asked", "unknown"))]
    )


def _stands(guard: GuardResult) -> Para:
    """Say whether publishing has stopped already, by the deployment and by the chain."""
    good = guard.verdict is Verdict.PASS
    return para((f"{sign('ok' if good else 'warn')} {guard.reason}", "ok" if good else "warn"))


def _overriding(plan: Plan) -> bool:
    """Return whether it can be confirmed, and typing the name overrides guards."""
    sendable = not (plan.blocked or plan.dry_run.state is DryRunState.FAILED or plan.nothing_to_do or plan.harmless)
    return sendable and bool(plan.overrides)


def _guard(guard: GuardResult, label: str) -> Para:
    name, role = VERDICTS[guard.verdict]
    word = {Verdict.CONFIRM: "override", Verdict.UNKNOWN: "UNKNOWN"}.get(guard.verdict, "note")
    return labelled(label, LABEL, (f"{name} {guard.guard} {word}", role), (f"  {guard.reason}", "text"))


def essential_lines(plan: Plan, *, production: bool, wide: bool) -> list[Para]:
    """Return what nobody says yes to unread: overridden guards, target, changes, danger.

    Reasons that block, or that nothing would change, come first.
    """
    gap = [para()] if wide else []
    lines: list[Para] = []
    if plan.blocked:
        lines.append(para((f"{sign('crit')} BLOCKED: this cannot be done now", "crit")))
        lines += [para((f"{guard.guard}: ", "crit"), guard.reason, label="  ") for guard in plan.blocked]
        if plan.staged:
            lines.append(
                para(("s", "key"), f" does it in stages, each confirmed on its own: {plan.staged}", label="  ")
            )
        lines += gap
    elif plan.dry_run.state is DryRunState.FAILED:
        lines += [para((f"{sign('crit')} The server would reject this: ", "crit"), plan.dry_run.reason), *gap]
    elif plan.nothing_to_do:
        lines += [
            para((f"{sign('ok')} Nothing would change", "ok"), ": the target is already so. Nothing is sent."),
            *(_stands(guard) for guard in plan.guards if guard.guard == "stopped"),
            *gap,
        ]
    elif _overriding(plan):  # never below the fold: this is what the typing says yes to
        ranked = sorted(plan.overrides, key=lambda guard: guard.verdict is Verdict.UNKNOWN)
        for index, guard in enumerate(ranked):
            sign_, role = VERDICTS[guard.verdict]
            word = " UNKNOWN" if guard.verdict is Verdict.UNKNOWN else ""
            label = "you override" if index == 0 else ""
            lines.append(
                labelled(label, LABEL, (f"{sign_} {guard.guard}{word}", role), f"  {guard.reason}", role="warn")
            )
        lines += gap
    lines += [_target(plan, production), *gap, *change_lines(plan.changes), *gap]
    if plan.dangerous:
        reasons = "; ".join(plan.danger_reasons) or "marked so in the runbook"
        lines.append(labelled("dangerous", LABEL, (f"{sign('warn')} {reasons}", "warn"), role="warn"))
    return lines


def plan_lines(plan: Plan, *, production: bool, left_s: float, wide: bool) -> list[Para]:
    """Return everything of the plan, in the order it is read."""
    gap = [para()] if wide else []
    lines = essential_lines(plan, production=production, wide=wide)
    if plan.relaxes:
        lines.append(labelled("debt", LABEL, ("stays listed until it is put back", "warn")))
    if not plan.nothing_to_do:
        lines += _what_is_done(plan)
        for index, words in enumerate(plan.blast):
            lines.append(labelled("effect" if index == 0 else "", LABEL, words))
        if not plan.harmless:
            undo: Span = (plan.inverse.words, "text") if plan.inverse else ("none: this cannot be taken back", "warn")
            lines.append(labelled("undo", LABEL, undo))
    lines += [] if plan.harmless or (plan.nothing_to_do and not plan.blocked) else _guard_lines(plan)
    if not (plan.blocked or plan.nothing_to_do or plan.harmless):
        lines.append(
            labelled(
                "checked",
                LABEL,
                (
                    _CHECKED
                    if plan.generation == 0
                    else f"against generation {plan.generation}; if the object changes, this says so and sends nothing",
                    "text",
                ),
                ("   expires ", "dim"),
                (countdown(left_s), "warn" if left_s < 20 else "bold"),
            )
        )
    return [*lines, *gap]


_CHECKED = "it is looked at again just before; if it has changed, this says so and nothing is done"


def _what_is_done(plan: Plan) -> list[Para]:
    """Say exactly what is sent or run, as far as it may be shown."""
    effect = plan.request
    if isinstance(effect, CommandRun):
        return [labelled("runs", LABEL, (plan.kubectl, "accent")), *_unfilled(plan)]
    if isinstance(effect, SqlRun):
        return [
            labelled("runs", LABEL, (effect.statement, "accent")),
            labelled("same as", LABEL, (plan.kubectl, "dim")),
        ]
    if isinstance(effect, LocalCheck):
        inputs = ", ".join(f"{name} {words}" for name, words in effect.inputs.items())
        return [labelled("looks", LABEL, (effect.what, "accent"), f"  {inputs}")]
    assert isinstance(effect, Request)
    return [labelled("same as", LABEL, (plan.kubectl, "accent")), *_unfilled(plan), *_dry_run(plan)]


def _unfilled(plan: Plan) -> list[Para]:
    """Say which values are hidden: who copies the line gives them in his own shell."""
    names = list(dict.fromkeys(re.findall(r'"\$(\w+)"', plan.kubectl)))
    if not names:
        return []
    said = ", ".join(f"${name}" for name in names)
    return [labelled("", LABEL, (f"{said} is hidden: to run the copied line, set it in your shell", "dim"))]


def progress_lines(progress: Progress, keymap: Mapping[str, str] | None = None) -> list[Para]:
    """Say what became of it: phase, rollout with the pods in the way, and the proof's gauges.

    `keymap`: what the operator has given other keys.
    """
    role = {Phase.FAILED: "crit", Phase.STALE: "warn", Phase.UNCERTAIN: "unknown", Phase.DONE: "ok"}.get(
        progress.phase, "accent"
    )
    if progress.phase is Phase.DONE:
        role = PROOFS[progress.proof][1]
    lines = [
        para(
            (progress.phase.value.upper(), role),
            f"  {progress.words}",
            (f"   journal {progress.journal}" if progress.journal is not None else "", "dim"),
            (f"   answered in {progress.answered_s:.2f} s" if progress.answered_s is not None else "", "dim"),
        ),
        *change_lines(progress.plan.changes),
    ]
    rollout = progress.rollout
    if rollout is not None and rollout.words and not progress.plan.harmless:
        state = "crit" if rollout.failed else "ok" if rollout.done else "accent"
        ending = f"   {rollout.terminating} terminating" if rollout.terminating else ""
        lines.append(labelled("rollout", LABEL, (rollout.words, state), ending))
        lines += [labelled("", LABEL, (f"{sign('warn')} {words}", "warn")) for words in rollout.blocking]
    for text in progress.warnings[:4]:
        lines.append(labelled("server warns", LABEL, (text, "warn"), role="warn"))
    if progress.beyond:
        more = ", ".join(progress.beyond[:6]) + (" and more" if len(progress.beyond) > 6 else "")
        lines.append(
            labelled("not as shown", LABEL, (f"{sign('warn')} the server changed: {more}", "warn"), role="warn")
        )
    if progress.dropped:
        lines.append(labelled("output", LABEL, (progress.dropped, "warn")))
    for index, text in enumerate(progress.output):
        lines.append(labelled("output" if index == 0 and not progress.dropped else "", LABEL, (text, "dim")))
    for index, gauge in enumerate(progress.gauges):
        name, gauge_role = PROOFS[gauge.proof]
        was = f", was {value(gauge.baseline, gauge.unit)}" if gauge.baseline is not None else ""
        lines.append(
            labelled(
                "proof" if index == 0 else "",
                LABEL,
                (f"{name} {gauge.proof.value.upper()} ", gauge_role),
                gauge.text,
                (f"  {value(gauge.value, gauge.unit)}{was}", "dim"),
                (f"  held {gauge.held_s:.0f} of {gauge.hold_s:.0f} s", "dim"),
                *trend_words(gauge),
                (f"  {gauge.reason}" if gauge.reason and gauge.reason != gauge.text else "", "dim"),
            )
        )
    if proof_time(progress):
        lines.append(labelled("" if progress.gauges else "proof", LABEL, (proof_time(progress), "dim")))
    if not progress.running:
        name, proof_role = PROOFS[progress.proof]
        if progress.phase is Phase.DONE:
            lines.append(labelled("verdict", LABEL, (f"{name} {progress.proof.value.upper()}", proof_role)))
        inverse = progress.plan.inverse
        if progress.proof.value in ("fail", "unknown") and inverse is not None and progress.phase is Phase.DONE:
            lines.append(labelled("undo", LABEL, (hint(keymap or {}, "undo"), "key"), f" plans it: {inverse.words}"))
    return lines
