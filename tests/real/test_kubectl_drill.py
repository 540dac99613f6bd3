"""Runs an unmodified kubectl against the drill's API server: each verb that an operator uses.

One server for the module.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld, serve, ticking, write_kubeconfig

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]

QUICK = Behaviour(startup_s=0.4, stop_s=0.4, log=("starting", "\x1b[2Jready trace_id=0af7651916cd43dd8448eb211c80319c"))


@dataclass
class Cluster:
    """Serves a world from a thread of its own; `kubectl` runs in the test's thread."""

    admin: Path
    viewer: Path
    home: Path

    def run(
        self, *words: str, stdin: str = "", viewer: bool = False, timeout: float = 20
    ) -> subprocess.CompletedProcess[str]:
        config = self.viewer if viewer else self.admin
        env = {**os.environ, "KUBECONFIG": str(config), "HOME": str(self.home), "KUBECTL_KUBERC": "false"}
        command = ["kubectl", f"--cache-dir={self.home}/cache", *words]
        return subprocess.run(
            command, env=env, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def __call__(self, *words: str, stdin: str = "") -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, *words: str, stdin: str = "", viewer: bool = False) -> str:
        done = self.run(*words, stdin=stdin, viewer=viewer)
        assert done.returncode != 0, done.stdout
        return done.stderr + done.stdout

    def shows(self, wanted: str, *words: str, within_s: float = 20) -> None:
        """Ask again until the answer has `wanted`: a controller acts after a write was answered."""
        deadline = time.monotonic() + within_s
        while wanted not in (shown := self(*words)):
            assert time.monotonic() < deadline, f"never {wanted}: {shown}"

    def rolled_out(self, what: str) -> None:
        self("rollout", "status", what, "--timeout=15s")


def behave(service: str, image: str, env: object) -> Behaviour:
    if image.endswith(":crash"):
        return Behaviour(startup_s=0.2, crash_after_s=0.3, stop_s=0.2, log=("about to crash",))
    if image.endswith(":missing"):
        return Behaviour(pull_error="manifest unknown")
    return QUICK


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("kubectl")
    up, loops = threading.Event(), []

    async def main() -> None:
        world = KubernetesWorld(SimClock(1_795_000_000.0), 7, behaviour=behave)
        for name, replicas in (("m0-quant", 2), ("m0-ingestor", 2), ("m0-realtime", 2)):
            world.deploy(name, image=f"ghcr.io/m0club/{name}:v1", replicas=replicas, env={"LEVEL": "STRICT", "Z": "1"})
        world.deploy(
            "m0-submitter",
            image="ghcr.io/m0club/m0-submitter:v1",
            replicas=1,
            strategy="Recreate",
            env={"M0_PUBLISH_ENABLED": "true"},
            secret_env={"M0_POSTGRES_URL": ("m0-postgres", "url")},
        )
        world.deploy("m0-crash", image="ghcr.io/m0club/m0-crash:crash", replicas=1)
        world.deploy("m0-db", image="postgres:16", replicas=2, kind="StatefulSet")
        world.configmap("m0-flags", {"PAUSED": "false"})
        world.autoscaler("m0-realtime", target="m0-realtime", minimum=1, maximum=5)
        world.settle(limit_s=20)
        async with serve(world) as served, ticking(world, speed=4.0):
            write_kubeconfig(home / "admin.json", served)
            write_kubeconfig(home / "viewer.json", served, token="viewer")
            ended = asyncio.Event()
            loops.append((asyncio.get_running_loop(), ended))
            up.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert up.wait(10)
    yield Cluster(home / "admin.json", home / "viewer.json", home)
    loop, ended = loops[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)


