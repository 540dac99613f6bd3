"""Shows what was done: mitigations under way, debts, unfinished intents, the last journal lines.

A cursor goes from step to step; Enter asks for the chosen one to be taken back, as a plan.
"""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.model.plan import Debt, Gauge, JournalLine, Phase, Progress, Proof
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import Trouble
from panels.dashboard.frame.panel import LinesPanel
from panels.keys import hint
from panels.kit.marks import proof_time, trend_words
from panels.kit.prose import Para, wrap
from panels.kit.spans import Line, Span, plain
from panels.kit.theme import Appearance
from panels.kit.words import age, clock, count, value
from panels.messages import Undo

RECENT_S = 600.0  # an ended mitigation stays open on the panel for this long
_PROOF = {
    Proof.PASS: ("● PASS", "ok"),
    Proof.FAIL: ("▲ FAIL", "crit"),
    Proof.UNKNOWN: ("? UNKNOWN", "unknown"),
    Proof.PENDING: ("· proving", "accent"),
    Proof.NONE: ("done", "dim"),
}
_PHASE = {Phase.FAILED: "crit", Phase.STALE: "warn", Phase.UNCERTAIN: "unknown", Phase.DONE: "text"}
_BAR = 10


class JournalPanel(LinesPanel):
    """Keeps the cursor on its step, whatever is journalled above it; none until it is moved."""

    def __init__(self, appearance: Appearance | None = None) -> None:
        super().__init__(appearance)
        self.chosen: int | None = None  # number of the step under the cursor
        self._places: dict[int, tuple[int, int]] = {}  # number → its first line, and how many

    def level(self, situation: Situation) -> Level:
        recent = [p for p in situation.progress if _recent(p, situation)]
        if any(p.proof is Proof.FAIL or p.phase is Phase.FAILED for p in recent):
            return Level.CRIT
        if situation.debts or any(p.running for p in recent):
            return Level.WARN
        if situation.unfinished or any(p.phase is Phase.UNCERTAIN or p.proof is Proof.UNKNOWN for p in recent):
            return Level.UNKNOWN
        return Level.OK

    def trouble(self, situation: Situation) -> list[Trouble]:
        return []

    def age_s(self, situation: Situation) -> float | None:
        return None

    def aside(self, situation: Situation) -> Line:
        running = sum(p.running for p in situation.progress)
        spans: list[Span] = []
        if running:
            spans.append((f"{running} under way", "accent"))
        if situation.debts:
            spans.append((f"{'  ' if spans else ''}debt {len(situation.debts)}", "warn"))
        return tuple(spans)

    def content(self, situation: Situation, width: int) -> list[Line]:
        return [line for _, lines in self._blocks(situation, width) for line in lines]

    def body(self, width: int, height: int) -> list[Line]:
        """Return the visible lines; a filter keeps whole entries, so that they can be chosen."""
        if self.situation is None:
            return super().body(width, height)
        self._places = {}
        lines: list[Line] = []
        cursor = "+cursor" if self.has_focus else "+idle"
        for number, block in self._blocks(self.situation, width):
            if self.filter and not any(self.filter.lower() in plain(line).lower() for line in block):
                continue
            if number:
                self._places[number] = (len(lines), len(block))
            if number and number == self.chosen:
                block = [tuple((text, f"{role}{cursor}") for text, role in line) for line in block]
            lines += block
        lines = lines or [(("nothing matches", "dim"),)]
        return lines[self.window(len(lines), height)]

    def _blocks(self, situation: Situation, width: int) -> list[tuple[int, list[Line]]]:
        """Return what belongs together, each with the number of its step; 0: nothing to choose."""
        blocks: list[tuple[int, list[Line]]] = [
            (0, _progress_lines(progress, situation, width, self.appearance.keys))
            for progress in situation.progress
            if _recent(progress, situation)
        ]
        for item in situation.unfinished:
            line: Line = (
                (f"? UNFINISHED #{item.number} {item.judgement}  ", "unknown"),
                (f"{item.title}  ", "bold"),
                (item.target, "dim"),
                (f"  {item.explanation}", "text"),
            )
            blocks.append((0, [line]))
        undoable = {entry.number for entry in situation.journal if entry.undoable}
        blocks += [(0, _debt_lines(debt, situation, width, debt.number in undoable)) for debt in situation.debts]
        blocks += [(entry.number, _journal_lines(entry, width)) for entry in situation.journal]
        return blocks or [(0, [(("nothing was done yet: mitigations and notes appear here", "dim"),)])]

    def action_move(self, by: int) -> None:
        """Go to the next step of the journal; above the first one is what goes on now."""
        numbers = list(self._places)
        if not numbers:
            super().action_move(by)
            return
        at = numbers.index(self.chosen) if self.chosen in numbers else -1
        at = min(at + by, len(numbers) - 1)
        self.chosen = numbers[at] if at >= 0 else None
        first, count_ = self._places[numbers[at]] if at >= 0 else (0, 0)
        height = max(1, self.size.height - self.FRAME_ROWS)
        self.top = max(min(self.top, first), first + count_ - height) if at >= 0 else 0
        self.sync()

    def action_page(self, by: int) -> None:
        super().action_move(by * max(1, self.size.height - self.FRAME_ROWS - 1))

    def action_open_more(self) -> None:
        """Plan to take the chosen step back: its dialog says what that brings back."""
        if self.chosen is None:
            super().action_open_more()
        else:
            self.post_message(Undo(self.chosen))


def _recent(progress: Progress, situation: Situation) -> bool:
    return progress.running or (progress.ended_mono is not None and situation.mono - progress.ended_mono < RECENT_S)


