"""What an API server says beside yes and no: wait, a warning, something else than was shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cockpit.journal.entries import entries_of
from cockpit.kubeapi import credentials
from cockpit.kubeapi.access import load_access
from cockpit.kubeapi.errors import warned
from cockpit.mitigation.cluster.objects import owner_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import DryRunState, Phase, Verdict
from panels.dialogs.confirm_words import plan_lines, progress_lines
from panels.kit.prose import Para
from tests.support.api_proxy import Answer, ApiProxy, Exchange, proxied
from tests.support.kube_rig import OTHER_URL, Rig, carry, guard, plan, step

SCALE = step("scale", "m0-ingestor", replicas=6)
STOP = step("scale", "m0-submitter", replicas=0)
SWITCH = step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL})
JOB = step("run-job", "", args={"cronjob": "m0-reconciler"})


@pytest.fixture
def proxy(rig: Rig) -> Iterator[ApiProxy]:
    """Between the cockpit and the API server."""
    with proxied(rig.served.url) as made:
        rig.served = replace(rig.served, url=made.url)
        yield made


def words(lines: list[Para]) -> str:
    return "\n".join("".join(text for text, _ in (*line.label, *line.spans)) for line in lines)


def throttled(
    proxy: ApiProxy, method: str, times: int, *, dry: bool | None = False, after: str = "1"
) -> list[Exchange]:
    """The next so many requests of a kind are told to wait, and not carried out."""
    refused: list[Exchange] = []

    def before(passed: Exchange) -> Answer | None:
        if passed.method != method or "/leases" in passed.path or len(refused) >= times:
            return None
        if dry is not None and passed.dry is not dry:
            return None
        refused.append(passed)
        return Answer.refusal(429, "TooManyRequests", Retry_After=after)

    proxy.before = before
    return refused


@pytest.mark.parametrize("what", [STOP, SWITCH], ids=["the kill switch, on /scale", "set-env"])
def test_a_server_that_asks_to_wait_is_waited_for(rig: Rig, proxy: ApiProxy, what: object) -> None:
    """S3: one 429 with Retry-After 1 on the kill switch was "rejected", rc 1."""
    refused = throttled(proxy, "PATCH", 2)
    said: list[str] = []
    executor = rig.executor()
    made = plan(executor, what)  # type: ignore[arg-type]
    executor._on_progress = lambda progress: said.append(progress.words)  # type: ignore[method-assign]
    progress = carry(executor, made)
    assert progress.phase not in (Phase.FAILED, Phase.STALE, Phase.UNCERTAIN), progress.words
    assert len(refused) == 2
    records = rig.journal.records()
    assert [r["kind"] for r in records].count("intent") == 1
    assert any("asked 2 times to wait (429)" in str(r.get("words")) for r in records if r["kind"] == "note")


def test_a_job_is_made_once_after_a_wait(rig: Rig, proxy: ApiProxy) -> None:
    """S3: of another kind, the creation of a Job."""
    throttled(proxy, "POST", 1)
    executor = rig.executor()
    made = plan(executor, JOB)
    refused = throttled(proxy, "POST", 1)
    assert carry(executor, made).phase is not Phase.FAILED
    assert len(refused) == 1
    assert len([p for p in proxy.writes() if p.path.endswith("/jobs") and p.status < 300]) == 1


def test_a_plan_waits_too(rig: Rig, proxy: ApiProxy) -> None:
    """S3: dry runs, readings and access reviews are asked again as well."""
    throttled(proxy, "PATCH", 1, dry=True)
    assert plan(rig.executor(), SCALE).dry_run.state is DryRunState.OK
    throttled(proxy, "GET", 2, dry=None)
    assert plan(rig.executors[0], SCALE).changes
    throttled(proxy, "POST", 1)
    made = plan(rig.executors[0], SCALE)
    assert not [g for g in made.guards if g.guard == "permission" and g.verdict.value != "pass"]


def test_a_server_that_never_lets_us_is_given_up_and_nothing_was_done(rig: Rig, proxy: ApiProxy) -> None:
    """S3: a day's Retry-After counts as a minute, and the waiting has an end."""
    made = plan(rig.executor(), SCALE)
    refused = throttled(proxy, "PATCH", 1000, after="86400")
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED
    assert "not carried out" in progress.words
    assert len(refused) == 2


