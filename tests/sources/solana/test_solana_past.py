"""The newest reveal looked for on the drill's chain, over real HTTP: what is found is the chain's
own truth, else how far was looked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cockpit.clock import SystemClock
from cockpit.drill.names import MARKETS
from cockpit.drill.solana.node.servers import SolanaServers
from cockpit.drill.solana.program.ledger import SLOT_S
from cockpit.model.observed.chain import EndpointStatus
from cockpit.sources.solana import rpc, search
from cockpit.sources.solana.last_reveal import last_reveal
from cockpit.sources.solana.search import MOST_READ, LookedBack
from cockpit.sources.solana.settings import RpcEndpoint

START = 1_790_000_000.0
MARKET = "NBA_LAL_BOS"
REFUSED = "SignatureVerificationFailed"


class Hand:
    def __init__(self) -> None:
        self.at = START
        self.sequence = 48_000

    def __call__(self) -> float:
        return self.at


class Chain:
    """The servers, and a submitter's life on their ledger."""

    def __init__(self, servers: SolanaServers, clock: Hand) -> None:
        self.servers, self.clock, self.oracle = servers, clock, servers.oracle

    def publish(self, count: int, error: str = "", market: str = MARKET) -> None:
        """So many commits, each with its reveal."""
        for _ in range(count):
            self.clock.sequence += 1
            landed = self.oracle.commit(market, self.clock.sequence, self.clock(), self.clock())
            self.clock.at += 3 * SLOT_S
            self.oracle.reveal(landed, self.clock(), error)

    def truth(self, market: str = MARKET) -> tuple[str, int, str]:
        """Content hash, sequence and signature of the newest reveal."""
        told = self.oracle.bundle(market)
        assert told is not None
        return told["content_hash"], told["sequence"], told["reveal"]["signature"]

    def asked(self, name: str = "rpc-a") -> int:
        return self.servers.nodes[name].requests["getTransaction"]

    async def look(self, **how: Any) -> LookedBack:
        self.clock.at += 40 * SLOT_S
        endpoints = [RpcEndpoint(name=name, url=self.servers.url(name)) for name in self.servers.nodes]
        return await last_reveal(endpoints, self.oracle.program_id, SystemClock(), **how)


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    clock = Hand()
    async with SolanaServers.alone(now=clock, markets=MARKETS) as servers:
        yield Chain(servers, clock)


def found(told: LookedBack) -> tuple[str, int, str]:
    assert told.reveal is not None, told.why
    return told.reveal.bundle_hash, told.reveal.sequence, told.reveal.signature


async def test_failed_reveals_and_commits_and_strangers_are_passed_over(chain: Chain) -> None:
    chain.publish(5)
    chain.publish(20, REFUSED)
    chain.oracle.decoy()
    told = await chain.look()
    assert found(told) == chain.truth()
    assert told.agreed == ("rpc-b", "rpc-c") and told.newer_unread == 0 and not told.trouble
    assert told.failed == 20 and told.read == chain.asked() <= 32  # no failed one was read


async def test_a_stop_long_ago_is_found_by_halving_and_what_was_not_read_is_said(chain: Chain) -> None:
    chain.publish(40)
    chain.publish(1, market="UK_GE_2029")
    truth = chain.truth("UK_GE_2029")
    chain.publish(900, REFUSED)
    told = await chain.look()
    assert found(told) == truth
    assert told.read == chain.asked() <= MOST_READ and told.newer_unread > 700
    assert chain.servers.nodes["rpc-a"].requests["getSignaturesForAddress"] <= 3


async def test_what_the_cockpit_has_counted_itself_is_not_read(chain: Chain) -> None:
    chain.publish(3)
    since = chain.oracle.ledger.slot()
    chain.clock.at += 2 * SLOT_S
    chain.publish(300, REFUSED)
    chain.clock.at += 2 * SLOT_S
    upto = chain.oracle.ledger.slot()
    chain.clock.at += 2 * SLOT_S
    chain.publish(2, REFUSED)
    told = await chain.look(known=(since, upto))
    assert found(told) == chain.truth()
    assert (told.known, told.newer_unread) == (300, 0) and told.read < 16


