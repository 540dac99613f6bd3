"""Draws one runbook as one page, as an operator reads, with what is known now in every line.

Pure.
"""

from __future__ import annotations

from cockpit.model.plan import Gauge, Proof
from cockpit.model.reading import Unknown, believed
from cockpit.model.runbook import Match, Runbook, Step, SymptomStatus, Validation, listed
from cockpit.model.signal import Level, SignalStatus, near
from cockpit.model.situation import Situation
from panels.kit.marks import PROOFS, SIGN, level_words, meter, proof_time, trend_words
from panels.kit.prose import Para, heading, labelled, para
from panels.kit.spans import Span
from panels.kit.theme import MARK
from panels.kit.words import age, value
from panels.screens.runbook.next_step import bad, hindered, likeliest, next_step, preview
from panels.screens.runbook.nothing_fits import NOTHING, STATE, nothing_fits

MOST_LISTED = 8  # of a query's table, in a line


def ranked(situation: Situation) -> list[Match]:
    """Return the matches, best first, then the runbooks that nobody matched."""
    seen = {match.runbook.id for match in situation.matches}
    rest = [
        Match(runbook=runbook, symptoms=(), held=0, unknown=0, total=len(runbook.symptoms), score=0.0)
        for runbook in situation.runbooks.runbooks
        if runbook.id not in seen
    ]
    return [*situation.matches, *rest]


def list_lines(situation: Situation) -> list[Para]:
    """Return the ranked list: symptoms held of all, number, title."""
    lines = []
    if nothing_fits(situation):
        lines.append(
            Para((("no runbook fits", "bold"),), ((f"{SIGN['dash']:<5}", "crit"), ("   ", "key")), key=NOTHING)
        )
    worth = {match.runbook.id for match in listed(situation.matches)}
    for match in ranked(situation):
        named = match.runbook.id in worth
        role = "crit" if match.whole and named else "warn" if named else "dim"
        held = f"{match.held}/{match.total}{'?' if match.unknown else ''}" if match.total else SIGN["dash"]
        title: Span = (match.runbook.title, "bold" if named else "text")
        lines.append(
            Para((title,), ((f"{held:<5}", role), (f"{match.runbook.number:>2} ", "key")), key=match.runbook.id)
        )
    return lines


def page(match: Match, situation: Situation) -> list[Para]:
    """Return the page's lines.

    Keys: `triage:ITEM` (its number where it has no item), `step:ID`, `debt:NUMBER`.
    """
    runbook = match.runbook
    lines = [
        para(
            (f"{runbook.number} ", "key"),
            (runbook.title, "title"),
            ("   ", "text"),
            (f" {runbook.severity} ", _severity(runbook)),
            (f"   {match.words}" if match.total else "   no symptoms: a procedure", "dim"),
        ),
    ]
    state = situation.publishing
    if state.words:
        back = "held back: " if match.held_back else ""
        lines.append(para((f"{back}{state.words}", "warn")))
    if state.paused:
        lines.append(para((f"{len(state.paused)} of {state.markets or '?'} markets are paused", "warn")))
    if match.suspected:
        though = ", though no symptom can show" if match.hidden else ""
        lines.append(para((f"a cause is seen{though}: {match.suspected}", "warn")))
    behind = [str(m.runbook.number) for m in situation.matches if m.hidden and m.runbook.id != runbook.id]
    if match.holds and behind:
        words = f"not known, as nothing is tried that could show it: runbook{'s' if len(behind) > 1 else ''} "
        lines.append(para((f"{words}{', '.join(behind)}", "unknown")))
    if runbook.summary:
        lines.append(para((runbook.summary, "dim")))
    lines += _symptoms(match, situation)
    lines += _triage(runbook, situation)
    lines += _causes(runbook, situation)
    lines += _mitigations(match, situation)
    lines += _validation(runbook, situation)
    if situation.debts:
        lines += [para(), para(("DEBT", "warn"), ("   relaxed or reduced, to be put back", "dim"))]
        lines += [
            para(
                (debt.words, "warn"),
                (f"   since {age(situation.wall - debt.since_wall)}, journal {debt.number}", "dim"),
                label="  ",
                key=f"debt:{debt.number}",
            )
            for debt in situation.debts
        ]
    return lines


