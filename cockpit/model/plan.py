"""Holds a mitigation's values, from plan to proof.

Immutable: what was shown is what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from cockpit.model.seen import Seen


class Target(msgspec.Struct, frozen=True):
    """Names the one object a plan changes.

    `uid` pins it: a re-created namesake is another object.
    """

    context: str
    namespace: str
    kind: str  # "Deployment", "StatefulSet", "ConfigMap", ...
    name: str
    uid: str
    container: str | None = None

    @property
    def words(self) -> str:
        own = f" / container {self.container}" if self.container else ""
        return f"{self.context} / {self.namespace} / {self.kind.lower()} {self.name}{own}"


class Change(msgspec.Struct, frozen=True):
    """Describes one field, before → after, as shown (redacted where secret).

    None means absent.
    """

    field: str  # "replicas", "SOLANA_RPC_URL", "image", ...
    before: str | None
    after: str | None
    note: str = ""  # what is known of the new value, e.g. "rpc-b: 0 behind, 91 ms"


class Request(msgspec.Struct, frozen=True):
    """Holds exactly what is sent.

    `body` is the JSON text; it may hold secrets and never reaches a screen or the journal raw.
    """

    method: str
    path: str
    params: Mapping[str, str]
    content_type: str
    body: str


class CommandRun(msgspec.Struct, frozen=True):
    """Holds a program and its words, never a shell.

    `environment` names the variables that it is given; their values stay with the executor. A word
    may hold a secret parameter: like a request's body, `argv` never reaches a screen or the journal
    raw.
    """

    argv: tuple[str, ...]
    timeout_s: float
    environment: tuple[str, ...] = ()
    more: tuple[tuple[str, ...], ...] = ()  # run after it, one after the other; `timeout_s` is for all of them


class SqlRun(msgspec.Struct, frozen=True):
    """Holds one statement of an allowed shape, on its own connection.

    `server` is host and database, without credentials.
    """

    server: str
    statement: str
    timeout_s: float
    lock_timeout_s: float


class LocalCheck(msgspec.Struct, frozen=True):
    """Describes a look that changes nothing in the world.

    It needs no confirmation, and is journalled.
    """

    what: str
    inputs: Mapping[str, str]  # what it was worked out from, as it may be shown


#: What a plan does, exactly: one of these, and nothing else is ever done for it.
Effect = Request | CommandRun | SqlRun | LocalCheck


class Part(msgspec.Struct, frozen=True):
    """Names a plan's place in a sequence.

    `run` names one going-through of it in the journal.
    """

    run: str
    runbook: str
    sequence: str  # step id of the sequence, or of the step that is done in stages
    index: int  # from 0
    of: int


class Verdict(StrEnum):
    """Lists the answers that a guard may give.

    BLOCK cannot be overridden; CONFIRM wants a typed override; UNKNOWN is shown and wants one too.
    """

    PASS = "pass"
    NOTE = "note"  # worth knowing, stops nothing
    CONFIRM = "confirm"
    UNKNOWN = "unknown"
    BLOCK = "block"


class GuardResult(msgspec.Struct, frozen=True):
    guard: str  # "permission", "fresh", "singleton", ...
    verdict: Verdict
    reason: str
    about: tuple[str, ...] = ()  # what it stands on, by name: a new one is worse, under the same verdict too


class DryRunState(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # the server does not do dry runs for this (a webhook without support): said in the dialog
    FAILED = "failed"  # the server would reject the request: nothing may be sent
    UNKNOWN = "unknown"


class DryRun(msgspec.Struct, frozen=True):
    """Holds the server's own answer to the same request with dryRun=All.

    `changed` are JSON paths that would differ.
    """

    state: DryRunState
    reason: str = ""
    changed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # of the answer's `Warning:` headers


class Inverse(msgspec.Struct, frozen=True):
    """Says how to undo, captured before sending.

    A step of the same kind with its parameters, against the fields as they will then be
    (`expects`); refused when others changed those fields since.
    """

    kind: str
    arguments: Mapping[str, Any]
    words: str
    kubectl: str


class Plan(msgspec.Struct, frozen=True):
    id: str  # short, unique in the journal
    runbook: str  # runbook id, "" for an ad-hoc change or an undo
    runbook_number: int | None
    step: str  # step id
    item: str | None
    title: str
    kind: str
    target: Target
    resource_version: str
    generation: int
    relevant: Mapping[str, Any]  # the fields it was computed from, by JSON path: compared before sending and on 409
    changes: tuple[Change, ...]  # empty: nothing would change, nothing is sent
    request: Effect
    kubectl: str  # the line that does the same: kubectl's, psql's, or the command itself; secrets hidden
    inverse: Inverse | None
    blast: tuple[str, ...]  # lines: replicas, pods, share of the service, surge
    dangerous: bool
    danger_reasons: tuple[str, ...]
    relaxes: bool
    dry_run: DryRun
    guards: tuple[GuardResult, ...]
    parameters: Mapping[str, str]
    created_wall: float
    created_mono: float
    undoes: int | None = None  # journal number of the step that this plan takes back
    digest: str = ""  # sha256 over target, relevant, changes and the request without its resourceVersion
    idle: bool = False  # what a command or statement is for is so already
    part: Part | None = None
    staged: str = ""  # how it can be done in stages instead, when its rolling update would run two of a singleton

    @property
    def blocked(self) -> tuple[GuardResult, ...]:
        return tuple(g for g in self.guards if g.verdict is Verdict.BLOCK)

    @property
    def overrides(self) -> tuple[GuardResult, ...]:
        """Return the guards that the operator must override by typing."""
        return tuple(g for g in self.guards if g.verdict in (Verdict.CONFIRM, Verdict.UNKNOWN))

    @property
    def typed(self) -> str | None:
        """Return what must be typed to go on; None: `y` is enough.

        The target's name, when it is dangerous or overrides a guard.
        """
        return self.target.name if (self.dangerous or self.overrides) and not self.harmless else None

    @property
    def nothing_to_do(self) -> bool:
        return self.idle or (isinstance(self.request, Request) and not self.changes)

    @property
    def harmless(self) -> bool:
        """Tell whether it changes nothing in the world, so that it needs no yes."""
        return isinstance(self.request, LocalCheck)


PLAN_EXPIRES_S = 120.0


class Confirmation(msgspec.Struct, frozen=True):
    """Holds what the operator said yes to.

    The executor sends nothing whose digest is another. `seen`: when it was shown, acknowledged by
    the terminal and confirmed; None where no key was asked for (`--yes`).
    """

    plan_id: str
    digest: str
    typed: str | None
    operator: str
    mono: float
    seen: Seen | None = None


class Phase(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    ROLLING_OUT = "rolling out"
    VERIFYING = "verifying"
    DONE = "done"  # see `proof`
    FAILED = "failed"  # the server rejected it, or the rollout failed
    STALE = "stale"  # the target changed since: plan again
    UNCERTAIN = "uncertain"  # sent, no answer, and the object does not tell


class Proof(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    PENDING = "pending"
    NONE = "none"  # it took effect, and nothing was to be proved: an undo, a part of a sequence, a holding step


class Gauge(msgspec.Struct, frozen=True):
    """Describes one validation line while it is watched."""

    text: str
    signal: str
    proof: Proof
    value: float | None
    unit: str
    baseline: float | None
    held_s: float
    hold_s: float
    reason: str = ""
    gives_up_s: float | None = None  # so long it is waited for; None: it is decided
    trend: str = ""  # "better", "worse", "steady" of late; "" where too little is known


class Rollout(msgspec.Struct, frozen=True):
    """Holds kubectl's own conditions in its own order, plus terminating pods.

    `blocking` explains the pods in the way.
    """

    done: bool
    failed: bool
    words: str
    updated: int = 0
    desired: int = 0
    terminating: int = 0
    blocking: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """Describes a mitigation under way, newest state.

    `journal` is its number in the journal (`journal undo N`).
    """

    plan: Plan
    phase: Phase
    journal: int | None
    words: str
    started_mono: float
    answered_s: float | None = None  # from confirmation to the server's answer
    rollout: Rollout | None = None
    gauges: tuple[Gauge, ...] = ()
    proof: Proof = Proof.PENDING
    ended_mono: float | None = None
    output: tuple[str, ...] = ()  # the last lines of a command or a job, cleaned
    dropped: str = ""  # what of the output is not kept, in words
    warnings: tuple[str, ...] = ()  # what the server warned of when it was sent
    beyond: tuple[str, ...] = ()  # what the server did otherwise than the dry run had shown
    stoppable: bool = False  # a program or statement runs now, and can be ended half-way
    proof_s: tuple[float, float] | None = None  # how long its proof takes at least and at most; None: it has none

    @property
    def gives_up_s(self) -> float | None:
        """Return how long its proof is waited for from now on; None: it has none, or is decided."""
        return max((g.gives_up_s for g in self.gauges if g.gives_up_s is not None), default=None)

    @property
    def running(self) -> bool:
        return self.phase in (Phase.SENDING, Phase.SENT, Phase.ROLLING_OUT, Phase.VERIFYING)


class JournalLine(msgspec.Struct, frozen=True):
    """Describes one mitigation (or note) of the journal as the panel shows it."""

    number: int
    wall: float
    operator: str
    title: str
    target: str
    outcome: str  # "sent", "rejected: …", "unfinished: applied", ...
    changes: tuple[Change, ...] = ()
    undoable: bool = False
    debt: bool = False
    undone: bool = False  # by a later undo that was applied
    clock_behind_s: float | None = None  # the machine's clock then, when it was off
    runbook: str = ""  # id, of a step or of an answer
    step: str = ""
    proof: str = ""  # a Proof value, once there is one


class Debt(msgspec.Struct, frozen=True):
    """Describes what was relaxed, reduced, stopped or paused and is not put back yet."""

    number: int  # journal number that made it
    words: str
    since_wall: float


class SequenceItem(msgspec.Struct, frozen=True):
    """Holds one step of a sequence: "done", "next", "waiting", or "stopped" (`words` says why)."""

    step: str
    title: str
    state: str
    words: str = ""
    journal: int | None = None


class SequenceState(msgspec.Struct, frozen=True):
    """Says how far a sequence has come, as the journal tells.

    `next` None: it is done.
    """

    run: str
    runbook: str
    sequence: str
    title: str
    items: tuple[SequenceItem, ...]
    next: int | None

    @property
    def begun(self) -> bool:
        return any(item.state in ("done", "stopped") for item in self.items)


class Unfinished(msgspec.Struct, frozen=True):
    """Describes an intent without an outcome, compared with the cluster at start.

    It was applied, not applied, or the object has changed since.
    """

    number: int
    title: str
    target: str
    judgement: str
    explanation: str
    changes: tuple[Change, ...] = ()
