"""Finds where one part of a frame says something else than another.

Each rule takes a frame and returns what it found; `over_time` takes all frames of a run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from bench.frames.frame import Frame, StageSeen

WORDS = {"ok": "OK", "recovering": "RECOVERING", "warn": "WARN", "crit": "CRIT", "unknown": "UNKNOWN"}
RANK = {"ok": 0, "recovering": 1, "unknown": 2, "warn": 3, "crit": 4}
BAD = ("warn", "crit")
FLICKER_S = 5.0
LATE_S = 20.0  # a window that was said to be clear is, after so long: a scrape, a question, a rest at ease


def strip_against_signals(frame: Frame) -> list[str]:
    """Compare each stage's word with the worst of its signals, in both forms of the strip."""
    found = []
    for stage, word, _ in _cells(frame):
        want = WORDS[_level(frame, stage)]
        if word != want:
            found.append(f"the strip says {stage.name} {word}, its signals {want}")
    return found


def number_beside_word(frame: Frame) -> list[str]:
    """Look for a word whose number is healthy: it must be of a signal that is at that level."""
    found = []
    for stage, word, number in _cells(frame):
        level = _level(frame, stage)
        deciding = [frame.signals[name] for name in stage.signals if frame.signals[name].level == level]
        shown = [one.shown for one in deciding]
        if level in BAD and number and not any(one.startswith(number.rstrip("…")) for one in shown):
            found.append(f"{stage.name} {word} beside {number}, which is of no signal that is {word}")
        if level in BAD and any(one.newest_level == "ok" for one in deciding):
            found.append(f"{stage.name} is {word} by a signal whose number is healthy")
    return found


def where_it_stops(frame: Frame) -> list[str]:
    """Compare the verdict of the strip, and of the header, with the stages' levels."""
    levels = {stage.name: _level(frame, stage) for stage in frame.stages}
    found = []
    said = []
    for text in (frame.wide[1] if len(frame.wide) > 1 else "", frame.top[1] if len(frame.top) > 1 else ""):
        stops = re.search(r"it stops at:?\s+(\w+)", text)
        seen = re.search(r"watch:?\s+(\w+)", text)
        if stops:
            said.append(stops[1])
            if levels.get(stops[1]) != "crit":
                found.append(f"it stops at {stops[1]}, which is {levels.get(stops[1])}")
        elif seen:
            said.append(seen[1])
            if levels.get(seen[1]) != "warn" or "crit" in levels.values():
                found.append(f"watch {seen[1]}, while stages are {_spoken(levels)}")
        elif "flowing" in text and set(levels.values()) != {"ok"}:
            found.append(f"flowing, while stages are {_spoken(levels)}")
        elif "recovering" in text and (set(levels.values()) & set(BAD) or "recovering" not in levels.values()):
            found.append(f"recovering, while stages are {_spoken(levels)}")
        elif text is frame.wide[1] and set(levels.values()) & set(BAD):
            found.append(f"no stage is named, while stages are {_spoken(levels)}")
    if len(set(said)) > 1:
        found.append(f"the strip names {said[0]}, the header {said[1]}")
    return found


def match_against_signals(frame: Frame) -> list[str]:
    """Compare the match line with the symptoms, and these with their signals."""
    found = []
    for match in frame.matches:
        held = [s for s in match.symptoms if s.held]
        if len(held) != match.held:
            found.append(f"runbook {match.number}: {match.held} symptoms hold, its list has {len(held)}")
        found += [
            f"runbook {match.number}: a symptom holds ({s.signal} {s.at}), its signal is {frame.level(s.signal)}"
            for s in held
            if (RANK[frame.level(s.signal)] < RANK[s.at] if s.at in BAD else frame.level(s.signal) != "ok")
        ]
    said = re.search(r"(?:MATCH|UNSAFE|PINNED)\s+(\d+) .*?(\d+) of (\d+)", frame.match)
    holding = [m for m in frame.matches if m.holds]
    if said:
        best = next((m for m in holding if m.number == int(said[1])), None)
        if best is None or (best.held, best.total) != (int(said[2]), int(said[3])):
            found.append(f"the line says {said[0].strip()}, the matches do not")
    elif holding:
        found.append(f"runbook {holding[0].number} holds, the line says: {frame.match.strip()[:60]}")
    return found


