"""The doctor against a whole drill, and against each of its servers misbehaving: the words, the
remedy, and never more than is known.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from cockpit import cli
from cockpit.doctor import AREAS
from cockpit.drill.kubernetes import Rule, User, write_kubeconfig
from cockpit.drill.kubernetes.serving import Served
from cockpit.drill.server import DrillThread
from cockpit.sources.examination import State
from cockpit.sources.probes.settings import OutputProbe, ProbesSettings
from cockpit.sources.prometheus.doctor import metric_names
from cockpit.sources.prometheus.settings import PrometheusSettings
from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA, RpcEndpoint
from tests.commands.test_doctor_rights import granted
from tests.support.doctor_rig import changed, findings_of, replace, settings_of, worse

PROGRAM = "FCDEU1osskGRAxMaVfM9MZ2CewFy1FepWMyYSAQ5kCok"


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_all_is_well_in_a_calm_drill(drill: DrillThread, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["doctor", "--json", "--config", drill.drill.config])
    findings = json.loads(capsys.readouterr().out)
    assert findings["verdict"] == "ok" and code == 0, [
        f for f in findings["findings"] if f["state"] not in ("ok", "off")
    ]
    states = {(f["area"], f["check"]): f for f in findings["findings"]}
    assert {area for area, _ in states} == set(AREAS)
    assert states["kubernetes", "credentials"]["words"].startswith("accepted as admin")
    assert states["kubernetes", "rights: screen in m0-prod"]["state"] == "ok"
    assert states["prometheus", "queries"]["words"].startswith("all ")
    assert states["solana", "cluster"]["state"] == "ok"
    assert states["solana", "program by rpc-a"]["words"].endswith("is there, executable")
    assert states["postgres", "server"]["state"] == "off"
    assert "KEYLIKE" not in json.dumps(findings)


def test_the_text_says_the_same_in_lines(drill: DrillThread, capsys: pytest.CaptureFixture[str]) -> None:
    with changed(drill.drill.prometheus_server.chaos, reject={"m0_drift_score"}):
        code = cli.main(["doctor", "--config", drill.drill.config])
    lines = capsys.readouterr().out.splitlines()
    assert code == 2 and lines[-1].startswith("FAIL: ")
    (at,) = [n for n, line in enumerate(lines) if line.startswith("  FAIL     queries: ")]
    assert "rejected by the drill" in lines[at] and lines[at + 1].startswith("           → correct")


# --- Kubernetes


def kubeconfig(drill: DrillThread, tmp_path: Path, token: str) -> str:
    served = Served(drill.drill.kubernetes, 0, _authority(drill))
    return str(write_kubeconfig(tmp_path / "kubeconfig", served, token=drill.drill.tokens.get(token, token)))


def _authority(drill: DrillThread) -> str:
    import base64

    cluster = json.loads(Path(drill.kubeconfig).read_text())["clusters"][0]["cluster"]
    return base64.b64decode(cluster.get("certificate-authority-data", "")).decode()


def test_who_may_only_read_is_warned_of_every_kind_of_step(drill: DrillThread, tmp_path: Path) -> None:
    findings = findings_of(settings_of(drill, kubeconfig=kubeconfig(drill, tmp_path, "viewer")), "kubernetes")
    assert findings["kubernetes", "rights: screen in m0-prod"].state is State.OK
    scale = findings["kubernetes", "rights: scale in m0-prod"]
    assert scale.state is State.WARN and "may not patch deployments/scale" in scale.words
    assert "blocked before anything is sent" in scale.words and "m0-cockpit-act" in scale.remedy
    assert "patch deployments m0-" in findings["kubernetes", "rights: set-env in m0-prod"].words
    assert "create leases" in findings["kubernetes", "rights: any step in m0-prod"].words


def test_read_only_needs_no_right_to_act(drill: DrillThread, tmp_path: Path) -> None:
    findings = findings_of(
        settings_of(drill, kubeconfig=kubeconfig(drill, tmp_path, "viewer"), read_only=True), "kubernetes"
    )
    assert not [key for key in worse(findings) if key[0] == "kubernetes"]
    assert findings["kubernetes", "rights: steps"].state is State.OFF


def test_a_right_narrowed_to_a_name_is_asked_by_that_name(drill: DrillThread, tmp_path: Path) -> None:
    own = Rule(("get", "patch"), ("apps",), ("deployments", "deployments/scale"), ("m0-ingestor",), ("m0-prod",))
    drill.call(lambda d: d.world.kube.users.__setitem__("narrow", User("narrow", (own,), ("system:authenticated",))))
    findings = findings_of(settings_of(drill, kubeconfig=kubeconfig(drill, tmp_path, "narrow")), "kubernetes")
    scale = findings["kubernetes", "rights: scale in m0-prod"]
    assert "m0-submitter" in scale.words and "m0-ingestor" not in scale.words
    screen = findings["kubernetes", "rights: screen in m0-prod"]
    assert screen.state is State.FAIL and "list pods" in screen.words and "m0-cockpit-view" in screen.remedy


def test_the_roles_of_deploy_bound_in_the_namespace_are_enough(drill: DrillThread, tmp_path: Path) -> None:
    rules = tuple(
        Rule(rule.verbs, rule.groups, rule.resources, rule.names, ("m0-prod",))
        for role in ("m0-cockpit-view", "m0-cockpit-act")
        for rule in granted(role)
    )
    drill.call(lambda d: d.world.kube.users.__setitem__("ops", User("ops", rules)))
    settings = settings_of(drill, kubeconfig=kubeconfig(drill, tmp_path, "ops"))
    assert not [key for key in worse(findings_of(settings, "kubernetes")) if key[0] == "kubernetes"]
    # a server before 1.28 judges the right to what it does not serve before it says that it does
    # not
    with changed(drill.drill.world.kube.chaos, forbidden={"selfsubjectreviews"}):
        findings = findings_of(settings, "kubernetes")["kubernetes", "credentials"]
    assert findings.state is State.OK and "does not say as whom" in findings.words


def test_an_access_review_that_fails_is_unknown_never_denied(drill: DrillThread) -> None:
    with changed(drill.drill.world.kube.chaos, forbidden={"selfsubjectaccessreviews"}):
        findings = findings_of(settings_of(drill), "kubernetes")
    rights = {key: f for key, f in findings.items() if "rights" in key[1]}
    assert rights and all(f.state is State.UNKNOWN for f in rights.values())
    assert all("did not say whether" in f.words and "may not" not in f.words for f in rights.values())


def test_refused_credentials_end_the_questions(drill: DrillThread, tmp_path: Path) -> None:
    findings = findings_of(settings_of(drill, kubeconfig=kubeconfig(drill, tmp_path, "nobody")), "kubernetes")
    refused = findings["kubernetes", "credentials"]
    assert refused.state is State.FAIL and "401" in refused.words and "log in again" in refused.remedy
    assert not [key for key in findings if "rights" in key[1]]


def test_a_cluster_that_is_not_there(drill: DrillThread, tmp_path: Path) -> None:
    served = Served(f"https://127.0.0.1:{closed_port()}", 0)
    findings = findings_of(settings_of(drill, kubeconfig=str(write_kubeconfig(tmp_path / "k", served))), "kubernetes")
    server = findings["kubernetes", "server"]
    assert server.state is State.FAIL and "Connection refused" in server.words and server.remedy
    findings = findings_of(settings_of(drill, kubeconfig=str(tmp_path / "none")), "kubernetes")
    assert findings["kubernetes", "kubeconfig"].state is State.FAIL
    assert "no kubeconfig at" in findings["kubernetes", "kubeconfig"].words
    findings = findings_of(settings_of(drill, context="elsewhere"), "kubernetes")
    assert "there is: drill" in findings["kubernetes", "kubeconfig"].remedy


def test_a_namespace_that_is_not_there(drill: DrillThread) -> None:
    findings = findings_of(settings_of(drill, namespaces=("m0-nowhere",), namespace="m0-nowhere"), "kubernetes")
    assert findings["kubernetes", "namespace m0-nowhere"].state is State.FAIL
    services = findings["kubernetes", "services"]
    assert services.state is State.FAIL and "m0-submitter" in services.words


def test_a_server_that_answers_nothing_is_unknown_in_time(drill: DrillThread) -> None:
    chaos = drill.drill.world.kube.chaos
    drill.call(lambda d: chaos.freeze())
    try:
        findings = findings_of(settings_of(drill), "local", "kubernetes", limit_s=0.5)
    finally:
        drill.call(lambda d: chaos.thaw())
    server = findings["kubernetes", "server"]
    assert server.state in (State.UNKNOWN, State.FAIL) and "no answer" in server.words
    assert findings["local", "runbooks"].state is State.OK


def test_clocks_that_disagree_are_reported_with_their_number() -> None:
    with DrillThread("calm", history_s=400.0, start_at=time.time() - 60) as late:
        findings = findings_of(settings_of(late), "kubernetes", "prometheus")
    for area in ("kubernetes", "prometheus"):
        clock = findings[area, "clock"]
        assert clock.state is State.FAIL and "s behind this machine's" in clock.words and "15 s" in clock.remedy


# --- Prometheus


def test_a_query_that_is_refused_is_named(drill: DrillThread) -> None:
    with changed(drill.drill.prometheus_server.chaos, reject={"m0_drift_score"}):
        findings = findings_of(settings_of(drill), "prometheus")
    queries = findings["prometheus", "queries"]
    assert queries.state is State.FAIL
    assert "query rejected" in queries.words
    assert "signals/drift" in queries.words and "queries/drift-by-model" in queries.words
    assert findings["prometheus", "server"].state is State.OK


def test_absent_metrics_are_named_with_what_they_blind(drill: DrillThread, tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        '[signals.mine]\ntitle = "Mine"\npromql = "sum(rate(mine_total[1m])) or 0 * sum(rate(m0_commit_tx_total[1m]))"\nwarn = 1\n'
        '[signals.gone]\ntitle = "Gone"\npromql = "max(gone_gauge)"\nwarn = 1\n',
        "utf-8",
    )
    settings = settings_of(drill, runbooks=own)
    metrics = findings_of(settings, "prometheus")["prometheus", "metrics"]
    assert metrics.state is State.WARN
    assert "absent: gone_gauge, mine_total" in metrics.words and "without data: gone" in metrics.words
    own.write_text(own.read_text().split("[signals.gone]")[0], "utf-8")
    metrics = findings_of(settings, "prometheus")[
        "prometheus", "metrics"
    ]  # its sibling is counted: no signal is blind for it
    assert metrics.state is State.OK and "mine_total: not counted yet" in metrics.words


@pytest.mark.parametrize(
    ("chaos", "words"), [({"html": True}, "no Prometheus answers there"), ({"unavailable": True}, "drill: unavailable")]
)
def test_what_answers_is_no_prometheus_or_has_no_answer(drill: DrillThread, chaos: dict[str, bool], words: str) -> None:
    with changed(drill.drill.prometheus_server.chaos, **chaos):
        findings = findings_of(settings_of(drill), "prometheus")
    server = findings["prometheus", "server"]
    assert server.state is State.FAIL and words in server.words
    assert ("prometheus", "queries") not in findings


def test_partial_answers_are_a_warning(drill: DrillThread) -> None:
    with changed(drill.drill.prometheus_server.chaos, warnings=("store 3 is down",)):
        queries = findings_of(settings_of(drill), "prometheus")["prometheus", "queries"]
    assert queries.state is State.WARN and "store 3 is down" in queries.words


def test_prometheus_elsewhere_and_secrets_that_cannot_be_read(drill: DrillThread, tmp_path: Path) -> None:
    own = PrometheusSettings(url=f"http://user:hunter2hunter2@127.0.0.1:{closed_port()}")
    server = findings_of(settings_of(drill, prometheus=own), "prometheus")["prometheus", "server"]
    assert server.state is State.FAIL and "Connection refused" in server.words and "hunter2" not in server.words
    own = PrometheusSettings(url=drill.drill.prometheus, bearer_file=str(tmp_path / "none"))
    server = findings_of(settings_of(drill, prometheus=own), "prometheus")["prometheus", "server"]
    assert server.state is State.FAIL and "cannot read the Prometheus token" in server.words
    findings = findings_of(
        settings_of(drill, prometheus=PrometheusSettings(direct={"m0-x": f"http://127.0.0.1:{closed_port()}/metrics"})),
        "prometheus",
    )
    assert findings["prometheus", "server"].state is State.OFF
    assert findings["prometheus", "direct m0-x"].state is State.WARN


def test_the_metrics_of_a_query_are_found_in_its_tree() -> None:
    query = 'sum(rate(a_total{b="c_total"}[5m] offset 1m)) / on (x) group_left max_over_time({__name__="d"}[1h:1m]) > bool 3'
    assert metric_names(query) == {"a_total", "d"}
    assert metric_names("histogram_quantile(0.9, sum by (le) (e_bucket)) or -f unless topk(3, g)") == {
        "e_bucket",
        "f",
        "g",
    }
    assert metric_names("not promql (") == frozenset()


# --- Solana


def test_each_endpoint_is_judged_by_itself(drill: DrillThread) -> None:
    nodes = drill.drill.solana.nodes
    with changed(nodes["rpc-a"].chaos, unauthorised=True), changed(nodes["rpc-b"].chaos, health="behind 214"):
        findings = findings_of(settings_of(drill), "solana")
    refused = findings["solana", "endpoint rpc-a"]
    assert refused.state is State.FAIL and "401" in refused.words and "key" in refused.remedy
    behind = findings["solana", "endpoint rpc-b"]
    assert behind.state is State.WARN and "behind" in behind.words
    assert findings["solana", "endpoint rpc-c"].state is State.OK
    assert ("solana", "program by rpc-a") not in findings
    assert not [f for f in findings.values() if "KEYLIKE" in f.words + f.remedy]


def test_one_failed_request_is_no_dead_endpoint_nor_a_sound_one(drill: DrillThread) -> None:
    with changed(drill.drill.solana.nodes["rpc-a"].chaos, server_errors=1):
        once = findings_of(settings_of(drill), "solana")["solana", "endpoint rpc-a"]
    assert once.state is State.WARN and "but not at once" in once.words and "500" in once.words


def test_an_endpoint_of_another_cluster_is_reported(drill: DrillThread) -> None:
    from cockpit.drill.solana.node.chaos import DEVNET

    with changed(drill.drill.solana.nodes["rpc-c"].chaos, genesis=DEVNET):
        cluster = findings_of(settings_of(drill), "solana")["solana", "cluster"]
    assert cluster.state is State.FAIL and "rpc-c of devnet" in cluster.words


def test_a_stream_that_does_not_open_is_reported(drill: DrillThread) -> None:
    with changed(drill.drill.solana.nodes["rpc-b"].chaos, ws_refused=True):
        stream = findings_of(settings_of(drill), "solana")["solana", "stream of rpc-b"]
    assert stream.state is State.FAIL and "HTTP 503" in stream.words and "ws-url" in stream.remedy


def test_a_program_that_is_none(drill: DrillThread) -> None:
    settings = settings_of(drill)

    def with_program(program_id: str | None) -> dict[tuple[str, str], State]:
        findings = findings_of(settings_of(drill, solana=replace(settings.of(SOLANA), program_id=program_id)), "solana")
        return {key: f.state for key, f in findings.items() if key[0] == "solana" and "program" in key[1]}

    nowhere = with_program("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T")
    assert nowhere and set(nowhere.values()) == {State.FAIL}
    authority = str(drill.drill.solana.oracle.keys.authority.key)
    assert set(with_program(authority).values()) == {State.FAIL}  # an account, but no program
    assert with_program("m0c1ubOrac1e") == {("solana", "program"): State.FAIL}
    assert with_program(None) == {("solana", "program"): State.OFF}


def test_one_endpoint_alone_is_a_warning(drill: DrillThread) -> None:
    settings = settings_of(drill)
    alone = findings_of(settings_of(drill, rpc_endpoints=settings.of(RPC_ENDPOINTS)[:1]), "solana")
    assert alone["solana", "cluster"].state is State.WARN
    none = findings_of(
        settings_of(
            drill,
            rpc_endpoints=(RpcEndpoint(name="x", url=f"http://127.0.0.1:{closed_port()}/v2/SECRETKEY1234567890"),),
        ),
        "solana",
    )
    assert none["solana", "endpoint x"].state is State.FAIL and "SECRETKEY" not in none["solana", "endpoint x"].words


# --- probes


def test_probes_tell_each_url(drill: DrillThread) -> None:
    own = ProbesSettings(
        services={"m0-quant": f"{drill.drill.services}/m0-quant", "m0-gone": f"http://127.0.0.1:{closed_port()}"},
        output=OutputProbe(url=f"{drill.drill.services}/m0-quant/healthz?{{market}}", markets=("NBA",)),
        signers={"agent-0": f"http://127.0.0.1:{closed_port()}/status"},
    )
    findings = findings_of(settings_of(drill, probes=own), "probes")
    assert findings["probes", "m0-quant/healthz"].state is State.OK
    assert findings["probes", "m0-gone/readyz"].state is State.FAIL
    assert "Connection refused" in findings["probes", "m0-gone/readyz"].words
    assert findings["probes", "output/NBA"].state is State.FAIL
    assert [f.state for key, f in findings.items() if key[1].startswith("signer")] == [State.FAIL]