def _progress_lines(progress: Progress, situation: Situation, width: int, keymap: Mapping[str, str]) -> list[Line]:
    plan, running = progress.plan, progress.running
    name = f"#{progress.journal} " if progress.journal is not None else ""
    role = _PHASE.get(progress.phase, "accent")
    head: list[Span] = [
        ("▶ " if running else "  ", "accent"),
        (name, "key"),
        (plan.title, "bold"),
    ]
    if progress.phase is Phase.DONE and progress.proof is not Proof.PENDING:
        head += [("  ", "text"), _PROOF[progress.proof]]
    else:
        head.append((f"  {progress.phase.value}", role))
    if width >= 60:
        head.append((f"  {plan.target.name}", "dim"))
    head.append((f"  {age((progress.ended_mono or situation.mono) - progress.started_mono)}", "dim"))
    lines: list[Line] = [tuple(head)]
    if progress.phase in (Phase.FAILED, Phase.STALE, Phase.UNCERTAIN) and progress.words:
        lines.append((("    ", "text"), (progress.words, role)))
    if progress.phase is Phase.SENDING and progress.output:  # a program: what it says, and how to end it
        lines.append((("    ", "text"), (progress.words, "dim")))
    if progress.stoppable:
        lines.append(((f"    {hint(keymap, 'stop-running')}", "key"), (" stops it", "text")))
    rollout = progress.rollout
    if rollout is not None:
        word, role = (
            ("failed", "crit")
            if rollout.failed
            else ("rolled out", "ok")
            if rollout.done
            else ("rolling out", "accent")
        )
        line: list[Span] = [("    ", "text"), (f"{word} ", role), (f"{rollout.updated}/{rollout.desired}", "bold")]
        if progress.answered_s is not None:
            line.append((f"  sent in {progress.answered_s:.2f}s", "dim"))
        if rollout.terminating:
            line.append((f"  {rollout.terminating} terminating", "warn"))
        if rollout.words and not rollout.done:
            line.append((f"  {rollout.words}", "dim"))
        lines.append(tuple(line))
        lines += [(("      ◐ ", "warn"), (text, "text")) for text in rollout.blocking]
    lines += [_gauge_line(gauge, width) for gauge in progress.gauges]
    if proof_time(progress):
        lines.append((("    ", "text"), (proof_time(progress), "dim")))
    if progress.proof is Proof.FAIL and plan.inverse is not None:
        lines.append(((f"    {hint(keymap, 'undo')}", "key"), (f" takes it back: {plan.inverse.words}", "text")))
    return lines


def _gauge_line(gauge: Gauge, width: int) -> Line:
    word, role = _PROOF[gauge.proof]
    wide, roomy = width >= 72, width >= 96  # the value at the end is what matters: a bar only where there is room
    done = _BAR if gauge.hold_s <= 0 else max(0, min(_BAR, int(gauge.held_s / gauge.hold_s * _BAR)))
    bar: list[Span] = [
        ("▰" * done, "ok" if gauge.proof is not Proof.FAIL else "crit"),
        ("▱" * (_BAR - done) + " ", "faint"),
    ]
    held = f"{gauge.held_s:.0f} of {gauge.hold_s:.0f} s "
    line: list[Span] = [
        ("    " if wide else "  ", "text"),
        (f"{word:<10}", role),
        *(bar if roomy else []),
        (f"proof {held} " if roomy else held, "dim"),
        (f"{gauge.text if wide else gauge.signal} ", "text"),
    ]
    if gauge.baseline is not None:
        before = count(gauge.baseline) if gauge.unit == "/min" else value(gauge.baseline, gauge.unit)
        line.append((f"{before} → ", "dim"))
    line.append((value(gauge.value, gauge.unit), "bold" if gauge.value is not None else "unknown"))
    line += trend_words(gauge)
    if gauge.reason:
        line.append((f"  {gauge.reason}", "dim"))
    return tuple(line)


def _debt_lines(debt: Debt, situation: Situation, width: int, undoable: bool) -> list[Line]:
    """Say what is owed, since when, and how it is put back."""
    since = age(situation.wall - debt.since_wall)
    way = f"↓ to #{debt.number}, enter: put it back" if undoable else "put it back by its runbook"
    spans: tuple[Span, ...] = ((debt.words, "text"), (f"  for {since}  ", "dim"), (way, "key" if undoable else "dim"))
    return [row.spans for row in wrap((Para(spans, ((f"◐ DEBT #{debt.number} ", "warn"),)),), width)]


def _journal_lines(entry: JournalLine, width: int) -> list[Line]:
    """Wrap an entry under its number, as an outcome that is cut off is no record."""
    outcome = entry.outcome
    role = (
        "crit"
        if outcome.startswith(("rejected", "failed"))
        else "unknown"
        if outcome.startswith("unfinished")
        else "text"
    )
    number = (f"#{entry.number} " if entry.number else "", "key" if entry.undoable else "faint")
    spans: list[Span] = [(f"{entry.operator} ", "accent"), (entry.title, "text")]
    if outcome:
        spans.append((f"  {outcome}", role))
    changes = ", ".join(f"{c.field} {c.before or '–'} → {c.after or '–'}" for c in entry.changes[:2])
    if changes:
        spans.append((f"  {changes}", "bold"))
    if entry.target:
        spans.append((f"  {entry.target}", "dim"))
    if entry.debt:
        spans.append(("  debt", "warn"))
    label = ((f"{clock(entry.wall)} ", "dim"), number)
    return [row.spans for row in wrap((Para(tuple(spans), label),), width)]
