"""P12: accounts and slots of an endpoint that stands still are as old as their slot."""

from __future__ import annotations

from cockpit.clock import SystemClock
from cockpit.sources.solana.endpoint import REWOUND_SLOTS, NewestSlots
from tests.support.solana_double import Chain, Node
from tests.support.solana_rig import rig


def test_an_answer_is_dated_by_the_first_sight_of_its_slot() -> None:
    slots = NewestSlots()
    assert slots.seen("a", 100, 10.0) == 10.0 and slots.seen("b", 100, 12.0) == 12.0
    assert slots.seen("a", 100, 40.0) == 10.0, "the same slot again"
    assert slots.seen("a", 90, 50.0) == 10.0, "an older node behind the same address"
    assert slots.seen("a", 101, 60.0) == 60.0
    assert slots.seen("a", None, 70.0) == 70.0
    assert slots.seen("b", 100 + 2 * REWOUND_SLOTS, 70.0) == 70.0 and slots.seen("b", 5, 80.0) == 80.0, "begun anew"


async def test_what_an_endpoint_says_again_is_not_fresh() -> None:
    """P12: it answers every question at the slot of before, and no other is there."""
    chain = Chain()
    async with rig(Node("rpc-a", chain)) as it:

        def behind(topic: str) -> float:
            found = it.topic(topic).believed(SystemClock().mono())
            return (found.age_s or 0.0) - (found.asked_s or 0.0) if found.live else -1.0

        topics = ("endpoint/rpc-a", "protocol", "signer-set", "markets")
        await it.until(lambda: all(behind(topic) >= 0.0 for topic in topics), "all is live")
        assert all(behind(topic) < 0.5 for topic in topics)
        it.still = True
        await it.until(lambda: all(behind(topic) > 0.5 for topic in topics), "what stands still grows old")
