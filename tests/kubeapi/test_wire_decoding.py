"""Objects as servers send them, and as nobody should: nothing raises, nothing hostile passes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cockpit.kubeapi import convert, wire
from cockpit.model.observed.cluster import EnvVar
from cockpit.sources.kubernetes.kinds import CONFIGMAPS, KINDS, Kind
from tests.support.api_double import a_list, pod, recording

BY_NAME = {kind.plural: kind for kind in (*KINDS, CONFIGMAPS)}


def page(raw: bytes, kind: Kind) -> tuple[list[Any], int]:
    return wire.decode_items(wire.RAW_LIST.decode(raw).items or (), kind.decoder)


def read(kind: str, body: Any) -> list[Any]:
    one = BY_NAME[kind]
    return [one.convert(item) for item in page(json.dumps(body).encode(), one)[0]]


def status_of(**status: Any) -> Any:
    spec = status.pop("spec", {"containers": [{"name": "main"}]})
    meta = status.pop("meta", {})
    value = pod("p", spec=spec, status=status)
    value["metadata"] |= meta
    return read("pods", a_list(value))[0]


@pytest.mark.parametrize("number", ["07", "08", "09", "13", "58"])
def test_recorded_pods_are_read(number: str) -> None:
    body = recording(number)["response"]["body"]
    pods = read("pods", body)
    assert len(pods) == len(body["items"]) > 0
    for one, raw in zip(pods, body["items"], strict=True):
        assert one.uid == raw["metadata"]["uid"] and one.created_at
        assert one.service == raw["metadata"]["labels"]["app"]
        assert one.total == 1 and one.node


def test_ready_status_and_restarts_agree_with_kubectls_table() -> None:
    table = recording("11")["response"]["body"]
    names = [c["name"] for c in table["columnDefinitions"]]
    pods = {p.name: p for p in read("pods", recording("07")["response"]["body"])}
    for row in table["rows"]:
        cells = dict(zip(names, row["cells"], strict=True))
        one = pods[cells["Name"]]
        assert f"{one.ready}/{one.total}" == cells["Ready"]
        assert one.reason == cells["Status"]
        assert str(one.restarts) == str(cells["Restarts"]).split(" ")[0]


def test_pods_that_crash_or_cannot_pull_say_so() -> None:
    pods = {p.reason: p for p in read("pods", recording("58")["response"]["body"])}
    crash = pods["CrashLoopBackOff"].containers[0]
    assert pods["CrashLoopBackOff"].restarts == 7 and crash.phase == "waiting" and crash.reason == "CrashLoopBackOff"
    assert "ImagePullBackOff" in pods


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, ("Pending", 0, 1, 0)),
        ({"phase": "Failed", "reason": "Evicted"}, ("Evicted", 0, 1, 0)),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            ("SchedulingGated", 0, 1, 0),
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [{"name": "main", "ready": True, "state": {"running": {}}, "restartCount": 3}],
            },
            ("Running", 1, 1, 3),
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 7}}}]},
            ("ExitCode:7", 0, 1, 0),
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 137, "signal": 9}}}]},
            ("Signal:9", 0, 1, 0),
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]},
            ("Error", 0, 1, 0),
        ),
        (
            {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]},
            ("Completed", 0, 1, 0),
        ),
    ],
)
def test_status_as_kubectl_computes_it(status: Any, expected: tuple[str, int, int, int]) -> None:
    one = status_of(**status)
    assert (one.reason, one.ready, one.total, one.restarts) == expected


def test_init_containers_and_sidecars_as_kubectl_counts_them() -> None:
    spec = {"containers": [{"name": "main"}], "initContainers": [{"name": "a"}, {"name": "b"}]}
    done = {"name": "a", "restartCount": 2, "state": {"terminated": {"exitCode": 0}}}
    waits = {"name": "b", "state": {"waiting": {"reason": "PodInitializing"}}}
    assert status_of(spec=spec, phase="Pending", initContainerStatuses=[done, waits]).reason == "Init:1/2"
    crash = {"name": "b", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    one = status_of(spec=spec, phase="Pending", initContainerStatuses=[done, crash])
    assert (one.reason, one.restarts) == ("Init:CrashLoopBackOff", 6)
    failed = {"name": "b", "state": {"terminated": {"exitCode": 3}}}
    assert status_of(spec=spec, phase="Pending", initContainerStatuses=[done, failed]).reason == "Init:ExitCode:3"
    side = {"containers": [{"name": "main"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    running = {"name": "s", "started": True, "ready": True, "restartCount": 1, "state": {"running": {}}}
    main = {"name": "main", "ready": True, "restartCount": 2, "state": {"running": {}}}
    one = status_of(spec=side, phase="Running", initContainerStatuses=[running], containerStatuses=[main])
    assert (one.reason, one.ready, one.total, one.restarts) == ("Running", 2, 2, 3)
    assert [c.init for c in one.containers] == [True, False]


def test_terminating_lost_and_not_ready_pods() -> None:
    going = {"deletionTimestamp": "2026-11-23T12:41:26Z"}
    one = status_of(meta=going, phase="Running")
    assert one.reason == "Terminating" and one.terminating and one.deleted_at == 1795437686.0
    assert status_of(meta=going, phase="Running", reason="NodeLost").reason == "Unknown"
    assert status_of(meta=going, phase="Succeeded").reason == "Succeeded"
    both = [
        {"name": "main", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "x", "ready": True, "state": {"running": {}}},
    ]
    assert status_of(phase="Running", containerStatuses=both).reason == "NotReady"
    ready = [{"type": "Ready", "status": "True"}]
    assert status_of(phase="Running", containerStatuses=both, conditions=ready).reason == "Running"


def test_recorded_workloads_replicasets_and_events() -> None:
    stuck = read("deployments", a_list(recording("59")["response"]["body"]))[0]
    assert stuck.kind == "Deployment" and stuck.containers and stuck.strategy in ("RollingUpdate", "Recreate")
    assert stuck.conditions and stuck.updated < stuck.replicas and stuck.available
    sets = read("replicasets", recording("41")["response"]["body"])
    assert sets and all(s.owner_name and s.revision > 0 and s.images for s in sets)
    core = read("events", recording("54")["response"]["body"])
    assert core and all(e.object_kind and e.message and e.last_seen and e.count >= 1 for e in core)
    newer = read("events", recording("55")["response"]["body"])
    assert newer and all(e.object_kind and e.message and e.last_seen for e in newer)
    assert read("configmaps", a_list(recording("47")["response"]["body"]))[0].data


def test_a_deployment_keeps_its_environment_without_secrets() -> None:
    env = [
        {"name": "M0_PUBLISH_ENABLED", "value": "true"},
        {"name": "SOLANA_RPC_URL", "value": "https://rpc-a.example/v2/KEYLIKE123456789abc"},
        {"name": "M0_API_TOKEN", "value": "hunter2hunter2"},
        {"name": "M0_POSTGRES_URL", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "url"}}},
        {"name": "EMPTY"},
    ]
    body = {
        "metadata": {"name": "d"},
        "spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "d", "env": env}]}}},
    }
    one = read("deployments", a_list(body))[0]
    assert one.desired == 0
    assert one.env("M0_PUBLISH_ENABLED").value == "true"
    assert one.env("EMPTY").value == ""
    assert one.env("M0_POSTGRES_URL") == EnvVar("M0_POSTGRES_URL", None, "secret pg/url")
    assert "KEYLIKE123456789abc" not in repr(one) and "hunter2" not in repr(one)
    assert one.env("SOLANA_RPC_URL").value.startswith("https://rpc-a.example")


def test_hostile_text_is_shown_and_never_sent() -> None:
    one = status_of(phase="Run\x1b[2Jning", message="a\u202eb\nc", reason="\x9b31m")
    assert one.phase == "Run\\e[2Jning" and one.message == "a\\u202eb\\nc" and one.reason == "\\x9b31m"
    odd = read("pods", a_list({"metadata": {"name": "x\x1b]0;t\x07", "labels": {"a\x1b": "b\x07"}}}))[0]
    assert odd.name.isprintable() and all(k.isprintable() and v.isprintable() for k, v in odd.labels.items())


def test_one_object_that_does_not_fit_leaves_the_others() -> None:
    items, skipped = page(json.dumps(a_list(pod("a"), {"metadata": 5}, pod("b"))).encode(), BY_NAME["pods"])
    assert len(items) == 2 and skipped == 1


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{", b"<html>", b'"x"', b'{"items": 5}', b"\xff\xfe"])
def test_what_is_no_list_is_one_known_error(raw: bytes) -> None:
    with pytest.raises(wire.NONSENSE):
        page(raw, BY_NAME["pods"])


SAMPLES = {
    "pods": recording("58")["response"]["body"]["items"],
    "deployments": [recording("59")["response"]["body"]],
    "statefulsets": [recording("17")["response"]["body"]],
    "replicasets": recording("41")["response"]["body"]["items"],
    "events": recording("54")["response"]["body"]["items"],
    "horizontalpodautoscalers": [
        {
            "metadata": {"name": "h"},
            "spec": {"scaleTargetRef": {"kind": "D", "name": "n"}, "maxReplicas": 3},
            "status": {"desiredReplicas": 2},
        }
    ],
    "configmaps": [recording("47")["response"]["body"]],
}


def spoil(value: Any, draw: Any) -> Any:
    """The same with random fields missing or null, at any depth."""
    if isinstance(value, dict):
        kept = {}
        for key, inner in value.items():
            fate = draw(st.integers(0, 9))
            if fate == 0:
                continue
            kept[key] = None if fate == 1 else spoil(inner, draw)
        return kept
    if isinstance(value, list):
        return [None if draw(st.integers(0, 9)) == 0 else spoil(inner, draw) for inner in value]
    return value


@pytest.mark.parametrize("plural", SAMPLES)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_missing_and_null_fields_never_raise(plural: str, data: st.DataObject) -> None:
    kind: Kind = BY_NAME[plural]
    sample = dict(data.draw(st.sampled_from(SAMPLES[plural])))
    sample["metadata"] = {k: v for k, v in sample["metadata"].items() if k != "managedFields"}
    spoilt = spoil(sample, data.draw)
    value = kind.convert(kind.decoder.decode(json.dumps(spoilt)))
    hash(kind.key(value))
    assert msgspec.to_builtins(value) is not None


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_for_a_time_is_a_time_or_none(text: str) -> None:
    assert convert.unix(text) is None or isinstance(convert.unix(text), float)


def test_times_of_every_precision() -> None:
    for stamp in ("2026-11-23T14:15:42Z", "2026-11-23T15:15:42+01:00", "2026-11-23T14:15:42.000000001Z"):
        assert convert.unix(stamp) == 1795443342.0
    assert convert.unix("2026-11-23T14:15:42.250000Z") == 1795443342.25
    assert convert.unix(None) is None


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b'{"kind":"PodList","metadata":{"resourceVersion":"1","continue":"a/b=="},"items":[]}', "a/b=="),
        (b'{ "metadata": { "continue": "x" }, "items": [', ""),
        (b'{"metadata":{"continue":"x"}', "x"),
        (b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"continue":"no"}}]}', ""),
        (b'{"items":[{"metadata":{"continue":"no"}}],"metadata":{"continue":"yes"}}', ""),
        (b'{"metadata":{"continue":7},"items":[]}', ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_the_next_page_is_guessed_from_the_head_alone(body: bytes, token: str) -> None:
    assert wire.early_continue(body) == token


@given(st.binary(max_size=200))
def test_a_head_of_any_bytes_is_no_error(body: bytes) -> None:
    assert isinstance(wire.early_continue(b'{"metadata":' + body), str)
