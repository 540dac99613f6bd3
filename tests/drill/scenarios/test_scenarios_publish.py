"""Tests what the incidents of runbooks 1 to 5 and 11 to 13 are made of, beyond the table.

Releases with a history, keys, rotation, replay, blockhashes, sizes, forged outputs; and that the
chain counts the same as the metrics do.
"""

from __future__ import annotations

import pytest

from cockpit.drill import changes
from cockpit.drill.kubernetes.objects import resources
from cockpit.drill.names import CONFIG, MARKETS, QUANT, RPC_URLS, SERVICES, SIGNER, SUBMITTER, THRESHOLD
from cockpit.drill.physics.authority import Refused, SignerSet
from cockpit.drill.physics.releases import BATCH, USUAL_BATCH, Traits, image_of
from cockpit.drill.prometheus.exposition import exposition
from cockpit.drill.scenarios import SCENARIOS, find
from cockpit.drill.solana.program.layouts import CODES
from cockpit.drill.world import World
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level
from cockpit.runbooks.schema import load
from tests.drill.scenarios.test_scenarios_harm import harm_of, logs
from tests.support.scenario_rig import HISTORY_S, START, Operator, lived


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


def level(on_call: Operator, signal: str) -> Level:
    return on_call.situation().signals[signal].level


def failures(on_call: Operator, seconds: float = 60.0) -> dict[str, int]:
    """Map each error to the program's transactions that failed with it in the next `seconds`."""
    before = dict(on_call.world.chain.counts)
    on_call.wait(seconds)
    after = on_call.world.chain.counts
    return {
        error: n - before.get((name, error), 0)
        for (name, error), n in after.items()
        if error and n > before.get((name, error), 0)
    }


# releases: the good image ran for days before, and a second blind undo goes back to the bad one


@pytest.mark.parametrize(
    ("scenario", "service"),
    [("wrong-signer-set", SIGNER), ("bad-hash-release", SUBMITTER), ("bad-release", QUANT)],
)
def test_a_second_blind_undo_returns_to_the_bad_release(scenario: str, service: str, runbooks: Runbooks) -> None:
    on_call = Operator(scenario, runbooks)
    world = on_call.world
    kept = [
        rs.obj
        for rs in world.kube.store.select(resources.REPLICASETS)
        if rs.obj["metadata"]["name"].startswith(service)
    ]
    images = [rs["spec"]["template"]["spec"]["containers"][0]["image"] for rs in kept]
    good = SERVICES[service].image
    assert len(set(images)) == 2 and good in images
    for image in (good, next(i for i in images if i != good)):
        changes.undo_rollout(world.kube, service)
        on_call.wait(120)
        assert {pod.image for pod in world.fleet.working(service)} == {image}
    harmful = {"wrong-signer-set": "SignatureVerificationFailed", "bad-hash-release": "BundleHashMismatch"}.get(
        scenario
    )
    assert harmful is None or failures(on_call)[harmful] > 90


def test_a_release_leaves_what_an_operator_looks_for(runbooks: Runbooks) -> None:
    on_call = Operator("bad-release", runbooks)
    assert level(on_call, "recent-releases") is Level.WARN
    restarts = [pod["status"]["containerStatuses"][0] for pod in on_call.world.kube.pods(QUANT)]
    assert all(status["restartCount"] >= 1 for status in restarts)
    assert {status["lastState"]["terminated"]["reason"] for status in restarts} == {"OOMKilled"}
    assert image_of(QUANT, "2026.11.4") != SERVICES[QUANT].image


def test_half_of_a_bad_release_taken_back_is_half_a_cure(runbooks: Runbooks) -> None:
    """The image alone leaves lag and invalid bundles; the configuration alone leaves restarts."""
    image, config = Operator("bad-config-release", runbooks), Operator("bad-config-release", runbooks)
    image.act("set-good-image")
    changes.set_config(config.world.kube, CONFIG, BATCH, USUAL_BATCH)
    for on_call in (image, config):
        on_call.wait(420)
    levels = [
        {n: on_call.situation().signals[n].level for n in ("suspect-releases", "invalid-bundles", "watermark-lag")}
        for on_call in (image, config)
    ]
    assert levels[0] == {"suspect-releases": Level.OK, "invalid-bundles": Level.CRIT, "watermark-lag": Level.WARN}
    assert levels[1] == {"suspect-releases": Level.WARN, "invalid-bundles": Level.OK, "watermark-lag": Level.OK}


