"""Shows every signal, the worst first, then Prometheus' own alerts, then what is well.

Unknown signals stand with their reasons; alerts that fire before those that are pending.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.observed.metrics import Alert
from cockpit.model.reading import Known, SourceState
from cockpit.model.signal import ALERT, SIGNAL, Level, SignalStatus, worst
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import Trouble, state
from panels.dashboard.frame.table import TablePanel
from panels.kit.spans import Column, Line, Span, line_width
from panels.kit.theme import MARK, WORD
from panels.kit.words import age, bare
from panels.messages import CopyText, Explain, OpenView, Selection

FIRING, PENDING = "firing", "pending"
_SAID = ("alertname", "severity")  # labels that the row tells otherwise


class SignalsPanel(TablePanel):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "copy_link", "Copy link", show=False, id="signals.link")]
    chooses = True
    empty = "no signals are defined"
    columns = (
        Column("state", 9),
        Column("signal", 17, grow=2, most=22),
        Column("value", 7, ">", grow=1, most=13),
        Column("why", 13, grow=4, drop=1),
        Column("for", 4, ">", drop=2),
    )
    wide_columns = (columns[0], Column("signal", 20, grow=2, most=42), *columns[2:])

    def keys(self, situation: Situation) -> Sequence[Hashable]:
        wanted = self.filter.lower()
        names = [
            s for s in situation.signals.values() if wanted in f"{s.name} {s.title} {s.reason} {WORD[s.level]}".lower()
        ]
        names.sort(key=lambda s: (-s.level.rank, s.pending is None))
        bad = [s.name for s in names if s.level is not Level.OK and not s.off]
        well = [s.name for s in names if s.level is Level.OK] + [s.name for s in names if s.off]
        return [*bad, *alert_keys(situation, wanted), *well]

    def cells(self, key: Hashable, situation: Situation) -> Sequence[Span]:
        if isinstance(key, tuple):
            return self._alert(key, situation)
        signal = situation.signals.get(str(key))
        if signal is None:
            return ("", "dim"), (str(key), "dim"), ("", "dim"), ("no longer defined", "dim"), ("", "dim")
        if signal.off:
            return ("○ off", "faint"), (signal.name, "faint"), ("", "faint"), (signal.reason, "faint"), ("", "faint")
        calm = signal.level is Level.OK
        role = signal.level.value
        since = age(situation.mono - signal.since) if signal.since is not None and not calm else ""
        number = "?" if signal.level is Level.UNKNOWN and signal.value is None else bare(signal.newest, signal.unit)
        return (
            state(signal.level),
            (signal.title if self._roomy and signal.title else signal.name, "text" if calm else "bold"),
            (number, "text" if calm else role),
            (_why(signal), "warn" if signal.pending else "dim" if calm else "text"),
            (since, "dim"),
        )

    def _alert(self, key: Hashable, situation: Situation) -> Sequence[Span]:
        """Return an alert's row.

        One that could not be read again is told as what it was, never as what it is.
        """
        alert = next((a for a in situation.alerts if _key(a) == key), None)
        name = key[0] if isinstance(key, tuple) else key
        if alert is None:
            return ("● over", "dim"), (str(name), "dim"), ("", "dim"), ("no longer active", "dim"), ("", "dim")
        why = ": ".join(part for part in (_labels(alert), alert.summary) if part)
        if unread(situation) is not None:
            return (
                (f"? {alert.state}", "unknown"),
                (alert.name, "bold"),
                ("alert", "dim"),
                (f"was: {why}", "unknown"),
                ("", "dim"),
            )
        level = severity(alert)
        sign = MARK[level] if alert.state == FIRING else MARK[Level.WARN]
        role = level.value if alert.state == FIRING else "warn"
        return (
            (f"{sign} {alert.state.upper()}", role),
            (alert.name, "bold"),
            ("alert", "dim"),
            (why, "text"),
            ("", "dim"),
        )

    @property
    def selection(self) -> Selection | None:
        """Return the signal under the cursor; of an alert, the one that it names, or itself."""
        key = self.selected_key
        name = dict(key[1]).get("signal", "") if isinstance(key, tuple) else str(key or "")
        if not name and isinstance(key, tuple):
            return Selection(ALERT, "", key[0])
        return Selection(SIGNAL, "", name) if name else None

    def action_open_more(self) -> None:
        """Open the chart of the signal under the cursor; of an alert without one, explain it."""
        chosen = self.selection
        if chosen is not None and chosen.kind == ALERT:
            self.post_message(Explain(chosen))
        elif chosen is not None:
            self.post_message(OpenView("chart", self.charted))

    @property
    def charted(self) -> dict[str, str]:
        chosen = self.selection
        return {"signal": chosen.name} if chosen is not None and chosen.kind == SIGNAL else super().charted

    def action_copy_link(self) -> None:
        """Copy the address of the signal under the cursor; of an alert's, where a label names it.

        Nothing without `[links] signal`.
        """
        key = self.selected_key
        name = dict(key[1]).get("signal", "") if isinstance(key, tuple) else str(key or "")
        url = self.appearance.links.of_signal(name) if name else None
        if url is not None:
            self.post_message(CopyText(url, f"link to {name}"))

    @property
    def _roomy(self) -> bool:
        return self.size.width >= 76

    def columns_for(self, width: int) -> tuple[Column, ...]:
        columns = self.wide_columns if self._roomy else self.columns
        shown = self.situation.signals.values() if self.situation is not None else ()
        long = any(signal.level is Level.RECOVERING for signal in shown)
        return (Column("state", 12), *columns[1:]) if long else columns

    def level(self, situation: Situation) -> Level:
        levels = [s.level for s in situation.signals.values() if not s.off] or [Level.UNKNOWN]
        why = unread(situation)
        if why is None:
            levels += [severity(a) for a in situation.alerts if a.state == FIRING]
        elif situation.alerts or self.trouble(situation):
            levels.append(Level.UNKNOWN)
        return worst(levels)

    def trouble(self, situation: Situation) -> list[Trouble]:
        """Return the trouble with the list of alerts alone, as each signal tells its own.

        Alerts have nowhere else to say that they alone could not be read.
        """
        why = unread(situation)
        if why is None or not any(isinstance(r.believed(situation.mono), Known) for r in situation.queries.values()):
            return []
        return [Trouble("alerts", why[0].value, why[1])]

    def age_s(self, situation: Situation) -> float | None:
        return max((s.age_s for s in situation.signals.values() if s.age_s is not None), default=None)

    def aside(self, situation: Situation) -> Line:
        """Count as much as the title line has room for.

        What is well gives way first, then words become signs.
        """
        bad, well = self._counts(situation), self._counts(situation, Level.OK)
        signs = [(text.replace(WORD[level], MARK[level]), role) for level, (text, role) in bad]
        alerts = alert_counts(situation)
        words = [piece for _, piece in bad]
        room = self.size.width - len(self.spec.title) - 18 if self.size.width else 200
        for counts in (
            [*words, *alerts, *(piece for _, piece in well)],
            [*words, *alerts],
            [*words, *alerts[:1]],
            [*signs, *alerts[:1]],
        ):
            line = tuple((f"{' ' if place else ''}{text}", role) for place, (text, role) in enumerate(counts))
            if line_width(line) <= room:
                break
        return line

    def _counts(self, situation: Situation, *levels: Level) -> list[tuple[Level, Span]]:
        counted = []
        for level in levels or (Level.CRIT, Level.WARN, Level.UNKNOWN, Level.RECOVERING):
            number = sum(s.level is level and not s.off for s in situation.signals.values())
            if number:
                counted.append((level, (f"{number} {WORD[level]}", "dim" if level is Level.OK else level.value)))
        return counted


def alert_counts(situation: Situation) -> list[Span]:
    known = unread(situation) is None
    counts: list[Span] = []
    for state_, role in ((FIRING, "crit"), (PENDING, "warn")):
        number = sum(a.state == state_ for a in situation.alerts)
        if number:
            counts.append((f"{number} {state_}{'' if known else '?'}", role if known else "unknown"))
    return counts


def alert_keys(situation: Situation, wanted: str) -> list[Hashable]:
    """Return the rows of the alerts that contain `wanted`, firing before pending, worst first."""
    alerts = [a for a in situation.alerts if wanted in f"{a.name} {a.state} {_labels(a)} {a.summary}".lower()]
    alerts.sort(key=lambda a: (a.state != FIRING, severity(a) is not Level.CRIT, a.name, _labels(a)))
    return list(dict.fromkeys(_key(a) for a in alerts))


def _key(alert: Alert) -> tuple[str, tuple[tuple[str, str], ...]]:
    return alert.name, tuple(sorted(alert.labels.items()))


def _labels(alert: Alert) -> str:
    return " ".join(f"{k}={v}" for k, v in sorted(alert.labels.items()) if k not in _SAID)


def severity(alert: Alert) -> Level:
    """Return WARN only for what calls itself less than critical."""
    return Level.WARN if alert.labels.get("severity", "critical").lower() in _MILD else Level.CRIT


_MILD = ("warning", "warn", "info", "none", "minor", "low", "notice", "debug", "ticket")


def unread(situation: Situation) -> tuple[SourceState, str] | None:
    """Return state and reason when the list of alerts is not live.

    None when it is, or never asked for.
    """
    for light in situation.sources:
        for topic, state_, reason in light.parts:
            if topic == "alerts" and not state_.starting:
                return state_, reason
    return None


def _why(signal: SignalStatus) -> str:
    where = ""
    if signal.worst_labels and signal.level is not Level.OK:
        where = signal.where or " ".join(str(v) for v in signal.worst_labels.values())
        where = f"{where}: " if where and where not in signal.reason else ""
    if signal.pending is not None:
        return f"{where}{WORD[signal.pending]} pending {signal.reason}".rstrip()
    return f"{where}{signal.reason}" if signal.level is not Level.OK else ""
