"""The lease through an outage: lost for a while, asked for again, and the operator hears of it only
as long as it is so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld, serve
from cockpit.drill.kubernetes.objects.resources import LEASES
from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.journal import processes
from cockpit.kubeapi.access import load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation import lifecycle
from cockpit.mitigation.cluster.lease import NAME, PROCESS, Lease, read
from cockpit.model.plan import Verdict
from tests.support.kube_rig import NAMESPACE, Rig, carry, guard, plan, step
from tests.support.waiting import wait_for

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


class _WrittenMeanwhile:
    """Something else writes to the lease between our reading and our writing, `times` times."""

    def __init__(self, world: KubernetesWorld, times: int) -> None:
        self.world, self.times = world, times

    def taken(self, _notes: object) -> None:
        if self.times:
            self.times -= 1
            stored = self.world.store.get(LEASES, NAMESPACE, NAME)
            assert stored is not None
            obj = stored.copy()
            obj["metadata"]["labels"] = {"n": str(self.times)}
            self.world.store.replace(LEASES, stored, obj)

    def stamp(self, notes: Mapping[str, Any], *, under_way: bool) -> dict[str, Any]:
        return dict(notes)

    def may_seal(self, _notes: object, _opened_at: int) -> bool:
        return False


@pytest.mark.parametrize(("times", "why"), [(1, ""), (2, ""), (99, "time after time")])
async def test_a_free_lease_that_another_writes_to_meanwhile_is_taken_all_the_same(
    tmp_path: Path, times: int, why: str
) -> None:
    world = KubernetesWorld(SimClock(NOW), 7, NAMESPACE)
    async with (
        serve(world) as served,
        KubeClient(load_access(str(write_kubeconfig(tmp_path / "kubeconfig", served)))) as client,
    ):
        before = Lease(client, NAMESPACE, "ops1@bastion#1", lambda: NOW)
        await before.acquire("scale")
        await before.release()
        lease = Lease(client, NAMESPACE, "ops1@bastion#2", lambda: NOW, _WrittenMeanwhile(world, times))
        refused = await lease.acquire("restart")
        assert (why in refused) if why else not refused
        assert lease.held is not bool(why)


def test_the_words_forget_the_trouble_once_it_is_over(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "RENEW_EVERY_S", 0.05)
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


SCALE = step("scale", "m0-ingestor", replicas=5)


def a_dead_process() -> dict[str, Any]:
    """What one wrote of itself that has ended since."""
    script = "import json; from cockpit.journal.processes import this_process; print(json.dumps(this_process()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def dead() -> dict[str, Any]:
    return a_dead_process()


def held_by(rig: Rig, holder: str, process: str) -> None:
    """The lease stands, taken just now."""
    notes = {"m0-cockpit/doing": "scale on deployment m0-quant", PROCESS: process}
    now = "2040-01-01T00:00:00.000000Z"
    raw = {
        "metadata": {"namespace": NAMESPACE, "name": NAME, "annotations": notes},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 60, "acquireTime": now, "renewTime": now},
    }
    rig.do(lambda: rig.world.store.create(LEASES, raw))


def test_what_a_killed_cockpit_of_this_host_left_is_taken_over_and_that_is_said(rig: Rig, dead: dict[str, Any]) -> None:
    holder = "ops1@bastion#dead"
    held_by(rig, holder, json.dumps({**dead, "holder": holder}))
    executor = rig.executor()
    made = plan(executor, SCALE)
    said = guard(made, "lease")
    assert said.verdict is Verdict.NOTE and made.typed is None
    assert said.reason.startswith(f"left by a cockpit of this host that is dead, and taken over: {holder} (scale")
    carry(executor, made)
    assert any(
        "took over the lease" in r["words"] and holder in r["words"]
        for r in rig.journal.records()
        if r["kind"] == "note"
    )


@pytest.mark.parametrize(
    "otherwise",
    [
        {"kernel": "another boot or container"},
        {"host": "another"},
        {"holder": "someone who took it since"},
        {"started": ""},
        {"pid": "7"},
    ],
    ids=lambda record: next(iter(record)),
)
def test_what_is_not_known_to_be_dead_is_somebody_who_acts(
    rig: Rig, dead: dict[str, Any], otherwise: dict[str, Any]
) -> None:
    held_by(rig, "ops2@bastion#live", json.dumps({**dead, "holder": "ops2@bastion#live", **otherwise}))
    assert guard(plan(rig.executor(), SCALE), "lease").verdict is Verdict.CONFIRM


@pytest.mark.parametrize("hostile", ["[[[[", "7", '"x"', '{"pid": 1e99}', '{"pid": -1}'])
def test_what_something_else_wrote_there_tells_nothing(rig: Rig, hostile: str) -> None:
    held_by(rig, "ops2@bastion#live", hostile)
    assert guard(plan(rig.executor(), SCALE), "lease").verdict is Verdict.CONFIRM


def test_a_living_process_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not processes.known_gone(processes.this_process())
    process = a_dead_process()
    assert processes.known_gone(process) and not processes.known_gone({**process, "pid": 0})
    assert processes.known_gone({**processes.this_process(), "started": "7"}), "its pid was given to another"
    monkeypatch.setattr(processes, "_kernel", lambda: "")
    assert not processes.known_gone(process)
