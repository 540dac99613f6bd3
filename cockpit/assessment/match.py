"""Ranks runbooks by the symptoms that hold.

Unknown is counted apart: it speaks neither for a runbook nor against it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cockpit.model.runbook import HOLDS, Match, Runbook, Runbooks, SignalDef, Symptom, SymptomStatus
from cockpit.model.signal import Level, SignalStatus


def match(
    runbooks: Runbooks,
    signals: Mapping[str, SignalStatus],
    *,
    pinned: str = "",
    held_back: Mapping[str, str] | None = None,
) -> tuple[Match, ...]:
    """Return every runbook, best first.

    A SEV0 that holds leads, always. Then those of which all that is known holds, the gravest first;
    and a general one that a SEV0 explains behind them; then those of which a cause is seen while
    nothing is tried that could show a symptom; then by the share that holds, whatever the number of
    lines. `pinned`: the open incident's runbook, which
    only a SEV0 that holds stands before. `held_back`: runbook → why it must not lead now.
    """
    back = held_back or {}
    defs = runbooks.signals
    matches = [_match(each, signals, defs, pinned, back.get(each.id, "")) for each in runbooks.runbooks]
    leading = any(_leads(each) and not each.runbook.general for each in matches)
    return tuple(sorted(matches, key=lambda each: _rank(each, explained=leading and each.runbook.general)))


class Recovering:
    """Remembers which runbooks held, until nothing of them is bad or recovers any more."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def mark(self, matches: tuple[Match, ...], signals: Mapping[str, SignalStatus]) -> tuple[Match, ...]:
        """Mark those that held and of which symptoms recover; one such symptom alone is no match.

        One that was not seen to hold would have: with what recovers counted as what holds.
        """
        marked = []
        for match in matches:
            runbook = match.runbook.id
            mending = [s.symptom for s in match.symptoms if _mends(s.symptom, signals)]
            share = sum(symptom.weight for symptom in mending) / (sum(s.symptom.weight for s in match.symptoms) or 1.0)
            if match.holds or match.score + share >= HOLDS:
                self._held.add(runbook)
            elif not (mending or match.score or match.unknown):
                self._held.discard(runbook)
            recovers = bool(mending) and runbook in self._held
            marked.append(msgspec.structs.replace(match, recovers=True) if recovers else match)
        return tuple(marked)


def _mends(symptom: Symptom, signals: Mapping[str, SignalStatus]) -> bool:
    found = [signals.get(name) for name in symptom.witnesses]
    return symptom.at != "ok" and any(s is not None and s.level is Level.RECOVERING for s in found)


def _leads(match: Match) -> bool:
    return match.holds and match.runbook.severity == "SEV0" and not match.held_back


def _rank(match: Match, *, explained: bool) -> tuple[int, float, int, float, bool, int]:
    severity = match.runbook.severity
    if _leads(match):
        tier = 0
    elif match.pinned:
        tier = 1
    elif match.held_back:
        tier = 5 if match.score else 6
    elif match.whole:
        return 2, float(explained), _GRAVITY[severity], -match.score, match.runbook.general, match.runbook.number
    elif match.suspected:
        tier = 3
    else:
        tier = 4 if match.score else 6
    unsure = -match.unknown if match.score else 0.0
    return tier, -match.score, _GRAVITY[severity], unsure, match.runbook.general, match.runbook.number


_GRAVITY = {"SEV0": 0, "SEV1": 1, "SEV2": 2, "SEV3": 3}


