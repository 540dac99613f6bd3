"""Describes what was changed, when a bad time began, and which change explains it best.

Times are unix seconds on the cluster's clock. Every value was redacted before it came in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

#: What can be changed: an object's own fields, a decision on the chain, what others report.
Kind = Literal[
    "image",
    "variable",
    "replicas",
    "restart",
    "paused",
    "config",
    "autoscaler",
    "policy",
    "job",
    "workload",
    "market",
    "signer-set",
    "alert",
    "node",
    "certificate",
    "step",
]
Seen = Literal["watched", "reconstructed"]
NOT_SEEN = "not seen"
#: Kind of an object → what kubectl calls it for short.
SHORT: Mapping[str, str] = {
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "ConfigMap": "cm",
    "HorizontalPodAutoscaler": "hpa",
    "NetworkPolicy": "netpol",
}


class Change(msgspec.Struct, frozen=True):
    """Describes one change of one field.

    `before` and `after` None: it was not there. `before_seen` False: what it was is not known.
    `by`: who, as far as the cluster or our journal tells. `at_latest`: it may have been earlier.
    `whole`: both values are shown as they are, so that they may be set again.
    """

    kind: Kind
    namespace: str
    owner: str  # kind of the object, as Kubernetes writes it, or "Market", "SignerSet", …
    name: str
    field: str
    before: str | None
    after: str | None
    at: float
    by: str = ""
    seen: Seen = "reconstructed"
    before_seen: bool = True
    at_latest: bool = False
    whole: bool = False
    times: int = 1  # how often it was seen to change within the hour; this is the newest
    revision: int = 0  # of a template: the one before it, where it is the newest that changed
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Name what was changed, whenever it was."""
        return self.namespace, self.owner, self.name, self.field

    @property
    def object(self) -> str:
        return f"{self.owner.lower()} {self.name}"

    @property
    def place(self) -> str:
        """Name the object as kubectl's short names do: "deploy m0-quant", "cm m0-engine-config"."""
        return f"{SHORT.get(self.owner, self.owner.lower())} {self.name}"

    @property
    def words(self) -> str:
        """Return "feature_batch 16 → 512", with "not seen" for what was not."""
        if self.kind == "restart":
            return "restarted"
        if self.kind in ("job", "workload", "node", "certificate", "alert"):
            return self.after or self.field
        if self.kind == "image" and self.before and self.after:
            (name, old), (other, new) = _image(self.before), _image(self.after)
            if name == other and old != new:
                return f"{self.field} {old} → {new}"
        before = NOT_SEEN if not self.before_seen else "not there" if self.before is None else shortened(self.before)
        after = "removed" if self.after is None else shortened(self.after)
        return f"{self.field} {before} → {after}"


class Onset(msgspec.Struct, frozen=True):
    """Says since when something is bad.

    `within_s`: how exactly that is known. `signal`: which one left its normal band first. `why`: by
    what. `at_latest`: it was bad already when it was first seen.
    """

    at: float
    within_s: float
    signal: str
    title: str
    why: str = ""
    at_latest: bool = False


class Back(msgspec.Struct, frozen=True):
    """Names the step that takes a change back, with what it is filled in with."""

    runbook: str
    step: str
    parameters: Mapping[str, str]
    title: str


class Ranked(msgspec.Struct, frozen=True):
    """Holds a change with how well it explains the onset: `score` from 0 to 1.

    `before_onset_s` None: there is no onset. `why`: what speaks for it and against it, in words.
    """

    change: Change
    score: float = 0.0
    before_onset_s: float | None = None
    why: str = ""
    back: Back | None = None

    @property
    def explains(self) -> bool:
        return self.score >= EXPLAINS


#: From here on a change is named as what may have done it.
EXPLAINS = 0.3


class ChangesNow(msgspec.Struct, frozen=True):
    """Holds all that is known of what changed: the best explanation first.

    `onset`: of the runbook that leads, None while none does. `onsets`: of each bad signal.
    `unseen`: what cannot be seen, a line each. `dropped`: how many were too many to keep. `since`:
    when the watch began, once all that the cluster keeps was gone through; None: not yet.
    """

    ranked: tuple[Ranked, ...] = ()
    onset: Onset | None = None
    onsets: Mapping[str, Onset] = {}
    unseen: tuple[str, ...] = ()
    dropped: int = 0
    since: float | None = None

    @property
    def best(self) -> Ranked | None:
        """Return the change that explains the onset best; None: none does."""
        first = next(iter(self.ranked), None)
        return first if first is not None and first.explains and self.onset is not None else None


def _image(value: str) -> tuple[str, str]:
    """Return an image's name, and its digest's first digits, or its tag."""
    name, at, digest = value.partition("@sha256:")
    if at:
        return name, digest[:12]
    head, colon, tag = value.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (value, value)


def shortened(value: str) -> str:
    """Shorten an image to its name and 12 digits of its digest; other texts to a line."""
    head, at, digest = value.partition("@sha256:")
    if at:
        return f"{head.rpartition('/')[2]}@{digest[:12]}"
    line = value.splitlines()[0] if value else '""'
    return line if len(line) <= 60 and "\n" not in value else f"{line[:59]}…"
