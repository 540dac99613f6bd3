"""S5: the executor's client alone may write; every other refuses to, whatever asks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from tests.support.kube_rig import Rig
from tests.support.paths import ROOT

#: Who makes a client that may write.
WRITES = {"cockpit/mitigation/executor.py"}


def clients() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((ROOT / "cockpit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "KubeClient":
                yield str(path.relative_to(ROOT)), node


def test_every_client_but_the_executors_is_made_to_read_only() -> None:
    found = list(clients())
    assert {path for path, _ in found} >= {*WRITES, "cockpit/engine.py", "cockpit/sources/kubernetes/source.py"}
    for path, call in found:
        given = {word.arg: word.value for word in call.keywords}
        assert "read_only" in given, path
        literal = given["read_only"]
        assert (path in WRITES) is not (isinstance(literal, ast.Constant) and literal.value is True), path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/apis/apps/v1/namespaces/m0-prod/deployments/m0-quant"),
        ("DELETE", "/api/v1/namespaces/m0-prod/pods/x"),
        ("POST", "/api/v1/namespaces/m0-prod/pods/x/eviction"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/m0-prod/leases/m0-cockpit"),
        ("post", "/apis/batch/v1/namespaces/m0-prod/jobs"),
        ("HEAD", "/version"),
        ("GET ", "/version"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/../../v1/x"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
    ],
)
async def test_what_may_only_read_sends_nothing_else(rig: Rig, tmp_path: Path, method: str, path: str) -> None:
    from cockpit.drill.kubernetes.serving import write_kubeconfig
    from cockpit.kubeapi.access import load_access

    access = load_access(str(write_kubeconfig(tmp_path / "kubeconfig", rig.served, token="admin")))
    before = len(rig.seen)
    async with KubeClient(access, read_only=True) as client:
        with pytest.raises(KubeError):
            await client.send(method, path, body="{}", content_type="application/json")
        for one in ("access", "rules"):
            review = f"/apis/authorization.k8s.io/v1/selfsubject{one}reviews"
            await client.send(
                "POST", review, body='{"spec": {"namespace": "m0-prod"}}', content_type="application/json"
            )
        await client.get("/version")
    sent = rig.seen[before:]
    assert [one.method for one in sent if one.method != "GET" and "selfsubject" not in one.path] == []
    assert not any(one.path == path for one in sent if path != "/version")
