"""Counts are exact, never doubled: whatever happens to streams, endpoints and listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from cockpit.sources.solana.backfill import Filled
from cockpit.sources.solana.endpoint import EndpointWatch
from cockpit.sources.solana.rpc import Rpc
from tests.support.chain_encoder import commit_logs, signature
from tests.support.readings import fault_in, kept
from tests.support.solana_double import Chain, Node, Tx
from tests.support.solana_rig import QUICK, rig


async def test_what_is_streamed_is_counted_and_waits_for_its_reveal() -> None:
    chain = Chain()
    async with rig(Node("rpc-a", chain)) as it:
        await it.streaming()
        for epoch in range(5):
            await chain.commit(epoch)
        for epoch in range(4):
            await chain.reveal(epoch)
        await chain.fail(6018)
        await it.counted(5, 4, 1)
        await it.until(lambda: it.program.pending and it.program.pending[0].market == "NBA_LAL_BOS")
        await it.until(lambda: it.program.overdue_total == 1)
        program = it.program
        assert (
            program.pending_total == 1
            and program.last_reveal is not None
            and program.last_reveal.market == "NBA_LAL_BOS"
        )
        assert program.failures[0].name == "SignatureVerificationFailed" and program.failures[0].runbook == 2
        assert it.endpoint("rpc-a").streaming and (program.undecodable, program.reconnects) == (0, 0)


async def test_the_past_gives_pending_commits_but_no_counts() -> None:
    chain = Chain()
    old = await chain.add(commit_logs("NBA", "old", 9_000), slot=9_000)
    for epoch in range(30):
        await chain.commit(epoch)
        if epoch != 7:
            await chain.reveal(epoch)
    async with rig(Node("rpc-a", chain)) as it:
        await it.streaming()
        await it.until(lambda: it.program.pending_total == 1)
        assert it.counts == (0, 0, 0) and it.program.pending[0].signature != old.signature
        assert it.program.last_reveal is not None


async def test_a_cut_stream_loses_and_doubles_nothing() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        for epoch in range(10):
            await chain.commit(epoch)
        await it.counted(10)
        for round_ in range(3):
            node.no_sockets = True
            await node.cut()
            for epoch in range(10):
                await chain.reveal(epoch)
                await chain.commit((round_, epoch))
            node.no_sockets = False
            await it.until(lambda n=round_: it.program.reconnects == n + 1)  # type: ignore[misc]
            await it.counted(20 + 10 * round_, 10 + 10 * round_)
        assert it.program.filled > 0


async def test_a_transaction_sent_twice_and_one_that_never_confirms() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        tx = await chain.commit(1)
        await node.tell(tx)
        await node.tell(tx)
        lost = Tx(signature("lost"), chain.head, None, commit_logs("NBA", 2, chain.head))
        await node.tell(lost, commitment="processed")
        await chain.commit(3)
        await it.until(lambda: it.program.unconfirmed_dropped == 1)
        await it.counted(2)
        assert it.program.doubles_dropped >= 2


async def test_a_bad_endpoint_is_left_for_a_better_one() -> None:
    chain = Chain()
    first, second = Node("rpc-a", chain), Node("rpc-b", chain)
    async with rig(first, second) as it:
        await it.streaming()
        streaming, other = (first, second) if it.program.endpoint == "rpc-a" else (second, first)
        for epoch in range(5):
            await chain.commit(epoch)
        await it.counted(5)
        streaming.deaf = True
        streaming.health = "Node is behind by 214 slots"
        for epoch in range(5):
            await chain.commit((2, epoch))
        await it.streaming(other.name)
        await it.counted(10)
        await it.until(lambda: it.endpoint(streaming.name).health == "Node is behind by 214 slots")
        await chain.commit(99)
        await it.counted(11)


async def test_a_stream_that_drops_transactions_is_found_out_by_the_listing() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        node.deaf = True
        for epoch in range(25):
            await chain.commit(epoch)
        await it.counted(25)
        assert it.program.filled == 25 and it.program.reconnects == 0


async def test_long_gaps_are_filled_page_by_page() -> None:
    chain = Chain()
    node = Node("rpc-a", chain, page=37)
    async with rig(node) as it:
        await it.streaming()
        node.no_sockets = True
        await node.cut()
        for epoch in range(300):
            await chain.commit(epoch)
        node.no_sockets = False
        await it.counted(300)
        assert it.program.filled == 300 and sum(asked.startswith("batch") for asked in node.asked) >= 3


@pytest.mark.parametrize("ahead", [900, 500_000, 9_000_000_000_000])
async def test_a_node_that_is_wrong_about_its_slot_makes_no_transaction_an_old_one(ahead: int) -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node, timings=replace(QUICK, audit_s=0.05, audit_busy_s=0.05)) as it:
        await it.streaming()
        await chain.commit("before")
        await it.counted(1)
        node.result["getSlot"] = chain.head + ahead
        asked = node.asked.count("getSlot")
        await it.until(lambda: node.asked.count("getSlot") > asked + 10)  # looks, and listings that settle
        await chain.commit("meanwhile")
        del node.result["getSlot"]
        await chain.commit("after")
        await it.counted(3)


async def test_a_node_that_does_not_tell_its_cluster_is_used_when_no_other_is() -> None:
    chain = Chain()
    silent = Node("rpc-a", chain, error={"getGenesisHash": {"code": -32601, "message": "Method not found"}})
    async with rig(silent, Node("rpc-b", chain, lag=10)) as it:
        await it.streaming("rpc-b")
    chain = Chain()
    async with rig(Node("rpc-a", chain, error=silent.error)) as it:
        await it.streaming("rpc-a")


async def test_a_node_that_refuses_a_stream_for_a_while_is_left_alone_and_listed() -> None:
    chain = Chain()
    node = Node("rpc-a", chain, rest_s=30)
    async with rig(node) as it:
        await it.until(lambda: "HTTP 429" in it.program.no_stream)
        await chain.commit(1)
        await it.counted(1)
        listings = node.asked.count("getSignaturesForAddress")
        await it.until(lambda: node.asked.count("getSignaturesForAddress") > listings + 3)
        assert node.handshakes == 1


async def test_a_node_that_refuses_batches_is_asked_singly() -> None:
    chain = Chain()
    node = Node("rpc-a", chain, batches=False)
    async with rig(node) as it:
        await it.streaming()
        node.deaf = True
        for epoch in range(40):
            await chain.commit(epoch)
        await it.counted(40)
        assert node.asked.count("getTransaction") == 40


async def test_a_listed_transaction_that_is_given_late_is_waited_for() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        node.deaf = True
        tx = Tx(signature("late"), chain.head, None, commit_logs("NBA", 1, chain.head))
        node.unreadable.add(tx.signature)
        chain.transactions.append(tx)
        await it.until(lambda: "getTransaction" in node.asked or any("batch" in asked for asked in node.asked))
        node.unreadable.clear()
        await it.counted(1)


async def test_what_only_one_endpoint_lists_is_counted_and_said() -> None:
    chain = Chain()
    first, second = Node("rpc-a", chain), Node("rpc-b", chain)
    async with rig(first, second) as it:
        await it.streaming()
        second.hidden.add(chain.next_signature)  # before it is made: an audit may come at any moment
        await chain.commit(1)
        await chain.commit(2)
        await it.until(
            lambda: any(d.what == "commits" and "rpc-b" in d.words for d in kept(it.topic("disagreements")) or ())
        )
        await it.counted(2)


async def test_each_endpoint_has_its_turn_however_their_ranks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain()
    listed: list[str] = []
    async with rig(Node("rpc-a", chain), Node("rpc-b", chain)) as it:
        await it.streaming()
        program = it.source.program
        assert program is not None
        best = program._fleet.best

        def swapped(avoid: Mapping[str, float], now: float) -> list[EndpointWatch]:
            return sorted(best(avoid, now), key=lambda watch: watch.name, reverse=len(listed) % 2 == 1)

        async def fill(rpc: Rpc, *, reach: int, last: bool) -> Filled:
            listed.append(rpc.name)
            return Filled(0, 0, 0)

        monkeypatch.setattr(program._fleet, "best", swapped)
        monkeypatch.setattr(program._filler, "fill", fill)
        await it.until(lambda: len(listed) >= 6)
    assert all(one != other for one, other in pairwise(listed)), listed


async def test_signatures_that_no_node_keeps_are_a_gap_that_is_said() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        for epoch in range(3):
            await chain.commit(epoch)
        await it.counted(3)
        program = it.source.program
        assert program is not None
        await it.until(lambda: chain.head > (it.program.commits.last_slot or 0) + 40 and program.ledger.kept == 0)
        node.no_sockets = True
        await node.cut()
        await chain.commit("missed")
        await chain.slots(5)
        node.keeps_from = chain.head
        node.no_sockets = False
        await it.until(lambda: "no longer keeps" in it.program.gap and it.program.endpoint)
        assert not it.program.complete and it.program.doubtful
        await chain.commit("after")
        await it.until(lambda: it.counts == (4, 0, 0))


async def test_without_any_stream_the_listing_counts() -> None:
    chain = Chain()
    node = Node("rpc-a", chain, no_sockets=True)
    async with rig(node) as it:
        await it.until(lambda: it.program.complete)
        for epoch in range(5):
            await chain.commit(epoch)
        await it.counted(5)
        assert it.program.endpoint == "" and fault_in(it.topic("program")) is None


async def test_an_index_that_lags_behind_its_nodes_slot_is_not_taken_for_whole() -> None:
    """P1: getSignaturesForAddress alone came late; a stop was proven by its silence."""
    chain = Chain()
    node = Node("rpc-a", chain, no_sockets=True)
    async with rig(node) as it:
        await it.until(lambda: it.program.complete)
        node.lists_late = 60
        await chain.commit("late")
        slot = chain.head
        await it.until(lambda: it.counts == (1, 0, 0))
        assert not it.program.complete and it.program.doubtful and "slots late" in it.program.gap
        shown = it.program.listed_slot
        assert shown is not None and (shown < slot or chain.head - shown > 2 * (60 - QUICK.settle_slots))
        node.lists_late = 0
        await chain.commit("at once")
        await it.until(lambda: it.program.complete and it.counts == (2, 0, 0))


async def test_a_half_open_connection_is_noticed() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node, timings=replace(QUICK, silence_s=0.5)) as it:
        await it.streaming()
        node.frozen = True
        await chain.commit(1)
        await it.until(lambda: not it.program.endpoint)
        node.frozen = False
        await it.streaming()
        await it.counted(1)


async def test_frames_that_are_none_are_passed_over() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        wrong = '{"jsonrpc":"2.0","method":"logsNotification","params":{"result":%s,"subscription":1001}}'
        for frame in (
            "",
            "nonsense",
            "[]",
            "null",
            "[" * 5000,
            '{"id":1}',
            '{"method":5}',
            wrong % "null",
            wrong % '{"context":{"slot":-1}}',
            wrong % '{"context":{"slot":"x"},"value":{"signature":7}}',
            b"\xff\xfe\x00",
            wrong % '{"context":{"slot":10001},"value":{"signature":"x","err":null,"logs":[5]}}',
            '{"jsonrpc":"2.0","error":{"code":-32005,"message":"x"},"id":null}',
        ):
            await node.raw(frame)
        await chain.commit(1)
        await it.counted(1)
        assert it.program.reconnects == 0
        await node.raw('{"x":"' + "y" * 5_000_000 + '"}')  # more than is read of any frame: the connection is given up
        await it.until(lambda: it.program.reconnects == 1)
        await chain.commit(2)
        await it.counted(2)
