"""`m0-cockpit status` prints one situation without a screen.

Exit code 0 ok, 1 warn, 2 crit, 3 unknown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

from cockpit.model.reading import Known, believed
from cockpit.model.runbook import listed
from cockpit.model.signal import Level, Recovery
from cockpit.model.situation import Situation
from cockpit.text import counted

EXIT = {Level.OK: 0, Level.RECOVERING: 1, Level.WARN: 1, Level.CRIT: 2, Level.UNKNOWN: 3}
#: … and before single answers that fail count as failed: they are asked again.
SECOND_TRY_S = 4.0
#: How long a first look may take before what is still missing counts as unknown.
PATIENCE_S = 12.0
ALIKE = 3  # signals unknown for one reason share a line
PARTS_SHOWN = 8  # faults of one source, beside the worst


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/commands.md has its shape)")
    parser.add_argument("--watch", action="store_true", help="again every two seconds, until interrupted")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.session import Session, unreadable_journals

    settings = settings_of(args)
    unread = unreadable_journals(settings)
    for problem in unread:
        print(f"m0-cockpit: {problem}: what it holds is not known", file=sys.stderr)
    session = Session(settings, runbooks_of(settings), act=False)
    session.start()
    try:
        situation = first_situation(session, read_back=True)
        for notice in situation.notices:
            print(f"m0-cockpit: {notice}", file=sys.stderr)
        while True:
            known = {**as_json(situation), **({"journals_unread": unread} if unread else {})}
            print(json.dumps(known, ensure_ascii=True) if args.json else as_text(situation), flush=True)
            if not args.watch:
                return EXIT[verdict(situation)]
            time.sleep(2.0)
            situation = session.situation or situation
    finally:
        session.close()


def first_situation(session: Any, patience_s: float = PATIENCE_S, *, read_back: bool = False) -> Situation:
    """Return the first situation in which every source has answered or failed; else the newest.

    `read_back`: the chain's last minutes are to be read too, and what failed is to be asked again,
    which nobody waits for who has something to do.
    """
    began = time.monotonic()
    deadline = began + patience_s
    while True:
        situation: Situation | None = session.situation
        settled = situation is not None and _settled(situation, session)
        if read_back and situation is not None and settled:
            settled = not _reads_back(situation) and not _failing(situation, time.monotonic() - began)
        if situation is not None and (settled or time.monotonic() > deadline):
            return situation
        time.sleep(0.05)


def _settled(situation: Situation, session: Any) -> bool:
    if not session.engine.located.is_set() or any(s.state.starting for s in situation.sources):
        return False
    expected = len(session.runbooks.signals)
    return sum(not signal.starting for signal in situation.signals.values()) >= expected


def _failing(situation: Situation, waited_s: float) -> bool:
    """Return whether something failed that may yet answer: one failure tells of a moment.

    A source that is down is waited for, as long as there is patience; single parts of one that
    answers, a few seconds.
    """
    if any(source.state.down for source in situation.sources):
        return True
    parts = [state for source in situation.sources for _, state, _ in source.parts]
    return waited_s < SECOND_TRY_S and any(state.down for state in parts)


def _reads_back(situation: Situation) -> bool:
    """Return whether the program's last minutes are still being listed.

    Until then its rates are not known.
    """
    from cockpit.model.observed.chain import ProgramActivity

    found = believed(situation.solana.get("program"), situation.mono, ProgramActivity)
    return isinstance(found, Known) and found.data.covered_slot is None


def verdict(situation: Situation) -> Level:
    """Return the worst that is known; else unknown if a signal or a source is; else OK."""
    levels = [s.level for s in situation.signals.values() if not s.off]
    for level in (Level.CRIT, Level.WARN, Level.RECOVERING):
        if level in levels:
            return level
    live = all(s.state.live or s.state.off for s in situation.sources)
    return Level.OK if live and levels and Level.UNKNOWN not in levels else Level.UNKNOWN


def _number(value: float | None) -> float | None:
    return None if value is None or value != value or value in (float("inf"), float("-inf")) else value


def as_json(situation: Situation) -> dict[str, Any]:
    """Return the object of `status --json`; docs/commands.md has its shape.

    Numbers that JSON cannot say (NaN, infinity) are null, and unknown by state.
    """
    return {
        "sources": {
            s.name: {"state": s.state.value, "age_s": s.age_s, "asked_s": s.asked_s, "reason": s.reason}
            for s in situation.sources
        },
        "signals": {
            s.name: {
                "state": s.state,
                "value": _number(s.value),
                "unit": s.unit,
                "age_s": s.age_s,
                "reason": s.reason,
                "off": s.off,
                **({"usual": _number(s.baseline), "usual_from": s.baseline_from} if s.baseline is not None else {}),
                **({} if s.recovering is None else {"recovering": _recovery(s.recovering)}),
            }
            for s in situation.signals.values()
        },
        "stages": {s.name: s.level.value for s in situation.stages},
        "deployments": [
            {"name": s.name, "ready": s.ready, "desired": s.desired, "restarts": s.restarts, "reason": s.why}
            for s in situation.services
        ],
        "runbooks": [
            {"number": m.runbook.number, "id": m.runbook.id, "held": m.held, "unknown": m.unknown, "total": m.total}
            for m in situation.matches
        ],
    }


def _recovery(found: Recovery) -> dict[str, float]:
    return {"quiet_s": round(found.quiet_s, 1), "clears_s": round(found.clears_s, 1), "newest": found.value}


def _plain(value: float) -> str:
    """Format four digits, without an exponent where a whole number can be read."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def _off_lines(situation: Situation) -> list[str]:
    """List the signals that are off, in one line for one reason."""
    off: dict[str, list[str]] = {}
    for signal in situation.signals.values():
        if signal.off:
            off.setdefault(signal.reason, []).append(signal.name)
    return [
        f"  off     {', '.join(names) if len(names) < ALIKE else counted(len(names), 'signal')}: {why}"
        for why, names in off.items()
    ]


