"""Shows what was changed, the best explanation first, with its diff and the step that goes back.

Enter plans that step, filled in with what was before; where there is none it opens the diff. What
cannot be seen stands below.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from cockpit.model.observed.changes import NOT_SEEN, Change, Ranked, shortened
from cockpit.model.situation import Situation
from panels.kit.lines_view import LinesView
from panels.kit.prose import Para, heading, labelled, para
from panels.kit.spans import Column, fit_columns, row
from panels.kit.spans import heading as heads
from panels.kit.theme import Appearance
from panels.kit.words import age, clock
from panels.messages import PlanStep
from panels.screens.view import Asked, Bar, RowsView

#: So many are listed: who looks for more asks `m0-cockpit changes`.
MOST = 200
LABEL = 10
COLUMNS = (
    Column("when", 8),
    Column("onset", 11, ">"),
    Column("what", 12, grow=2, most=36, middle=True),
    Column("change", 16, grow=3, most=70, middle=True),
    Column("by", 6, grow=1, most=24, drop=1),
    Column("back", 4, drop=2),
)


def key_of(one: Ranked) -> str:
    """Name a line: the same change stays the same line, whatever is learned of it."""
    return "\x00".join((*one.change.key, one.change.after or ""))


def when(change: Change, now: float) -> str:
    """Say when, by the clock; of what is older than a day, how long ago."""
    return clock(change.at) if now - change.at < 86400.0 else f"{age(now - change.at)} ago"


def offset(one: Ranked) -> str:
    """Say how far it was from the onset: "20s before"; "" without one."""
    before = one.before_onset_s
    if before is None:
        return ""
    if one.change.at_latest:
        return "?"
    return f"{age(abs(before))} {'before' if before >= 0 else 'after'}"


def verdict(situation: Situation) -> list[Para]:
    """Say since when it is bad, and which change explains that, or that none does."""
    now = situation.changes
    if now.onset is None:
        return [para(("nothing is bad that a change would have to explain; the newest first", "dim"))]
    onset = now.onset
    exact = "at the latest" if onset.at_latest else f"within {onset.within_s:.0f} s"
    lines = [
        para(
            ("since ", "dim"),
            (clock(onset.at), "bold"),
            (f" ({exact}, {age(situation.cluster_now - onset.at)} ago)  ", "dim"),
            (f"{onset.title} left its normal band first", "text"),
            (f": {onset.why}" if onset.why else "", "dim"),
        )
    ]
    best = now.best
    if best is None:
        tail = "; what cannot be seen stands below" if now.unseen else ""
        lines.append(para((f"no change that is seen explains it{tail}", "warn")))
    else:
        words = f"{best.change.object}: {best.change.words}"
        lines.append(para(("explains it best: ", "dim"), (words, "bold"), (f"  {best.why}", "dim")))
    return lines


def listed(situation: Situation, width: int) -> list[Para]:
    """Return a line each, in columns, under their heads."""
    shown = situation.changes.ranked[:MOST]
    if not shown:
        return [para(("no change was seen", "dim"))]
    widths = fit_columns(COLUMNS, width)
    lines = [para(), para(*heads(COLUMNS, widths))]
    for one in shown:
        change = one.change
        role = "bold" if one.explains else "text" if one.score > 0 or one.before_onset_s is None else "dim"
        cells = [
            (when(change, situation.cluster_now), "dim"),
            (offset(one), "warn" if one.explains else "dim"),
            (change.place, role),
            (_words(change), role),
            (change.by, "dim"),
            ("↵" if one.back is not None else "", "key"),
        ]
        lines.append(Para(tuple(row(cells, COLUMNS, widths)), key=key_of(one), fold=True))
    return lines


def _words(change: Change) -> str:
    times = f" ({change.times} times)" if change.times > 1 else ""
    return f"{change.words}{times}"


def detail(one: Ranked) -> list[Para]:
    """Return all that is known of a change: both values, who, how it is known, the step back."""
    change = one.change
    before = NOT_SEEN if not change.before_seen else change.before
    latest = " at the latest" if change.at_latest else ""
    lines = [
        *heading(f"{change.object}: {change.field}"),
        labelled("namespace", LABEL, change.namespace or "–"),
        labelled("when", LABEL, f"{clock(change.at)}{latest}", (f"  {offset(one)}", "dim")),
        labelled("by", LABEL, change.by or "not told"),
        labelled("known", LABEL, change.seen, (f"  {change.note}" if change.note else "", "dim")),
    ]
    for sign, role, value in (("-", "crit", before), ("+", "ok", change.after)):
        for text in ("not there" if value is None else value or '""').splitlines() or [""]:
            lines.append(Para(((text, role),), ((f"{sign} ", role),), fold=True))
    if one.why:
        lines.append(labelled("fits", LABEL, one.why))
    if one.back is not None:
        given = ", ".join(f"{name} {shortened(value)}" for name, value in one.back.parameters.items())
        lines.append(labelled("back", LABEL, (one.back.title, "bold"), (f"  {given}", "text")))
    else:
        lines.append(labelled("back", LABEL, ("no step of the runbooks takes it back by itself", "dim")))
    return lines


class ChangesView(RowsView):
    """Lists the changes; the cursor stays on its change."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("d", "detail", "Diff", show=False)]
    KEYS = (("enter", "plan the step back, or the diff"), ("d", "diff"), *RowsView.KEYS)
    STATE = False

    def __init__(self, situation: Situation | None, appearance: Appearance) -> None:
        self.list = LinesView(appearance, cursor=True)
        super().__init__(self.list, appearance)
        self._situation = situation
        self._opened = ""  # the change whose diff is open

    def opened(self) -> None:
        super().opened()
        self.query_one("#top", Bar).say((" CHANGES ", "brand"), ("  what was changed, and what explains", "dim"))
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw()

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self._draw()

    def _draw(self) -> None:
        situation = self._situation
        if situation is None or not self.is_attached:
            return
        width = max(40, self.size.width - 4)
        lines: list[Para] = verdict(situation)
        for line in listed(situation, width):
            lines.append(line)
            if line.key is not None and line.key == self._opened:
                one = self._of(line.key)
                lines += detail(one) if one is not None else []
                lines.append(para())
        now = situation.changes
        if now.unseen or now.dropped:
            lines += heading("NOT SEEN")
            lines += [para((each, "dim")) for each in now.unseen]
            if now.dropped:
                lines.append(para((f"{now.dropped:,} more were too many to keep", "dim")))
        self.list.show_lines(lines)

    def _of(self, key: str) -> Ranked | None:
        ranked = self._situation.changes.ranked if self._situation is not None else ()
        return next((one for one in ranked if key_of(one) == key), None)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        one = self._of(event.key)
        if one is not None and one.back is not None:
            way = one.back
            self.post_message(PlanStep(way.runbook, way.step, dict(way.parameters)))
        else:
            self.action_detail()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        event.stop()

    def action_detail(self) -> None:
        """Open the diff of the line under the cursor, or close it."""
        key = self.list.key or ""
        self._opened = "" if self._opened == key else key
        self._draw()


def view(asked: Asked) -> ChangesView:
    return ChangesView(asked.situation, asked.appearance)
