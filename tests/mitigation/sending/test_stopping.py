"""Stopping publishing is proven by the chain where the chain is read; where it is not, the words
say so.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.mitigation.proof.chain_silence import WITHIN_S, ChainSilence
from cockpit.model.observed.chain import ProgramActivity, Rate
from cockpit.model.plan import Phase, Progress, Proof, Verdict
from cockpit.model.reading import Reading
from cockpit.model.situation import Situation
from panels.dialogs.confirm_words import plan_lines
from panels.kit.prose import plain
from tests.support.kube_rig import NAMESPACE, Rig, carry, ended, plan, rig, situation, step

STOP = step("scale", "m0-submitter", replicas=0)
OFF = step("set-env", "m0-submitter", env={"M0_PUBLISH_ENABLED": "false"})


class Chain:
    """A chain whose slot advances by ten at each look; `last` is the slot of the newest commit,
    None: ten slots ago.
    """

    def __init__(self, made: Rig, *, last: int | None = 900, advances: int = 10) -> None:
        self.rig, self.last, self.slot, self.advances = made, last, 1000, advances

    def situation(self) -> Situation:
        self.slot += self.advances
        clock = self.rig.clock
        last = self.slot - 10 if self.last is None else self.last
        activity = ProgramActivity(
            "P",
            "rpc-a",
            0.0,
            True,
            slot=self.slot,
            listed_slot=self.slot,
            commits=Rate(1, 0.0, last),
            reveals=Rate(1, 0.0, last),
        )
        now = clock.mono()
        return replace(
            situation(clock, *self.rig.signals.values()),
            kinds={
                f"pods/{NAMESPACE}": Reading(
                    topic="pods", data={}, observed_at=now, took_s=0.0, fault=None, max_age_s=15.0
                )
            },
            solana={
                "program": Reading(
                    topic="solana/program", data=activity, observed_at=now, took_s=0.0, fault=None, max_age_s=15.0
                )
            },
            configured=frozenset({"kubernetes", "solana"}),
        )


def carried(made: Rig, what: Any) -> Progress:
    executor = made.executor()
    planned = plan(executor, what)
    carry(executor, planned)
    return ended(executor, planned)


@pytest.mark.parametrize("what", [STOP, OFF])
def test_a_quiet_chain_proves_the_stop(what: Any, tmp_path: Any) -> None:
    with rig(tmp_path) as made:
        made.situation = Chain(made).situation  # type: ignore[method-assign]
        progress = carried(made, what)
        assert (progress.phase, progress.proof) == (Phase.DONE, Proof.PASS), progress.words
        (gauge,) = progress.gauges
        assert gauge.text == "no commit or reveal on the chain for 25 slots"
        assert gauge.value is not None and gauge.value >= 25 and gauge.proof is Proof.PASS


def test_without_the_chain_it_is_said_that_nobody_asked_it(tmp_path: Any) -> None:
    with rig(tmp_path) as made:
        progress = carried(made, STOP)
        assert progress.proof is Proof.UNKNOWN
        assert (
            "stopped: no pod is left; the chain was not asked, so that it stopped is not proven: no RPC"
            in progress.words
        )


def test_other_steps_are_proven_as_before(tmp_path: Any) -> None:
    with rig(tmp_path) as made:
        made.situation = Chain(made, last=None).situation  # type: ignore[method-assign]
        progress = carried(made, step("scale", "m0-ingestor", replicas=3))
        assert not progress.gauges and "chain" not in progress.words


@pytest.mark.parametrize(
    ("chain", "proof", "words"),
    [
        ({"last": None}, Proof.FAIL, "after publishing was stopped here; no commit or reveal for 10 of 25 slots"),
        ({"advances": 0}, Proof.UNKNOWN, "no commit or reveal for 0 of 25 slots"),  # a chain that stands still
    ],
)
def test_a_chain_that_is_not_quiet_fails_it_and_one_that_stands_still_proves_nothing(
    chain: Any, proof: Proof, words: str, tmp_path: Any
) -> None:
    with rig(tmp_path) as made:
        executor = made.executor()
        prepared = executor._prepared
        planned = plan(executor, STOP)
        found = Chain(made, **chain)
        quiet = ChainSilence(planned, prepared[planned.id].draft, made.runbooks, made.clock.mono())
        for later in (0.0, 1.0, 2.0):
            quiet.update(found.situation(), made.clock.mono() + later)
            assert quiet.gauge.proof is Proof.PENDING
        quiet.update(found.situation(), made.clock.mono() + WITHIN_S + 1)
        assert quiet.gauge.proof is proof and words in quiet.gauge.reason
        old = found.situation()
        later_on = ChainSilence(planned, prepared[planned.id].draft, made.runbooks, made.clock.mono() + 5)
        later_on.update(replace(old, mono=old.mono - 1), made.clock.mono())
        assert later_on.gauge.value is None  # a look from before the last pod was gone tells nothing


@pytest.mark.parametrize(
    ("chain", "verdict", "words"),
    [
        ({"last": 1}, Verdict.PASS, "no pod is left, and no commit or reveal on the chain for"),
        ({"last": None}, Verdict.NOTE, "PUBLISHING MAY GO ON all the same: no commit or reveal for"),
        (None, Verdict.NOTE, "whether publishing has stopped is NOT KNOWN"),
    ],
)
def test_a_kill_switch_that_finds_it_stopped_already_asks_the_chain(
    chain: Any, verdict: Verdict, words: str, tmp_path: Any
) -> None:
    """Scaled to 0 is no proof: a second submitter that nobody knows of publishes on."""
    with rig(tmp_path) as made:
        made.kubectl("PATCH", "m0-submitter", {"spec": {"replicas": 0}}, sub="/scale")
        if chain is not None:
            made.situation = Chain(made, **chain).situation  # type: ignore[method-assign]
        planned = plan(made.executor(), STOP)
        assert planned.nothing_to_do
        (found,) = planned.guards
        assert (found.guard, found.verdict) == ("stopped", verdict)
        assert words in found.reason
        assert found.reason in plain(plan_lines(planned, production=True, left_s=100.0, wide=False))
