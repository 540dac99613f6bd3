"""Takes the cockpit through all that it asks of an API server, and writes the exchanges down.

The same on any cluster, so that what two servers answer can be laid side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cockpit.clock import SystemClock
from cockpit.kubeapi.access import Access
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.cluster import lease
from cockpit.model.plan import Phase
from cockpit.model.runbook import Step
from cockpit.sources.kubernetes.logs import LogRequest, read_logs
from cockpit.sources.kubernetes.source import KubernetesSource
from tests.live.clusters import IMAGE, PINNED, TestCluster
from tests.live.cockpit import QUICK, Cockpit
from tests.live.proxy import between
from tests.support.api_proxy import ApiProxy, Exchange
from tests.support.readings import fault_in
from tests.support.waiting import HANG_S, wait_for

_CONFIG = "m0-engine-config"
MERGE, STRATEGIC, JSON_PATCH = (f"application/{kind}-patch+json" for kind in ("merge", "strategic-merge", "json"))


def survey(cluster: TestCluster, home: Path) -> list[Exchange]:
    """Return every exchange of one round through everything."""
    _prepare(cluster)
    with between(cluster.kubeconfig, home / "proxy") as proxy:
        through = replace(cluster, kubeconfig=proxy.kubeconfig)
        with _watched(through):
            _steps(through, proxy, home)
        _logs(through)
        _doctor(through, home)
        _errors(through, home)
        return list(proxy.exchanges)


def _prepare(cluster: TestCluster) -> None:
    """Make what the steps are about, and a pod that crashes."""
    literal = [{"name": "A", "value": "1"}, {"name": "E"}]
    cluster.deployment("m0-quant", {"name": "m0-quant", "image": IMAGE, "env": literal}, replicas=2)
    cluster.statefulset("m0-keeper", {"name": "m0-keeper", "image": IMAGE, "env": literal}, replicas=1)
    crashes = {"annotations": {"live/state": "crash"}, "labels": {"app": "m0-crashing"}}
    cluster.deployment("m0-crashing", metadata=crashes)
    cluster.make("ConfigMap", {"metadata": {"name": _CONFIG}, "data": {"M0_EXPECTED_SOURCES": "4"}})
    template = {
        "metadata": {"annotations": {"live/state": "succeed"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "m0-reconciler", "image": IMAGE}]},
    }
    job = {"spec": {"backoffLimit": 2, "template": template}}
    cron = {"schedule": "0 0 1 1 *", "jobTemplate": job}
    cluster.create(
        "/apis/batch/v1", "cronjobs", {"kind": "CronJob", "metadata": {"name": "m0-reconciler"}, "spec": cron}
    )
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "m0-scaled"}
    scaler = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3}
    cluster.create(
        "/apis/autoscaling/v2",
        "horizontalpodautoscalers",
        {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "m0-scaled"}, "spec": scaler},
    )
    for name, plural in (("m0-quant", "deployments"), ("m0-keeper", "statefulsets")):
        cluster.until(cluster.apps(name, plural), lambda o: (o.get("status") or {}).get("readyReplicas"))
    selector = {"labelSelector": "app=m0-crashing"}
    wait_for(lambda: _crashed(cluster.get(cluster.core("pods"), **selector)["items"]))


def _crashed(pods: list[Any]) -> bool:
    return any(c.get("restartCount") for pod in pods for c in pod.get("status", {}).get("containerStatuses") or ())


@contextmanager
def _watched(cluster: TestCluster) -> Iterator[None]:
    """List and watch everything, as the screen does, while the block runs."""
    seen, stop = set[str](), threading.Event()

    async def follow() -> None:
        source = KubernetesSource(cluster.access, [cluster.namespace], lambda: {_CONFIG}, SystemClock(), timings=QUICK)
        async with aclosing(source.readings()) as readings:
            async for reading in readings:
                if fault_in(reading) is None:
                    seen.add(reading.topic.split("/")[1])
                if stop.is_set():
                    return

    thread = threading.Thread(target=lambda: asyncio.run(follow()), daemon=True)
    thread.start()
    wait_for(lambda: len(seen) >= 8)
    try:
        yield
    finally:
        stop.set()
        thread.join(HANG_S)


def _steps(cluster: TestCluster, proxy: ApiProxy, home: Path) -> None:
    cockpit = Cockpit(cluster, home)
    try:
        cockpit.carry(cockpit.plan("scale", "m0-quant", replicas=3))
        cockpit.carry(cockpit.plan("scale", "m0-keeper", replicas=2))
        changed = cockpit.carry(cockpit.plan("set-env", "m0-quant", env={"A": "2", "NEW": "n"}))
        cockpit.carry(cockpit.undo(changed.journal))
        cockpit.carry(cockpit.plan("set-image", "m0-quant", image=PINNED))
        cockpit.carry(cockpit.plan("undo-rollout", "m0-quant"))
        cockpit.carry(cockpit.plan("restart", "m0-quant"))
        cockpit.carry(cockpit.plan("set-env", "m0-keeper", env={"A": "2"}))
        cockpit.carry(cockpit.plan("undo-rollout", "m0-keeper"))
        cockpit.carry(cockpit.plan("scale", "m0-quant", replicas=0))
        one = {"configmap": _CONFIG, "key": "M0_EXPECTED_SOURCES", "value": "3"}
        changed = cockpit.carry(cockpit.planned(Step(id="c", title="set", kind="set-config", args=one)))
        cockpit.carry(cockpit.undo(changed.journal))
        job = Step(id="j", title="Reconcile", kind="run-job", args={"cronjob": "m0-reconciler"})
        cockpit.carry(cockpit.planned(job))
        # a rollout that stands still: its pods are explained with their logs, until it is left
        stuck = cockpit.send(cockpit.plan("set-env", "m0-crashing", env={"A": "2"}))
        wait_for(lambda: any(each.path.endswith("/log") for each in proxy.exchanges))
        cockpit.executor.stop_watching(stuck.plan.id)
        cockpit.wait(lambda: all(not p.running for p in cockpit.executor.progress))
        assert all(p.phase is Phase.DONE for p in cockpit.executor.progress), cockpit.executor.progress
    finally:
        cockpit.close()


def _logs(cluster: TestCluster) -> None:
    async def read(client: KubeClient) -> None:
        listed = await client.get(cluster.core("pods"), {"labelSelector": "app=m0-keeper"})
        pod = listed["items"][0]["metadata"]["name"]
        for previous in (False, True):
            request = LogRequest(cluster.namespace, ((pod, "m0-keeper"),), follow=False, tail=10, previous=previous)
            async with asyncio.timeout(HANG_S), aclosing(read_logs(client, request)) as lines:
                async for _ in lines:
                    pass
        gone = LogRequest(cluster.namespace, (("no-such-pod", "x"),), follow=False, tail=10)
        async with asyncio.timeout(HANG_S), aclosing(read_logs(client, gone)) as lines:
            async for _ in lines:
                break

    cluster.run(read)


def _doctor(cluster: TestCluster, home: Path) -> None:
    """Run the doctor, and `status`, as programs."""
    env = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "XDG_STATE_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
    }
    for words in (["doctor"], ["--read-only", "status"]):
        subprocess.run(
            [sys.executable, "-m", "cockpit.cli", "-n", cluster.namespace, *words],
            env=env,
            check=False,
            capture_output=True,
            timeout=120,
        )


def _errors(cluster: TestCluster, home: Path) -> None:
    """Ask for what is refused, in every way that the cockpit tells apart."""
    quant, missing = cluster.apps("m0-quant"), cluster.apps("no-such-thing")
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 2}}
    body = {"kind": "ConfigMap", "metadata": {"name": _CONFIG}, "data": {}}
    wanted: list[tuple[str, str, Any, str, dict[str, str]]] = [
        ("GET", missing, None, "", {}),
        ("GET", "/apis/nonsense.example/v1/namespaces/x/things", None, "", {}),
        ("GET", cluster.core("configmaps"), None, "", {"limit": "1", "continue": "nonsense"}),
        ("GET", cluster.core("pods"), None, "", {"labelSelector": "=,="}),
        ("GET", cluster.core("pods"), None, "", {"fieldSelector": "spec.nonsense=1"}),
        ("GET", cluster.core("pods"), None, "", {"watch": "1", "resourceVersion": "nonsense"}),
        ("GET", cluster.core("pods"), None, "", {"resourceVersion": "999999999", "limit": "1"}),
        ("GET", cluster.core("pods", "no-such-thing") + "/log", None, "", {}),
        ("PATCH", missing, {"spec": {"replicas": 1}}, MERGE, {}),
        ("PATCH", f"{missing}/scale", {"spec": {"replicas": 1}}, MERGE, {"dryRun": "All"}),
        ("PATCH", f"{quant}/scale", stale, MERGE, {}),
        ("PATCH", f"{quant}/scale", stale, MERGE, {"dryRun": "All"}),
        ("PATCH", quant, stale, MERGE, {"dryRun": "All"}),
        ("PATCH", f"{quant}/scale", {"spec": {"replicas": -1}}, MERGE, {}),
        ("PATCH", f"{quant}/scale", {"spec": {"replicas": "x"}}, MERGE, {}),
        ("PATCH", quant, {"spec": {"replicas": 2}}, "application/json", {}),
        ("PATCH", quant, {"spec": {"template": {"spec": {"containers": []}}}}, MERGE, {}),
        ("PATCH", quant, [{"op": "test", "path": "/spec/replicas", "value": 99}], JSON_PATCH, {}),
        ("PATCH", quant, [{"op": "nonsense"}], JSON_PATCH, {}),
        ("PATCH", quant, {"spec": {"replicas": 1}}, MERGE, {"dryRun": "nonsense"}),
        ("PATCH", quant, {"spec": {"selector": {"matchLabels": {"x": "y"}}}}, MERGE, {}),
        ("POST", cluster.core("configmaps"), body, "application/json", {}),
        (
            "POST",
            cluster.core("configmaps"),
            {"kind": "ConfigMap", "metadata": {"name": "UPPER"}},
            "application/json",
            {},
        ),
        ("POST", cluster.core("pods"), {"kind": "Pod", "metadata": {"name": "p"}, "spec": {}}, "application/json", {}),
        ("PUT", lease.path(cluster.namespace, "no-such-lease"), {"kind": "Lease"}, "application/json", {}),
        ("DELETE", cluster.core("configmaps", "no-such-thing"), None, "", {}),
        ("DELETE", cluster.core("configmaps", _CONFIG), {"preconditions": {"uid": "no"}}, "application/json", {}),
    ]

    async def ask(client: KubeClient) -> None:
        for method, path, sent, kind, params in wanted:
            with suppress(KubeError):
                text = None if sent is None else json.dumps(sent)
                await client.send(method, path, params=params, body=text, content_type=kind or None)
        with suppress(KubeError):
            params = {"watch": "1", "resourceVersion": "1", "timeoutSeconds": "1"}
            async with client.stream(cluster.core("pods"), params, read_timeout_s=10) as lines:
                async for _ in lines:
                    pass

    cluster.run(ask)
    for token in ("not-a-token", cluster.reader):
        asyncio.run(_denied(cluster.with_token(token, home), cluster))


async def _denied(access: Access, cluster: TestCluster) -> None:
    scale, quant = cluster.apps("m0-quant") + "/scale", cluster.apps("m0-quant")
    async with KubeClient(access) as client:
        for method, path in (("GET", quant), ("GET", cluster.core("secrets")), ("PATCH", scale), ("DELETE", quant)):
            with suppress(KubeError):
                sent = '{"spec":{"replicas":1}}' if method == "PATCH" else None
                await client.send(method, path, body=sent, content_type=MERGE if sent else None)