# keys and signatures


def test_agents_report_the_keys_that_they_really_sign_with(runbooks: Runbooks) -> None:
    on_call = Operator("wrong-signer-set", runbooks)
    world = on_call.world
    registered = {str(key) for key in world.chain.active_set().pubkeys}
    reported = {world.agent(f"signer-{n}")[1] for n in range(7)}  # type: ignore[index]
    assert len(reported) == 7 and not reported & registered
    on_call.act("rollback-signers")
    on_call.wait(120)
    assert {world.agent(f"signer-{n}")[1] for n in range(7)} == registered  # type: ignore[index]


def test_the_chain_holds_the_signatures_that_it_rejected(runbooks: Runbooks) -> None:
    on_call = Operator("wrong-signer-set", runbooks)
    chain = on_call.world.chain
    on_call.wait(10)
    entry = next(e for e in reversed(chain.ledger.entries) if (chain.ledger.encoded(e).err or {}) != {})
    encoded = chain.ledger.encoded(entry)
    assert encoded.err == {"InstructionError": [1, {"Custom": CODES["SignatureVerificationFailed"]}]}
    stray = [bytes(chain.keys.stray(n).key) for n in range(7)]
    assert sum(key in encoded.wire for key in stray) == THRESHOLD
    assert failures(on_call) == {"SignatureVerificationFailed": pytest.approx(118, abs=4)}


def test_a_hash_that_differs_fails_with_its_own_code(runbooks: Runbooks) -> None:
    on_call = Operator("bad-hash-release", runbooks)
    assert failures(on_call) == {"BundleHashMismatch": pytest.approx(118, abs=4)}
    assert "BundleHashMismatch (6016)" in logs(on_call, SUBMITTER)


def test_a_rotation_counts_once_the_submitter_publishes_for_the_new_set(runbooks: Runbooks) -> None:
    """The new set is used only once the submitter's variable names it.

    It is that of the healthy four, created through the authority.
    """
    on_call = Operator("kms-denied", runbooks)
    world = on_call.world
    on_call.act("rotate-signer-set")
    on_call.wait(200)
    assert level(on_call, "signer-misses") is Level.CRIT
    on_call.act("use-signer-set")
    on_call.wait(240)
    assert level(on_call, "signer-misses") is Level.OK
    bundle = world.chain.bundle("FED_RATE_JAN")
    assert bundle is not None and bundle["signer_set_id"] == 101 and len(bundle["signatures"]) == 4
    assert {world.agent_set(world.agent(f"signer-{n}")[1]) for n in range(3)} == {"100"}  # type: ignore[index]
    assert {world.agent_set(world.agent(f"signer-{n}")[1]) for n in range(3, 7)} == {"101"}  # type: ignore[index]
    with pytest.raises(Refused):
        world.authority.create_signer_set(SignerSet(101, 4, ("signer-3",) * 4, "now"))


