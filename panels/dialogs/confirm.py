"""Shows the confirmation: what would be sent, and the one key that sends it.

Cancel has the focus; Enter never accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from cockpit.model.plan import PLAN_EXPIRES_S, DryRunState, Plan, Progress, Request
from cockpit.model.seen import Seen
from cockpit.text import counted
from panels.dialogs.confirm_words import Stage, essential_lines, plan_lines, progress_lines, stage_lines, title_of
from panels.dialogs.field import NameInput
from panels.kit.layer import CancelButton, Layer
from panels.kit.marks import ink, sign
from panels.kit.prose import Para, para, wrap
from panels.kit.theme import Appearance
from panels.messages import AskStop, Cancelled, CloseLayer, Confirmed, CopyText, InStages, OpenSequence, PlanAgain, Undo

ROOM_TO_TYPE = 20  # cells beside the name that is asked for


class ConfirmDialog(Layer):
    """Asks the operator for a confirmation, and follows what was confirmed.

    Opens at once ("reading the target …"); the app calls `show_plan` or `show_problem` when the
    executor answered.

    Ordinary plans: `y`. Dangerous plans and overrides: type the target's name, then ctrl+y. Posts
    Confirmed, Cancelled (with the plan), PlanAgain, CopyText; after the answer `show_progress`
    follows the mitigation until closed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "accept", "Do it", show=False),
        Binding("ctrl+y", "accept_typed", "Do it", show=False),
        Binding("r", "again", "Plan again", show=False),
        Binding("c,ctrl+o", "copy", "Copy the kubectl line", show=False),
        Binding("u", "undo", "Undo", show=False),
        Binding("ctrl+x", "stop", "Stop what runs", show=False),
        Binding("s", "stages", "In stages", show=False),
        Binding("n", "next_part", "Next part", show=False),
    ]
    DEFAULT_CSS = """
    ConfirmDialog.production { border: round $error; }
    ConfirmDialog .typing { height: 1; display: none; }
    ConfirmDialog.typed .typing { display: block; }
    ConfirmDialog .ask { width: auto; height: 1; margin: 0 1 0 0; }
    ConfirmDialog.long .typing { layout: vertical; height: auto; }
    ConfirmDialog.long .ask { width: 1fr; margin: 0; }
    """
    CLOSE = "Cancel"
    ASKS = True

    def __init__(
        self,
        mono: Callable[[], float],
        plan: Plan | None = None,
        *,
        title: str = "Plan",
        production: bool = False,
        appearance: Appearance | None = None,
    ) -> None:
        super().__init__(title if plan is None else title_of(plan), appearance)
        self._mono = mono
        self.production = production
        self.plan = plan
        self.stage = Stage.WAITING if plan is None else Stage.ASKING
        self.progress: Progress | None = None
        self._reason = ""
        self._remedy = ""
        self._read_rows = 0  # of the words, down to the lowest that was on screen
        self._said_unread = 0
        self.set_class(production, "production")

    # -- what the app tells

    def show_plan(self, plan: Plan) -> None:
        """Show the plan, now that it is made, and ask."""
        self.plan, self.stage, self._read_rows = plan, Stage.ASKING, 0
        self.body.scroll_home(animate=False)
        self.retitle(title_of(plan))
        self._forget_typing()
        self.drawn_anew()
        self._update()

    def show_problem(self, reason: str, remedy: str = "") -> None:
        """Say in one line why no plan could be made, and what to do."""
        self.stage, self._reason, self._remedy = Stage.PROBLEM, reason, remedy
        self._update()

    def changed(self, words: str) -> None:
        """Say that the target changed since the plan: it can only be planned again."""
        if self.stage in (Stage.ASKING, Stage.EXPIRED, Stage.SENDING):
            self.stage, self._reason = Stage.CHANGED, words
            self._update()

    def show_progress(self, progress: Progress) -> None:
        """Follow the mitigation here until the operator closes.

        The journal panel shows the same.
        """
        if self.progress != progress:
            self.stage, self.progress = Stage.WATCHING, progress
            self._update()

    # -- what is shown

    def compose(self) -> ComposeResult:
        yield self.body
        with Vertical(classes="foot"):
            with Horizontal(classes="typing"):
                yield Static("", classes="ask", markup=False)
                yield NameInput(id="typed", select_on_focus=False, compact=True)
            with Horizontal(classes="buttons"):
                yield from self.buttons()

    @property
    def foot_height(self) -> int:
        return 1 + (1 + self._ask_rows if self._wants_typing else 0)

    @property
    def _ask_rows(self) -> int:
        """Give the rows above the line to type at, for a name that leaves no room beside it."""
        if not self.is_attached or self.plan is None or self.plan.typed is None:
            return 0
        width = min(self.WIDTH, self.screen.size.width - 2) - 4
        asked = cell_len(f"type {self.plan.typed} to go on")
        return -(-asked // width) if asked + ROOM_TO_TYPE > width else 0

    def _fit(self) -> None:
        rows = self._ask_rows
        self.set_class(rows > 0, "long")
        if self.is_attached:
            self.query_one(".ask", Static).styles.height = max(1, rows)
        super()._fit()
        self.call_after_refresh(self._recount)  # how much is in view is known once it is laid out

    @property
    def _wants_typing(self) -> bool:
        return self.acceptable and self.plan is not None and self.plan.typed is not None

    @property
    def acceptable(self) -> bool:
        """Tell whether it can be accepted now."""
        plan = self.plan
        return (
            self.stage is Stage.ASKING
            and plan is not None
            and not plan.blocked
            and not plan.nothing_to_do
            and plan.dry_run.state is not DryRunState.FAILED
        )

    @property
    def unread(self) -> int:
        """Count the rows of what must be read (rule 1) that were not on the screen yet."""
        if not self.acceptable or self.plan is None or self.plan.harmless or not self.body.size.height:
            return 0
        needed = essential_lines(self.plan, production=self.production, wide=self._wide)
        rows = len(wrap(self.noted(needed), max(1, self.body.scrollable_content_region.width)))
        return max(0, rows - max(self._read_rows, self._lowest))

    @property
    def _lowest(self) -> int:
        return round(self.body.scroll_y) + self.body.size.height

    def _scrolled(self) -> None:
        """Note what has come into view; its last rows are a frame to be seen as any other."""
        before, self._read_rows = self.unread, max(self._read_rows, self._lowest)
        if before and not self.unread:
            self.drawn_anew()
        self._recount()

    def _recount(self) -> None:
        if self.is_attached and self.unread != self._said_unread:
            self._update_foot()

    @property
    def left_s(self) -> float:
        """Return the seconds until the plan expires."""
        return 0.0 if self.plan is None else self.plan.created_mono + PLAN_EXPIRES_S - self._mono()

    @property
    def _wide(self) -> bool:
        return self.is_attached and self.screen.size.height >= 30

    def words(self) -> Sequence[Para]:
        plan = self.plan
        if self.stage is Stage.WAITING:
            return [para(("reading the target, asking the server for a dry run, checking the guards …", "accent"))]
        if self.stage is Stage.PROBLEM:
            remedy = [para(self._remedy, label=f"{sign('arrow')} ")] if self._remedy else []
            return [para((f"{sign('crit')} ", "crit"), (self._reason, "bold")), *remedy, para("Nothing was sent.")]
        if self.stage is Stage.WATCHING and self.progress is not None:
            return progress_lines(self.progress, self.appearance.keys)
        if plan is None:
            return ()
        head = stage_lines(self.stage, self._reason, plan.harmless)
        return [*head, *plan_lines(plan, production=self.production, left_s=max(0.0, self.left_s), wide=self._wide)]

    def _foot_text(self) -> Text:
        plan, pairs = self.plan, list[tuple[str, str]]()
        if self.acceptable and plan is not None:
            does = "do it" if self.seen.ready else "in a moment"
            self._said_unread = unread = self.unread
            if unread:
                pairs = [("down", f"reads on: {counted(unread, 'row')} first")]
            elif plan.typed is None:
                pairs = [("y", does), ("c", "copy")]
            elif self._typed() == plan.typed:
                pairs = [("ctrl+y", does), ("ctrl+o", "copy")]
            else:
                pairs = [("ctrl+o", "copy")]
        elif self.stage in (Stage.EXPIRED, Stage.CHANGED):
            pairs = [("r", "plan again")]
        elif self.stage is Stage.ASKING and plan is not None and not plan.nothing_to_do:
            pairs = [("s", "in stages")] if self._stageable else []
            pairs += [("r", "plan again"), ("c", "copy")]
        elif self._ended_part or (self.stage is Stage.WATCHING and self._undoable):
            pairs = [("n", "the sequence")] if self._ended_part else []
            pairs += [("u", "undo")] if self._undoable else []
        elif self._stoppable:
            pairs = [("ctrl+x", "stop it"), ("esc", "let it run, close this")]
        text = Text()
        for key, words in pairs:
            text.append(key, style=ink(self.appearance, "key"))
            text.append(f" {words}   ")
        return text

    def _update(self) -> None:
        if not self.is_attached:
            return
        self.set_class(self._wants_typing, "typed")
        button = self.query_one(CancelButton)
        button.rename("Close" if not self.acceptable and self.stage is not Stage.WAITING else "Cancel")
        if not self._wants_typing and self.screen.focused is not button:
            self.seize(button)
        self._update_foot()
        self.refresh_words()

    def _update_foot(self) -> None:
        self.say_hint(self._foot_text())
        if self.plan is None or self.plan.typed is None:
            return
        ask, typed, expected = Text(), self._typed(), self.plan.typed
        if typed == expected and self.unread:
            ask.append(f"read on first (down): {counted(self.unread, 'row')} ", style=ink(self.appearance, "warn"))
        elif typed == expected:
            when = "does it" if self.seen.ready else "in a moment"
            ask.append(self.appearance.glyphs(f"{sign('ok')} ctrl+y {when} "), style=ink(self.appearance, "ok"))
        elif typed and not expected.startswith(typed):
            ask.append(self.appearance.glyphs(f"{sign('crit')} expected "), style=ink(self.appearance, "crit"))
            ask.append(expected, style=ink(self.appearance, "bold"))
        else:
            ask.append("type ")
            ask.append(expected, style=ink(self.appearance, "bold"))
            ask.append(" to go on")
        self.query_one(".ask", Static).update(ask)

    def _typed(self) -> str:
        return self.query_one(NameInput).value if self.is_attached else ""

    def _forget_typing(self) -> None:
        if self.is_attached:
            self.query_one(NameInput).value = ""

    def opened(self) -> None:
        super().opened()
        self._update()
        self.watch(self.body, "scroll_y", self._scrolled, init=False)
        self.set_interval(1.0, self.tick)

    def tick(self) -> None:
        """Advance the countdown once a second, and end it."""
        if self.stage is Stage.ASKING and self.plan is not None:
            if self.left_s <= 0:
                self.stage = Stage.EXPIRED
                self._update()
            else:
                self.refresh_words()

    # -- keys

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._update_foot()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()

    def on_key(self, event: events.Key) -> None:
        """Move to the name at its first character, which may be typed while Cancel has focus."""
        box = self.query_one(NameInput)
        if self._wants_typing and not box.has_focus and event.is_printable and event.character not in (None, " "):
            event.stop()
            event.prevent_default()
            self.seize(box)
            box.insert_text_at_cursor(event.character or "")

    def seen_changed(self) -> None:
        if self.is_attached:
            self._update_foot()
        super().seen_changed()

    def accept_check(self) -> None:
        """Go on with a plan that only looks: there is nothing to say yes to."""
        if self.acceptable and self.plan is not None and self.plan.harmless:
            self._send(self.plan, None, None)

    def action_accept(self) -> None:
        plan = self.plan
        if self.acceptable and plan is not None and plan.typed is None and not self.unread:
            self.seen.struck("y", lambda seen: self._send(plan, None, seen))

    def action_accept_typed(self) -> None:
        plan = self.plan
        if self._wants_typing and plan is not None and self._typed() == plan.typed and not self.unread:
            self.seen.struck("ctrl+y", lambda seen: self._send(plan, plan.typed, seen), typed=True)

    def _send(self, plan: Plan, typed: str | None, seen: Seen | None) -> None:
        """Send what was shown, unless that has changed since the key was struck."""
        if plan is not self.plan or not self.acceptable:
            return
        if self.left_s <= 0:
            self.stage = Stage.EXPIRED
            self._update()
            return
        self.stage = Stage.SENDING
        self._update()
        self.post_message(Confirmed(plan, typed, seen))

    def action_again(self) -> None:
        if self.plan is not None and self.stage in (Stage.ASKING, Stage.EXPIRED, Stage.CHANGED):
            plan, self.stage = self.plan, Stage.WAITING
            self._update()
            self.post_message(PlanAgain(plan))

    def action_copy(self) -> None:
        if self.plan is not None:
            what = "kubectl command" if isinstance(self.plan.request, Request) else "command"
            self.post_message(CopyText(self.plan.kubectl, what))

    @property
    def _undoable(self) -> bool:
        done = self.progress
        return done is not None and not done.running and done.journal is not None and done.plan.inverse is not None

    @property
    def _stoppable(self) -> bool:
        """Return whether a program or statement runs now that can be stopped."""
        return self.stage is Stage.WATCHING and self.progress is not None and self.progress.stoppable

    def action_stop(self) -> None:
        if self._stoppable and self.plan is not None:
            self.post_message(AskStop(self.plan.id))

    def action_undo(self) -> None:
        if self.stage is Stage.WATCHING and self._undoable and self.progress is not None:
            self.post_message(Undo(self.progress.journal))

    @property
    def _stageable(self) -> bool:
        """Tell whether it is blocked for its surge alone, so that it can be done in stages."""
        return self.stage is Stage.ASKING and self.plan is not None and bool(self.plan.staged and self.plan.blocked)

    @property
    def _ended_part(self) -> bool:
        plan = self.plan
        if plan is None or plan.part is None:
            return False
        if self.stage is Stage.WATCHING:
            return self.progress is not None and not self.progress.running
        return self.stage is Stage.ASKING and plan.nothing_to_do  # it is so already: the sequence goes on

    def action_stages(self) -> None:
        if self._stageable and self.plan is not None:
            self.post_message(InStages(self.plan))

    def action_next_part(self) -> None:
        if self._ended_part and self.plan is not None and self.plan.part is not None:
            part = self.plan.part
            self.post_message(OpenSequence(part.runbook, part.sequence, part.run))

    def action_close(self) -> None:
        if self.stage in (Stage.SENDING, Stage.WATCHING):
            self.post_message(CloseLayer())  # sent stays sent; the journal panel goes on showing it
        else:
            self.post_message(Cancelled(self.plan))
