"""Why a reveal was refused, from the transaction itself, on the drill's chain."""

from __future__ import annotations

import base64

import pytest

from cockpit.drill.names import MARKETS, SIGNER, SUBMITTER
from cockpit.drill.physics.releases import Traits
from cockpit.drill.world import World
from cockpit.model.observed.chain import Refusal, SignerSetState
from cockpit.oracle.refusal import examine

MARKET = next(iter(MARKETS))


def refused(service: str, traits: Traits) -> Refusal:
    """Roll out an image, wait for a refusal on the drill's chain, and examine its transaction."""
    world = World(seed=7, clock=World.past_clock(1_790_000_000.0), history_s=60.0)
    if traits != Traits():
        world.releases.roll_out(world.kube, service, "next", traits)
    for _ in range(240):
        world.advance(1.0)
        entry = next((e for e in reversed(world.chain.ledger.entries) if _error(world, e)), None)
        if entry is not None:
            break
    else:
        pytest.fail("nothing was refused")
    held = world.chain.accounts.signer_set(100)
    assert held is not None
    own = SignerSetState("", 100, held.threshold, tuple(map(str, held.pubkeys)), True, 0, 0)
    encoded = world.chain.ledger.encoded(entry)
    wire = base64.b64encode(encoded.wire).decode()
    return examine(wire, encoded.signature, entry.slot, _error(world, entry), world.chain.program_id, own)


def _error(world: World, entry: object) -> str:
    err = world.chain.ledger.encoded(entry).err  # type: ignore[arg-type]
    code = err["InstructionError"][1]["Custom"] if err else 0
    return {6016: "BundleHashMismatch", 6018: "SignatureVerificationFailed"}.get(code, "")


@pytest.mark.parametrize(
    ("service", "traits", "finding"),
    [
        (SIGNER, Traits(stray_keys=True), "keys"),
        (SUBMITTER, Traits(hashing="v2"), "hash"),
        (SIGNER, Traits(signs="format"), "format"),
        (SIGNER, Traits(signs="sequence"), "sequence"),
    ],
)
def test_each_root_cause_shows_in_the_refused_transaction(service: str, traits: Traits, finding: str) -> None:
    """2.cause.1, 2.cause.2, 2.cause.3, 2.cause.4: each by a measure that the others do not meet."""
    found = refused(service, traits)
    assert found.finding == finding, found.words
    assert len(found.keys) >= 5
    assert bool(found.strangers) == (finding == "keys")
    if finding == "sequence":
        assert f"sequence {(found.sequence or 0) - 1}" in found.words


@pytest.mark.parametrize("wire", ["", "AAAA", "%%%", base64.b64encode(bytes(1200)).decode(), "gICAgICAgICA"])
def test_what_cannot_be_read_is_said(wire: str) -> None:
    found = examine(wire, "s", 1, "SignatureVerificationFailed", "11111111111111111111111111111111", None)
    assert found.finding == ""
    assert "cannot be read" in found.words