def _match(
    runbook: Runbook, signals: Mapping[str, SignalStatus], defs: Mapping[str, SignalDef], pinned: str, held_back: str
) -> Match:
    configured = [symptom for symptom in runbook.symptoms if not _off(symptom, signals)]
    # what is not configured counts for nothing; when nothing else is left, that is unknown
    statuses = tuple(held(symptom, signals, defs) for symptom in configured or runbook.symptoms)
    if all(s.symptom.at == "ok" for s in statuses if s.held):
        # "commits are confirmed" alone, on a calm day, speaks for no runbook
        quiet = [msgspec.structs.replace(s, held=False) if s.held else s for s in statuses]
        statuses = tuple(quiet)
    weight = 1.0 if runbook.any else sum(s.symptom.weight for s in statuses)
    holding = sum(s.symptom.weight for s in statuses if s.held)
    score = min(1.0, holding / weight) if weight > 0 else 0.0
    hidden = any(s.hidden for s in statuses) and all(s.held is None for s in statuses)
    whole = score >= HOLDS and (runbook.any or all(s.held is not False for s in statuses))
    return Match(
        runbook=runbook,
        symptoms=statuses,
        held=sum(1 for s in statuses if s.held),
        unknown=sum(1 for s in statuses if s.held is None),
        total=len(statuses),
        score=score,
        whole=whole,
        pinned=runbook.id == pinned,
        held_back=held_back,
        suspected="" if whole else _suspected(runbook, signals, defs, hidden=hidden),
    )


def _suspected(
    runbook: Runbook, signals: Mapping[str, SignalStatus], defs: Mapping[str, SignalDef], *, hidden: bool
) -> str:
    """Name the cause that is seen, "" for none: it shows though none of its symptoms can.

    A service of which nothing runs is seen before any symptom of it, and where no symptom is read.
    """
    own = {name for symptom in runbook.symptoms for name in symptom.witnesses}
    for cause in runbook.causes:
        for name in cause.signals:
            status = signals.get(name)
            if status is None or status.level is not Level.CRIT:
                continue
            if (hidden and name not in own) or _gone(defs.get(name), status):
                return f"{cause.text}: {status.reason}"
    return ""


def _gone(definition: SignalDef | None, status: SignalStatus) -> bool:
    """Tell whether a signal says that not one pod of a service is ready, and nobody stopped it."""
    ready = definition is not None and (definition.value or "").startswith(READY)
    return ready and status.value == 0.0


#: The heads of the values that say how many of a service's pods are ready, or which share.
READY = ("kubernetes.ready.", "kubernetes.share.")


def _off(symptom: Symptom, signals: Mapping[str, SignalStatus]) -> bool:
    found = [signals.get(name) for name in symptom.witnesses]
    return all(status is not None and status.off for status in found)


def held(
    symptom: Symptom, signals: Mapping[str, SignalStatus], defs: Mapping[str, SignalDef] | None = None
) -> SymptomStatus:
    """Say whether a symptom holds, by any of its witnesses.

    One that says yes is enough; where none does, one that can be asked says no; None when none can,
    or when nothing is tried that could have shown it (`only-with` of the signals, of `defs`).
    """
    names = [name for name in symptom.witnesses if not _is_off(signals.get(name))] or [symptom.signal]
    said = [_tried(_said(symptom, name, signals.get(name)), signals, defs or {}) for name in names]
    yes = next((each for each in said if each.held), None)
    no = next((each for each in said if each.held is False), None)
    return yes or no or said[0]


def _tried(said: SymptomStatus, signals: Mapping[str, SignalStatus], defs: Mapping[str, SignalDef]) -> SymptomStatus:
    """Take a "no" back where nothing was tried."""
    own = defs.get(said.by)
    tried = signals.get(own.only_with) if own is not None and own.only_with is not None else None
    if said.held is not False or tried is None or not (tried.level.bad or tried.level is Level.UNKNOWN):
        return said
    return msgspec.structs.replace(
        said, held=None, because=f"not known: {tried.title.lower()}: {tried.reason}", hidden=True
    )


def _is_off(status: SignalStatus | None) -> bool:
    return status is not None and status.off


def _said(symptom: Symptom, name: str, status: SignalStatus | None) -> SymptomStatus:
    if status is None:
        return SymptomStatus(symptom, None, f"there is no signal {name}", name)
    because = status.reason or status.level.value
    if status.level is Level.UNKNOWN:
        return SymptomStatus(symptom, None, because, name)
    if symptom.at == "ok":
        return SymptomStatus(symptom, status.level is Level.OK, because, name)
    return SymptomStatus(symptom, status.level.rank >= Level(symptom.at).rank, because, name)
