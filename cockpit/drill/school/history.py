"""Keeps the scores of all drills, a JSON line each, in the state directory, to show progress."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from cockpit.drill.harm import Harm
from cockpit.drill.score import Score, clock
from cockpit.journal.state_files import make_own, open_plain, read_plain

FILE = "drills.jsonl"
_LIMIT = 16_000_000


def append(path: Path, score: Score) -> None:
    """Append one line, in one write.

    Raises OSError.
    """
    make_own(path.parent)
    line = json.dumps(score.as_json(), separators=(",", ":")) + "\n"
    fd = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def read(path: Path) -> tuple[list[Score], int]:
    """Return (scores, oldest first; number of lines that are none).

    A missing file is an empty history; raises OSError for one that cannot be read.
    """
    try:
        lines = read_plain(path, _LIMIT).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return [], 0
    scores, broken = [], 0
    for line in lines:
        try:
            scores.append(Score.of(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            broken += 1
    return scores, broken


def table(scores: list[Score]) -> list[str]:
    """Write one row a score, oldest first.

    When, what, the three times, steps, and whether it was the best of its scenario so far.
    """
    rows = [f"{'when':16}  {'scenario':28} {'detect':>7} {'safe':>7} {'recover':>8} {'steps':>5}  harm"]
    best: dict[str, float] = {}
    for score in scores:
        detect = [i.detected_s for i in score.incidents]
        safe = [i.first_safe_s for i in score.incidents]
        when = datetime.fromtimestamp(score.at).astimezone().strftime("%Y-%m-%d %H:%M")
        name = score.scenario + (" (guided)" if score.guided else " (surprise)" if score.surprise else "")
        over = score.recovered_s
        mark = ""
        if over is not None and over < best.get(score.scenario, float("inf")):
            mark = " best" if score.scenario in best else ""
            best[score.scenario] = over
        harm = _harm(score)
        rows.append(
            f"{when:16}  {name:28} {_last(detect):>7} {_last(safe):>7} {clock(over):>8} {len(score.steps):>5}  "
            f"{harm}{mark}"
        )
    return rows


def _last(times: list[float | None]) -> str:
    """Return the time of the incident that took longest; "never" if one never was."""
    known = [time for time in times if time is not None]
    return clock(max(known) if known and len(known) == len(times) else None)


def _harm(score: Score) -> str:
    return Harm(**score.harm).words  # type: ignore[arg-type]
