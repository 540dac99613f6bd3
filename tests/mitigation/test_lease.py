"""The lease through an outage: lost for a while, asked for again, and the operator hears of it only as long as it is so."""

from __future__ import annotations

from pathlib import Path

import pytest
from kube_rig import NAMESPACE, Rig, carry, plan, step, wait_for

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld, serve
from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.kubeapi.access import load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation import carrying
from cockpit.mitigation.lease import Lease, read

NOW = 1795443342.0


async def test_a_lease_lost_in_an_outage_is_taken_again_at_the_next_renewal(tmp_path: Path) -> None:
    world = KubernetesWorld(SimClock(NOW), 7, NAMESPACE)
    async with (
        serve(world) as served,
        KubeClient(load_access(str(write_kubeconfig(tmp_path / "kubeconfig", served)))) as client,
    ):
        lease = Lease(client, NAMESPACE, "ops1@bastion#1", lambda: NOW)
        assert not await lease.acquire("scale on deployment m0-quant")
        world.chaos.server_errors = 1
        assert "cannot be written" in await lease.renew() and not lease.held
        world.chaos.forbidden = {"leases"}
        assert "cannot be read" in await lease.renew()
        world.chaos.forbidden = set()
        assert not await lease.renew() and lease.held and not lease.trouble
        held = await read(client, NAMESPACE, lambda: NOW)
        assert (held.holder, held.doing) == ("ops1@bastion#1", "scale on deployment m0-quant")
        await lease.release()
        assert not (await read(client, NAMESPACE, lambda: NOW)).holder
        assert not await lease.renew() and not lease.held  # nobody uses it any more: it is not taken again


def test_the_words_forget_the_trouble_once_it_is_over(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "RENEW_EVERY_S", 0.05)
    rig.do(lambda: setattr(rig.world, "behaviour", lambda *_: Behaviour(ready=False)))
    executor = rig.executor()
    made = plan(executor, step("scale", "m0-ingestor", replicas=5))
    carry(executor, made)

    def words() -> str:
        return next(p.words for p in executor.progress if p.plan.id == made.id)

    rig.do(lambda: rig.world.chaos.forbidden.update({"leases"}))
    wait_for(lambda: "the lease cannot be" in words())
    rig.do(lambda: rig.world.chaos.forbidden.clear())
    wait_for(lambda: "lease" not in words())
    executor.stop_watching(made.id)
