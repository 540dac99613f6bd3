"""An operator's kubeconfig: whatever is wrong with it, one line says so and what to do."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from cockpit.kubeapi import credentials
from cockpit.kubeapi.access import AccessProblem, load_access
from tests.support.api_double import kubeconfig


@pytest.fixture(autouse=True)
def no_cluster_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, params=["plain", "package"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every expectation holds for both readers: ours for the usual kubeconfigs, the package's for
    the rest.
    """
    if request.param == "package":
        monkeypatch.setattr("cockpit.kubeapi.access.is_plain", lambda cluster, user: False)


def problem(path: Path | str | None, context: str | None = None) -> AccessProblem:
    with pytest.raises(AccessProblem) as caught:
        load_access(None if path is None else str(path), context)
    assert "\n" not in caught.value.reason + caught.value.remedy
    return caught.value


def test_a_plain_kubeconfig_gives_server_context_and_token(tmp_path: Path) -> None:
    access = load_access(str(kubeconfig(tmp_path / "c", "https://api.example:6443/")))
    assert (access.context, access.server, access.namespace, access.user, access.cluster) == (
        "c",
        "https://api.example:6443",
        "m0-prod",
        "u",
        "k",
    )
    assert access.credentials.headers() == {"authorization": "Bearer good"}
    assert "good" not in repr(access)


def test_no_kubeconfig_names_the_place_and_a_way_on(tmp_path: Path) -> None:
    found = problem(None)
    assert ".kube/config" in found.reason and "KUBECONFIG" in found.remedy
    assert str(tmp_path / "nope") in problem(tmp_path / "nope").reason


def test_a_wrong_context_lists_those_that_exist(tmp_path: Path) -> None:
    found = problem(kubeconfig(tmp_path / "c", "http://x"), "prod")
    assert '"prod"' in found.reason and "there is: c" in found.remedy
    assert "did you mean" not in found.reason


def test_a_context_that_is_nearly_right_is_named(tmp_path: Path) -> None:
    """U17: wrong names say what may be meant."""
    path = kubeconfig(tmp_path / "c", "http://x")
    path.write_text(path.read_text().replace('"c"', '"prod-eu"'))
    assert "did you mean 'prod-eu'?" in problem(path, "prod-ue").reason


def test_broken_yaml_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("clusters:\n  - name: [\n")
    assert f"{path}:" in problem(path).reason and "YAML" in problem(path).reason


@pytest.mark.parametrize(
    "content", ["", "just text", "- a\n- b", "clusters: 5\ncontexts: x", "contexts: [{}]", "\x00\x01"]
)
def test_a_file_that_is_no_kubeconfig_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c"
    path.write_text(content)
    assert str(path) in problem(path).reason


def test_missing_and_broken_certificate_files_are_named(tmp_path: Path) -> None:
    missing = kubeconfig(tmp_path / "a", "https://x", cluster={"certificate-authority": "no-such-ca.pem"})
    assert "no-such-ca.pem" in problem(missing).reason
    missing = kubeconfig(tmp_path / "b", "https://x", user={"client-certificate": "cert.pem", "client-key": "key.pem"})
    assert "cert.pem" in problem(missing).reason
    junk = base64.b64encode(b"junk").decode()
    assert "CA" in problem(kubeconfig(tmp_path / "d", "https://x", cluster={"certificate-authority-data": junk})).reason
    pair = {"client-certificate-data": junk, "client-key-data": junk}
    assert "client certificate" in problem(kubeconfig(tmp_path / "e", "https://x", user=pair)).reason


def test_relative_certificates_are_found_beside_their_own_file_and_keys_leave_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, temporary = tmp_path / "sub", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    ca = trustme.CA()
    (folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
    leaf = ca.issue_cert("me")
    user = {
        "client-certificate-data": base64.b64encode(leaf.cert_chain_pems[0].bytes()).decode(),
        "client-key-data": base64.b64encode(leaf.private_key_pem.bytes()).decode(),
    }
    access = load_access(
        str(kubeconfig(folder / "c", "https://x", user=user, cluster={"certificate-authority": "ca.pem"}))
    )
    assert access.tls is not None
    assert list(temporary.iterdir()) == []


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = kubeconfig(tmp_path / "1", "http://first"), tmp_path / "2"
    other = json.loads(kubeconfig(second, "http://second").read_text())
    other["current-context"] = "d"
    other["contexts"].append({"name": "d", "context": {"cluster": "k2", "user": "u"}})
    other["clusters"].append({"name": "k2", "cluster": {"server": "http://third"}})
    second.write_text(json.dumps(other))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "none"), str(first), str(second)]))
    assert load_access().server == "http://first"
    assert load_access(context="d").server == "http://third"


def test_a_token_file_is_read_again_and_stripped(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    access = load_access(str(kubeconfig(tmp_path / "c", "http://x", user={"tokenFile": "token"})))
    assert access.credentials.headers()["authorization"] == "Bearer one"
    token.write_text("two\n")
    assert access.credentials.headers()["authorization"] == "Bearer two"
    token.write_text("")
    with pytest.raises(AccessProblem, match="empty"):
        access.credentials.headers()
    token.unlink()
    assert "token" in problem(tmp_path / "c").reason


def plugin(tmp_path: Path, body: str, **more: object) -> Path:
    script = tmp_path / "plugin"
    script.write_text(f"#!{sys.executable}\n{body}\n")
    script.chmod(0o755)
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["get"], **more}
    return kubeconfig(tmp_path / "c", "http://x", user={"exec": spec})


