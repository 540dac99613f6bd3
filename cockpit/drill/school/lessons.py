"""Guides a first drill: the whole loop in about five minutes, on the real screen.

Each lesson ends when what it asks for has really happened: a panel is in front, a runbook is open,
the journal says that a step was sent, proven, undone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.model.scene import Saying, Scene

if TYPE_CHECKING:
    from cockpit.model.plan import JournalLine

SCENARIO = "ingest-backlog"
RUNBOOK, STEP_TITLE = "watermark-lag", "Scale ingestor workers"
SERVICE = "m0-ingestor"


@dataclass(frozen=True, slots=True)
class Lesson:
    """Holds one lesson; `done` checks the scene.

    A `lasting` lesson stays done whatever is on screen: reaching it skips those before it. `speed`:
    of the drill's world while it is the lesson.
    """

    text: str
    done: Callable[[Scene], bool]
    lasting: bool = False
    speed: float = 1.0


def _sent(scene: Scene) -> JournalLine | None:
    """Return the newest scaling of the ingestors that was sent, undos left aside."""
    lines = scene.situation.journal if scene.situation is not None else ()
    return next(
        (n for n in lines if n.number and STEP_TITLE.lower() in n.title.lower() and n.outcome.startswith("sent")), None
    )


def _proven(scene: Scene) -> bool:
    line = _sent(scene)
    return line is not None and "proof pass" in line.outcome


def _undone(scene: Scene) -> bool:
    lines = scene.situation.journal if scene.situation is not None else ()
    return any("undone by" in line.outcome for line in lines if line.number)


def _open(name: str) -> Callable[[Scene], bool]:
    return lambda scene: name in scene.layers


LESSONS = (
    Lesson(
        "Something is wrong. The strip at the top says where the pipeline stops: ingest. Press 4: which connectors "
        "lag?",
        lambda scene: scene.panel == "watermark",
    ),
    Lesson(
        "MATCH names the runbook whose symptoms hold, and how many of them do. Press r to open it.",
        lambda scene: scene.runbook == RUNBOOK,
    ),
    Lesson(
        "Symptoms with their values, triage already answered, the likeliest cause. Look around; esc goes back.",
        lambda scene: not scene.layers,
    ),
    Lesson(
        f"Look before you act. Press 1, move to {SERVICE} with ↑ ↓, then x: why it is well or not, in words.",
        _open("explain"),
    ),
    Lesson(
        "esc, then l: the logs of the chosen service, all its pods in order of time, live. What do they say?",
        _open("log"),
    ),
    Lesson(
        "esc until the panels are back, then r again. n jumps to the next sensible step; Enter only plans it.",
        lambda scene: "parameters" in scene.layers or scene.plan is not None,
    ),
    Lesson(
        "The form offers eight workers. Enter makes the plan; nothing is sent before you confirm.",
        lambda scene: scene.plan is not None and scene.plan.runbook == RUNBOOK and "confirm" in scene.layers,
    ),
    Lesson(
        "Read it: what changes, the kubectl line, the guards, how to undo. Enter and esc cancel. Press y to do it.",
        lambda scene: _sent(scene) is not None,
        lasting=True,
    ),
    Lesson(
        "Sent is not solved: it rolls out, the backlog drains, the lag must hold. esc, esc, then 9: the Journal "
        "tells. Wait for PASS "
        "(time runs 4×).",
        _proven,
        lasting=True,
        speed=4.0,
    ),
    Lesson(
        "Proven. The finals are over, events are back to normal: put the workers back. esc, then u; read the plan; y.",
        _undone,
        lasting=True,
    ),
    Lesson(
        "That is the loop: look, match, plan, confirm, prove, undo. ? shows all keys. q ends the drill with your "
        "score.",
        lambda _scene: False,
    ),
)
#: From this lesson on the cause has ended: what was done may be undone.
RELENT_AT = 9


class Course:
    """Tracks how far the operator is.

    `advance` by what is on screen now.
    """

    def __init__(self) -> None:
        self.at = 0

    @property
    def lesson(self) -> Lesson:
        return LESSONS[self.at]

    def advance(self, scene: Scene) -> bool:
        """Move on if a lesson was learnt; return whether one was."""
        before = self.at
        for index in range(len(LESSONS) - 1, self.at - 1, -1):
            if LESSONS[index].lasting and LESSONS[index].done(scene):
                self.at = index + 1
                break
        if self.at == before and self.lesson.done(scene):
            self.at += 1
        return self.at != before

    @property
    def saying(self) -> Saying:
        return Saying(f"LESSON {self.at + 1} of {len(LESSONS)}", self.lesson.text)
