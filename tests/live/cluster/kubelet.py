"""Stands in for kubelets and the scheduler: binds pods, reports their state, serves their logs.

What a pod does is said by annotations of its template:

- `live/state`: `ready` (default), `crash`, `notready`, `imagepull`, `slow` (ready after 5 s),
  `hangs` (its deletion is not confirmed), `succeed`, `fail` (ends with exit code 1), `fail-once`
  (the first pod of its Job fails, the next one succeeds)
- `live/node`: the node to run on; otherwise they take turns on those that are not lost
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aiohttp
import trustme
from aiohttp import web

NODES = ("live-node-1", "live-node-2", "live-node-3")
_LEASE_S = 1.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_STRATEGIC = "application/strategic-merge-patch+json"
_HANG_S = 60.0
Obj = dict[str, Any]


class Kubelet:
    """All the nodes' kubelets at once, in a thread of their own."""

    def __init__(self, server: str, token: str, context: ssl.SSLContext):
        self._server = server
        self._token = token
        self._context = context
        self._lost: set[str] = set()
        self._failed_jobs: set[str] = set()
        self._turns = itertools.count()
        self._settling: set[str] = set()
        self._session: aiohttp.ClientSession | None = None

    def lose(self, node: str) -> None:
        """Fall silent for this node: no lease is renewed, no pod of it settled any more."""
        self._lost.add(node)

    def find(self, node: str) -> None:
        """Speak for this node again."""
        self._lost.discard(node)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work as long as the block runs; the nodes are ready when it begins."""
        loop = asyncio.new_event_loop()
        up = threading.Event()
        work: list[asyncio.Task[None]] = []

        def run() -> None:
            asyncio.set_event_loop(loop)
            work.append(loop.create_task(self._work(up)))
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(work[0])
            loop.close()

        thread = threading.Thread(target=run, name="stand-in kubelet", daemon=True)
        thread.start()
        try:
            assert up.wait(_HANG_S), "the stand-in kubelet does not start"
            assert not work[0].done(), work[0].exception()
            yield
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(work[0].cancel)
            thread.join(10)

    # the wire

    async def _call(self, method: str, path: str, body: Obj | None = None, kind: str = "application/json") -> Obj:
        assert self._session is not None
        data = None if body is None else json.dumps(body)
        async with self._session.request(
            method, self._server + path, data=data, headers={"Content-Type": kind}
        ) as answer:
            answer.raise_for_status()
            found: Obj = await answer.json()
            return found

    async def _work(self, up: threading.Event) -> None:
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            connector = aiohttp.TCPConnector(ssl=self._context, limit=64)
            async with (
                aiohttp.ClientSession(connector=connector, headers=headers) as self._session,
                _serving_logs() as port,
            ):
                for node in NODES:
                    await self._join(node, port)
                async with asyncio.TaskGroup() as group:
                    for node in NODES:
                        group.create_task(self._renew(node))
                    group.create_task(self._follow(group))
                    up.set()
        finally:
            up.set()

    # nodes

    async def _join(self, node: str, port: int) -> None:
        labels = {"kubernetes.io/hostname": node}
        await self._call("POST", "/api/v1/nodes", {"kind": "Node", "metadata": {"name": node, "labels": labels}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [_node_ready()],
            "capacity": {"pods": "20000"},
            "allocatable": {"pods": "20000"},
        }
        await self._call("PATCH", f"/api/v1/nodes/{node}/status", {"status": status}, _STRATEGIC)

    async def _renew(self, node: str) -> None:
        """Renew the node's lease, and its condition after it had been lost."""
        was_lost = False
        while True:
            if node in self._lost:
                was_lost = True
            else:
                spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": _now(micro=True)}
                body = {"metadata": {"name": node, "namespace": "kube-node-lease"}, "spec": spec}
                with suppress(aiohttp.ClientError, TimeoutError):
                    try:
                        await self._call("PATCH", f"{_LEASES}/{node}", body, "application/merge-patch+json")
                    except aiohttp.ClientResponseError:
                        await self._call("POST", _LEASES, body)
                    if was_lost:
                        back = {"status": {"conditions": [_node_ready()]}}
                        await self._call("PATCH", f"/api/v1/nodes/{node}/status", back, _STRATEGIC)
                        was_lost = False
            await asyncio.sleep(_LEASE_S)

    # pods

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        assert self._session is not None
        while True:
            try:
                listed = await self._call("GET", "/api/v1/pods")
                for pod in listed["items"]:
                    group.create_task(self._settle(pod))
                version = listed["metadata"]["resourceVersion"]
                url = f"{self._server}/api/v1/pods?watch=1&resourceVersion={version}&timeoutSeconds=20"
                async with self._session.get(url) as answer:
                    async for line in answer.content:
                        event = json.loads(line)
                        if event["type"] in ("ADDED", "MODIFIED"):
                            group.create_task(self._settle(event["object"]))
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(0.2)

    async def _settle(self, pod: Obj) -> None:
        """Do the next thing for a pod; a conflict settles at its next event."""
        uid = pod["metadata"]["uid"]
        if uid in self._settling:
            return
        self._settling.add(uid)
        try:
            await self._next(pod)
        except (aiohttp.ClientError, TimeoutError):
            pass
        finally:
            self._settling.discard(uid)

    async def _next(self, pod: Obj) -> None:
        meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        notes = meta.get("annotations") or {}
        state = notes.get("live/state", "ready")
        if spec.get("nodeName") in self._lost:
            return
        if meta.get("deletionTimestamp"):
            if state != "hangs":
                await self._call("DELETE", path, {"kind": "DeleteOptions", "gracePeriodSeconds": 0})
            return
        if not spec.get("nodeName"):
            there = [node for node in NODES if node not in self._lost]
            node = notes.get("live/node") or there[next(self._turns) % len(there)]
            body = {"metadata": {"name": meta["name"]}, "target": {"kind": "Node", "name": node}}
            await self._call("POST", f"{path}/binding", {"apiVersion": "v1", "kind": "Binding", **body})
            return
        if status.get("startTime"):
            if status.get("phase") == "Running" and _says(status, "Ready") == "False" and state in ("ready", "slow"):
                await self._report(path, spec, state)  # its node was lost, and is back
            return
        if state == "slow":
            await asyncio.sleep(5)
        if state == "fail-once":
            job = str((meta.get("ownerReferences") or [{}])[0].get("uid"))
            state = "succeed" if job in self._failed_jobs else "fail"
            self._failed_jobs.add(job)
        await self._report(path, spec, state)

    async def _report(self, path: str, spec: Obj, state: str) -> None:
        ready = state in ("ready", "slow", "hangs")
        containers = [_container(each, state, ready) for each in spec["containers"]]
        done = state in ("succeed", "fail")
        conditions = []
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"):
            holds = ready or kind not in ("Ready", "ContainersReady")
            condition: Obj = {"type": kind, "status": str(holds), "lastTransitionTime": _now()}
            if not holds:
                condition["reason"] = "PodCompleted" if done else "ContainersNotReady"
                if not done:
                    condition["message"] = f"containers with unready status: [{spec['containers'][0]['name']}]"
            conditions.append(condition)
        phase = {"imagepull": "Pending", "succeed": "Succeeded", "fail": "Failed"}.get(state, "Running")
        status = {
            "phase": phase,
            "startTime": _now(),
            "podIP": "10.1.0.5",
            "podIPs": [{"ip": "10.1.0.5"}],
            "hostIP": "10.1.0.1",
            "hostIPs": [{"ip": "10.1.0.1"}],
            "conditions": conditions,
            "containerStatuses": containers,
        }
        await self._call("PATCH", f"{path}/status", {"status": status}, _STRATEGIC)


