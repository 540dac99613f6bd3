"""Compares what two sources say of the same thing.

Metrics and chain on rates; chain, agents and cluster on the signer set.
"""

from __future__ import annotations

import msgspec


class RateMismatch(msgspec.Struct, frozen=True):
    """Describes a rate on which metrics and chain disagree, for longer than their windows explain.

    Rates are per minute.
    """

    what: str  # "commits", "reveals"
    metrics: float
    chain: float
    since: float  # monotonic
    words: str  # "commits: the chain has 61/min more than the metrics"


class SetDifference(msgspec.Struct, frozen=True):
    """Describes one thing on which chain, agents and cluster do not agree.

    `who`: an agent, a deployment, or a key, shortened.
    """

    kind: str  # "id", "inactive", "unknown key", "missing key", "duplicate key", "agent set", "too few"
    who: str
    words: str


class SignerSetCheck(msgspec.Struct, frozen=True):
    """Describes the signer set as chain, agents and cluster have it.

    `unknown` says what could not be compared, and why; without both chain and another side there is
    nothing to agree.
    """

    signer_set_id: str | None = None  # as the cluster is configured, else as the chain has it
    threshold: int | None = None
    keys: int | None = None  # of the set on the chain
    sides: tuple[str, ...] = ()  # which could be read: "chain", "agents", "cluster"
    differences: tuple[SetDifference, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool | None:
        """Return whether all agree; None when it cannot be told.

        True only when chain, agents and cluster were all compared, as far as they are configured.
        """
        if self.differences:
            return False
        return True if "chain" in self.sides and len(self.sides) > 1 and not self.unknown else None
