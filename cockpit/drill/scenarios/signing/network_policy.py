"""Stages runbook 3: a network policy keeps the submitter from agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SIGNER
from cockpit.drill.physics.sign import POOL
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


POLICY = "m0-signer-agent-edge"


def inject(world: World) -> None:
    """Cut one agent off, and let two be reached through a proxy, one request after the other."""
    signers = {"matchLabels": {"app": SIGNER, **POOL}}
    proxies = [{"from": [{"podSelector": {"matchLabels": {"app": "m0-signer-proxy"}}}]}]
    world.kube.network_policy(POLICY, {"podSelector": signers, "policyTypes": ["Ingress"], "ingress": proxies})
    world.sign.policy, world.sign.unreachable = POLICY, {"signer-6"}
    world.sign.contention |= {"signer-4": 1.65, "signer-5": 1.65}


def relent(world: World) -> None:
    """Take the policy back."""
    world.kube.network_policy(POLICY, {"podSelector": {"matchLabels": {"app": SIGNER}}, "ingress": [{}]})
    world.sign.policy, world.sign.unreachable = "", set()
    world.sign.contention |= {"signer-4": 0.0, "signer-5": 0.0}


SCENARIO = Scenario(
    name="network-policy",
    runbook=3,
    title="Signer threshold: a network policy cuts agents off",
    story="A network policy that came with last night's change admits the submitter to four of seven agents. Two "
    "more are reached "
    "through a proxy that takes one request after the other, the seventh not at all.",
    inject=inject,
    right_steps=("reduce-concurrency", "scale-signers"),
    wrong_steps=("restart-signers",),
    arguments={"replicas": "14"},
    relent=relent,
    aged_s=240.0,
)