def first_key(match: Match, situation: Situation) -> str | None:
    """Return where the cursor begins: the next sensible step."""
    step = next_step(match, situation)
    return f"step:{step.id}" if step else None


def _severity(runbook: Runbook) -> str:
    return "alarm" if runbook.severity in ("SEV0", "SEV1") else "halt"


def number(signal: SignalStatus) -> str:
    return value(signal.newest, signal.unit)


def _where(signal: SignalStatus) -> str:
    where = signal.where or ", ".join((signal.worst_labels or {}).values())
    return f" on {where}" if where else ""


def _answer(signal: SignalStatus) -> list[Span | str]:
    """Return "✗ RPC error rate 38 % on rpc-a"."""
    role = signal.level.value
    if signal.level is Level.UNKNOWN:
        return [
            (f"{SIGN['unknown']} {signal.title} unknown", role),
            (f": {signal.reason}" if signal.reason else "", "dim"),
        ]
    if signal.level is Level.RECOVERING:
        return [(f"{SIGN['recovering']} {signal.title} {signal.reason}", role)]
    if signal.pending is not None:  # it is bad, but not for as long as it must be
        return [(f"{MARK[Level.WARN]} {signal.title} {signal.reason}", "warn")]
    return [(f"{SIGN[signal.level.value]} {signal.title} {number(signal)}{_where(signal)}", role)]


def _age(signal: SignalStatus | None) -> Span:
    return (f"   ({age(signal.age_s)})", "dim") if signal is not None and signal.age_s is not None else ("", "dim")


def _symptoms(match: Match, situation: Situation) -> list[Para]:
    known = match.symptoms or tuple(SymptomStatus(symptom, None, "") for symptom in match.runbook.symptoms)
    if not known:
        return []
    lines = heading("SYMPTOMS")
    for status in known:
        signal = situation.signals.get(status.by or status.symptom.signal)
        level = signal.level if signal is not None else Level.UNKNOWN
        if status.held is None or signal is None:
            state, role = f"{SIGN['unknown']} UNKNOWN", "unknown"
        elif status.held:
            state, role = level_words(level), level.value if level is not Level.OK else "warn"
        elif level is Level.RECOVERING:
            state, role = level_words(level), level.value
        elif signal.pending is not None:
            state, role = f"{MARK[Level.WARN]} soon", "warn"
        else:
            state, role = f"{SIGN['dash']} no", "ok"
        spoken = status.held is not False or level is Level.RECOVERING or signal is None or signal.pending is not None
        reason = signal.reason if signal is not None else f"no signal {status.symptom.signal}"
        reason = status.because if status.hidden else reason
        spans: list[Span | str] = [status.symptom.text, ("   ", "text")]
        if reason and spoken:  # "124 s: crit from 60 s": the words hold the value
            spans.append((reason, role))
        elif signal is not None and signal.value is not None:
            spans += [(number(signal), role if status.held else "text"), (_where(signal), "dim")]
        spans.append(_age(signal))
        lines.append(labelled(f"  {state}", STATE + 2, *spans, role=role))
    return lines


def _triage(runbook: Runbook, situation: Situation) -> list[Para]:
    if not runbook.triage:
        return []
    lines = heading("TRIAGE", "enter opens the view")
    for index, item in enumerate(runbook.triage, 1):
        spans: list[Span | str] = [item.text]
        for name in item.signals:
            signal = situation.signals.get(name)
            spans.append(("   ", "text"))
            spans += (
                _answer(signal) if signal is not None else [(f"{SIGN['unknown']} {name}: no such signal", "unknown")]
            )
        for name in item.queries:
            spans += [("   ", "text"), _table(name, situation)]
        lines.append(para(*spans, label=(f"{index} ", "key"), key=f"triage:{item.item or index}"))
    return lines