def test_warnings_are_in_the_dialog_and_in_the_journal(rig: Rig, proxy: ApiProxy) -> None:
    """S4: `Warning:` headers of the API server were dropped."""
    text = '299 - "would violate PodSecurity \\"restricted:latest\\""'

    def after(passed: Exchange, answer: Answer) -> Answer:
        if passed.method == "PATCH" and "/deployments/" in passed.path:
            answer.headers["warning"] = text if passed.dry else text + ', 299 - "only now"'
        return answer

    proxy.after = after
    made = plan(rig.executor(), SCALE)
    assert made.dry_run.warnings == ('would violate PodSecurity "restricted:latest"',)
    assert "would violate PodSecurity" in words(plan_lines(made, production=False, left_s=100, wide=True))
    progress = carry(rig.executors[0], made)
    assert progress.warnings[1] == "only now"
    assert "only now" in words(progress_lines(progress))
    entry = entries_of(rig.journal.records())[1]
    assert "PodSecurity" in entry.intent["warnings"][0]
    assert entry.outcome is not None and entry.outcome["warnings"][1] == "only now"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['299 - "a"', '299 - "b"', '299 - "a"'], ("a", "b")),
        (['299 - "a", 299 - "b, c"'], ("a", "b, c")),
        (['299 kube-apiserver "say \\"x\\" \\\\ y"'], ('say "x" \\ y',)),
        (["nonsense", '299 - "unfinished', ""], ()),
        (['299 - "\x1b[2Jclear"'], ("␛[2Jclear",)),
    ],
)
def test_a_warning_is_read_as_it_was_meant(headers: list[str], expected: tuple[str, ...]) -> None:
    """S4: several in one header, quotes in quotes, and what is none."""
    found = warned(headers)
    assert len(found) == len(expected)
    assert [f for f in found if "\x1b" in f] == []
    if "\x1b" not in "".join(headers):
        assert found == expected


def mutated(proxy: ApiProxy, only_real: bool, path: str) -> None:
    """An admission that puts a label on the pods; `only_real`: not in a dry run."""

    def on_body(passed: Exchange) -> bytes:
        if passed.method not in ("PATCH", "POST") or path not in passed.path or (only_real and passed.dry):
            return passed.body
        body = json.loads(passed.body)
        spec = body.setdefault("spec", {})
        spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})["sidecar"] = "injected"
        return json.dumps(body).encode()

    proxy.on_body = on_body


def test_what_the_server_did_beyond_the_dry_run_is_said(rig: Rig, proxy: ApiProxy) -> None:
    """S6: an admission that mutates only the real request: "sent … rolled out"."""
    mutated(proxy, True, "/deployments/m0-submitter")
    made = plan(rig.executor(), SWITCH)
    progress = carry(rig.executors[0], made)
    assert progress.beyond == ("spec.template.metadata.labels.sidecar",)
    assert "SOMETHING ELSE" in progress.words and "labels.sidecar" in progress.words
    assert "labels.sidecar" in words(progress_lines(progress))
    outcome = entries_of(rig.journal.records())[1].outcome
    assert outcome is not None and outcome["beyond_plan"] == ["spec.template.metadata.labels.sidecar"]


@pytest.mark.parametrize("touched", [False, True])
def test_what_was_shown_is_no_surprise(rig: Rig, proxy: ApiProxy, touched: bool) -> None:
    """S6: what the dry run showed too, or another changed elsewhere meanwhile, is not said."""
    mutated(proxy, False, "/deployments/m0-submitter")
    made = plan(rig.executor(), SWITCH)
    assert any("sidecar" in path for path in made.dry_run.changed)
    if touched:
        rig.do(lambda: rig.touch("m0-submitter"))
    progress = carry(rig.executors[0], made)
    assert (progress.beyond, progress.phase is Phase.FAILED) == ((), False)


