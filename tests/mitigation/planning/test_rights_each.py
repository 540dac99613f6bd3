"""Each right of deploy/rbac.yaml taken away on its own: something that the cockpit shows or does
then fails, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from cockpit.clock import SystemClock
from cockpit.drill import changes
from cockpit.drill.kubernetes import Behaviour, Rule, User, write_kubeconfig
from cockpit.drill.kubernetes.objects.resources import PODS
from cockpit.kubeapi.access import Access, load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.model.plan import Phase, Verdict
from cockpit.model.runbook import Step
from cockpit.sources.kubernetes.log_lines import LogLine
from cockpit.sources.kubernetes.logs import LogRequest, read_logs
from cockpit.sources.kubernetes.source import KubernetesSource
from tests.mitigation.planning.test_rights import (
    DELETE,
    DELETE_ANY,
    JOB,
    QUICK,
    STEPS,
    act,
    become,
    of_deployment,
    rules,
)
from tests.support.kube_rig import NAMESPACE, Rig, carry, plan
from tests.support.readings import fault_in
from tests.support.waiting import wait_for

Right = tuple[str, str, str]
READ, ACT = "m0-cockpit-view", "m0-cockpit-act"
#: Resource → a step that cannot be carried out and taken back as usual without each of its rights.
TOUCHING = {
    "deployments": STEPS[1],
    "statefulsets": STEPS[5],
    "controllerrevisions": STEPS[7],
    "configmaps": STEPS[8],
    "cronjobs": STEPS[9],
    "jobs": JOB,
    "deployments/scale": STEPS[0],
    "statefulsets/scale": STEPS[4],
    "pods": DELETE,
    "poddisruptionbudgets": DELETE,
    "replicasets": DELETE_ANY,
    "leases": STEPS[1],
    "events": STEPS[1],
}
STOPPED = (Phase.FAILED, Phase.UNCERTAIN, Phase.STALE)


def each_right(role: str) -> list[Right]:
    """(verb, group, resource) of every rule, as the file spells them."""
    return [
        (verb, rule.groups[0], resource) for rule in rules(role) for verb in rule.verbs for resource in rule.resources
    ]


def lacking(granted: tuple[Rule, ...], verb: str, group: str, resource: str) -> tuple[Rule, ...]:
    """The same without that one right."""
    kept: list[Rule] = []
    for rule in granted:
        if verb not in rule.verbs or group not in rule.groups or resource not in rule.resources:
            kept.append(rule)
            continue
        others = tuple(name for name in rule.resources if name != resource)
        fewer = tuple(name for name in rule.verbs if name != verb)
        kept += [replace(rule, resources=others)] if others else []
        kept += [replace(rule, verbs=fewer, resources=(resource,))] if fewer else []

    def count(some: Any) -> int:
        return sum(len(rule.verbs) * len(rule.resources) for rule in some)

    assert count(kept) == count(granted) - 1
    return tuple(kept)


# to act


@pytest.fixture
def whole(rig: Rig) -> Rig:
    """All that the steps touch is there, and a job's pod works on and on."""

    def behaviour(service: str, _image: str, _env: object) -> Behaviour:
        return Behaviour(crash_after_s=1e9) if service.startswith("job/") else Behaviour(startup_s=1.0)

    rig.do(lambda: rig.world.configmap("m0-engine-config", {"A": "1"}))
    rig.do(lambda: rig.world.deploy("m0-db", image="postgres:16", replicas=2, kind="StatefulSet"))
    rig.world.behaviour = behaviour
    rig.settle()
    return rig


def amiss(rig: Rig, made: Step) -> str:
    """What is not as usual when the step is planned, carried out and undone; "" when all is."""
    executor = rig.executor()
    try:
        if made is TOUCHING["controllerrevisions"]:  # there must be a revision to go back to
            assert act(rig, plan(executor, STEPS[5])).phase is Phase.DONE
        planned = plan(executor, of_deployment(rig) if made is DELETE_ANY else made)
        for one in planned.guards:
            if one.guard in ("permission", "lease", "budget") and one.verdict not in (Verdict.PASS, Verdict.NOTE):
                return one.reason
        if made is JOB:
            carry(executor, planned)
            progress = wait_for(lambda: [p for p in executor.progress if re.search("1 active|cannot", p.words)])[0]
        else:
            progress = act(rig, planned)
        words: str = progress.words
        if progress.phase in STOPPED or re.search("cannot|no Event", words):
            return words
        if planned.inverse is None:
            return ""
        back = executor.plan_undo(progress.journal or 0).result(10)
        if back.blocked:
            return "; ".join(one.reason for one in back.blocked)
        undone = act(rig, back)
        return undone.words if undone.phase is not Phase.DONE or "cannot" in undone.words else ""
    except Exception as error:
        return str(error)


