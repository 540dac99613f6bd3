"""Shows the control toggles as deployments carry them, and which differ from the usual."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cockpit.model.signal import Level
from cockpit.model.situation import Situation, ToggleStatus
from panels.dashboard.facts.metrics import Trouble, kind_age, kind_trouble
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import Column, Line, Span, table

KINDS = ("deployments", "statefulsets", "configmaps")
_ORDER = {"differs": 0, "unknown": 1}


class TogglesPanel(LinesPanel):
    def level(self, situation: Situation) -> Level:
        if any(t.level == "differs" for t in situation.toggles):
            return Level.WARN
        unknown = any(t.level == "unknown" for t in situation.toggles) or self.trouble(situation)
        return Level.UNKNOWN if unknown else Level.OK

    def trouble(self, situation: Situation) -> list[Trouble]:
        return kind_trouble(situation, KINDS)

    def age_s(self, situation: Situation) -> float | None:
        return kind_age(situation, KINDS)

    def content(self, situation: Situation, width: int) -> list[Line]:
        if not situation.toggles:
            return [(("no toggle of runbooks.toml was found on a deployment", "dim"),)]
        known = not self.trouble(situation)
        rows = [_row(t, known) for t in sorted(_collapsed(situation.toggles), key=lambda t: _ORDER.get(t.level, 2))]
        narrow = width < 46
        if narrow:  # the prefix tells them apart from nothing
            rows = [[cells[0], (cells[1][0].removeprefix("M0_"), cells[1][1]), *cells[2:]] for cells in rows]
        columns = (
            Column("", 1),
            Column("toggle", 22 if narrow else 25, grow=1, most=32),
            Column("value", 6 if narrow else 9, grow=2, most=60),
            Column("state", 7),
            Column("usual", 8, grow=1, most=40, drop=2),
            Column("on", 9, grow=1, most=20, drop=1),
        )
        return table(columns, rows, width)


def _collapsed(toggles: Sequence[ToggleStatus]) -> list[ToggleStatus]:
    """Return one row for a toggle that is set on none of the deployments that may carry it."""
    rows: dict[tuple[str, str], ToggleStatus] = {}
    for status in toggles:
        key = (status.name, "" if status.level == "unset" else status.deployment)
        before = rows.get(key)
        if before is None:
            rows[key] = status
        elif before.deployment != status.deployment:
            on = f"{before.deployment}, {status.deployment.removeprefix('m0-')}"
            rows[key] = replace(before, deployment=on)
    return list(rows.values())


def _row(status: ToggleStatus, known: bool) -> list[Span]:
    usual_value = status.toggle.usual if status.toggle.usual is not None else status.toggle.safest
    usual: Span = ("–" if usual_value is None else usual_value or "(empty)", "dim")
    on: Span = (status.deployment.removeprefix("m0-"), "faint")
    # The host tells one endpoint from another, the scheme does not.
    shown = status.value or ""
    if status.toggle.url:
        shown = shown.partition("://")[2] or shown
    if status.chain and shown:
        shown += f", {status.chain}"
    if status.level == "unknown":
        return [
            ("?", "unknown"),
            (status.name, "text"),
            ("?", "unknown"),
            ("UNKNOWN", "unknown"),
            (status.reason, "unknown"),
            on,
        ]
    if status.level == "differs":
        return [
            ("◐", "warn"),
            (status.name, "bold"),
            (shown or "(empty)", "warn"),
            ("DIFFERS", "warn"),
            usual,
            on,
        ]
    mark: Span = ("·", "dim") if known else ("?", "unknown")
    name: Span = (status.name, "text")
    if status.level == "unset" or status.value is None:
        return [mark, name, _chain(status, "–"), ("not set", "dim"), usual, on]
    if not status.value:
        return [mark, name, ("(empty)", "dim"), (status.level, "dim"), usual, on]
    safe = status.toggle.safest is not None and status.value == status.toggle.safest and known
    return [
        mark,
        name,
        (shown, "bold"),
        ("safest" if safe else status.level, "ok" if safe else "dim"),
        usual,
        on,
    ]


def _chain(status: ToggleStatus, otherwise: str) -> Span:
    """Return what the chain says of pauses where no toggle does: paused ones are seen."""
    if not status.chain:
        return otherwise, "dim"
    if status.chain.startswith("chain ?"):
        return status.chain, "unknown"
    return status.chain, "bold" if status.chain.endswith(")") else "dim"