def test_a_set_that_is_not_there_or_has_strangers_keys_signs_nothing(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    world = on_call.world
    world.authority.create_signer_set(SignerSet(102, 5, tuple(f"stranger-{n}" for n in range(5)), "now"))
    for number in ("99", "102"):
        changes.set_env(world.kube, SUBMITTER, {"M0_ACTIVE_SIGNER_SET_ID": number})
        on_call.wait(60)
        assert failures(on_call)["SignatureVerificationFailed"] > 90


# signers


def test_restarting_a_healthy_signer_plane_costs_bundles(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    changes.restart(on_call.world.kube, SIGNER)
    assert harm_of(on_call, 60).threshold_misses > 10


def test_more_agents_than_places_share_the_load_of_a_place(runbooks: Runbooks) -> None:
    on_call = Operator("signers-slow", runbooks)
    seats = on_call.world.sign.seats()
    assert [len(pods) for pods in seats.values()] == [1] * 7
    on_call.act("scale-signers")
    on_call.wait(60)
    assert [len(pods) for pods in on_call.world.sign.seats().values()] == [2] * 7


def test_a_lifted_network_policy_ends_it(runbooks: Runbooks) -> None:
    on_call = Operator("network-policy", runbooks)
    assert "signer-6 unreachable: dial tcp" in logs(on_call, SUBMITTER)
    relent = SCENARIOS["network-policy"].relent
    assert relent is not None
    relent(on_call.world)
    on_call.wait(200)
    assert {on_call.situation().signals[n].level for n in ("signer-misses", "signer-unreachable", "signer-p95")} == {
        Level.OK
    }


# reveals


def test_reveals_that_fail_before_the_chain_leave_commits_waiting(runbooks: Runbooks) -> None:
    for scenario, signal in (("blockhash-expiry", "reveal-expired"), ("bundle-too-large", "reveal-too-large")):
        on_call = Operator(scenario, runbooks)
        counts = on_call.world.chain.counts
        before = (counts["CommitPrediction", ""], counts["RevealPrediction", ""])
        assert failures(on_call, 60) == {}
        commits = counts["CommitPrediction", ""] - before[0]
        reveals = counts["RevealPrediction", ""] - before[1]
        assert commits > 110 and commits - reveals > 35
        assert level(on_call, signal) is Level.CRIT


def test_smaller_bundles_fit_and_chunks_take_longer(runbooks: Runbooks) -> None:
    on_call = Operator("bundle-too-large", runbooks)
    publish, pod = on_call.world.publish, on_call.world.fleet.working(SUBMITTER)[0]
    assert publish._bytes("UK_GE_2029", pod) > 1232 >= publish._bytes("BTC_100K_Q1", pod)
    on_call.act("smaller-bundles")
    on_call.wait(60)
    assert publish._bytes("UK_GE_2029", on_call.world.fleet.working(SUBMITTER)[0]) <= 1232


def test_a_priority_fee_is_offered_on_the_chain(runbooks: Runbooks) -> None:
    on_call = Operator("blockhash-expiry", runbooks)
    on_call.act("raise-priority-fee")
    on_call.wait(60)
    assert on_call.world.chain.price == 50_000
    assert on_call.world.network.endpoints["rpc-a"].crowding(50_000) < 1.3


# sequences


def test_a_restart_of_a_healthy_submitter_uses_no_sequence_twice(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    changes.restart(on_call.world.kube, SUBMITTER)
    assert harm_of(on_call, 90).replay_violations == 0


def test_reconciling_helps_only_before_the_restart(runbooks: Runbooks) -> None:
    on_call = Operator("state-out-of-sync", runbooks)
    world = on_call.world
    assert world.publish.accepted - world.publish.sequence > 40_000
    on_call.act("restart-submitter")
    on_call.wait(60)
    on_call.act("reconcile")
    on_call.wait(60)
    assert world.publish.stored == world.publish.accepted
    assert harm_of(on_call, 60).replay_violations > 90
    on_call.act("restart-submitter")
    on_call.wait(60)
    assert harm_of(on_call, 60).replay_violations == 0


def test_scaling_the_submitter_to_two_does_harm(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    changes.scale(on_call.world.kube, SUBMITTER, 2)
    on_call.wait(30)
    assert harm_of(on_call, 60).replay_violations > 60
    assert failures(on_call)["ReplayViolation"] > 60


# guardrails, markets, forged outputs


def test_relaxing_for_feeds_that_do_not_deliver_misleads_nobody(runbooks: Runbooks) -> None:
    on_call = Operator("guardrail-blocks", runbooks)
    on_call.act("relax-guardrail")
    on_call.wait(60)
    assert harm_of(on_call).misleading_outputs == 0
    assert level(on_call, "outputs-degraded") is Level.CRIT  # published, and marked DEGRADE: the debt


def test_stopping_costs_staleness(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    changes.scale(on_call.world.kube, SUBMITTER, 0)
    assert harm_of(on_call, 180).stale_s > 100


def test_a_paused_market_is_not_published_and_the_others_are(runbooks: Runbooks) -> None:
    on_call = Operator("market-manipulated", runbooks)
    world = on_call.world
    on_call.act("pause")
    on_call.wait(10)
    epochs = dict(world.publish.epochs)
    assert harm_of(on_call).misleading_outputs == 0
    assert {m for m, epoch in world.publish.epochs.items() if epoch > epochs[m]} == set(MARKETS) - {"NBA_LAL_BOS"}
    relent = SCENARIOS["market-manipulated"].relent
    assert relent is not None
    relent(world)
    world.authority.set_market("NBA_LAL_BOS", paused=False)
    on_call.wait(330)
    assert set(on_call.symptoms(12).values()) == {Level.OK}


def test_forged_outputs_pass_every_policy_and_end_with_the_pod(runbooks: Runbooks) -> None:
    on_call = Operator("key-compromise", runbooks)
    world = on_call.world
    on_call.act("13/block-at-guardrail")
    on_call.wait(30)
    assert harm_of(on_call, 60).misleading_outputs > 30
    on_call.act("stop-publishing")
    on_call.wait(10)
    before = dict(world.chain.counts)
    assert harm_of(on_call, 60).misleading_outputs == 0
    assert dict(world.chain.counts) == before  # the chain is silent
    changes.scale(world.kube, SUBMITTER, 1)
    on_call.wait(30)
    assert harm_of(on_call, 60).misleading_outputs > 30  # nothing was cured
    on_call.act("communicate")
    on_call.wait(10)
    assert harm_of(on_call, 60).misleading_outputs == 0


@pytest.mark.parametrize(
    ("scenario", "service", "words"),
    [
        ("signers-stuck", SUBMITTER, "accepted the request and does not answer: timeout"),
        ("guardrail-blocks", QUANT, "guardrail BLOCK market=NBA_LAL_BOS reason=coverage policy=STRICT coverage=0.48"),
        ("wrong-signer-set", SIGNER, "key_ring=m0-staging"),
        ("wrong-signer-set", SUBMITTER, "SignatureVerificationFailed (6018)"),
        ("signers-slow", SIGNER, "cpu_throttled=true"),
        ("kms-denied", SIGNER, "kms: AccessDeniedException"),
        ("blockhash-expiry", SUBMITTER, "BlockhashNotFound"),
        ("bundle-too-large", SUBMITTER, "too large: 1476 bytes (max: 1232 bytes)"),
        ("state-out-of-sync", SUBMITTER, "ReplayViolation (6013)"),
        ("bad-release", SUBMITTER, "the engine's payload does not verify"),
        ("key-compromise", SUBMITTER, "not in our queue"),
    ],
)
def test_logs_tell_the_cause(scenario: str, service: str, words: str, runbooks: Runbooks) -> None:
    on_call = Operator(scenario, runbooks)
    on_call.wait(30)
    assert words in logs(on_call, service)


def test_the_same_seed_makes_the_same_incident() -> None:
    """Releases, sessions and forgeries are the same too."""
    for scenario in ("wrong-signer-set", "kms-denied", "key-compromise"):
        texts = []
        for _ in range(2):
            world = World(seed=11, clock=World.past_clock(1_790_000_000.0), scenario=find(scenario), history_s=120)
            world.advance(30)
            texts.append(exposition(world.metrics, SERVICES))
        assert texts[0] == texts[1]


def test_a_copied_world_goes_on_as_the_one_that_it_was_copied_from() -> None:
    """The table's tests begin with copies."""
    for scenario in ("wrong-signer-set", "key-compromise", "two-submitters"):
        world = World(seed=7, clock=World.past_clock(START), scenario=find(scenario), history_s=HISTORY_S)
        copy = lived(scenario)
        outcomes = []
        for one in (world, copy):
            one.advance(60)
            changes.restart(one.kube, SUBMITTER)
            one.advance(60)
            ledger = one.chain.ledger
            chain = [ledger.signature(entry) for entry in ledger.entries[-20:]]
            outcomes.append((exposition(one.metrics, SERVICES), one.harm, one.chain.counts, chain, one.kube.store.rv))
        assert outcomes[0] == outcomes[1]


def test_an_unknown_image_is_as_good_as_the_usual_one(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    assert on_call.world.releases.of("ghcr.io/m0club/other@sha256:0") == Traits()
    changes.set_image(on_call.world.kube, SIGNER, image_of(SIGNER, "2030.1"))
    on_call.wait(120)
    assert failures(on_call) == {}
    assert RPC_URLS["rpc-a"] in on_call.world.kube.env(SUBMITTER)["SOLANA_RPC_URL"]
