"""`m0-cockpit status` prints one situation without a screen.

Exit code 0 ok, 1 warn, 2 crit, 3 unknown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from cockpit.model.reading import NOTHING_READ, Known, believed
from cockpit.model.signal import Level
from cockpit.model.situation import Situation

EXIT = {Level.OK: 0, Level.WARN: 1, Level.CRIT: 2, Level.UNKNOWN: 3}
#: How long a first look may take before what is still missing counts as unknown.
PATIENCE_S = 12.0
PARTS_SHOWN = 8  # faults of one source, beside the worst


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/commands.md has its shape)")
    parser.add_argument("--watch", action="store_true", help="again every two seconds, until interrupted")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.session import Session

    settings = settings_of(args)
    session = Session(settings, runbooks_of(settings), act=False)
    session.start()
    try:
        situation = first_situation(session, read_back=True)
        for notice in situation.notices:
            print(f"m0-cockpit: {notice}", file=sys.stderr)
        while True:
            print(json.dumps(as_json(situation), ensure_ascii=True) if args.json else as_text(situation), flush=True)
            if not args.watch:
                return EXIT[verdict(situation)]
            time.sleep(2.0)
            situation = session.situation or situation
    finally:
        session.close()


def first_situation(session: Any, patience_s: float = PATIENCE_S, *, read_back: bool = False) -> Situation:
    """Return the first situation in which every source has answered or failed; else the newest.

    `read_back`: the chain's last minutes are to be read too, which nobody waits for who has
    something to do.
    """
    deadline = time.monotonic() + patience_s
    while True:
        situation: Situation | None = session.situation
        settled = situation is not None and _settled(situation, session)
        settled = settled and not (read_back and situation is not None and _reads_back(situation))
        if situation is not None and (settled or time.monotonic() > deadline):
            return situation
        time.sleep(0.05)


def _settled(situation: Situation, session: Any) -> bool:
    if not session.engine.located.is_set() or any(s.state.starting for s in situation.sources):
        return False
    expected = len(session.runbooks.signals)
    fed = [s for s in situation.signals.values() if s.level is not Level.UNKNOWN or NOTHING_READ not in s.reason]
    return len(fed) >= expected


def _reads_back(situation: Situation) -> bool:
    """Return whether the program's last minutes are still being listed.

    Until then its rates are not known.
    """
    from cockpit.model.observed.chain import ProgramActivity

    found = believed(situation.solana.get("program"), situation.mono, ProgramActivity)
    return isinstance(found, Known) and found.data.covered_slot is None


def verdict(situation: Situation) -> Level:
    """Return CRIT or WARN if a signal is; else unknown if a signal or a source is; else OK."""
    levels = [s.level for s in situation.signals.values() if not s.off]
    for level in (Level.CRIT, Level.WARN):
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
        "sources": {s.name: {"state": s.state.value, "age_s": s.age_s, "reason": s.reason} for s in situation.sources},
        "signals": {
            s.name: {
                "state": s.level.value,
                "value": _number(s.value),
                "unit": s.unit,
                "age_s": s.age_s,
                "reason": s.reason,
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


def _plain(value: float) -> str:
    """Format four digits, without an exponent where a whole number can be read."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


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
    wide = max((len(s.title) for s in unwell), default=0)
    for signal in sorted(unwell, key=lambda s: -s.level.rank):
        value = "" if signal.value is None else f"{_plain(signal.value)} {signal.unit}"
        lines.append(f"  {signal.level.value.upper():<8}{signal.title:<{wide}}  {value:<15} {signal.reason}".rstrip())
    for service in situation.services:
        if service.why:
            lines.append(
                f"  {service.level.upper():<8}{service.name:<24}{service.ready}/{service.desired}  {service.why}"
            )
    for match in situation.matches[:3]:
        if match.score:
            lines.append(f"runbook {match.runbook.number} {match.runbook.title}: {match.words}")
    return "\n".join(lines)