async def test_none_is_said_with_how_far_was_looked(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.publish(150, REFUSED)
    first = chain.oracle.ledger.entries[0].slot
    told = await chain.look()
    assert told.reveal is None and told.back_to_slot == first
    words = f"rpc-a: no reveal among the last 300 transactions (150 failed, 0 known, 150 of 150 others read), back to slot {first:,} (2026-"
    assert told.why.startswith(words) and "it lists nothing older" in told.why
    monkeypatch.setattr(search, "MOST_LISTED", 100)
    monkeypatch.setattr(search, "MOST_READ", 40)
    asked = chain.asked("rpc-b")
    told = await chain.look()
    assert "among the last 100 transactions (50 failed, 0 known, 40 of 50 others read)" in told.why
    assert chain.asked("rpc-b") == asked  # it was as far as was to be looked: no other would look further


async def test_no_transaction_at_all(chain: Chain) -> None:
    assert (await chain.look()).why == "rpc-a lists no transaction of the program"


@pytest.mark.parametrize(
    ("chaos", "why"),
    [
        ({"server_errors": 99}, "answers HTTP 500"),
        ({"unauthorised": True}, "refuses: HTTP 401"),
        ({"throttled": 99, "retry_after_s": 30}, "asks to be left alone for 30 s (429)"),
        ({"malformed": 99}, "with no JSON-RPC"),
        ({"mistyped": 99}, "in an unknown shape"),
        ({"errors": {"getTransaction": (-32603, "internal \x1b[2J", None)}}, "internal \\e[2J"),
    ],
)
async def test_where_one_endpoint_fails_the_next_is_asked(chain: Chain, chaos: dict[str, Any], why: str) -> None:
    chain.publish(3)
    chain.publish(5, REFUSED)
    for name, value in chaos.items():
        setattr(chain.servers.nodes["rpc-a"].chaos, name, value)
    told = await chain.look()
    assert found(told) == chain.truth() and told.endpoint == "rpc-b"
    assert len(told.trouble) == 1 and why in told.trouble[0]
    assert "/v2/" not in repr(told)


class Once(dict[str, Any]):
    """Errors that are given once each."""

    def __getitem__(self, method: str) -> Any:
        return self.pop(method)


async def test_far_into_a_listing_a_short_rest_is_given(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_PATIENCE_S", 0.05)
    chain.publish(3)
    chain.publish(10, REFUSED)
    chain.servers.nodes["rpc-a"].chaos.errors = Once(getTransaction=(429, "too many", None))
    told = await chain.look()
    assert found(told) == chain.truth() and told.endpoint == "rpc-a" and not told.trouble


async def test_batches_that_are_refused_are_asked_singly(chain: Chain) -> None:
    chain.publish(3)
    chain.publish(10, REFUSED)
    chain.servers.nodes["rpc-a"].chaos.batch_refused_plainly = True
    told = await chain.look()
    assert found(told) == chain.truth() and told.endpoint == "rpc-a"


async def test_the_search_ends_in_time_and_says_so(chain: Chain) -> None:
    chain.publish(3)
    chain.servers.nodes["rpc-a"].chaos.freeze()
    told = await chain.look(limit_s=0.2)
    assert told.reveal is None and told.why == "rpc-a: the search was ended after 0.2 s"


async def test_foreign_and_resting_endpoints_are_not_asked(chain: Chain) -> None:
    chain.publish(3)
    statuses = {
        "rpc-a": EndpointStatus("rpc-a", "a", foreign=True),
        "rpc-b": EndpointStatus("rpc-b", "b", retry_after_s=20.0),
        "rpc-c": EndpointStatus("rpc-c", "c"),
    }
    told = await chain.look(statuses=statuses)
    assert found(told) == chain.truth() and told.endpoint == "rpc-c"
    assert told.trouble == ("rpc-a is of another cluster", "rpc-b asks to be left alone for 20 s (429)")
    assert [chain.servers.nodes[name].requests["http"] for name in ("rpc-a", "rpc-b")] == [0, 0]


async def test_who_tells_another_content_is_named(chain: Chain) -> None:
    chain.publish(3)
    chain.servers.nodes["rpc-b"].chaos.errors["getTransaction"] = (-32603, "no", None)
    chain.servers.nodes["rpc-c"].chaos.lag = 10_000
    told = await chain.look()
    assert found(told) == chain.truth() and told.agreed == ()
    assert told.trouble == ("rpc-b answers getTransaction with error -32603: no", "rpc-c does not have the transaction")