def test_get_prints_tables_with_the_usual_columns(kubectl: Cluster) -> None:
    pods = kubectl("get", "pods", "-l", "app=m0-ingestor").splitlines()
    assert pods[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert pods[1].split()[1:4] == ["1/1", "Running", "0"]
    wide = kubectl("get", "deploy", "m0-ingestor", "-o", "wide").splitlines()
    columns = "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"
    assert wide[0].split() == columns.split()
    everything = kubectl("get", "all,events,cm,leases,hpa,ns,nodes,secrets,svc", "-A")
    for name in (
        "pod/m0-db-0",
        "statefulset.apps/m0-db",
        "replicaset.apps/m0-quant",
        "configmap/m0-flags",
        "node/drill-node-1",
    ):
        assert name in everything
    assert "No resources found" in kubectl.run("get", "services").stderr


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("app=m0-quant", {"m0-quant"}),
        ("app==m0-quant", {"m0-quant"}),
        ("app in (m0-quant,m0-ingestor)", {"m0-quant", "m0-ingestor"}),
        ("app,app notin (m0-quant,m0-ingestor,m0-realtime,m0-crash)", {"m0-submitter", "m0-db"}),
        ("pod-template-hash,app!=m0-quant,app!=m0-crash", {"m0-ingestor", "m0-realtime", "m0-submitter"}),
        ("!pod-template-hash", {"m0-db"}),
    ],
)
def test_label_selectors_of_every_form_choose_pods(kubectl: Cluster, selector: str, wanted: set[str]) -> None:
    names = kubectl("get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.labels.app}")
    assert set(names.split()) == wanted


def test_field_selectors_and_output_formats(kubectl: Cluster) -> None:
    assert kubectl("get", "pods", "--field-selector", "status.phase=Pending", "-o", "name") == ""
    name = kubectl("get", "pods", "--field-selector", "metadata.name=m0-db-0", "-o", "name")
    assert name == "pod/m0-db-0\n"
    deployment = json.loads(kubectl("get", "deploy", "m0-quant", "-o", "json"))
    assert (
        deployment["kind"] == "Deployment"
        and deployment["spec"]["template"]["spec"]["containers"][0]["name"] == "m0-quant"
    )
    assert "kind: ConfigMap" in kubectl("get", "cm", "m0-flags", "-o", "yaml")
    assert "not supported" in kubectl.fails("get", "pods", "--field-selector", "spec.nonsense=1")
    assert "NotFound" in kubectl.fails("get", "deploy", "nope")