@pytest.mark.parametrize(
    "resource", sorted({step.id + str(step.service): name for name, step in TOUCHING.items()}.values())
)
def test_with_all_rights_nothing_is_amiss(whole: Rig, resource: str) -> None:
    become(whole, *rules(READ, ACT))
    assert amiss(whole, TOUCHING[resource]) == ""


@pytest.mark.parametrize("right", each_right(ACT), ids=lambda right: f"{right[0]}-{right[2]}")
def test_without_any_one_right_to_act_a_step_is_not_as_usual(whole: Rig, right: Right) -> None:
    become(whole, *lacking(rules(READ, ACT), *right))
    words = amiss(whole, TOUCHING[right[2]])
    named = right[2].rstrip("s") in words  # "you may not patch deployments", "the lease cannot be written", "no Event"
    assert named or right[2].rstrip("s") in words.lower(), f"nothing needs {right[0]} {right[2]}: {words}"


# to look


def access_of(rig: Rig, name: str, granted: tuple[Rule, ...]) -> Access:
    rig.world.users[name] = User(name, granted, ("m0-oncall", "system:authenticated"))
    return load_access(str(write_kubeconfig(rig.directory / name, rig.served, token=name)))


async def unseen(
    rig: Rig, name: str, granted: tuple[Rule, ...], namespace: str = NAMESPACE, *, lacking: bool = False
) -> str:
    """What a look with these rights at all that the cockpit shows does not see; "" when it sees
    everything.

    `lacking`: one thing is enough, however long a busy machine takes to find it.
    """
    access = access_of(rig, name, granted)
    source = KubernetesSource(lambda: access, [namespace], lambda: {"m0-engine-config"}, SystemClock(), timings=QUICK)
    faults: dict[str, str] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUICK.watch_s * (20 if lacking else 1.5)), aclosing(source.readings()) as readings:
            async for reading in readings:  # for longer than a watch lasts: it was allowed again
                if fault_in(reading) is not None:
                    faults[reading.topic] = fault_in(reading).reason
                if lacking and re.search("forbidden|cannot", "; ".join(faults.values())):
                    break
    return "; ".join(f"{topic}: {reason}" for topic, reason in faults.items())


async def unread(rig: Rig, name: str, granted: tuple[Rule, ...], pod: str) -> str:
    """What is amiss with following the log of a pod that has finished."""
    said: list[str] = []
    request = LogRequest(NAMESPACE, ((pod, "m0-reconciler"),), follow=True)
    try:
        async with (
            KubeClient(access_of(rig, name, granted)) as client,
            asyncio.timeout(QUICK.watch_s),
            aclosing(read_logs(client, request)) as lines,
        ):
            said += [line.reason async for line in lines if not isinstance(line, LogLine)]
    except TimeoutError:
        said.append("whether the pod is still there cannot be known, and the log does not end")
    return "; ".join(said)


def test_without_any_one_right_to_read_something_is_not_seen(rig: Rig) -> None:
    """All at once, each as somebody who lacks one right; whether a namespace exists is asked where
    nothing is in it.
    """
    granted, rights, elsewhere = rules(READ), each_right(READ), "m0-nowhere"
    rig.do(lambda: rig.world.configmap("m0-engine-config", {"A": "1"}))
    rig.world.behaviour = lambda service, _i, _e: Behaviour(
        crash_after_s=1.0 if service.startswith("job/") else None, exit_code=0
    )
    rig.do(lambda: changes.run_job(rig.world, "m0-reconciler", "once"))

    def finished() -> list[str]:
        pods = rig.world.store.select(PODS)
        return [p.key[1] for p in pods if p.obj["status"].get("phase") == "Succeeded"]

    pod = wait_for(lambda: rig.do(finished))[0]

    async def unseen_by(name: str, mine: tuple[Rule, ...], right: Right | None) -> str:
        if right is not None and right[2] == "namespaces":
            there = tuple(replace(rule, namespaces=(elsewhere,)) for rule in mine)
            return await unseen(rig, name, there, elsewhere, lacking=True)
        if right is not None and right[2] in ("pods", "pods/log") and right[0] == "get":
            return await unread(rig, name, mine, pod)
        if right is not None:
            return await unseen(rig, name, mine, lacking=True)
        return await unseen(rig, name, mine) + await unread(rig, name, mine, pod)

    async def everybody() -> list[str]:
        lesser = [unseen_by(f"{n}", lacking(granted, *right), right) for n, right in enumerate(rights)]
        return await asyncio.gather(unseen_by("all", granted, None), *lesser)

    nothing, *unseen_of = asyncio.run(everybody())
    assert nothing == ""
    for right, words in zip(rights, unseen_of, strict=True):
        assert re.search("forbidden|cannot", words), f"nothing needs {right[0]} {right[2]}: {words}"
