"""Watches a drill from inside the world and measures.

It never acts, and never asks the cockpit what it thinks. What was sent comes from the cockpit's
journal, what was opened from the cockpit's own report (`viewed`), what it cost from the physics,
and whether it is over from the same signals and rules that the cockpit uses, evaluated here on
their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cockpit.drill.harm import Harm
from cockpit.drill.scenarios import Scenario
from cockpit.drill.school.observer import Observer
from cockpit.drill.score import IncidentScore, Score, StepScore, worse
from cockpit.drill.world import World
from cockpit.mitigation.proof.verify import holds
from cockpit.model.runbook import Runbook, Runbooks, Validation
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation

EVERY_S = 5.0  # simulated seconds between two checks
CALM_S = 30.0  # all must be well for so long
NEW_S = 30.0  # what is counted over minutes is counted over this: what a window still holds is over
BLIP_S = 10.0  # chance, not the incident, while it lasts no longer
BEFORE_S = 120.0  # of harm before a step, to compare with
#: Kinds of step that change nothing.
LOOKING = ("check", "evidence", "manual", "verify-signatures", "view")
#: Harm that goes on while an incident does. Refused polls and missed thresholds happen on calm days
#: too.
LASTING = ("publishing_gap_s", "stale_s", "misleading_outputs", "failed_requests", "replay_violations")


@dataclass(slots=True)
class _Sent:
    at: float
    number: int
    title: str
    runbook: str
    step: str
    undoes: bool
    values: tuple[str, ...]  # what it set
    whole: str = ""  # the sequence that it is a part of


@dataclass(slots=True)
class _Case:
    """Tracks one incident of the drill, while it goes on."""

    scenario: Scenario
    score: IncidentScore
    runbook: Runbook
    well_since: float | None = None
    ill_since: float | None = None  # since it last seemed well


class Referee:
    """Measures one drill; `follow` is called after every move of the world.

    `journal`: the cockpit's; what it held before the drill does not count.
    """

    def __init__(self, world: World, scenario: Scenario, runbooks: Runbooks, journal: Path) -> None:
        self.world = world
        self.scenario = scenario
        self.runbooks = runbooks
        self.began = world.clock.now()
        self.sent: list[_Sent] = []
        self.cases = [
            _Case(part, IncidentScore(part.name, part.runbook), runbooks.runbook(str(part.runbook)))
            for part in scenario.incidents
            if part.runbook is not None
        ]
        wanted = {s.signal for case in self.cases for s in case.runbook.symptoms}
        wanted |= {line.signal for case in self.cases for line in case.runbook.validation}
        self._observer = Observer(world, runbooks, wanted)
        self._newest = Observer(world, runbooks, wanted, window_s=NEW_S)
        self._harm: list[tuple[float, Harm]] = [(self.began, world.harm.copy())]
        self._next_check = self.began
        self._intents: dict[int, Mapping[str, Any]] = {}
        self.watch(journal)

    def watch(self, journal: Path) -> None:
        """Follow this journal from its present end on."""
        self._journal = journal
        self._offset = journal.stat().st_size if journal.exists() else 0

    # what happens

    def viewed(self, runbook: str) -> None:
        """Record that the operator has this runbook (id or number) open."""
        for case in self.cases:
            if runbook in (case.runbook.id, str(case.runbook.number)):
                self._detected(case)

    def _detected(self, case: _Case) -> None:
        if case.score.detected_s is None:
            case.score.detected_s = self._elapsed()

    def by_hand(self, step: str) -> None:
        """Record that one of the drill's own tools has done something."""
        case = next((c for c in self.cases if step in c.scenario.by_hand), None)
        runbook = case.runbook.id if case is not None else ""
        self._took(
            _Sent(at=self.world.clock.now(), number=0, title=step, runbook=runbook, step=step, undoes=False, values=())
        )

    def follow(self) -> None:
        """Read the journal on, and judge when it is time."""
        now = self.world.clock.now()
        for record in self._new_records():
            self._record(record)
        if now >= self._next_check:
            self._next_check = now + EVERY_S
            self._harm.append((now, self.world.harm.copy()))
            self._judge(now)

    def _new_records(self) -> list[Mapping[str, Any]]:
        try:
            with self._journal.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        found: list[Mapping[str, Any]] = []
        for line in whole.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                found.append(record)
        return found

    def _record(self, record: Mapping[str, Any]) -> None:
        kind, of = record.get("kind"), record.get("of")
        if kind == "intent":
            self._intents[int(record["number"])] = record
        elif kind == "outcome" and of in self._intents and record.get("result") == "sent":
            intent = self._intents[int(of)]
            values = tuple(str(change.get("after")) for change in intent.get("changes") or ())
            self._took(
                _Sent(
                    at=self.world.clock.now(),
                    number=int(of),
                    title=str(intent.get("title", "")),
                    runbook=str(intent.get("runbook", "")),
                    step=str(intent.get("step", "")),
                    undoes=bool(intent.get("undoes")),
                    values=values,
                    whole=_whole(intent),
                )
            )

    def _took(self, sent: _Sent) -> None:
        self._harm.append((sent.at, self.world.harm.copy()))
        self.sent.append(sent)
        for case in self.cases:
            if sent.runbook == case.runbook.id and not sent.undoes:
                self._detected(case)
            if self._verdict(sent, case) in ("right", "holding") and case.score.first_safe_s is None:
                case.score.first_safe_s = sent.at - self.began

    # judging

    def _verdict(self, sent: _Sent, case: _Case) -> str:
        """Return what the scenario says of the step.

        The right step on the wrong connector, or to the wrong version, is not it.
        """
        if sent.undoes:
            return "undo"
        for name in (sent.whole, sent.step):  # a part of a right sequence is right, whatever it would be alone
            for verdict, named in (
                ("right", case.scenario.right_steps),
                ("holding", case.scenario.holding_steps),
                ("wrong", case.scenario.wrong_steps),
            ):
                for one in named:
                    runbook, step = case.scenario.qualified(one)
                    if (self.runbooks.runbook(runbook).id, step) == (sent.runbook, name):
                        meant = sent.number == 0 or verdict == "wrong" or self._as_meant(sent, case, runbook, step)
                        return verdict if meant else "neither"
        if sent.number == 0 and sent.step in case.scenario.by_hand:
            return "right"  # it is what the runbook asks for, and what ends the incident
        return "called for" if self._only_looks(sent, case) else "neither"

    def _only_looks(self, sent: _Sent, case: _Case) -> bool:
        """Return whether it is a step of the right runbook that changes nothing."""
        steps = {step.id: step for step in case.runbook.mitigations}
        return sent.runbook == case.runbook.id and sent.step in steps and steps[sent.step].kind in LOOKING

    def _as_meant(self, sent: _Sent, case: _Case, runbook: str, step: str) -> bool:
        params = self.runbooks.step(runbook, step)[1].params
        wanted = [
            case.scenario.arguments[p.name] for p in params if p.type != "int" and p.name in case.scenario.arguments
        ]
        return all(any(value in after for after in sent.values) for value in wanted)

    def _judge(self, now: float) -> None:
        """Decide whether each incident is over, and stays so.

        Harm belongs to no incident in particular: it counts once all seem well.
        """
        if not self.cases:
            return
        windows, newest = self._observer.snapshot(), self._newest.snapshot()
        last = self._harmed(now)
        well = [self._well(case, newest, windows) for case in self.cases]
        for case, seems_well in zip(self.cases, well, strict=True):
            if seems_well:
                case.ill_since = None
                case.well_since = now if case.well_since is None else case.well_since
            elif case.ill_since is None:
                case.ill_since = now
            if case.ill_since is not None and now - case.ill_since >= BLIP_S:
                case.well_since = None
            since = case.well_since
            if since is not None and all(well):
                since = max(since, last)
            over = since is not None and now - since >= CALM_S
            case.score.recovered_s = since - self.began if over and since is not None else None

    def _harmed(self, now: float) -> float:
        """Return when lasting harm was last done; the beginning when none was."""
        for (then, before), (at, after) in reversed(list(pairwise(self._harm))):
            if any(getattr(after, name) > getattr(before, name) for name in LASTING):
                return at
            if now - then > 10 * CALM_S:
                break
        return self.began

    def _well(self, case: _Case, newest: Situation, windows: Situation) -> bool:
        """Judge by what is new; by the whole windows where the new alone cannot tell.

        What neither can tell is left to the harm. What was over is over until the windows say so
        too.
        """
        new, whole = self._answers(case, newest), self._answers(case, windows)
        found = [one if one is not None else other for one, other in zip(new, whole, strict=True)]
        known = [one for one in found if one is not None]
        stays = case.score.recovered_s is not None and False not in whole
        return bool(known) and (all(known) or stays)

    def _answers(self, case: _Case, situation: Situation) -> list[bool | None]:
        """Return of each symptom whether it is over, of each validation line whether it is met."""
        match = next(m for m in situation.matches if m.runbook.id == case.runbook.id)
        signals, symptoms = situation.signals, sorted(match.symptoms, key=lambda one: one.symptom.signal)
        over = [None if s.held is None else not s.held for s in symptoms if s.symptom.at != "ok"]
        lines = [line for line in case.runbook.validation if line.expect == "ok"]
        return [*over, *(_met(line, signals.get(line.signal)) for line in lines)]

    def _since(self, then: float, now: float) -> Harm:
        """Return the harm between two moments, as far as it was seen."""

        def at(moment: float) -> Harm:
            known = [harm for seen, harm in self._harm if seen <= moment]
            return known[-1] if known else self._harm[0][1]

        return (self.world.harm if now >= self.world.clock.now() else at(now)).since(at(then))

    def _elapsed(self) -> float:
        return self.world.clock.now() - self.began

    # the end

    def score(
        self, *, at: float, seed: int, surprise: bool = False, guided: bool = False, paused_s: float = 0.0
    ) -> Score:
        """Return the score of everything measured up to now.

        `at`: real unix seconds.
        """
        now = self.world.clock.now()
        ends = [*(sent.at for sent in self.sent[1:]), now]
        steps = [self._step_score(sent, end) for sent, end in zip(self.sent, ends, strict=True)] if self.sent else []
        return Score(
            at=at,
            scenario=self.scenario.name,
            seed=seed,
            lasted_s=round(self._elapsed(), 1),
            incidents=[case.score for case in self.cases],
            steps=steps,
            harm=asdict(self.world.harm),
            surprise=surprise,
            guided=guided,
            paused_s=round(paused_s, 3),
        )

    def _step_score(self, sent: _Sent, end: float) -> StepScore:
        earlier = [other.at for other in self.sent if other.at < sent.at]
        since = max([self.began, sent.at - BEFORE_S, *earlier])
        before, after = self._since(since, sent.at), self._since(sent.at, end)
        verdicts = [self._verdict(sent, case) for case in self.cases]
        verdict = next((v for v in ("undo", "right", "holding", "wrong", "called for") if v in verdicts), "neither")
        name = f"{sent.runbook}/{sent.step}" if sent.runbook else sent.step
        return StepScore(
            at_s=round(sent.at - self.began, 1),
            number=sent.number,
            title=sent.title,
            step=name,
            verdict=verdict,
            harm=after.words,
            over_s=round(end - sent.at, 1),
            worse=worse(before, sent.at - since, after, end - sent.at),
        )


def _met(line: Validation, status: SignalStatus | None) -> bool | None:
    if status is not None and status.level is Level.RECOVERING:
        return True
    return holds(line, status, None)[0]


def _whole(intent: Mapping[str, Any]) -> str:
    part = intent.get("part")
    return str(part.get("sequence", "")) if isinstance(part, Mapping) else ""