def test_an_exec_plugin_gives_the_token_and_never_gets_the_terminal(tmp_path: Path) -> None:
    body = (
        "import json, os, sys\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert sys.stdin.read() == '' and not info['spec']['interactive'] and os.environ['WHO'] == 'me'\n"
        "print('noise', file=sys.stderr)\n"
        "print(json.dumps({'apiVersion': info['apiVersion'], 'kind': 'ExecCredential', 'status': {'token': 'from-plugin',"
        " 'expirationTimestamp': '2001-01-01T00:00:00Z'}}))"
    )
    access = load_access(str(plugin(tmp_path, body, env=[{"name": "WHO", "value": "me"}])))
    assert access.credentials.headers() == {"authorization": "Bearer from-plugin"}
    assert access.credentials.expired()


def test_a_failing_exec_plugin_is_one_line_with_what_it_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = problem(plugin(tmp_path, "import sys; sys.exit('session expired \\x1b[2J, token=abcdef123456')"))
    assert "session expired" in found.reason and "\x1b" not in found.reason and "abcdef123456" not in found.reason
    assert "ExecCredential" in problem(plugin(tmp_path, "print('nonsense')")).reason
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "server",
    [
        "https://256.256.256.256",
        "https://[::1",
        "https://host:99999",
        "https:///x",
        "ftp://host",
        "https://a b",
        "https://h\n",
    ],
)
def test_a_server_that_is_no_address_is_one_line(tmp_path: Path, server: str) -> None:
    """R13: the operator read "InvalidURL: Invalid IPv4 address"."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "x", "context": {"cluster": "c"}}],
        "current-context": "x",
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    assert 'the server of cluster "c" is no address' in problem(path).reason


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_exec_plugin_that_prints_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """H2: what it printed was kept whole, for half a minute."""
    monkeypatch.setattr(credentials, "_EXEC_TIMEOUT_S", 2.0)
    found = problem(plugin(tmp_path, f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"))
    assert ("prints without end" if stream == "stdout" else "gave no answer") in found.reason


def test_an_exec_plugin_that_leaves_a_child_behind_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H2: the child keeps its output open."""
    monkeypatch.setattr(credentials, "_EXEC_TIMEOUT_S", 1.0)
    body = "import subprocess, sys; subprocess.Popen(['sleep', '5']); sys.exit(0)"
    assert "gave no answer" in problem(plugin(tmp_path, body)).reason


def test_a_missing_exec_plugin_gives_its_own_hint(tmp_path: Path) -> None:
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "no-such-plugin",
        "installHint": "apt it\nplease",
    }
    found = problem(kubeconfig(tmp_path / "c", "http://x", user={"exec": spec}))
    assert "no-such-plugin" in found.reason and found.remedy == "apt it"


def test_names_that_lead_nowhere_are_said(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "c", "http://x")
    config = json.loads(path.read_text())
    config["contexts"][0]["context"]["user"] = "ghost"
    path.write_text(json.dumps(config))
    assert '"ghost"' in problem(path).reason
    config["contexts"][0]["context"] = {"cluster": "phantom"}
    path.write_text(json.dumps(config))
    assert '"phantom"' in problem(path).reason
    del config["current-context"]
    path.write_text(json.dumps(config))
    assert "--context: c" in problem(path).remedy


def test_a_proxy_is_taken_from_the_cluster_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kubeconfig(tmp_path / "c", "https://api.example", cluster={"proxy-url": "http://proxy:1"})
    assert load_access(str(path)).proxy == "http://proxy:1"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:2")
    assert load_access(str(kubeconfig(tmp_path / "d", "https://api.example"))).proxy == "http://proxy:2"
    assert load_access(str(kubeconfig(tmp_path / "e", "https://127.0.0.1:6443"))).proxy is None
    monkeypatch.setenv("NO_PROXY", "api.example")
    assert load_access(str(kubeconfig(tmp_path / "f", "https://api.example"))).proxy is None


def test_reloading_never_moves_to_another_server(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "c", "http://one")
    access = load_access(str(path))
    kubeconfig(path, "http://one", user={"token": "fresh"})
    assert access.reload().credentials.headers() == {"authorization": "Bearer fresh"}
    kubeconfig(path, "http://two")
    with pytest.raises(AccessProblem, match="http://two"):
        access.reload()


def test_in_cluster_without_a_token_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert "service account" in problem(None).reason


def test_importing_the_client_does_not_import_the_kubernetes_package() -> None:
    code = "import sys, cockpit.kubeapi.client, cockpit.sources.kubernetes.source; sys.exit('kubernetes' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_usual_kubeconfig_does_not_wait_for_the_package(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "c", "https://api.example:6443/")
    code = f"import sys; from cockpit.kubeapi.access import load_access; load_access({str(path)!r}); print('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
