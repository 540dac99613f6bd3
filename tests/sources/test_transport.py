"""H9: what travels without TLS, or to whom nobody verified, is said; what stays here is not."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from cockpit.doctor.local import transport
from cockpit.engine import Engine
from cockpit.kubeapi.access import load_access
from cockpit.model.runbook import Runbooks
from cockpit.session import Session
from cockpit.settings import Settings, WebhookSettings
from cockpit.sources.examination import Examination, State
from cockpit.sources.postgres.settings import POSTGRES, PostgresSettings
from cockpit.sources.probes.settings import PROBES, OutputProbe, ProbesSettings
from cockpit.sources.prometheus.settings import PROMETHEUS, PrometheusSettings
from cockpit.sources.solana.settings import RPC_ENDPOINTS, RpcEndpoint
from cockpit.sources.transport import exposed, exposed_by, stays_here

KEY = "7f3k9dQ2xLw8vB5n"
RUNBOOKS = Runbooks(queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=())


def prometheus(**own: Any) -> Settings:
    return Settings().having(PROMETHEUS, PrometheusSettings(**own))


def rpc(**own: Any) -> Settings:
    return Settings().having(RPC_ENDPOINTS, (RpcEndpoint(name="rpc-a", **own),))


def postgres(url: str) -> Settings:
    return Settings().having(POSTGRES, PostgresSettings(url=url))


def probes(**own: Any) -> Settings:
    return Settings().having(PROBES, ProbesSettings(**own))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (prometheus(url="http://prom.example:9090", bearer="t0ken"), "Prometheus: its credentials go without TLS"),
        (prometheus(url="http://prom.example", headers={"X-Org": "a"}), "Prometheus: its credentials go"),
        (prometheus(url="HTTP://prom.example", username="u", password="p"), "Prometheus: its credentials go"),
        (prometheus(url="http://127.evil.example", bearer="t"), "Prometheus: its credentials go"),
        (prometheus(url="http://10.0.0.5:9090", bearer_file="/run/t"), "Prometheus: its credentials go"),
        (prometheus(url="https://prom.example", insecure=True), "certificate is not verified (insecure = true)"),
        (prometheus(url="https://p.example", direct={"m0-x": f"http://x.example/m?token={KEY}"}), "metrics of m0-x"),
        (rpc(url=f"http://rpc.example/v2/{KEY}"), "rpc-a: the key in its address goes without TLS"),
        (rpc(url=f"https://rpc.example/v2/{KEY}", ws_url=f"ws://rpc.example/v2/{KEY}"), "rpc-a: the key"),
        (postgres("postgresql://u:p@db.example/m0"), "the password may go without TLS (sslmode=prefer;"),
        (postgres("postgresql://u:p@db.example/m0?sslmode=disable"), "(sslmode=disable;"),
        (postgres("postgresql://u:p@db.example/m0?sslmode=require"), "Postgres: its certificate is not verified"),
        (postgres("host=db.example user=u password=p sslmode='allow'"), "(sslmode=allow;"),
        (probes(output=OutputProbe(url="http://gw.example/{market}", headers={"a": "b"})), "probes: the credentials"),
        (probes(services={"m0-x": f"http://u:{KEY}@x.example"}), "probes: the key in the address of m0-x"),
        (Settings(webhook=WebhookSettings(url="http://hooks.example/T0/B1")), "webhook: the updates"),
    ],
)
def test_what_leaves_unprotected_is_said_once_and_bears_no_secret(settings: Settings, words: str) -> None:
    (line,) = exposed(settings)
    assert words in line and KEY not in line and len(line) < 120
    (finding,) = transport(Examination(settings, RUNBOOKS))
    assert finding.state is State.WARN and finding.words == line and finding.remedy


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        prometheus(url="http://prom.example:9090"),
        prometheus(url="https://prom.example", bearer="t0ken"),
        prometheus(url="http://localhost:9090", bearer="t0ken"),
        prometheus(url="http://127.8.0.1:9090", bearer="t0ken"),
        prometheus(url="http://[::1]:9090", bearer="t0ken"),
        prometheus(url="https://127.0.0.1", insecure=True),
        rpc(url="http://rpc.example"),
        rpc(url=f"https://rpc.example/v2/{KEY}"),
        postgres("postgresql://u:p@db.example/m0?sslmode=verify-full"),
        postgres("postgresql://u:p@db.example/m0?sslmode=require&sslrootcert=/ca.pem"),
        postgres("postgresql:///m0?host=/var/run/postgresql"),
        postgres("postgresql://u:p@%2Frun%2Fpg/m0"),
        postgres("postgresql://u:p@127.0.0.1/m0"),
        postgres("host=/run user=u"),
        probes(services={"m0-x": "http://m0-x.m0-prod:8080"}),
        Settings(webhook=WebhookSettings(url="https://hooks.example/T0/B1")),
        Settings(webhook=WebhookSettings(url_file="/nowhere")),
    ],
)
def test_what_is_protected_or_stays_here_is_not(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    assert exposed(settings) == ()
    (finding,) = transport(Examination(settings, RUNBOOKS))
    assert finding.state is State.OK


@pytest.mark.parametrize("host", ["", None, "x", "localhost.example", "::2", "127.0.0.1.example", "0.0.0.0", "not[an"])
def test_another_host_is_no_loopback(host: str | None) -> None:
    assert not stays_here(host)


def kubeconfig(directory: Path, server: str, *, insecure: bool = False) -> Path:
    more = "\n    insecure-skip-tls-verify: true" if insecure else ""
    path = directory / "kubeconfig"
    path.write_text(f"""apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
users: [{{name: u, user: {{token: {KEY}}}}}]
clusters:
- name: c
  cluster:
    server: {server}{more}
""")
    return path


@pytest.mark.parametrize(
    ("server", "insecure", "words"),
    [
        ("http://api.example:8080", False, "Kubernetes: all that is sent, credentials too, goes without TLS (http://)"),
        ("https://api.example:6443", True, "Kubernetes: the API server's certificate is not verified"),
        ("https://api.example:6443", False, ""),
        ("http://127.0.0.1:8001", False, ""),
    ],
)
def test_a_kubeconfig_that_verifies_nobody_is_said_on_the_screen(
    tmp_path: Path, server: str, insecure: bool, words: str
) -> None:
    path = kubeconfig(tmp_path, server, insecure=insecure)
    access = load_access(str(path))
    assert [line for line in exposed_by(access) if words not in line] == [] and bool(exposed_by(access)) is bool(words)
    if server.startswith("https"):
        assert access.tls is not None and (access.tls.verify_mode == ssl.CERT_NONE) is insecure
    session = Session(Settings(kubeconfig=str(path), state_dir=tmp_path), RUNBOOKS, act=False)
    session.engine = Engine(session.settings, lambda: RUNBOOKS, session.clock)
    session.engine.access()
    notices = " ".join(session._recorded()["notices"])
    assert words in notices and KEY not in notices and (bool(words) or "Kubernetes" not in notices)
