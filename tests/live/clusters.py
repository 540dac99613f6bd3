"""The cluster that conformance is judged on: the drill's API in a thread, or a real one.

Objects are made and removed by plain requests of our own client. On a real server everything
happens in a namespace made for the run; whether controllers and kubelets are at work there is found
out, not assumed.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld, User, serve, ticking, write_kubeconfig
from cockpit.kubeapi.access import Access, load_access
from cockpit.kubeapi.client import ApiAnswer, KubeClient
from cockpit.kubeapi.errors import KubeError, NotFound
from tests.support.waiting import HANG_S

T = TypeVar("T")
PAUSE = "registry.k8s.io/pause"
IMAGE = f"{PAUSE}:3.10"
#: pause 3.10 by its digest: where a kubelet runs, it can be pulled.
PINNED = f"{PAUSE}@sha256:ee6521f290b2168b6e0935a181d4cff9be1ac3f505666ef0e3c98fae8199917a"


@dataclass
class TestCluster:
    """`controllers`: deployments are observed and get pods; `kubelet`: those pods become ready;
    `autoscaling`: v2 of it is served.
    """

    __test__ = False
    name: str  # "drill" or "live"
    kubeconfig: Path
    namespace: str
    controllers: bool = False
    kubelet: bool = False
    autoscaling: bool = False
    reader: str = ""  # the token of somebody without rights

    def access(self) -> Access:
        return load_access(str(self.kubeconfig))

    def with_token(self, token: str, directory: Path) -> Access:
        """The same cluster, somebody else."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        path = directory / f"kubeconfig-{token[-12:]}"
        path.write_text(json.dumps(config))
        return load_access(str(path))

    def run(self, work: Callable[[KubeClient], Coroutine[Any, Any, T]]) -> T:
        """Something with a client, from a test that is not async."""

        async def inside() -> T:
            async with KubeClient(self.access()) as client:
                return await work(client)

        return asyncio.run(inside())

    def get(self, path: str, **params: str) -> Any:
        return self.run(lambda client: client.get(path, params or None))

    def send(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **params: str
    ) -> ApiAnswer:
        text = None if body is None else json.dumps(body)
        return self.run(
            lambda client: client.send(method, path, params=params or None, body=text, content_type=content_type)
        )

    def until(self, path: str, found: Callable[[Any], Any], timeout_s: float = HANG_S) -> Any:
        """The object at `path` once `found` says yes."""
        return self.run(lambda client: until(client, path, found, timeout_s))

    def apps(self, name: str, plural: str = "deployments") -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{plural}/{name}"

    def core(self, plural: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def make(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create it anew; one of the same name is removed first."""
        name = body["metadata"]["name"]
        base, plural = {
            "Deployment": ("/apis/apps/v1", "deployments"),
            "StatefulSet": ("/apis/apps/v1", "statefulsets"),
            "ConfigMap": ("/api/v1", "configmaps"),
        }[kind]
        path = f"{base}/namespaces/{self.namespace}/{plural}"

        async def work(client: KubeClient) -> dict[str, Any]:
            await remove(client, f"{path}/{name}")
            full = {"apiVersion": base.removeprefix("/apis/").removeprefix("/api/"), "kind": kind, **body}
            made: dict[str, Any] = (await client.send("POST", path, body=json.dumps(full))).json()
            return made

        return self.run(work)

    def create(self, base: str, plural: str, body: dict[str, Any], *, namespaced: bool = True) -> None:
        """Make an object of any kind; `base` is its API's path."""
        place = f"{base}/namespaces/{self.namespace}" if namespaced else base
        self.send(
            "POST", f"{place}/{plural}", {"apiVersion": base.removeprefix("/apis/").removeprefix("/api/"), **body}
        )

    def deployment(self, name: str, *containers: dict[str, Any], replicas: int = 1, **template: Any) -> dict[str, Any]:
        """A Deployment whose pods do nothing."""
        return self.make("Deployment", _workload(name, containers, replicas, template))

    def statefulset(self, name: str, *containers: dict[str, Any], replicas: int = 1) -> dict[str, Any]:
        body = _workload(name, containers, replicas, {})
        body["spec"]["serviceName"] = name
        return self.make("StatefulSet", body)


def _workload(name: str, containers: tuple[dict[str, Any], ...], replicas: int, template: dict[str, Any]) -> Any:
    labels = {"app": name}
    metadata = {"labels": labels, **template.pop("metadata", {})}
    own = list(containers) or [{"name": name, "image": IMAGE}]
    spec = {"containers": own, "terminationGracePeriodSeconds": 1, **template}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": metadata, "spec": spec},
        },
    }