def _table(name: str, situation: Situation) -> Span:
    """Return a query's table in one line, the greatest first: "politics 115 s, sports 2 s"."""
    found = believed(situation.queries.get(name), situation.mono)
    query = situation.runbooks.queries.get(name)
    if isinstance(found, Unknown):
        return (f"{SIGN['unknown']} {name}: {found.reason}", "unknown")
    unit = query.unit if query is not None else ""
    known = sorted((s for s in found.data.samples if s.value == s.value), key=lambda s: -s.value)
    words = [f"{' '.join(s.labels.values()) or name} {value(s.value, unit)}" for s in known[:MOST_LISTED]]
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return (", ".join(words) + more if words else f"{SIGN['unknown']} {name}: no sample", "text")


def _causes(runbook: Runbook, situation: Situation) -> list[Para]:
    if not runbook.causes:
        return []
    lines = heading("CAUSES")
    likely = likeliest(runbook, situation)
    for index, cause in enumerate(runbook.causes):
        worse = bad(cause.signals, situation)
        unknown = [
            n for n in cause.signals if n not in situation.signals or situation.signals[n].level is Level.UNKNOWN
        ]
        mark, role = (
            (f"{SIGN['next']} likeliest", "warn")
            if index == likely
            else (f"{SIGN['warn']} possible", "warn")
            if worse
            else ((f"{SIGN['unknown']} unknown", "unknown") if unknown else (f"{SIGN['dash']}", "dim"))
        )
        why = ", ".join(f"{s.title} {number(s)}{_where(s)}" for s in worse)
        lines.append(
            labelled(
                f"  {mark}",
                STATE + 4,
                (cause.text, "bold" if index == likely else "text"),
                (f"   {why}" if why else "", "dim"),
                role=role,
            )
        )
    return lines


#: What the runbook's own parts are called, by the middle of an item's id ("2.immediate.1").
_PARTS = {
    "immediate": "AT ONCE",
    "mitigation": "MITIGATION",
    "step": "STEPS",
    "validation": "VALIDATE, THEN OPEN AGAIN",
    "restore": "RESTORE",
    "verify": "VERIFY",
    "weekly": "WEEKLY",
    "monthly": "MONTHLY",
    "deploy": "DEPLOY",
    "incident": "INCIDENT",
}


def letter(step: Step) -> str:
    """Return "A" or "C1", the end of the item id; a step without a number has a dot.

    A step that the runbook's text does not number has a dot.
    """
    return step.item.split(".")[-1] if step.item and "." in step.item else SIGN["dot"]


def part(step: Step) -> str:
    """Return the part of the runbook that the step is listed under.

    "" when it is not numbered: it belongs to the one before it.
    """
    return step.item.split(".")[1] if step.item and step.item.count(".") > 1 else ""


def _mitigations(match: Match, situation: Situation) -> list[Para]:
    runbook = match.runbook
    if not runbook.mitigations:
        return []
    following = next_step(match, situation)
    lines: list[Para] = []
    under = None
    for step in runbook.mitigations:
        own = part(step) or under or "mitigation"
        if own != under:
            aside = "" if lines else "enter plans it; nothing is sent before you confirm   d details"
            lines += heading(_PARTS.get(own, own.upper()), aside)
            under = own
        lines.append(_mitigation(step, situation, step is following))
    return lines


def _mitigation(step: Step, situation: Situation, following: bool) -> Para:
    spans: list[Span | str] = [(step.title, "bold" if following else "text")]
    if step.when:
        spans.append((f"  {step.when}", "dim"))
    if step.dangerous:
        spans.append((f"  {SIGN['warn']} dangerous", "warn"))
    hindrance = hindered(step, situation)
    if hindrance:
        spans.append((f"  {SIGN['dash']} {hindrance}", "unknown"))
    change = preview(step, situation)
    if change:
        spans.append((f"   {change}", "accent" if following else "dim"))
    mark = SIGN["next"] if following else " "
    return Para(
        tuple((s, "text") if isinstance(s, str) else s for s in spans),
        ((f"{mark} ", "calm" if following else "text"), (f"{letter(step):<3}", "key")),
        key=f"step:{step.id}",
    )