@asynccontextmanager
async def _serving_logs() -> AsyncIterator[int]:
    """Serve the containers' logs as a kubelet does; yields the port."""
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", _log)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _log(request: web.Request) -> web.StreamResponse:
    if request.query.get("previous") in ("true", "1"):
        pod, container = request.match_info["pod"], request.match_info["container"]
        words = f'previous terminated container "{container}" in pod "{pod}" not found'
        return web.Response(status=400, text=words)
    stamp = f"{_now(micro=True)} " if request.query.get("timestamps") in ("true", "1") else ""
    lines = [f"{stamp}{request.match_info['container']} starts", f"{stamp}ready"]
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    count = int(request.query.get("tailLines", "10"))
    for line in lines[-count:] if count else []:
        await answer.write(line.encode() + b"\n")
    while request.query.get("follow") in ("true", "1"):
        await asyncio.sleep(0.5)
        await answer.write(f"{stamp}goes on\n".encode())
    return answer


def _container(spec: Obj, state: str, ready: bool) -> Obj:
    now: Obj = {"running": {"startedAt": _now()}}
    restarts = 0
    last: Obj = {}
    ended = {"startedAt": _now(), "finishedAt": _now(), "containerID": f"live://{spec['name']}"}
    if state == "crash":
        now = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}
        restarts, last = 7, {"terminated": {"exitCode": 1, "reason": "Error", **ended}}
    elif state == "imagepull":
        now = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{spec["image"]}"'}}
    elif state == "succeed":
        now = {"terminated": {"exitCode": 0, "reason": "Completed", **ended}}
    elif state == "fail":
        now = {"terminated": {"exitCode": 1, "reason": "Error", **ended}}
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": spec["image"],
        "containerID": f"live://{spec['name']}",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "state": now,
        "lastState": last,
    }


def _says(status: Obj, kind: str) -> str:
    return next((c["status"] for c in status.get("conditions") or () if c["type"] == kind), "")


def _node_ready() -> Obj:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
        "lastHeartbeatTime": _now(),
        "lastTransitionTime": _now(),
    }


def _now(*, micro: bool = False) -> str:
    now = datetime.datetime.now(datetime.UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")