def test_a_job_that_came_out_otherwise_is_said_too(rig: Rig, proxy: ApiProxy) -> None:
    """S6: of what is made; its own uid and the labels with it are no difference."""
    assert carry(rig.executor(), plan(rig.executors[0], JOB)).beyond == ()
    mutated(proxy, True, "/jobs")
    made = plan(rig.executors[0], JOB)
    assert carry(rig.executors[0], made).beyond == ("spec.template.metadata.labels.sidecar",)


def rewritten(rig: Rig, **changes: str) -> None:
    """The kubeconfig of the cockpit is written anew: user name, token."""
    path = rig.directory / f"kubeconfig-{rig.token}"
    config = json.loads(path.read_text())
    if "user" in changes:
        config["users"][0]["name"] = config["contexts"][0]["context"]["user"] = changes["user"]
    if "as_" in changes:
        config["users"][0]["user"]["as"] = changes["as_"]
    config["users"][0]["user"]["token"] = changes.get("token", rig.token)
    path.write_text(json.dumps(config))


def unauthorised_once(proxy: ApiProxy) -> None:
    """The next change is refused with a 401, as when a token has expired."""
    left = [1]

    def before(passed: Exchange) -> Answer | None:
        if passed.method == "PATCH" and not passed.dry and "/deployments/" in passed.path and left[0]:
            left[0] = 0
            return Answer.refusal(401, "Unauthorized")
        return None

    proxy.before = before


@pytest.mark.parametrize(
    "changes",
    [{"user": "somebody-else"}, {"as_": "root"}, {"token": "viewer"}],
    ids=["another name", "acting as another", "another's token under the same name"],
)
def test_a_change_never_goes_out_as_another_user(rig: Rig, proxy: ApiProxy, changes: dict[str, str]) -> None:
    """S7: a 401 at the send read the kubeconfig again, and the PATCH went out as admin."""
    made = plan(rig.executor(), SCALE)
    rewritten(rig, **changes)
    unauthorised_once(proxy)
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED, progress.words
    assert "no longer" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4


def not_said(proxy: ApiProxy, times: int) -> None:
    """So many times the server does not say who asks."""
    left, usual = [times], proxy.before

    def before(passed: Exchange) -> Answer | None:
        if passed.path.endswith("/selfsubjectreviews") and left[0]:
            left[0] -= 1
            return Answer.refusal(503, "ServiceUnavailable")
        return usual(passed)

    proxy.before = before


def test_who_we_are_is_asked_until_it_is_said(rig: Rig, proxy: ApiProxy) -> None:
    """S7: one review that failed left the user unpinned for as long as the cockpit ran."""
    not_said(proxy, 1)
    plan(rig.executor(), SCALE)
    made = plan(rig.executors[0], SCALE)
    rewritten(rig, token="viewer")
    unauthorised_once(proxy)
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED and "no longer" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4


@pytest.mark.parametrize(
    ("changes", "answered", "goes"),
    [({"token": "viewer"}, False, False), ({"token": "viewer"}, True, False), ({}, True, True), ({}, False, True)],
    ids=["another's", "another's, named now", "the same", "the same, read again unnamed"],
)
def test_a_plan_of_which_nobody_says_whose_goes_with_its_own_credentials_or_not(
    rig: Rig, proxy: ApiProxy, changes: dict[str, str], answered: bool, goes: bool
) -> None:
    """S7: the review was refused at the plan; the change went out with any credentials."""
    not_said(proxy, 1 if answered else 99)
    made = plan(rig.executor(), SCALE)
    note = guard(made, "sender")
    assert note.verdict is Verdict.NOTE and "does not say who we are" in note.reason
    rewritten(rig, **changes)
    unauthorised_once(proxy)
    progress = carry(rig.executors[0], made)
    assert (progress.phase is not Phase.FAILED) is goes, progress.words
    assert goes or "the credentials are others than when it was planned" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == (6 if goes else 4)


