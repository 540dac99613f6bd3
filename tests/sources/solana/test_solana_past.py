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
        found_back = self.oracle.bundle(market)
        assert found_back is not None
        return found_back["content_hash"], found_back["sequence"], found_back["reveal"]["signature"]

    def asked(self, name: str = "rpc-a") -> int:
        return self.servers.nodes[name].requests["getTransaction"]

    async def find(self, **how: Any) -> LookedBack:
        self.clock.at += 40 * SLOT_S
        endpoints = [RpcEndpoint(name=name, url=self.servers.url(name)) for name in self.servers.nodes]
        return await last_reveal(endpoints, self.oracle.program_id, SystemClock(), **how)


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    clock = Hand()
    async with SolanaServers.alone(now=clock, markets=MARKETS) as servers:
        yield Chain(servers, clock)


def found(found_back: LookedBack) -> tuple[str, int, str]:
    assert found_back.reveal is not None, found_back.why
    return found_back.reveal.bundle_hash, found_back.reveal.sequence, found_back.reveal.signature


async def test_failed_reveals_and_commits_and_strangers_are_passed_over(chain: Chain) -> None:
    chain.publish(5)
    chain.publish(20, REFUSED)
    chain.oracle.decoy()
    found_back = await chain.find()
    assert found(found_back) == chain.truth()
    assert found_back.agreed == ("rpc-b", "rpc-c") and found_back.newer_unread == 0 and not found_back.trouble
    assert found_back.failed == 20 and found_back.read == chain.asked() <= 32  # no failed one was read


async def test_a_stop_long_ago_is_found_by_halving_and_what_was_not_read_is_said(chain: Chain) -> None:
    chain.publish(40)
    chain.publish(1, market="UK_GE_2029")
    truth = chain.truth("UK_GE_2029")
    chain.publish(900, REFUSED)
    found_back = await chain.find()
    assert found(found_back) == truth
    assert found_back.read == chain.asked() <= MOST_READ and found_back.newer_unread > 700
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
    found_back = await chain.find(known=(since, upto))
    assert found(found_back) == chain.truth()
    assert (found_back.known, found_back.newer_unread) == (300, 0) and found_back.read < 16


async def test_none_is_said_with_how_far_was_looked(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.publish(150, REFUSED)
    first = chain.oracle.ledger.entries[0].slot
    found_back = await chain.find()
    assert found_back.reveal is None and found_back.back_to_slot == first
    words = f"rpc-a: no reveal among the last 300 transactions (150 failed, 0 known, 150 of 150 others read), back to slot {first:,} (2026-"
    assert found_back.why.startswith(words) and "it lists nothing older" in found_back.why
    monkeypatch.setattr(search, "MOST_LISTED", 100)
    monkeypatch.setattr(search, "MOST_READ", 40)
    asked = chain.asked("rpc-b")
    found_back = await chain.find()
    assert "among the last 100 transactions (50 failed, 0 known, 40 of 50 others read)" in found_back.why
    assert chain.asked("rpc-b") == asked  # it was as far as was to be looked: no other would look further


async def test_no_transaction_at_all(chain: Chain) -> None:
    assert (await chain.find()).why == "rpc-a lists no transaction of the program"


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
    found_back = await chain.find()
    assert found(found_back) == chain.truth() and found_back.endpoint == "rpc-b"
    assert len(found_back.trouble) == 1 and why in found_back.trouble[0]
    assert "/v2/" not in repr(found_back)


class Once(dict[str, Any]):
    """Errors that are given once each."""

    def __getitem__(self, method: str) -> Any:
        return self.pop(method)


async def test_far_into_a_listing_a_short_rest_is_given(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_PATIENCE_S", 0.05)
    chain.publish(3)
    chain.publish(10, REFUSED)
    chain.servers.nodes["rpc-a"].chaos.errors = Once(getTransaction=(429, "too many", None))
    found_back = await chain.find()
    assert found(found_back) == chain.truth() and found_back.endpoint == "rpc-a" and not found_back.trouble


async def test_batches_that_are_refused_are_asked_singly(chain: Chain) -> None:
    chain.publish(3)
    chain.publish(10, REFUSED)
    chain.servers.nodes["rpc-a"].chaos.batch_refused_plainly = True
    found_back = await chain.find()
    assert found(found_back) == chain.truth() and found_back.endpoint == "rpc-a"


async def test_the_search_ends_in_time_and_says_so(chain: Chain) -> None:
    chain.publish(3)
    chain.servers.nodes["rpc-a"].chaos.freeze()
    found_back = await chain.find(limit_s=0.2)
    assert found_back.reveal is None and found_back.why == "rpc-a: the search was ended after 0.2 s"


async def test_foreign_and_resting_endpoints_are_not_asked(chain: Chain) -> None:
    chain.publish(3)
    statuses = {
        "rpc-a": EndpointStatus("rpc-a", "a", foreign=True),
        "rpc-b": EndpointStatus("rpc-b", "b", retry_after_s=20.0),
        "rpc-c": EndpointStatus("rpc-c", "c"),
    }
    found_back = await chain.find(statuses=statuses)
    assert found(found_back) == chain.truth() and found_back.endpoint == "rpc-c"
    assert found_back.trouble == ("rpc-a is of another cluster", "rpc-b asks to be left alone for 20 s (429)")
    assert [chain.servers.nodes[name].requests["http"] for name in ("rpc-a", "rpc-b")] == [0, 0]


async def test_who_tells_another_content_is_named(chain: Chain) -> None:
    chain.publish(3)
    chain.servers.nodes["rpc-b"].chaos.errors["getTransaction"] = (-32603, "no", None)
    chain.servers.nodes["rpc-c"].chaos.lag = 10_000
    found_back = await chain.find()
    assert found(found_back) == chain.truth() and found_back.agreed == ()
    assert found_back.trouble == (
        "rpc-b answers getTransaction with error -32603: no",
        "rpc-c does not have the transaction",
    )
