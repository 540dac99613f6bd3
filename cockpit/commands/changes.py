"""`m0-cockpit changes` lists what was changed, the best explanation of what is bad first.

Exit code 0 when a change explains it or nothing is bad, 1 when none that is seen does, 3 when the
cluster cannot be read.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from typing import Any

from cockpit.errors import UsageProblem
from cockpit.model.observed.changes import ChangesNow, Ranked
from cockpit.model.situation import Situation

FOUND, NONE, UNKNOWN = 0, 1, 3
#: How long the history of what is bad may take beyond the first situation.
DATED_S = 5.0
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="SPAN", type=span, help="no older than so long: 30m, 6h, 2d (default: all)")
    parser.add_argument("--json", action="store_true", help="a JSON list (docs/commands.md has its shape)")


def span(text: str) -> float:
    """Return the seconds of "90s", "30m", "6h", "2d"."""
    number = text.rstrip("dhimns")
    unit = text[len(number) :]
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text}: expected a span such as 30m, 6h or 2d") from error


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.commands.status import first_situation
    from cockpit.session import Session

    if args.since is not None and args.since <= 0:
        raise UsageProblem("--since: expected a span above 0", "for example --since 6h")
    session = Session(settings_of(args), runbooks_of(settings_of(args)), act=False)
    session.start()
    try:
        situation = first_situation(session)
        until = time.monotonic() + DATED_S
        while _undated(situation) and time.monotonic() < until:
            time.sleep(0.1)
            situation = session.situation or situation
    finally:
        session.close()
    ranked = within(situation, args.since)
    if args.json:
        print(json.dumps([as_json(one) for one in ranked], ensure_ascii=True))
    else:
        print("\n".join(as_lines(situation.changes, ranked)))
    if not any(s.state.live for s in situation.sources if s.name == "k8s"):
        return UNKNOWN
    return NONE if situation.changes.onset is not None and situation.changes.best is None else FOUND


def _undated(situation: Situation) -> bool:
    """Tell whether the past is still being gone through, or asked for when it began."""
    if situation.changes.since is None:
        return any(s.state.live for s in situation.sources if s.name == "k8s")
    onset = situation.changes.onset
    leads = any(match.holds for match in situation.matches)
    return leads and (onset is None or onset.at_latest) and "prometheus" in situation.configured


def within(situation: Situation, since_s: float | None) -> list[Ranked]:
    """Return the changes that are no older than so long."""
    earliest = float("-inf") if since_s is None else situation.cluster_now - since_s
    return [one for one in situation.changes.ranked if one.change.at >= earliest]


def as_json(one: Ranked) -> dict[str, Any]:
    """Return one element of `changes --json`; what a `before` was that nobody saw is null."""
    change = one.change
    return {
        "at": moment(change.at),
        "kind": change.kind,
        "object": f"{change.owner}/{change.name}",
        "namespace": change.namespace,
        "field": change.field,
        "before": change.before,
        "before_seen": change.before_seen,
        "after": change.after,
        "by": change.by,
        "seen": change.seen,
        "at_latest": change.at_latest,
        "before_onset_s": None if one.before_onset_s is None else round(one.before_onset_s, 1),
        "score": round(one.score, 3),
        "explains": one.explains and one.before_onset_s is not None,
        "why": one.why,
        "back": None
        if one.back is None
        else {"runbook": one.back.runbook, "step": one.back.step, "parameters": dict(one.back.parameters)},
    }


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_lines(now: ChangesNow, ranked: list[Ranked]) -> list[str]:
    """Return the list as text, with since when it is bad above and what is not seen below."""
    lines = []
    if now.onset is not None:
        exact = "at the latest" if now.onset.at_latest else f"within {now.onset.within_s:.0f} s"
        lines.append(f"since {moment(now.onset.at)} ({exact}): {now.onset.title} {now.onset.why}".rstrip())
        best = now.best
        lines.append(
            "no change that is seen explains it"
            if best is None
            else f"explained best by {best.change.object}: {best.change.words}"
        )
    for one in ranked:
        near = "" if one.before_onset_s is None else f"{one.before_onset_s:+.0f} s"
        by = f"  by {one.change.by}" if one.change.by else ""
        latest = " at the latest" if one.change.at_latest else ""
        lines.append(
            f"{one.score:.2f}  {moment(one.change.at)}{latest}  {near:>9}  {one.change.place}  {one.change.words}{by}"
        )
        if one.back is not None and one.explains:
            given = " ".join(f"--param {name}={value}" for name, value in one.back.parameters.items())
            lines.append(f"        back: m0-cockpit run {one.back.runbook} {one.back.step} {given}")
    if not ranked:
        lines.append("no change was seen")
    return [*lines, *(f"not seen: {each}" for each in now.unseen)]
