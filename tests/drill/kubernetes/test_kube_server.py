"""Tests the API server's harder promises.

Pages, watches that resume or expire, races, access, chaos, logs that follow.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cockpit.drill.clock import SimClock, http_date
from cockpit.drill.kubernetes import KubernetesWorld, Rule, Served, User, serve
from cockpit.drill.kubernetes.objects.resources import CONFIGMAPS, DEPLOYMENTS
from cockpit.drill.kubernetes.objects.selectors import match_labels, parse_labels

PODS = "/api/v1/namespaces/m0-prod/pods"
MAPS = "/api/v1/namespaces/m0-prod/configmaps"
QUANT = "/apis/apps/v1/namespaces/m0-prod/deployments/m0-quant"
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Rig:
    world: KubernetesWorld
    client: httpx.AsyncClient
    served: Served

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params={k: str(v) for k, v in params.items()})
        body: dict[str, Any] = answer.json()
        return body

    async def watch(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """A watch of one second at most, whole."""
        query = {"watch": "1", "timeoutSeconds": "1", **{k: str(v) for k, v in params.items()}}
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    world = KubernetesWorld(SimClock(1_795_000_000.0), 7)
    world.deploy("m0-quant", image="q:v1", replicas=2, env={"A": "1"})
    world.configmap("flags", {"a": "1"})
    world.settle()
    async with (
        serve(world, tls=False) as served,
        httpx.AsyncClient(base_url=served.url, headers={"Authorization": "Bearer admin"}, timeout=10) as client,
    ):
        yield Rig(world, client, served)


async def test_pages_are_of_one_version_while_pods_change(rig: Rig) -> None:
    rig.world.load.flood(50)
    first = await rig.get(PODS, limit=20)
    version = first["metadata"]["resourceVersion"]
    rig.world.load.churn(50)
    names = [p["metadata"]["name"] for p in first["items"]]
    page = first
    while token := page["metadata"].get("continue"):
        page = await rig.get(PODS, limit=20, **{"continue": token})
        assert page["metadata"]["resourceVersion"] == version
        assert all(int(p["metadata"]["resourceVersion"]) <= int(version) for p in page["items"])
        names += [p["metadata"]["name"] for p in page["items"]]
    assert len(names) == len(set(names)) == 52 and names == sorted(names)
    rig.world.chaos.expire()
    answer = await rig.client.get(PODS, params={"limit": "20", "continue": first["metadata"]["continue"]})
    assert answer.status_code == 410 and answer.json()["metadata"]["continue"]
    rest = await rig.get(PODS, **{"continue": answer.json()["metadata"]["continue"]})
    assert len(rest["items"]) == 32


async def test_a_watch_resumes_where_it_left_and_ends_with_a_bookmark(rig: Rig) -> None:
    version = rig.world.store.rv
    rig.world.configmap("flags", {"a": "2"})
    rig.world.configmap("more", {})
    events = await rig.watch(MAPS, resourceVersion=version, allowWatchBookmarks="true")
    assert [e["type"] for e in events] == ["MODIFIED", "ADDED", "BOOKMARK"]
    assert events[0]["object"]["kind"] == "ConfigMap" and events[0]["object"]["data"] == {"a": "2"}
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) == rig.world.store.rv
    assert await rig.watch(MAPS, resourceVersion=rig.world.store.rv) == []
    assert [e["type"] for e in await rig.watch(MAPS)] == ["ADDED", "ADDED"]


async def test_bookmarks_come_while_nothing_happens(rig: Rig) -> None:
    rig.world.server.bookmark_s = 0.2
    events = await rig.watch(MAPS, resourceVersion=rig.world.store.rv, allowWatchBookmarks="1")
    assert len(events) >= 3 and {e["type"] for e in events} == {"BOOKMARK"}


async def test_an_object_that_leaves_the_selector_is_deleted_for_the_watcher(rig: Rig) -> None:
    version = rig.world.store.rv
    stored = rig.world.store.get(CONFIGMAPS, "m0-prod", "flags")
    assert stored is not None
    for labels in ({"tier": "x"}, {"tier": "x", "more": "y"}, {"tier": "z"}):
        stored = rig.world.store.replace(
            CONFIGMAPS, stored, {**stored.obj, "metadata": {**stored.obj["metadata"], "labels": labels}}
        )
    events = await rig.watch(MAPS, resourceVersion=version, labelSelector="tier=x")
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[-1]["object"]["metadata"]["resourceVersion"] == str(stored.rv)
    assert [
        e["type"] for e in await rig.watch(MAPS, resourceVersion=version, fieldSelector="metadata.name=other")
    ] == []


async def test_streamed_lists_end_with_an_annotated_bookmark(rig: Rig) -> None:
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = await rig.watch(PODS, **query)
    assert [e["type"] for e in events][:3] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_expiry_ends_open_watches_and_refuses_resumes_both_ways(rig: Rig) -> None:
    version = rig.world.store.rv
    query = {"watch": "1", "resourceVersion": str(version)}
    async with rig.client.stream("GET", PODS, params=query) as watching:
        rig.world.chaos.expire()
        lines = [line async for line in watching.aiter_lines()]
    assert json.loads(lines[-1])["object"]["code"] == 410
    assert (await rig.watch(PODS, resourceVersion=version))[0]["object"]["reason"] == "Expired"
    rig.world.chaos.http_410 = True
    answer = await rig.client.get(PODS, params=query)
    assert answer.status_code == 410
    rig.world.chaos.too_large = 1
    event = (await rig.watch(PODS))[0]
    assert event["type"] == "ERROR" and event["object"]["code"] == 504 and "Too large" in event["object"]["message"]
    assert (await rig.client.get(PODS, params={"resourceVersion": "99999999"})).status_code == 504


async def test_a_stale_patch_loses_the_race_and_a_current_one_wins(rig: Rig) -> None:
    version = (await rig.get(QUANT))["metadata"]["resourceVersion"]

    def meddle(method: str, path: str) -> None:
        if method == "PATCH":
            stored = rig.world.store.get(DEPLOYMENTS, "m0-prod", "m0-quant")
            assert stored is not None
            rig.world.context.annotate(DEPLOYMENTS, stored, {"who": "else"})

    rig.world.chaos.before = meddle
    body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": 5}}
    for path in (QUANT, f"{QUANT}/scale"):
        answer = await rig.client.patch(path, content=json.dumps(body), headers=MERGE)
        assert answer.status_code == 409 and answer.json()["reason"] == "Conflict"
    rig.world.chaos.before = None
    current = await rig.get(QUANT)
    body["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"]
    answer = await rig.client.patch(QUANT, content=json.dumps(body), headers=MERGE)
    assert (
        answer.status_code == 200 and answer.json()["metadata"]["generation"] == current["metadata"]["generation"] + 1
    )


async def test_a_patch_that_changes_nothing_writes_nothing_and_labels_do_not_move_the_generation(rig: Rig) -> None:
    before = await rig.get(QUANT)
    same = await rig.client.patch(QUANT, content='{"spec":{"replicas":2}}', headers=MERGE)
    assert same.json()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    labelled = (await rig.client.patch(QUANT, content='{"metadata":{"labels":{"x":"y"}}}', headers=MERGE)).json()
    assert labelled["metadata"]["generation"] == before["metadata"]["generation"]
    assert labelled["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]


async def test_wrong_types_and_bad_names_are_refused_in_words(rig: Rig) -> None:
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    env = {"spec": {"template": {"spec": {"containers": [{"name": "m0-quant", "env": [{"name": "A", "value": 1}]}]}}}}
    answer = await rig.client.patch(QUANT, content=json.dumps(env), headers=strategic)
    assert answer.status_code == 422 and "cannot unmarshal number into Go struct field EnvVar" in answer.text
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not_Good"}}
    answer = await rig.client.post(MAPS, json=bad)
    assert answer.status_code == 422 and "RFC 1123" in answer.json()["message"]
    answer = await rig.client.patch(QUANT, content="{nonsense", headers=MERGE)
    assert answer.status_code == 400
    assert (
        await rig.client.post("/api/v1/namespaces/nope/configmaps", json={"metadata": {"name": "a"}})
    ).status_code == 404
    assert (await rig.client.get("/apis/nope.io/v1/things")).status_code == 404
    assert (await rig.client.put(PODS)).status_code == 405


async def test_users_may_do_what_their_rules_say(rig: Rig) -> None:
    rule = Rule(("get", "patch"), ("apps",), ("deployments", "deployments/scale"), namespaces=("m0-prod",))
    rig.world.users["scaler"] = User("scaler", (rule,))
    mine = {"Authorization": "Bearer scaler", **MERGE}
    answer = await rig.client.patch(f"{QUANT}/scale", content='{"spec":{"replicas":3}}', headers=mine)
    assert answer.status_code == 200
    assert (await rig.client.get(PODS, headers=mine)).status_code == 403
    spec = {"resourceAttributes": {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "other"}}
    review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec}
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await rig.client.post(reviews, json=review, headers={"Authorization": "Bearer scaler"})).json()[
        "status"
    ] == {"allowed": False}
    spec["resourceAttributes"]["namespace"] = "m0-prod"
    assert (await rig.client.post(reviews, json=review, headers={"Authorization": "Bearer scaler"})).json()[
        "status"
    ] == {"allowed": True}
    assert (await rig.client.get(PODS, headers={"Authorization": "Bearer old"})).status_code == 401


async def test_chaos_answers(rig: Rig) -> None:
    chaos = rig.world.chaos
    chaos.server_errors, chaos.throttled, chaos.retry_after_s = 1, 1, 3
    assert (await rig.client.get(PODS)).status_code == 500
    throttled = await rig.client.get(PODS)
    assert throttled.status_code == 429 and throttled.headers["Retry-After"] == "3"
    chaos.nonsense = 1
    assert (await rig.client.get(PODS)).headers["Content-Type"].startswith("text/html")
    chaos.forbidden = {"pods"}
    assert (await rig.client.get(PODS)).status_code == 403 and (await rig.client.get(MAPS)).status_code == 200
    chaos.forbidden = set()
    chaos.unauthorised = True
    assert (await rig.client.get(PODS)).status_code == 401
    chaos.unauthorised = False
    chaos.no_dry_run = True
    answer = await rig.client.patch(QUANT, params={"dryRun": "All"}, content="{}", headers=MERGE)
    assert answer.status_code == 400 and "does not support dry run" in answer.text


async def test_a_lost_answer_was_carried_out_and_a_cut_write_was_not(rig: Rig) -> None:
    for counter, replicas, wanted in (("lost_answers", 4, 4), ("cut_writes", 6, 4)):
        setattr(rig.world.chaos, counter, 1)
        with pytest.raises(httpx.TransportError):
            await rig.client.patch(
                f"{QUANT}/scale", content=json.dumps({"spec": {"replicas": replicas}}), headers=MERGE
            )
        assert rig.world.replicas("m0-quant") == wanted


async def test_a_frozen_server_keeps_the_connection_and_sends_nothing(rig: Rig) -> None:
    rig.world.chaos.freeze()
    with pytest.raises(httpx.ReadTimeout):
        await rig.client.get(PODS, timeout=0.2)
    rig.world.chaos.thaw()
    assert (await rig.client.get(PODS)).status_code == 200


async def test_dropped_streams_break_off_mid_watch(rig: Rig) -> None:
    async def watch() -> None:
        async with rig.client.stream("GET", PODS, params={"watch": "1"}) as answer:
            async for _ in answer.aiter_lines():
                rig.world.chaos.drop_streams()

    with pytest.raises(httpx.TransportError):
        await watch()


async def test_logs_follow_until_the_container_ends(rig: Rig) -> None:
    pod = rig.world.running("m0-quant")[0].name
    rig.world.log(pod, "one")
    lines: list[str] = []
    async with rig.client.stream("GET", f"{PODS}/{pod}/log", params={"follow": "true", "tailLines": "1"}) as answer:
        async for line in answer.aiter_lines():
            lines.append(line)
            if line == "one":
                rig.world.log(pod, "two")
            elif line == "two":
                await rig.client.delete(f"{PODS}/{pod}")
                for _ in range(4):
                    rig.world.clock.advance(1)
                    rig.world.step()
    assert lines == ["one", "two"]


async def test_the_date_header_is_the_simulated_clock_and_requests_are_recorded(rig: Rig) -> None:
    answer = await rig.client.get(MAPS, headers={"Accept": "application/json"})
    assert answer.headers["Date"] == http_date(rig.world.clock.now())
    assert rig.world.server.requests[-1].path == MAPS and rig.world.server.requests[-1].user == "admin"


async def test_leases_are_created_once_and_updated_by_version(rig: Rig) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/m0-prod/leases"
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "m0-cockpit"},
        "spec": {"holderIdentity": "a"},
    }
    answers = await asyncio.gather(*(rig.client.post(path, json=lease) for _ in range(3)))
    assert sorted(a.status_code for a in answers) == [201, 409, 409]
    mine = next(a.json() for a in answers if a.status_code == 201)
    answers = await asyncio.gather(
        *(rig.client.put(f"{path}/m0-cockpit", json={**mine, "spec": {"holderIdentity": who}}) for who in "bc")
    )
    assert sorted(a.status_code for a in answers) == [200, 409]


def test_selector_operators() -> None:
    labels = {"app": "a", "n": "5"}
    for text, wanted in (
        ("app=a", True),
        ("app!=a", False),
        ("app in (a, b)", True),
        ("app notin (a)", False),
        ("missing notin (a)", True),
        ("!missing,app", True),
        ("!app", False),
        ("n>4,n<6", True),
        ("x.io/y=", False),
    ):
        assert match_labels(parse_labels(text), labels) is wanted, text