def test_get_watch_shows_a_change(kubectl: Cluster) -> None:
    env = {**os.environ, "KUBECONFIG": str(kubectl.admin), "HOME": str(kubectl.home)}
    command = ["kubectl", "get", "cm", "-w", "--output-watch-events", "--request-timeout=10s"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        try:
            lines = [watch.stdout.readline() for _ in range(2)]
            assert lines[0].split() == ["EVENT", "NAME", "DATA", "AGE"] and "m0-flags" in lines[1]
            kubectl("create", "configmap", "watched", "--from-literal=a=b")
            assert watch.stdout.readline().split()[:3] == ["ADDED", "watched", "1"]
            kubectl("delete", "configmap", "watched")
            assert watch.stdout.readline().split()[:2] == ["DELETED", "watched"]
        finally:
            watch.kill()


def test_scale_up_and_to_zero(kubectl: Cluster) -> None:
    kubectl("scale", "deploy/m0-ingestor", "--replicas=3")
    kubectl.rolled_out("deploy/m0-ingestor")
    assert len(kubectl("get", "pods", "-l", "app=m0-ingestor", "-o", "name").splitlines()) == 3
    assert "Expected replicas to be 9" in kubectl.fails(
        "scale", "deploy/m0-ingestor", "--current-replicas=9", "--replicas=1"
    )
    kubectl("scale", "deploy/m0-ingestor", "--replicas=0")
    kubectl("wait", "--for=delete", "pod", "-l", "app=m0-ingestor", "--timeout=15s")
    kubectl("scale", "deploy/m0-ingestor", "--replicas=2")
    kubectl.rolled_out("deploy/m0-ingestor")


def test_set_env_rolls_out_and_keeps_the_order(kubectl: Cluster) -> None:
    kubectl("set", "env", "deploy/m0-quant", "LEVEL=NORMAL", "NEW=x")
    kubectl.rolled_out("deploy/m0-quant")
    path = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    assert kubectl("get", "deploy", "m0-quant", "-o", path) == "LEVEL Z NEW"
    assert "LEVEL=NORMAL" in kubectl("set", "env", "deploy/m0-quant", "--list")
    kubectl("set", "env", "deploy/m0-quant", "NEW-")
    kubectl.rolled_out("deploy/m0-quant")
    assert kubectl("get", "deploy", "m0-quant", "-o", path) == "LEVEL Z"
    kubectl("set", "env", "deploy/m0-submitter", "M0_POSTGRES_URL=literal")  # valueFrom is taken away
    kubectl.rolled_out("deploy/m0-submitter")


def test_rollout_history_undo_restart_pause_resume(kubectl: Cluster) -> None:
    target = "deploy/m0-realtime"
    kubectl("annotate", target, "kubernetes.io/change-cause=first")
    kubectl.shows("first", "rollout", "history", target)
    kubectl("set", "image", target, f"m0-realtime=ghcr.io/m0club/m0-realtime@sha256:{'ab' * 32}")
    kubectl("annotate", target, "kubernetes.io/change-cause=second", "--overwrite")
    kubectl.rolled_out(target)
    kubectl.shows("second", "rollout", "history", target)
    assert "first" in kubectl("rollout", "history", target)
    assert "sha256:abab" in kubectl("rollout", "history", target, "--revision=2")
    kubectl("rollout", "undo", target)
    kubectl.rolled_out(target)
    image = kubectl("get", target, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    assert image == "ghcr.io/m0club/m0-realtime:v1"
    assert {"2", "3"} <= {line.split()[0] for line in kubectl("rollout", "history", target).splitlines()[2:] if line}
    kubectl("rollout", "restart", target)
    kubectl.rolled_out(target)
    kubectl("rollout", "pause", target)
    assert "paused" in kubectl.fails("rollout", "restart", target)
    kubectl("rollout", "resume", target)
    kubectl.rolled_out(target)
    kubectl.rolled_out("sts/m0-db")


def test_logs_of_every_kind(kubectl: Cluster) -> None:
    pod = kubectl("get", "pods", "-l", "app=m0-realtime", "-o", "jsonpath={.items[0].metadata.name}")
    assert kubectl("logs", pod).splitlines()[0] == "starting"
    assert kubectl("logs", pod, "--tail=1") == "\x1b[2Jready trace_id=0af7651916cd43dd8448eb211c80319c\n"
    assert kubectl("logs", pod, "--timestamps", "--tail=1").startswith("20")
    assert kubectl("logs", pod, "--since=1h", "-c", "m0-realtime").count("\n") == 2
    assert kubectl("logs", pod, "--since-time=2036-01-01T00:00:00Z") == ""
    assert "starting" in kubectl("logs", "deploy/m0-realtime")
    assert kubectl("logs", "-l", "app=m0-realtime", "--prefix").count("[pod/m0-realtime-") >= 2
    assert f"container nope is not valid for pod {pod}" in kubectl.fails("logs", pod, "-c", "nope")
    assert "previous terminated container" in kubectl.fails("logs", pod, "--previous")
    assert "about to crash" in kubectl("logs", "deploy/m0-crash", "--previous")
    env = {**os.environ, "KUBECONFIG": str(kubectl.admin), "HOME": str(kubectl.home)}
    with subprocess.Popen(["kubectl", "logs", "-f", pod], env=env, stdout=subprocess.PIPE, text=True) as follow:
        assert follow.stdout is not None and follow.stdout.readline() == "starting\n"
        follow.stdout.readline()
        kubectl("delete", "pod", pod)
        assert follow.stdout.read() == ""  # it ends with the container


def test_auth_can_i_and_whoami(kubectl: Cluster) -> None:
    assert kubectl("auth", "can-i", "patch", "deployments/scale") == "yes\n"
    assert kubectl.run("auth", "can-i", "patch", "deployments.apps", viewer=True).stdout == "no\n"
    assert kubectl.run("auth", "can-i", "get", "pods/log", viewer=True).stdout == "yes\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert "viewer" in kubectl.run("auth", "whoami", viewer=True).stdout
    assert 'User "viewer" cannot patch resource "deployments/scale"' in kubectl.fails(
        "scale", "deploy/m0-quant", "--replicas=1", viewer=True
    )


def test_describe_shows_conditions_and_events(kubectl: Cluster) -> None:
    deployment = kubectl("describe", "deploy", "m0-quant")
    assert "ScalingReplicaSet" in deployment and "MinimumReplicasAvailable" in deployment
    pod = kubectl("get", "pods", "-l", "app=m0-crash", "-o", "jsonpath={.items[0].metadata.name}")
    text = kubectl("describe", "pod", pod)
    assert "Restart Count" in text and "Started container m0-crash" in text and "Exit Code:    1" in text
    assert "m0-db-0" in kubectl("describe", "sts", "m0-db")
    assert pod in kubectl("events", "--for", f"pod/{pod}")


def test_patches_of_all_three_kinds_and_dry_run(kubectl: Cluster) -> None:
    before = kubectl("get", "deploy", "m0-quant", "-o", "jsonpath={.metadata.resourceVersion}")
    dry = ("--dry-run=server", "-o", "jsonpath={.spec.replicas}")
    assert kubectl("patch", "deploy", "m0-quant", "-p", '{"spec":{"replicas":5}}', *dry) == "5"
    assert kubectl("patch", "deploy", "m0-quant", "--type=merge", "-p", '{"spec":{"replicas":6}}', *dry) == "6"
    change = '[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":7}]'
    assert kubectl("patch", "deploy", "m0-quant", "--type=json", "-p", change, *dry) == "7"
    assert kubectl("get", "deploy", "m0-quant", "-o", "jsonpath={.metadata.resourceVersion}") == before
    assert "Required value" in kubectl.fails(
        "patch",
        "deploy",
        "m0-quant",
        "--type=merge",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"a"}]}}}}',
    )
    assert "(server dry run)" in kubectl("scale", "deploy/m0-quant", "--replicas=9", "--dry-run=server")


