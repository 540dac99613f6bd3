"""Holds the drill's API to the recorded answers of the real server.

Status, reason, kind and the shape of the body.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld, User, serve
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS
from tests.support.paths import ROOT

FIXTURES = ROOT / "tests" / "fixtures" / "kube-apiserver"
SERVICES = ("aggregator", "api-gateway", "ingestor", "quant", "realtime", "reconciler", "signer-agent", "submitter")
#: The discovery documents of the real server list more kinds; ours must be found among them.
DISCOVERY = {"groups", "core-resources", "apps-resources", "aggregated-discovery"}
#: What only some servers, or some states, have. (The recording rig had no kubelet of its own.)
OPTIONAL = {
    "managedFields",
    "containerID",
    "terminated",
    "host",
    "reason",
    "message",
    "fieldPath",
    "deployment.kubernetes.io/revision-history",
    "serverAddressByClientCIDRs",
    "continue",
    "remainingItemCount",
    "rig/state",
    "podIP",
    "podIPs",
    "deprecatedSource",
    "reportingInstance",
    "initContainerStatuses",
}

#: Counters of a status, absent when zero: how many are ready at that moment depends on the moment.
COUNTS = {
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "fullyLabeledReplicas",
}


def recordings() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("[0-9]*.json"))]


class Replay:
    """Prepares the world of the recordings, and what must happen between two requests."""

    def __init__(self) -> None:
        self.clock = SimClock(1_795_000_000.0)
        self.world = KubernetesWorld(self.clock, 7, behaviour=self.behave)
        for name in ("operator", "reader"):
            self.world.users[name] = User(name, groups=("", "system:authenticated"), uid=name)
        for service in SERVICES:
            self.world.deploy(f"m0-{service}", image=f"ghcr.io/m0club/m0-{service}:v1", replicas=2)
        self.world.settle()
        self.clock.advance(5640)
        self.world.step()
        self.first = self.world.store.rv
        self.seen: dict[str, Any] = {}
        self.world.chaos.watch_list = False  # the recording's etcd was too old for streamed lists

    def behave(self, service: str, image: str, env: Any) -> Behaviour:
        state = image.rpartition(":")[2]
        if state == "crash":
            return Behaviour(startup_s=0.0, crash_after_s=0.0)
        if state == "imagepull":
            return Behaviour(pull_error="manifest unknown")
        return Behaviour(startup_s=0.0, stop_s=2.0)

    def settle(self, seconds: float = 8.0) -> None:
        for _ in range(int(seconds / 0.5)):
            self.clock.advance(0.5)
            self.world.step()

    def before(self, name: str) -> None:
        """Bring about what had happened in the real cluster."""
        if name in ("scale-not-a-number-422", "scale-back", "replicasets-of-a-deployment", "undo-json-patch"):
            self.settle()
        elif name == "set-env":
            self.world.step()  # the controllers have seen the scale, no pod is ready yet
        elif name == "pods-crashloop-and-imagepull":
            for service, state in (("m0-api-gateway", "crash"), ("m0-realtime", "imagepull")):
                stored = self.world.store.get(DEPLOYMENTS, "m0-prod", service)
                assert stored is not None
                obj = stored.copy()
                notes = obj["spec"]["template"]["metadata"].setdefault("annotations", {})
                notes["rig/state"] = state
                obj["spec"]["template"]["spec"]["containers"][0]["image"] = f"ghcr.io/m0club/{service}:{state}"
                obj["metadata"]["generation"] += 1
                self.world.store.replace(DEPLOYMENTS, stored, obj)
            self.settle(30)
        elif name == "pod-log":
            pod = self.world.running("m0-ingestor")[0].name
            for i in range(3):
                self.world.log(pod, f"level=info line={i} \x1b]52;c;cHduZWQ=\x07\x1b[2J[red]markup[/red]")

    def request(self, recorded: dict[str, Any]) -> tuple[str, Any]:
        """Return path and body with our names and versions in the place of the recorded ones."""
        path, body = recorded["path"], recorded["body"]
        if "continue=eyJ" in path:
            path = re.sub(r"continue=[^&]+", f"continue={self.seen['pods-page-1']['metadata']['continue']}", path)
        if "/log" in path:
            pod = self.world.running("m0-ingestor")[0].name
            path = re.sub(r"/pods/[^/]+/log", f"/pods/{pod}/log", path)
        if "resourceVersion=2292" in path:
            path = path.replace("2292", str(self.world.store.rv)).replace("timeoutSeconds=7", "timeoutSeconds=1")
        path = re.sub(r"timeoutSeconds=\d+", "timeoutSeconds=1", path)
        text = json.dumps(body)
        if isinstance(body, dict) and body.get("kind") == "Lease" and "uid" in body["metadata"]:
            created = self.seen["lease-create"]["metadata"]
            body = {
                **body,
                "metadata": {**body["metadata"], "uid": created["uid"], "resourceVersion": created["resourceVersion"]},
            }
        elif "metadata/resourceVersion" in text:
            stored = self.world.store.get(DEPLOYMENTS, "m0-prod", "m0-quant")
            assert stored is not None
            body = json.loads(text.replace('"2209"', f'"{stored.rv}"'))
        elif '"305"' in text:
            body = json.loads(text.replace('"305"', f'"{self.seen["scale-get"]["metadata"]["resourceVersion"]}"'))
        return path, body


def shape(value: Any, depth: int = 0) -> Any:
    """Return the keys recursively; lists are the union of their items' shapes."""
    if isinstance(value, dict):
        if value and all(re.fullmatch(r"M0_\w+|app|pod-template-hash|\S+/\S+", k) for k in value):
            return "map"
        moving = COUNTS if "observedGeneration" in value else set()
        return {k: shape(v, depth + 1) for k, v in value.items() if k not in OPTIONAL | moving}
    if isinstance(value, list):
        merged: dict[str, Any] = {}
        for item in value:
            found = shape(item, depth + 1)
            if not isinstance(found, dict):
                return [found]
            for k, v in found.items():
                merged[k] = {**merged[k], **v} if isinstance(v, dict) and isinstance(merged.get(k), dict) else v
        return [merged] if value else []
    return type(value).__name__


