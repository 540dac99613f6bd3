"""Derives key pairs and account addresses, the same for the same seed.

Real ed25519 key pairs say who signs in the drill's Solana.

Program addresses are derived by the program's own seeds: ["protocol"], ["signer_set", id],
["market", market id], ["epoch", market, epoch id], ["commit", epoch, committer] (integers u64
little-endian).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from solders.keypair import Keypair
from solders.pubkey import Pubkey

SIGNERS = 7

SYSTEM = Pubkey.from_string("11111111111111111111111111111111")
ED25519 = Pubkey.from_string("Ed25519SigVerify111111111111111111111111111")
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
INSTRUCTIONS_SYSVAR = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")
UPGRADEABLE_LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
NATIVE_LOADER = Pubkey.from_string("NativeLoader1111111111111111111111111111111")


class Party(NamedTuple):
    """Holds a key pair, with its public key at hand (deriving it costs as much as signing)."""

    pair: Keypair
    key: Pubkey

    @classmethod
    def of(cls, pair: Keypair) -> Party:
        return cls(pair, pair.pubkey())


class Keys:
    """Holds all keys.

    `signers` are the seven places of signer set 100; `named` makes more for later sets.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.program = self.named("program").key
        self.authority = self.named("authority")
        self.committer = self.named("committer")
        self.faucet = self.named("faucet")
        self.stranger = self.named("stranger-program").key  # somebody else's program
        self.signers: tuple[Party, ...] = tuple(self.named(f"signer-{n}") for n in range(SIGNERS))
        self._strays = tuple(self.named(f"staging-signer-{n}") for n in range(SIGNERS))
        self._agents = {f"signer-{n}": party.key for n, party in enumerate(self.signers)}
        self.program_id = str(self.program)

    def stray(self, place: int) -> Party:
        """Return the key of another key ring that an agent may hold by mistake."""
        return self._strays[place]

    def named(self, name: str) -> Party:
        return Party.of(Keypair.from_seed(self.digest("key", name)))

    def member(self, words: str) -> Pubkey:
        """Return a signer by its agent's name or its base58 key.

        Whatever else is written is a key of nobody's.
        """
        if words in self._agents:
            return self._agents[words]
        try:
            return Pubkey.from_string(words)
        except ValueError:
            return self.named(words).key

    def digest(self, *words: str) -> bytes:
        """Return 32 bytes that depend on the seed and the words alone."""
        return sha256("/".join(("m0-drill", str(self.seed), *words)).encode()).digest()

    def protocol(self) -> Pubkey:
        return self._derived((b"protocol",))[0]

    def signer_set(self, number: int) -> Pubkey:
        return self._derived((b"signer_set", u64(number)))[0]

    def market(self, market: str) -> Pubkey:
        return self._derived((b"market", market.encode()))[0]

    def epoch(self, market: str, number: int) -> Pubkey:
        return self._derived((b"epoch", bytes(self.market(market)), u64(number)))[0]

    def commit(self, epoch: Pubkey, committer: Pubkey) -> Pubkey:
        return self._derived((b"commit", bytes(epoch), bytes(committer)))[0]

    def bump(self, *seeds: bytes) -> int:
        """Return the bump of the address derived from these seeds."""
        return self._derived(seeds)[1]

    def _derived(self, seeds: tuple[bytes, ...]) -> tuple[Pubkey, int]:
        return _address(seeds, self.program)


@lru_cache(16_384)
def _address(seeds: tuple[bytes, ...], program: Pubkey) -> tuple[Pubkey, int]:
    return Pubkey.find_program_address(seeds, program)


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