def test_new_credentials_of_which_nobody_says_whose_send_nothing(rig: Rig, proxy: ApiProxy) -> None:
    """S7: what cannot be compared is not the same."""
    made = plan(rig.executor(), SCALE)
    rewritten(rig, token="viewer")
    unauthorised_once(proxy)
    not_said(proxy, 9)
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED and "does not say whether" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4


@pytest.mark.parametrize(("token", "goes"), [("rival", False), ("shift", True)])
def test_a_token_file_that_becomes_anothers_sends_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, token: str, goes: bool
) -> None:
    """S7: read again each minute, it needed no 401 to let the change out as another."""
    monkeypatch.setattr(credentials, "_CACHE_S", 0.0)
    own = rig.world.users[rig.token]
    rig.world.users |= {"shift": dataclasses.replace(own), "rival": dataclasses.replace(own, name="rival")}
    executor = rig.executor()
    path, file = rig.directory / f"kubeconfig-{rig.token}", rig.directory / "token"
    file.write_text(rig.token)
    config = json.loads(path.read_text())
    config["users"][0]["user"] = {"tokenFile": str(file)}
    path.write_text(json.dumps(config))
    made = plan(executor, SCALE)
    file.write_text(token)
    progress = carry(executor, made)
    assert (progress.phase is not Phase.FAILED) is goes, progress.words
    assert goes or "no longer" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == (6 if goes else 4)


def test_the_same_user_with_a_new_token_goes_on(rig: Rig, proxy: ApiProxy) -> None:
    """S7: that is what the 401 is read again for."""
    made = plan(rig.executor(), SCALE)
    rewritten(rig)
    unauthorised_once(proxy)
    assert carry(rig.executors[0], made).phase is not Phase.FAILED
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 6


def test_a_reload_compares_user_and_server(rig: Rig, tmp_path: Path) -> None:
    """S7: pinned like the server."""
    rig.executor()
    access = load_access(str(rig.directory / f"kubeconfig-{rig.token}"))
    assert access.reload().user == access.user
    rewritten(rig, user="somebody-else")
    with pytest.raises(Exception, match="no longer as"):
        access.reload()


@pytest.mark.parametrize(
    ("fields", "owner"),
    [
        (["spec.replicas"], "kubectl"),
        (["env URL"], "m0-cockpit at 2026-11-30T06:00:00Z"),
        (["env URL", "spec.replicas"], ""),  # several: none of them alone
        (["env GONE"], ""),
        (["spec.strategy"], ""),
    ],
)
def test_who_changed_it_is_the_fields_own_manager(fields: list[str], owner: str) -> None:
    """S8: "last written by m0-cockpit" though it was kubectl's `/scale`: its entry has no time."""
    env: dict[str, Any] = {"f:env": {".": {}, 'k:{"name":"URL"}': {".": {}, "f:name": {}, "f:value": {}}}}
    template = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"main"}': env}}}}
    obj = {
        "metadata": {
            "managedFields": [
                {"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "m0-cockpit", "time": "2026-11-30T06:00:00Z", "fieldsV1": {"f:spec": template}},
                {"manager": "kube-controller-manager", "subresource": "status", "fieldsV1": {"f:spec": template}},
            ]
        }
    }
    assert owner_of(obj, fields) == owner


def test_read_only_client_is_the_last_door(rig: Rig, proxy: ApiProxy) -> None:
    """S5: whatever asks for it, a read-only cockpit's client lets nothing else out."""
    rig.read_only = True
    for what in (SCALE, STOP, SWITCH, JOB):
        made = plan(rig.executor(), what)
        assert made.blocked and made.dry_run.state is DryRunState.UNKNOWN
        with pytest.raises(PlanProblem):
            carry(rig.executors[-1], made)
    others = {(p.method, p.path) for p in proxy.exchanges if p.method != "GET"}
    assert others <= {("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")}
