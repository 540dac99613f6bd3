"""Holds the real API server: one built and started here, or what COCKPIT_TEST_KUBECONFIG names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cockpit.model.runbook import Service
from tests.live.cluster.build import NotBuilt, build
from tests.live.cluster.control_plane import ControlPlane, running
from tests.live.cluster.kubelet import Kubelet
from tests.live.clusters import TestCluster, live
from tests.live.cockpit import Cockpit
from tests.live.proxy import between
from tests.support.api_proxy import ApiProxy

VARIABLE = "COCKPIT_TEST_KUBECONFIG"


@dataclass(frozen=True)
class RealServer:
    """An unmodified kube-apiserver; `kubelet` is ours, and does what a test asks, or None."""

    kubeconfig: Path
    kubelet: Kubelet | None


@pytest.fixture(scope="session")
def real_server() -> Iterator[RealServer]:
    given = os.environ.get(VARIABLE)
    if given:
        yield RealServer(Path(given).expanduser(), None)
        return
    try:
        program = build()
    except NotBuilt as error:
        pytest.fail(f"no real Kubernetes: {error}; {VARIABLE} may name another", pytrace=False)
    with running(program) as plane:
        yield RealServer(plane.kubeconfig, plane.kubelet)


@pytest.fixture(scope="module")
def real(real_server: RealServer) -> Iterator[TestCluster]:
    """A namespace of the module's own on the real server."""
    with live(real_server.kubeconfig, ControlPlane.token("reader") if real_server.kubelet else "") as made:
        yield made


@pytest.fixture
def kubelet(real_server: RealServer) -> Kubelet:
    """The stand-in kubelet, without which a test cannot make what it is about."""
    if real_server.kubelet is None:
        pytest.skip("needs the stand-in kubelet of our own cluster")
    return real_server.kubelet


@pytest.fixture
def cockpit(real: TestCluster, tmp_path: Path) -> Iterator[Cockpit]:
    made = Cockpit(real, tmp_path, m0_submitter=Service(singleton=True, publishes=True))
    yield made
    made.close()


@pytest.fixture
def proxy(real: TestCluster, tmp_path: Path) -> Iterator[ApiProxy]:
    with between(real.kubeconfig, tmp_path / "proxy") as made:
        yield made