def page_against_signals(frame: Frame) -> list[str]:
    """Compare the lines of the best runbook's page with the signals that they are of."""
    found: list[str] = []
    best = frame.matches[0] if frame.matches else None
    lines = _part(frame.page, "SYMPTOMS")
    if best is None or len(lines) != len(best.symptoms):
        return found
    for line, symptom in zip(lines, best.symptoms, strict=True):
        signal = frame.signals.get(symptom.signal)
        if signal is None:
            continue
        no = re.match(r"\s+– no\b", line) is not None
        if no and signal.pending:
            found.append(f"“no” for {symptom.signal}, which is bad but not for long enough: {line.strip()}")
        if no and signal.level == "recovering":
            found.append(f"“no” for {symptom.signal}, which is recovering")
        if re.match(r"\s+✓", line) and best.holds and symptom.at == "ok" and best.held == 1:
            found.append(f"a symptom that only says that all is well speaks for a runbook: {line.strip()}")
        if re.match(r"\s+[✗!] (CRIT|WARN)", line) and WORDS[signal.level] not in line:
            found.append(f"the page says {line.strip()[:40]}, the signal is {signal.level}")
    for line in _part(frame.page, "TRIAGE"):
        for answer in re.split(r"\s{3,}", line):
            if "✓" in answer and re.search(r"for \d+ of \d+ s", answer):
                found.append(f"a green tick beside what is bad: {answer.strip()[:60]}")
    return found


def panels_against_titles(frame: Frame) -> list[str]:
    """Look for a panel with something critical in it and no mark in its title, and the reverse."""
    found = []
    for name, panel in frame.panels.items():
        mark = re.search(r"╭─ (?:\S+ )?[\w ]+?(!!|!|\?|△)? ?[─\d]", panel.title)
        alert = mark[1] if mark else None
        crit = any("▲" in line for line in panel.lines)
        if crit and alert != "!!":
            found.append(f"panel {name}: ▲ in it, its title is marked {alert or 'not at all'}")
        if alert == "!!" and not crit and not any("crit" in role for role in panel.roles):
            found.append(f"panel {name}: its title is marked !!, nothing in it is CRIT")
    return found


def rows_against_signals(frame: Frame) -> list[str]:
    """Compare the rows of the Signals panel with the signals."""
    found = []
    lines = frame.panels["signals"].lines if "signals" in frame.panels else ()
    for name, signal in frame.signals.items():
        row = next((line for line in lines if re.search(rf" {re.escape(name)} ", line)), None)
        if row is not None and not signal.off and WORDS[signal.level] not in row:
            found.append(f"the row of {name} does not say {WORDS[signal.level]}: {row[:60]}")
        if signal.recovering and "crit from" in signal.reason:
            found.append(f"{name} recovers, and its words say that it is bad: {signal.reason}")
    return found


_NEVER = (
    (r"\bNaN\b", "NaN"),
    (r"\b(success|confirmed|Success)\b.*\b1(0[1-9]|[1-9]\d)(\.\d)? %", "a share above 100 %"),
    (r"\b\d+\.(mitigation|immediate|step|validation|triage)\.\w+", "an internal id"),
    (r"\b(set-env|set-image|run-job|command-each|undo-rollout)\b", "a kind of step"),
    (r"<[\w.]+ object|Traceback|\bNone\b", "an internal word"),
    (r"\ball 1 (pods|markets)\b", "all of one"),
)