def _validation(runbook: Runbook, situation: Situation) -> list[Para]:
    if not runbook.validation:
        return []
    mine = next((p for p in situation.progress if p.plan.runbook == runbook.id and p.gauges), None)
    aside = (
        f"{mine.plan.title}: {mine.phase.value}, journal {mine.journal}"
        if mine
        else "now; a step is proved against the baseline before it"
    )
    lines = heading("VALIDATION", aside)
    if mine is not None:
        time = [para((f"  {proof_time(mine)}", "dim"))] if proof_time(mine) else []
        return [*lines, *(_gauge(gauge) for gauge in mine.gauges), *time]
    return [*lines, *(_expectation(item, situation.signals.get(item.signal)) for item in runbook.validation)]


def _gauge(gauge: Gauge) -> Para:
    name, role = PROOFS[gauge.proof]
    share = gauge.held_s / gauge.hold_s if gauge.hold_s else 1.0
    return labelled(
        f"  {name} {gauge.proof.value.upper()}",
        STATE + 2,
        (meter(share, 10), role),
        f"  {gauge.text}  ",
        (value(gauge.value, gauge.unit), "bold"),
        (f"   was {value(gauge.baseline, gauge.unit)}   held {gauge.held_s:.0f} of {gauge.hold_s:.0f} s", "dim"),
        *trend_words(gauge),
        (f"   {gauge.reason}" if gauge.reason else "", "dim"),
        role=role,
    )


def holds_now(item: Validation, signal: SignalStatus | None) -> Proof:
    """Judge whether this validation would hold now.

    "rises" and "falls" need the baseline of a step, "stable" its time: pending until then.
    """
    if signal is None or signal.level is Level.UNKNOWN or signal.value is None:
        return Proof.UNKNOWN
    if item.expect in ("rises", "falls") or (item.expect == "stable" and signal.level is Level.OK):
        return Proof.PENDING
    if item.expect == "near-baseline" and signal.level is Level.OK:
        if signal.baseline is None:
            return Proof.UNKNOWN
        back = near(signal.value, signal.baseline, signal.warn, signal.direction, item.tolerance)
        return Proof.PASS if back else Proof.FAIL
    return Proof.PASS if signal.level is Level.OK else Proof.FAIL


def _expectation(item: Validation, signal: SignalStatus | None) -> Para:
    proof = holds_now(item, signal)
    name, role = PROOFS[proof]
    if signal is not None and signal.level is Level.RECOVERING and proof is Proof.FAIL:
        name, role = SIGN["recovering"], "recovering"
    state = {
        Proof.PASS: f"{name} holds",
        Proof.FAIL: f"{name} not yet",
        Proof.UNKNOWN: f"{name} UNKNOWN",
        Proof.PENDING: f"{name} {item.expect}",
    }[proof]
    spans: list[Span | str] = [f"{item.text}  "]
    if signal is not None:
        spans.append((number(signal), "bold"))
        if signal.baseline is not None:
            when = f" ({signal.baseline_from})" if signal.baseline_from else ""
            spans.append((f"   usually {value(signal.baseline, signal.unit)}{when}", "dim"))
        elif item.expect == "ok" and signal.warn is not None:
            spans.append(
                (
                    f"   ok {'above' if signal.direction == 'below' else 'below'} {value(signal.warn, signal.unit)}",
                    "dim",
                )
            )
        spans.append(_age(signal))
    else:
        spans.append((f"no signal {item.signal}", "unknown"))
    return labelled(f"  {state}", STATE + 2, *spans, role=role)
