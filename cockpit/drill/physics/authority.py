"""Keeps what the network's authority decides: paused markets and signer sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cockpit.drill.names import MARKETS, SIGNER_SET_ID, SIGNERS, THRESHOLD


class Refused(Exception):
    """Reports what the program would reject; the text names its error."""


@dataclass(frozen=True, slots=True)
class SignerSet:
    number: int
    threshold: int
    pubkeys: tuple[str, ...]
    activate_epoch: str  # a number, or "now"


class Authority:
    """Holds the decisions; the command line and the admin API change them.

    `listeners` hear ("market", market id) or ("signer-set", number) after each change: the chain,
    where one is attached.
    """

    def __init__(self) -> None:
        self.paused: set[str] = set()
        first = int(SIGNER_SET_ID)
        self.signer_sets = {first: SignerSet(first, THRESHOLD, SIGNERS, "0")}
        self.listeners: list[Callable[[str, str], None]] = []

    def set_market(self, market: str, *, paused: bool) -> None:
        """Pause or resume a market.

        Raises Refused.
        """
        self.market(market)
        if paused:
            self.paused.add(market)
        else:
            self.paused.discard(market)
        self._notify("market", market)

    def market(self, market: str) -> bool:
        """Return whether the market is paused.

        Raises Refused.
        """
        if market not in MARKETS:
            raise Refused(f"InvalidMarketId (6006): no market {market}")
        return market in self.paused

    def create_signer_set(self, made: SignerSet) -> None:
        """Add a signer set.

        Raises Refused.
        """
        if made.number in self.signer_sets:
            raise Refused(f"AlreadyInitialized (6001): signer set {made.number} exists")
        if not 1 <= made.threshold <= len(set(made.pubkeys)):
            raise Refused(f"InvalidThreshold (6015): {made.threshold} of {len(set(made.pubkeys))} keys")
        self.signer_sets[made.number] = made
        self._notify("signer-set", str(made.number))

    def signer_set(self, number: int) -> SignerSet:
        """Return the signer set of that number.

        Raises Refused.
        """
        if number not in self.signer_sets:
            raise Refused(f"SignerSetNotActive (6014): no signer set {number}")
        return self.signer_sets[number]

    def _notify(self, what: str, which: str) -> None:
        for listener in self.listeners:
            listener(what, which)