def as_text(situation: Situation) -> str:
    lines = [f"{situation.context}/{','.join(situation.namespaces)}  {verdict(situation).value.upper()}"]
    for source in situation.sources:
        age = "" if source.age_s is None else f"  {source.age_s:.0f} s"
        remedy = f" ({source.remedy})" if source.reason and source.remedy else ""
        lines.append(f"  {source.name:<6} {source.state.value:<12}{age}  {source.reason}{remedy}".rstrip())
        others = {
            reason: f"{topic}: {state.value}" for topic, state, reason in source.parts if reason not in source.reason
        }
        parts = [f"         {what}: {reason}".rstrip(": ") for reason, what in others.items()]
        lines += parts[:PARTS_SHOWN] + (
            [f"         and {len(parts) - PARTS_SHOWN} more"] if len(parts) > PARTS_SHOWN else []
        )
    lines.append("stages  " + "  ".join(f"{s.name} {s.level.value.upper()}" for s in situation.stages))
    unwell = [s for s in situation.signals.values() if s.level is not Level.OK and not s.off]
    alike = Counter(s.reason for s in unwell if s.level is Level.UNKNOWN)
    several = {reason: count for reason, count in alike.items() if count >= ALIKE}
    single = [s for s in unwell if s.level is not Level.UNKNOWN or s.reason not in several]
    wide = max((len(s.title) for s in single), default=0)
    for signal in sorted(single, key=lambda s: -s.level.rank):
        value = "" if signal.value is None else f"{_plain(signal.value)} {signal.unit}"
        lines.append(f"  {signal.level.value.upper():<8}{signal.title:<{wide}}  {value:<15} {signal.reason}".rstrip())
    lines += [f"  UNKNOWN {counted(count, 'signal')}: {reason}" for reason, count in several.items()]
    lines += _off_lines(situation)
    for service in situation.services:
        if service.why:
            lines.append(
                f"  {service.level.upper():<8}{service.name:<24}{service.ready}/{service.desired}  {service.why}"
            )
    if situation.publishing.words:
        lines.append(situation.publishing.words)
    for match in listed(situation.matches):
        if match.score:
            lines.append(f"runbook {match.runbook.number} {match.runbook.title}: {match.words}")
    return "\n".join(lines)