def no_internal_words(frame: Frame) -> list[str]:
    """Look for what no operator should read."""
    text = [*frame.top, *frame.wide, *frame.narrow, frame.match, *frame.page]
    text += [line for panel in frame.panels.values() for line in panel.lines]
    return [f"{what}: {line.strip()[:80]}" for pattern, what in _NEVER for line in text if re.search(pattern, line)]


RULES: dict[str, Callable[[Frame], list[str]]] = {
    rule.__name__: rule
    for rule in (
        strip_against_signals,
        number_beside_word,
        where_it_stops,
        match_against_signals,
        page_against_signals,
        panels_against_titles,
        rows_against_signals,
        no_internal_words,
    )
}


def contradictions(frame: Frame) -> list[str]:
    return [f"{name}: {words}" for name, rule in RULES.items() for words in rule(frame)]


def over_time(frames: Sequence[Frame]) -> list[str]:
    """Look for what flickers (there and back within 5 s), and for windows that do not clear."""
    found: list[str] = []
    for what, states in _series(frames).items():
        changes = [(at, was, now) for (_, was), (at, now) in pairwise(states) if was != now]
        for (at, was, now), (_, _, back), (later, _, again) in zip(changes, changes[1:], changes[2:], strict=False):
            if back == was and again == now and later - at < FLICKER_S:
                found.append(f"flicker: {what} {was} → {now} and again within {later - at:.0f} s at {at:.0f} s")
    until: dict[str, float] = {}
    for frame in frames:
        for name, signal in frame.signals.items():
            if not signal.recovering:
                until.pop(name, None)
                continue
            end = until.setdefault(name, frame.at + signal.clears_s)
            if frame.at > end + LATE_S:
                found.append(f"{name} was to be clear at {end:.0f} s, and recovers at {frame.at:.0f} s")
                until[name] = float("inf")
    return found


def _series(frames: Sequence[Frame]) -> dict[str, list[tuple[float, str]]]:
    series: dict[str, list[tuple[float, str]]] = {}
    for frame in frames:
        stops = re.search(r"(stops at:?|watch:?|unknown:)\s+(\w+)|flowing|recovering", frame.wide[1])
        series.setdefault("the verdict", []).append((frame.at, " ".join(stops[0].split()) if stops else ""))
        best = re.search(r"(MATCH|UNSAFE|PINNED|recovering)\s+(\d+)", frame.match)
        series.setdefault("the match", []).append((frame.at, best[0] if best else ""))
        for name, signal in frame.signals.items():
            series.setdefault(name, []).append((frame.at, signal.level))
    return series


def _level(frame: Frame, stage: StageSeen) -> str:
    return max((frame.level(name) for name in stage.signals), key=lambda level: RANK[level], default="unknown")


def _spoken(levels: dict[str, str]) -> str:
    return ", ".join(f"{name} {level}" for name, level in levels.items() if level != "ok")


def _cells(frame: Frame) -> list[tuple[StageSeen, str, str]]:
    """Return each stage with its word and number, of the wide strip."""
    names = frame.wide[0]
    found = []
    starts = [match.start() for match in re.finditer(r"(?:(?<=▸ )|^ ) ?\b", names)]
    for stage, start, end in zip(frame.stages, starts, [*starts[1:], None], strict=False):
        cell = frame.wide[1][start:end].split("◀")[0].split("◐ watch")[0]
        read = re.match(r"\s*[●△◐▲?] (\w+)\s*(.*)", cell)
        if read:
            number = re.split(r"\s{2,}|[●△◐▲?] ", read[2].strip())[0]
            found.append((stage, read[1], number))
    return found


def _part(page: Sequence[str], heading: str) -> list[str]:
    if heading not in " ".join(page):
        return []
    start = next((at for at, line in enumerate(page) if line.startswith(heading)), len(page))
    lines = []
    for line in page[start + 1 :]:
        if not line.strip():
            break
        lines.append(line)
    return lines