def test_server_side_apply_of_a_configmap_conflicts_and_forces(kubectl: Cluster) -> None:
    manifest = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m0-flags"},"data":{"PAUSED":"true"}}'
    refused = kubectl.fails("apply", "--server-side", "-f", "-", stdin=manifest)
    assert 'conflict with "kubectl-client-side-apply" using v1: .data.PAUSED' in refused
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    assert kubectl("get", "cm", "m0-flags", "-o", "jsonpath={.data.PAUSED}") == "true"
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=manifest)


def test_client_side_apply_create_and_delete(kubectl: Cluster) -> None:
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "applied"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "applied"}},
            "template": {
                "metadata": {"labels": {"app": "applied"}},
                "spec": {
                    "containers": [{"name": "applied", "image": "busybox:1", "env": [{"name": "A", "value": "1"}]}]
                },
            },
        },
    }
    assert "created" in kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    manifest["spec"]["replicas"] = 2  # type: ignore[index]
    assert "configured" in kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    kubectl.rolled_out("deploy/applied")
    kubectl("delete", "deploy", "applied")
    kubectl("wait", "--for=delete", "pod", "-l", "app=applied", "--timeout=15s")
    kubectl("create", "deployment", "made", "--image=nginx:1", "--replicas=2")
    kubectl.rolled_out("deploy/made")
    kubectl("delete", "deploy", "made")
    kubectl("run", "alone", "--image=busybox:1", "--env=A=b")
    kubectl("wait", "--for=condition=Ready", "pod/alone", "--timeout=15s")
    kubectl("delete", "pod", "alone")
    kubectl("create", "configmap", "once", "--from-literal=a=b")
    assert "already exists" in kubectl.fails("create", "configmap", "once", "--from-literal=a=b")
    kubectl("delete", "configmap", "once")


def test_version_discovery_and_health(kubectl: Cluster) -> None:
    assert "v1.36" in kubectl("version")
    resources = kubectl("api-resources")
    assert "horizontalpodautoscalers" in resources and "leases" in resources
    assert "is running at" in kubectl("cluster-info")
    assert kubectl("get", "--raw", "/readyz") == "ok"