def plain(text: str) -> str:
    """Return a message without what must differ: versions, uids, hashes, times, pod names."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"(m0-[a-z-]+?)-[a-z0-9]{6,10}(-[a-z0-9]{5})?\b", r"\1-NAME", text)
    text = re.sub(r"invalid character .* looking", "invalid character X looking", text)
    return re.sub(r"\d{3,}", "N", text)


def inside(ours: Any, theirs: Any, where: str = "") -> None:
    """Check that the real server says everything that ours says.

    Wherever both list the same named thing.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            assert key in theirs, f"{where}.{key}"
            inside(value, theirs[key], f"{where}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        for item in ours:
            if isinstance(item, dict):
                tag = next(
                    (t for t in ("name", "resource", "subresource", "version", "groupVersion") if t in item), None
                )
                same = [
                    t
                    for t in theirs
                    if (tag and t.get(tag) == item[tag]) or t.get("metadata") == item.get("metadata", 0)
                ]
                assert same, f"{where}: {item} is not in the recording"
                inside(item, same[0], f"{where}[{item.get(tag) if tag else ''}]")
            else:
                assert item in theirs, f"{where}: {item}"
    else:
        assert ours == theirs, where


async def exchange(client: httpx.AsyncClient, replay: Replay, recorded: dict[str, Any]) -> httpx.Response:
    asked = recorded["request"]
    path, body = replay.request(asked)
    headers = {"Accept": asked["accept"], "User-Agent": ""}
    if asked["token"] != "none":
        headers["Authorization"] = f"Bearer {asked['token']}"
    if asked["content_type"]:
        headers["Content-Type"] = asked["content_type"]
    content = json.dumps(body) if body is not None else None
    return await client.request(asked["method"], path, content=content, headers=headers)


async def scale_up_and_down(replay: Replay) -> None:
    """Repeat what happened while recording 60 watched: one pod more, and gone again."""
    await asyncio.sleep(0.1)
    for replicas in (3, 2):
        stored = replay.world.store.get(DEPLOYMENTS, "m0-prod", "m0-ingestor")
        assert stored is not None
        replay.world.context.set_replicas(DEPLOYMENTS, stored, replicas)
        replay.settle()


def check_watch(name: str, recorded: dict[str, Any], text: str) -> None:
    events = [json.loads(line) for line in text.splitlines()]
    theirs = recorded["response"]["watch_events"]
    assert list(dict.fromkeys(e["type"] for e in events)) == list(dict.fromkeys(e["type"] for e in theirs)), name
    for event in events:
        like = next(e for e in reversed(theirs) if e["type"] == event["type"])
        if event["type"] == "ERROR":
            assert plain(json.dumps(event["object"])) == plain(json.dumps(like["object"]))
        elif event["type"] == "BOOKMARK":
            assert shape(event) == shape(like)
        elif event["type"] == "DELETED":
            assert shape(event["object"]) == shape(like["object"])


def check_body(name: str, recorded: dict[str, Any], response: httpx.Response) -> None:
    theirs = recorded["response"]["body"]
    if isinstance(theirs, str):
        assert len(response.text.splitlines()) == len(theirs.splitlines())
        return
    ours = response.json()
    if name in DISCOVERY:
        inside(ours, theirs)
    elif theirs.get("kind") == "Status":
        assert plain(json.dumps(ours)) == plain(json.dumps(theirs)), name
    else:
        assert {k: ours.get(k) for k in ("kind", "apiVersion")} == {k: theirs.get(k) for k in ("kind", "apiVersion")}
        assert shape(ours) == shape(theirs), name


async def test_every_recorded_request_is_answered_as_the_real_server_did() -> None:
    replay = Replay()
    names = []
    async with serve(replay.world, tls=False) as served, httpx.AsyncClient(base_url=served.url) as client:
        for recorded in recordings():
            name = recorded["name"]
            replay.before(name)
            if name == "watch-pods-scale-up-and-down":
                response, _ = await asyncio.gather(exchange(client, replay, recorded), scale_up_and_down(replay))
            else:
                response = await exchange(client, replay, recorded)
            assert response.status_code == recorded["response"]["status"], (name, response.text)
            kind = response.headers["Content-Type"].partition("; charset")[0]
            assert kind == recorded["response"]["headers"]["Content-Type"], name
            if "watch_events" in recorded["response"]:
                check_watch(name, recorded, response.text)
            else:
                check_body(name, recorded, response)
                if response.headers["Content-Type"] == "application/json":
                    replay.seen[name] = response.json()
            names.append(name)
    assert len(names) == 64


@pytest.mark.parametrize("number", [11, 12])
async def test_tables_have_the_columns_of_the_real_server(number: int) -> None:
    recorded = recordings()[number - 1]
    replay = Replay()
    async with serve(replay.world, tls=False) as served, httpx.AsyncClient(base_url=served.url) as client:
        ours = (await exchange(client, replay, recorded)).json()
    theirs = recorded["response"]["body"]

    def columns(table: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [tuple(c[k] for k in ("name", "type", "format", "priority")) for c in table["columnDefinitions"]]

    assert columns(ours) == columns(theirs)
    assert [[type(c) for c in r["cells"]] for r in ours["rows"]] == [
        [type(c) for c in r["cells"]] for r in theirs["rows"]
    ]
    assert [r["cells"][1:5] for r in ours["rows"]] == [r["cells"][1:5] for r in theirs["rows"]]
