"""Shows the ranked list at the left, one runbook's page at the right.

One line for it when narrow.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from cockpit.model.runbook import Match, Runbook, Step, Triage
from cockpit.model.signal import SIGNAL
from cockpit.model.situation import Situation
from cockpit.model.step_kinds import STEP_KINDS
from panels.dialogs.notice import NoticeDialog
from panels.keys import of_selection
from panels.kit.lines_view import LinesView
from panels.kit.marks import SIGN
from panels.kit.theme import Appearance
from panels.messages import AskParameters, Explain, LogsOf, OpenView, PlanStep, Selection, Undo
from panels.screens.runbook.next_step import called, preview
from panels.screens.runbook.nothing_fits import NOTHING, chosen, nothing_fits, nothing_fits_page
from panels.screens.runbook.page import first_key, list_lines, page, ranked
from panels.screens.view import Bar, View

WIDE = 110  # columns from which the list stands beside the page
_KEYS = (
    ("↑↓", "move"),
    ("enter", "open or plan"),
    ("d", "details"),
    ("←→", "runbook"),
    ("tab", "list"),
    ("u", "undo"),
    ("esc", "back"),
    ("x l c", "explain, logs, chart"),
)


class RunbookView(View):
    """Shows a runbook; `show(situation)` redraws what changed.

    Posts AskParameters, PlanStep, OpenView, Undo.
    """

    DEFAULT_CSS = """
    RunbookView > Horizontal { height: 1fr; }
    RunbookView #ranked { width: 44; margin: 0 1 0 0; background: $surface; }
    RunbookView #page { background: $background; }
    RunbookView.narrow #ranked { display: none; }
    RunbookView #position { display: none; }
    RunbookView.narrow #position { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "details", "Details"),
        Binding("left,left_square_bracket", "turn(-1)", "Better match", show=False),
        Binding("right,right_square_bracket", "turn(1)", "Next match", show=False),
        Binding("n", "to_next_step", "To the next sensible step", show=False),
        *of_selection(chart=True),
    ]

    def __init__(
        self, situation: Situation, chosen: str | None = None, *, appearance: Appearance | None = None
    ) -> None:
        super().__init__(appearance)
        self.situation = situation
        self.chosen = self._find(chosen) or self._first()
        self.list = LinesView(self.appearance, cursor=True, id="ranked")
        self.page = LinesView(self.appearance, cursor=True, id="page")

    def _first(self) -> str | None:
        """Return what opens of itself: the best match, or the page that says that none fits."""
        if nothing_fits(self.situation):
            return NOTHING
        return next((match.runbook.id for match in ranked(self.situation)), None)

    def _find(self, name: str | None) -> str | None:
        if name == NOTHING and nothing_fits(self.situation):
            return NOTHING
        return next(
            (m.runbook.id for m in ranked(self.situation) if name in (m.runbook.id, str(m.runbook.number))), None
        )

    def compose(self) -> ComposeResult:
        yield Bar(self.appearance, id="top")
        yield Bar(self.appearance, id="position")
        with Horizontal():
            yield self.list
            yield self.page
        yield Bar(self.appearance, id="keys")

    def opened(self) -> None:
        super().opened()
        self._narrow(self.screen.size.width)  # now, not when laid out: the page would be wrapped twice under the keys
        self.query_one("#keys", Bar).keys(*_KEYS)
        self._draw()
        if self.chosen is not None:
            self.list.begin_at(self.chosen)
        self._point()

    def take_focus(self) -> None:
        self.seize(self.page)

    def on_resize(self, event: events.Resize) -> None:
        self._narrow(event.size.width)

    @property
    def is_narrow(self) -> bool:
        """Tell whether only one page has room: its title may be scrolled away."""
        return self.has_class("narrow")

    def _narrow(self, width: int) -> None:
        self.set_class(width < WIDE, "narrow")

    # -- what is shown

    def show(self, situation: Situation) -> None:
        """Show the newest situation, painting only rows that differ; the cursor keeps its line."""
        self.situation = situation
        if self.is_attached:
            self._draw()

    def open(self, name: str) -> None:
        """Turn to a runbook by id or number."""
        found = self._find(name)
        if found is not None and found != self.chosen:
            self.chosen = found
            self._draw()
            self.list.move_to(found)
            self.page.scroll_to(y=0, animate=False)
            self.call_after_refresh(self._point)

    @property
    def match(self) -> Match | None:
        return next((m for m in ranked(self.situation) if m.runbook.id == self.chosen), None)

    def _draw(self) -> None:
        situation = self.situation
        if self.chosen == NOTHING and not nothing_fits(situation):
            self.chosen = self._first()  # one fits by now
        match = self.match
        self.list.show_lines(list_lines(situation))
        none = nothing_fits_page(situation, self.appearance.keys) if self.chosen == NOTHING else []
        self.page.show_lines(page(match, situation) if match is not None else none)
        place = f"  {situation.context}/{','.join(situation.namespaces)}  "
        self.query_one("#top", Bar).say(
            (" RUNBOOKS ", "brand"),
            (place, "bold"),
            *(((" PRODUCTION ", "alarm"), ("  ", "text")) if situation.production else ()),
            ("READ-ONLY" if situation.read_only else "READ-WRITE", "bold"),
            *(((f"   {match.runbook.number} {match.runbook.title}", "bold"),) if match and self.is_narrow else ()),
        )
        if match is not None:
            runbooks = ranked(situation)
            at = next(i for i, m in enumerate(runbooks) if m.runbook.id == match.runbook.id)
            found = called(match, situation)
            following = found.step
            self.query_one("#position", Bar).say(
                (f" {at + 1} of {len(runbooks)}  ", "key"),
                *(
                    ((f"{SIGN['next']} next ", "ok"), (following.title, "bold"), ("  n goes there", "dim"))
                    if following
                    else (("no step to take now", "dim"), (f": {found.reason}" if found.reason else "", "dim"))
                ),
            )
        else:
            self.query_one("#position", Bar).say((" no runbook fits", "key"), ("   → the nearest", "dim"))

    # -- keys

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        event.stop()
        if event.view is self.list:
            self.open(event.key)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        if event.view is self.list:
            self.seize(self.page)
        elif self.match is not None:
            self._choose(self.match, event.key)
        else:
            self._follow(event.key)

    def _follow(self, key: str) -> None:
        """Open what a line of the page names that says that no runbook fits."""
        kind, _, name = key.partition(":")
        about = chosen(key, self.situation)
        if kind == "runbook":
            self.open(name)
        elif about is not None:
            self.post_message(Explain(about))
        else:
            self.post_message(OpenView(name, {}))

    def _choose(self, match: Match, key: str) -> None:
        kind, _, name = key.partition(":")
        runbook = match.runbook
        if kind == "triage":
            item = _triage(runbook, name)
            if item.view is not None:
                self.post_message(OpenView(item.view, item.args))
        elif kind == "debt":
            self.post_message(Undo(int(name)))
        elif kind == "step":
            self._take(runbook.id, next(s for s in runbook.mitigations if s.id == name))

    def _take(self, runbook_id: str, step: Step) -> None:
        if STEP_KINDS[step.kind].opens_view and step.view is not None:
            self.post_message(OpenView(step.view, step.args))
        elif step.params:
            self.post_message(AskParameters(runbook_id, step))
        else:
            self.post_message(PlanStep(runbook_id, step.id, {}))

    @property
    def selection(self) -> Selection | None:
        """Return what the cursor's line is about: its worst signal, or the step's service."""
        kind, _, name = (self.page.key or "").partition(":")
        if self.match is None:
            return chosen(self.page.key or "", self.situation)
        runbook, signals = self.match.runbook, tuple[str, ...]()
        if kind == "triage":
            signals = _triage(runbook, name).signals
        elif kind == "step":
            step = next(s for s in runbook.mitigations if s.id == name)
            if step.service and not step.names_service_by_value:
                return Selection("Deployment", ",".join(self.situation.namespaces[:1]), step.service)
            signals = step.signals
        known = [self.situation.signals[name] for name in signals if name in self.situation.signals]
        worst = max(known, key=lambda status: status.level.rank, default=None)
        return Selection(SIGNAL, "", worst.name) if worst is not None else None

    def action_explain(self) -> None:
        self._of_selection(Explain)

    def action_logs(self) -> None:
        self._of_selection(LogsOf)

    def action_chart(self) -> None:
        chosen = self.selection
        if chosen is not None:
            self.post_message(OpenView("chart", {"signal" if chosen.kind == SIGNAL else "service": chosen.name}))

    def _of_selection(self, request: type[Explain] | type[LogsOf]) -> None:
        chosen = self.selection
        if chosen is not None:
            self.post_message(request(chosen))

    def action_turn(self, by: int) -> None:
        ids = [line.key for line in list_lines(self.situation) if line.key is not None]
        if self.chosen in ids:
            self.open(ids[max(0, min(len(ids) - 1, ids.index(self.chosen) + by))])

    def _point(self) -> None:
        """Begin on the next sensible step, with as much above it as there is room for."""
        key = first_key(self.match, self.situation) if self.match is not None else None
        if key is not None:
            self.page.begin_at(key)

    def action_to_next_step(self) -> None:
        if self.match is not None:
            key = first_key(self.match, self.situation)
            if key is not None:
                self.page.move_to(key)

    async def action_details(self) -> None:
        match, key = self.match, self.page.key or ""
        step = next((s for s in match.runbook.mitigations if f"step:{s.id}" == key), None) if match else None
        if step is not None:
            await self.screen.mount(NoticeDialog(step.title, details(step, self.situation), appearance=self.appearance))


def details(step: Step, situation: Situation) -> list[str]:
    """Return all that the runbook says of a step."""
    lines = [
        f"{step.kind}  {step.item or step.id}" + (f"  for: {step.when}" if step.when else ""),
        f"now: {preview(step, situation)}",
    ]
    lines += [
        f"parameter {p.name}: {p.type}" + (f", default {p.default}" if p.default is not None else "")
        for p in step.params
    ]
    if step.signals:
        lines.append("justified by: " + ", ".join(step.signals))
    if step.dangerous:
        lines.append("dangerous: the target's name must be typed")
    if step.relaxes:
        lines.append("relaxes protection: stays listed as debt until it is put back")
    if step.note:
        lines.append(step.note)
    return lines


def _triage(runbook: Runbook, name: str) -> Triage:
    """Return the item of a line's key."""
    return next(t for number, t in enumerate(runbook.triage, 1) if name == (t.item or str(number)))