async def until(client: KubeClient, path: str, found: Callable[[Any], Any], timeout_s: float = HANG_S) -> Any:
    async with asyncio.timeout(timeout_s):
        while True:
            obj = await client.get(path)
            if found(obj):
                return obj
            await asyncio.sleep(0.05)


async def remove(client: KubeClient, path: str) -> None:
    """Gone when it returns.

    Deletion may be blocked for a while by finalisers.
    """
    try:
        await client.send("DELETE", path, params={"propagationPolicy": "Background"})
        async with asyncio.timeout(60):
            while True:
                await client.get(path)
                await asyncio.sleep(0.05)
    except NotFound:
        return


def behave(service: str, image: str, env: object) -> Behaviour:
    log = (f"{service} starts", "ready")
    if service == "m0-crashing":
        return Behaviour(crash_after_s=0.5, stop_s=0.5, log=log)
    if service.startswith("m0-reconciler"):
        return Behaviour(startup_s=0.1, crash_after_s=1.0, exit_code=0, log=log)
    return Behaviour(startup_s=0.5, stop_s=0.5, log=log)


@contextmanager
def drill(home: Path) -> Iterator[TestCluster]:
    up, failed = threading.Event(), list[BaseException]()
    box: dict[str, Any] = {}

    async def main() -> None:
        world = KubernetesWorld(SimClock(time.time()), 7, behaviour=behave)
        world.users["reader"] = User("reader", groups=("m0-look", "system:authenticated"))
        async with serve(world) as served, ticking(world, per_second=50, speed=10.0):
            write_kubeconfig(home / "kubeconfig", served)
            ended = asyncio.Event()
            box["end"] = (asyncio.get_running_loop(), ended)
            box["world"] = world
            up.set()
            await ended.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failed.append(error)
            up.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(10) and not failed, failed
    cluster = TestCluster("drill", home / "kubeconfig", "m0-prod", reader="reader")
    _find_out(cluster, 10.0)
    assert cluster.controllers and cluster.kubelet and cluster.autoscaling, "the drill has them all"
    yield cluster
    loop, ended = box["end"]
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)


@contextmanager
def live(kubeconfig: Path, reader: str = "") -> Iterator[TestCluster]:
    """A namespace of our own on a real server (current context), deleted afterwards."""
    cluster = TestCluster("live", kubeconfig, f"m0-conformance-{secrets.token_hex(3)}", reader=reader)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    cluster.send("POST", "/api/v1/namespaces", body)
    try:
        _find_out(cluster, 30.0)
        yield cluster
    finally:
        cluster.send("DELETE", f"/api/v1/namespaces/{cluster.namespace}")


def _find_out(cluster: TestCluster, wait_s: float) -> None:
    """Deploy one pod and see what becomes of it."""
    cluster.deployment("probe")
    path = cluster.apps("probe")

    def seen(obj: Any) -> bool:
        return int((obj.get("status") or {}).get("observedGeneration") or 0) >= 1

    def ready(obj: Any) -> bool:
        return int((obj.get("status") or {}).get("readyReplicas") or 0) >= 1

    async def work(client: KubeClient) -> None:
        with suppress(NotFound):
            await client.get("/apis/autoscaling/v2")
            cluster.autoscaling = True
        try:
            await until(client, path, seen, wait_s / 3)
            cluster.controllers = True
            await until(client, path, ready, wait_s)
            cluster.kubelet = True
        except TimeoutError:
            pass
        with suppress(KubeError):
            await client.send("DELETE", path, params={"propagationPolicy": "Background"})

    cluster.run(work)
