"""Starts a real etcd, kube-apiserver and controller-manager on loopback, and ends them again.

Three users, by context of the kubeconfig: `admin`, `operator` (group m0-oncall) and `reader` (group
m0-look), whose rights are given by RBAC as anywhere. Nodes and pods are the stand-in kubelet's.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.live.cluster.kubelet import Kubelet

NAMESPACE = "m0-prod"
USERS = {"admin": "system:masters", "operator": "m0-oncall", "reader": "m0-look"}
_CONTROLLERS = (
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "statefulset-controller",
    "taint-eviction-controller",
)
_START_S = 90.0


@dataclass(frozen=True)
class ControlPlane:
    """A running cluster; `token` gives a user's."""

    server: str
    kubeconfig: Path
    kubelet: Kubelet

    @staticmethod
    def token(user: str) -> str:
        return f"{user}-of-the-live-cluster"


@contextmanager
def running(program: Path) -> Iterator[ControlPlane]:
    """Yield the cluster once it answers and its nodes are there; end all of it afterwards."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="m0-live-", ignore_cleanup_errors=True)))
        etcd, peers, secure = _free_ports(3)
        server = f"https://127.0.0.1:{secure}"
        _credentials(home, server)
        _start(stack, home, program, _etcd(home, etcd, peers))
        api = _start(stack, home, program, _api_server(home, etcd, secure))
        context = ssl.create_default_context(cafile=str(home / "ca.pem"))
        _wait(f"{server}/readyz", context, api, home / "kube-apiserver.log")
        _start(stack, home, program, _controllers(home))
        kubelet = Kubelet(server, ControlPlane.token("admin"), context)
        stack.enter_context(kubelet.at_work())
        yield ControlPlane(server, home / "kubeconfig", kubelet)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


def _credentials(home: Path, server: str) -> None:
    ca = trustme.CA()
    served = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(home / "ca.pem")
    served.private_key_pem.write_to_path(home / "key.pem")
    for part in served.cert_chain_pems:
        part.write_to_path(home / "cert.pem", append=True)
    tokens = [f"{ControlPlane.token(name)},{name},{name},{group}" for name, group in USERS.items()]
    (home / "tokens.csv").write_text("\n".join(tokens) + "\n")
    cluster = {"server": server, "certificate-authority": str(home / "ca.pem")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "live", "cluster": cluster}],
        "users": [{"name": name, "user": {"token": ControlPlane.token(name)}} for name in USERS],
        "contexts": [
            {"name": name, "context": {"cluster": "live", "user": name, "namespace": NAMESPACE}} for name in USERS
        ],
        "current-context": "admin",
    }
    (home / "kubeconfig").write_text(json.dumps(config))
    (home / "kubeconfig").chmod(0o600)


def _etcd(home: Path, port: int, peers: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    return [
        "etcd",
        f"--data-dir={home}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nothing in it outlives the run
    ]


def _api_server(home: Path, etcd: int, port: int) -> list[str]:
    return [
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=10.9.9.9",  # it refuses loopback there; nobody asks for it
        f"--tls-cert-file={home}/cert.pem",
        f"--tls-private-key-file={home}/key.pem",
        f"--service-account-key-file={home}/key.pem",
        f"--service-account-signing-key-file={home}/key.pem",
        "--service-account-issuer=https://live.invalid",
        f"--token-auth-file={home}/tokens.csv",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # no pod here has one
        "--kubelet-preferred-address-types=InternalIP",
    ]


def _controllers(home: Path) -> list[str]:
    return [
        "kube-controller-manager",
        f"--kubeconfig={home}/kubeconfig",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=5s",  # a lost node is noticed while a test waits
        "--resource-quota-sync-period=2s",
    ]


def _start(stack: ExitStack, home: Path, program: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start one of the programs, which dies with us however we end."""
    with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with (home / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [*with_us, str(program), *command],
            cwd=home,
            stdout=log,
            stderr=log,
            start_new_session=True,  # ctrl+c ends the tests first, which then clean up on a server that answers
        )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # it has nothing to keep
    process.wait()


def _wait(url: str, context: ssl.SSLContext, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ControlPlane.token('admin')}"})
    while True:
        try:
            with urllib.request.urlopen(request, context=context, timeout=5):
                return
        except OSError as error:
            tail = log.read_text(errors="replace").splitlines()[-3:]
            assert process.poll() is None, f"the API server ended: {tail}"
            assert time.monotonic() < deadline, f"the API server does not answer: {error}: {tail}"
            time.sleep(0.1)
