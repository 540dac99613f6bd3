"""Draws the page for an incident that no runbook is for: what is worst, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cockpit.model.runbook import listed
from cockpit.model.signal import SIGNAL, Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.model.views import BY_NAME
from panels.keys import hint
from panels.kit.marks import level_words
from panels.kit.prose import Para, heading, labelled, para
from panels.kit.words import value
from panels.messages import Selection

#: Stands in the ranked list where the id of a runbook stands in its other lines.
NOTHING: Final = "none"
_VIEWS = ("pods", "alerts", "queries", "transactions")
STATE = 11  # width of the state's column


def nothing_fits(situation: Situation) -> bool:
    """Tell whether something is bad that no runbook is about."""
    crit = any(signal.level is Level.CRIT for signal in situation.signals.values())
    return crit and not any(match.holds or match.pinned or match.suspected for match in situation.matches)


def nothing_fits_page(situation: Situation, keymap: Mapping[str, str]) -> list[Para]:
    """Return the page's lines; keys: `signal:NAME`, `service:NAME`, `runbook:ID`, `view:NAME`."""
    lines = [
        para(("No runbook fits", "title")),
        para(("what is bad is no symptom of one, or too little of it holds; nothing here changes anything", "dim")),
        *heading("WORST NOW", "enter explains it"),
    ]
    lines += [
        labelled(
            f"  {level_words(signal.level)}",
            STATE + 2,
            (f"{signal.title}  ", "text"),
            (signal.reason or value(signal.value, signal.unit), "bold"),
            role=signal.level.value,
            key=f"{SIGNAL}:{signal.name}",
        )
        for signal in _bad(situation)
    ]
    unwell = [each for each in situation.services if each.why]
    if unwell:
        lines += heading("SERVICES", "enter explains them")
        lines += [
            para(
                (f"{each.name} ", "bold"),
                (f"{each.ready} of {each.desired} ready: {each.why}", "text"),
                label="  ",
                key=f"service:{each.name}",
            )
            for each in unwell
        ]
    near = [match for match in listed(situation.matches) if match.score > 0]
    if near:
        lines += heading("NEAREST", "enter opens it")
        lines += [
            para(
                (f"{each.runbook.number} ", "key"),
                (each.runbook.title, "text"),
                (f"   {each.words}", "dim"),
                label="  ",
                key=f"runbook:{each.runbook.id}",
            )
            for each in near
        ]
    lines += heading("LOOK", "enter opens it")
    lines += [
        para((BY_NAME[name].title, "text"), (f"   {BY_NAME[name].words}", "dim"), label="  ", key=f"view:{name}")
        for name in _VIEWS
    ]
    lines += heading("THEN")
    lines += [
        para(
            (hint(keymap, "incident"), "key"),
            " opens an incident without a runbook: its time, notes and evidence are kept",
            label="  ",
        ),
        para(
            (hint(keymap, "palette"), "key"),
            " offers every step of every runbook, each behind its confirmation",
            label="  ",
        ),
        para(("an own runbook for it: docs/runbooks.md", "dim"), label="  "),
    ]
    return lines


def chosen(key: str, situation: Situation) -> Selection | None:
    """Return what a line of the page is about: its signal or its service."""
    kind, _, name = key.partition(":")
    if kind == SIGNAL:
        return Selection(SIGNAL, "", name)
    found = next((each for each in situation.services if kind == "service" and each.name == name), None)
    return Selection(found.kind, found.namespace, found.name) if found is not None else None


def _bad(situation: Situation) -> list[SignalStatus]:
    found = [signal for signal in situation.signals.values() if signal.level.bad and not signal.off]
    return sorted(found, key=lambda signal: -signal.level.rank)
