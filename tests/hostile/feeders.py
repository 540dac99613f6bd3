"""Feeds a text to every public function that outside text passes, each in its own way.

The test walks the rooms below: a public function that is neither fed nor excused is refused.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import io
import json
import pkgutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from cockpit import patterns, secrets, text
from cockpit.assessment.explain import pod as explain_of_pod
from cockpit.assessment.explain import workload as explain_of_workload
from cockpit.errors import CockpitError
from cockpit.incident.evidence import bundle, onchain
from cockpit.incident.evidence import redaction as evidence_redaction
from cockpit.kubeapi import convert, wire
from cockpit.kubeapi import errors as kube_errors
from cockpit.kubeapi.shapes import managed
from cockpit.model.observed.cluster import Cluster, Container, Pod
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.oracle import base58, bundle_file, layouts, logs
from cockpit.oracle import errors as oracle_errors
from cockpit.redaction import addresses, commands, forms, marks, names, own, pairs, passes, redact, urls, values
from cockpit.sources.kubernetes import log_lines
from cockpit.sources.kubernetes import network_policies as policies
from cockpit.sources.kubernetes.configmaps import configmap
from cockpit.sources.postgres import sql_text
from panels.screens.logs import page
from tests.support.samples.cluster import sample_pod

#: The rooms that are walked, with all their modules.
ROOMS = (
    "cockpit.text",
    "cockpit.patterns",
    "cockpit.redaction",
    "cockpit.secrets",
    "cockpit.sources.kubernetes.configmaps",
    "cockpit.sources.kubernetes.log_lines",
    "cockpit.sources.kubernetes.network_policies",
    "cockpit.sources.postgres.sql_text",
    "cockpit.assessment.explain",
    "cockpit.incident.evidence",
    "cockpit.kubeapi.convert",
    "cockpit.kubeapi.errors",
    "cockpit.oracle.base58",
    "cockpit.oracle.bundle_file",
    "cockpit.oracle.errors",
    "cockpit.oracle.layouts",
    "cockpit.oracle.logs",
    "panels.screens.logs.page",
)
NOBODY = Runbooks(queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=())
ADDRESS = "1" * 32


def pod_of(raw: str) -> Pod:
    container = Container(
        name=raw,
        image=raw,
        ready=False,
        phase="waiting",
        restarts=3,
        reason=raw,
        message=raw,
        exit_code=None,
        started_at=None,
        finished_at=None,
    )
    return sample_pod(
        name=raw,
        created_at=0.0,
        labels={raw: raw},
        owner_name=raw,
        service=raw,
        phase="Pending",
        reason=raw,
        message=raw,
        ready=0,
        restarts=3,
        node=raw,
        containers=(container,),
    )


def _decoded(kind: type[object], body: object) -> object:
    """Decode a body as it comes over the wire: in UTF-8, which has no lone surrogates."""
    return msgspec.json.decode(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), type=kind)


def _pod_w(raw: str) -> wire.PodW:
    status = {"phase": raw, "message": raw, "reason": raw, "containerStatuses": [{"name": raw, "image": raw}]}
    found = _decoded(wire.PodW, {"metadata": {"name": raw, "labels": {raw: raw}}, "status": status})
    assert isinstance(found, wire.PodW)
    return found


def _workload_w(raw: str) -> wire.WorkloadW:
    env = [{"name": raw, "value": raw}]
    template = {"spec": {"containers": [{"name": raw, "image": raw, "env": env}]}}
    found = _decoded(
        wire.WorkloadW, {"metadata": {"name": raw, "annotations": {raw: raw}}, "spec": {"template": template}}
    )
    assert isinstance(found, wire.WorkloadW)
    return found


def _event(raw: str) -> object:
    body = {"metadata": {"name": raw}, "reason": raw, "message": raw, "involvedObject": {"kind": raw, "name": raw}}
    found = _decoded(wire.EventW, body)
    assert isinstance(found, wire.EventW)
    return convert.event(found)


def _configmap(raw: str) -> object:
    found = _decoded(
        wire.ConfigMapW, {"metadata": {"name": raw, "annotations": {managed.APPLIED: raw}}, "data": {raw: raw}}
    )
    assert isinstance(found, wire.ConfigMapW)
    return configmap(found)


def _network_policy(raw: str) -> object:
    chosen = {"matchLabels": {raw: raw}, "matchExpressions": [{"key": raw, "operator": raw, "values": [raw]}]}
    rule = {"from": [{"podSelector": chosen, "namespaceSelector": chosen}]}
    spec = {"podSelector": chosen, "ingress": [rule], "policyTypes": [raw, "Ingress"]}
    found = _decoded(policies.NetworkPolicyW, {"metadata": {"name": raw, "namespace": raw}, "spec": spec})
    assert isinstance(found, policies.NetworkPolicyW)
    return policies.network_policy(found)


def _refused(call: Callable[[], object]) -> object:
    """Return what a call gives; a refusal in the program's own words is an answer."""
    try:
        return call()
    except (CockpitError, ValueError, layouts.Undecodable):
        return None


def _capture(raw: str) -> object:
    async def collect() -> object:
        return {"a": raw, raw[:300]: [raw]}

    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(bundle.capture(Path(directory), "b", {"p.json": collect}, {"reason": raw}, wall=0.0))


def _verify(raw: str) -> object:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "b.tar"
        data = raw.encode("utf-8", "replace")
        with tarfile.open(path, "w") as tar:
            for name in ("manifest.json", "p.json"):
                about = tarfile.TarInfo(f"b/{name}")
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
        return bundle.verify(path)


def _explained(raw: str) -> object:
    pod = pod_of(raw)
    cluster = Cluster(pods={"u": pod})
    return explain_of_workload.explain_pod(cluster, pod, 10.0)


def _log_page(raw: str) -> object:
    shown = page.LogPage()
    line, _ = log_lines.parse(raw.encode("utf-8", "replace"), "p", "c")
    shown.append([line])
    for query in ("(a*)*b", "(?i)(key|k.*)*=$", raw[:200]):
        shown.set_filter(query)
    return shown.shown


def _pattern(raw: str) -> object:
    for pattern in (r"(a|aa)*b", r"(?i)(x+x+)+y", r"(.*a){12}$", r"^(\w+\s?)*$"):
        made = patterns.Pattern(pattern)
        made.found_in(raw), made.is_whole(raw), made.first(raw)
    return _refused(lambda: patterns.compiled(raw[:2000]))


def _api_error(raw: str) -> object:
    body = json.dumps({"message": raw, "reason": raw, "details": {"name": raw}}).encode()
    path = "/api/v1/namespaces/n/pods/x"
    return [
        kube_errors.from_answer(500, answer, method="GET", path=path)
        for answer in (body, raw.encode("utf-8", "replace"))
    ]


FEED: dict[str, Callable[[str], object]] = {
    "cockpit.text:clean": text.clean,
    "cockpit.text:split_words": text.split_words,
    "cockpit.text:safe": text.safe,
    "cockpit.text:url_secrets": text.url_secrets,
    "cockpit.text:url_keys": text.url_keys,
    "cockpit.text:url_hint": text.url_hint,
    "cockpit.text:without": lambda raw: text.without(raw, (raw[:40], "key")),
    "cockpit.text:typed": text.typed,
    "cockpit.text:has_unseen": text.has_unseen,
    "cockpit.patterns:compiled": _pattern,
    "cockpit.redaction.own:hide_own": own.hide_own,
    "cockpit.redaction:redact": redact,
    "cockpit.redaction.passes:redact_once": passes.redact_once,
    "cockpit.redaction.commands:hide_commands": commands.hide_commands,
    "cockpit.redaction.forms:hide_forms": forms.hide_forms,
    "cockpit.redaction.pairs:hide_pairs": pairs.hide_pairs,
    "cockpit.redaction.urls:hide_urls": urls.hide_urls,
    "cockpit.redaction.urls:hide_rest": urls.hide_rest,
    "cockpit.redaction.addresses:split_authority": lambda raw: addresses.split_authority("https", raw),
    "cockpit.redaction.addresses:parts_of": addresses.parts_of,
    "cockpit.redaction.names:words_of": names.words_of,
    "cockpit.redaction.names:secrecy": names.secrecy,
    "cockpit.redaction.names:secret_variable": names.secret_variable,
    "cockpit.redaction.marks:listed": marks.listed,
    "cockpit.redaction.marks:is_reference": marks.is_reference,
    "cockpit.redaction.marks:is_said": marks.is_said,
    "cockpit.redaction.marks:is_count": marks.is_count,
    "cockpit.redaction.marks:is_local_path": marks.is_local_path,
    "cockpit.redaction.marks:is_uuid": marks.is_uuid,
    "cockpit.redaction.marks:looks_random": marks.looks_random,
    "cockpit.redaction.marks:decoded": marks.decoded,
    "cockpit.redaction.values:refers": lambda raw: values.refers(raw, 0),
    "cockpit.redaction.values:quoted_end": lambda raw: values.quoted_end(f'"{raw}', 0),
    "cockpit.redaction.values:bracket_end": lambda raw: values.bracket_end(f"{{{raw}", 0),
    "cockpit.redaction.values:block_end": lambda raw: values.block_end(raw, 0, 0, items=True),
    "cockpit.redaction.values:line_end": lambda raw: values.line_end(raw, 0, 0),
    "cockpit.redaction.values:read_value": lambda raw: values.read_value(raw, 0, 0),
    "cockpit.secrets:toggle_of": lambda raw: secrets.toggle_of(NOBODY, raw),
    "cockpit.secrets:display_value": lambda raw: [
        secrets.display_value(NOBODY, name, value) for name, value in (("A", raw), (raw, "a"))
    ],
    "cockpit.secrets:env_value": lambda raw: secrets.env_value({"name": raw, "value": raw}),
    "cockpit.secrets:display_env": lambda raw: [
        secrets.display_env(NOBODY, "A", value)
        for value in ({"value": raw}, {"valueFrom": {"secretKeyRef": {"name": raw, "key": raw}}})
    ],
    "cockpit.secrets:safe_to_journal": lambda raw: secrets.safe_to_journal(NOBODY, "A", {"value": raw}),
    "cockpit.secrets:fingerprint": lambda raw: secrets.fingerprint("salt", raw.encode("utf-8", "replace").decode()),
    "cockpit.secrets:learn_key": lambda raw: secrets.learn_key(raw.encode("utf-8", "replace")),
    "cockpit.secrets:new_salt": lambda raw: secrets.new_salt(raw),
    "cockpit.secrets:secret_arguments": lambda raw: secrets.secret_arguments(raw.split(" ")),
    "cockpit.secrets:hide_arguments": lambda raw: secrets.hide_arguments({"args": raw.split(" ")}),
    "cockpit.secrets:mask_secrets": lambda raw: secrets.mask_secrets({"a": [raw]}, (raw[:40], "password")),
    "cockpit.sources.kubernetes.log_lines:parse": lambda raw: log_lines.parse(raw.encode("utf-8", "replace"), "p", "c"),
    "cockpit.sources.kubernetes.log_lines:trace_id": log_lines.trace_id,
    "cockpit.sources.postgres.sql_text:tokens": sql_text.tokens,
    "cockpit.sources.postgres.sql_text:shown": sql_text.shown,
    "cockpit.sources.postgres.sql_text:quoted": sql_text.quoted,
    "cockpit.sources.postgres.sql_text:relation": lambda raw: sql_text.relation(raw, raw),
    "cockpit.sources.postgres.sql_text:unquoted": lambda raw: sql_text.unquoted("name", raw),
    "cockpit.assessment.explain.pod:pod_summary": lambda raw: explain_of_pod.pod_summary(pod_of(raw), 1.0),
    "cockpit.assessment.explain.pod:container_lines": lambda raw: explain_of_pod.container_lines(pod_of(raw), 1.0),
    "cockpit.assessment.explain.pod:exit_words": lambda raw: explain_of_pod.exit_words(1, raw),
    "cockpit.assessment.explain.pod:held_back": lambda raw: explain_of_pod.held_back(pod_of(raw)),
    "cockpit.assessment.explain.pod:next_step": lambda raw: explain_of_pod.next_step(pod_of(raw)),
    "cockpit.assessment.explain.workload:explain_pod": _explained,
    "cockpit.assessment.explain.workload:explain_workload": lambda raw: explain_of_workload.explain_workload(
        Cluster(pods={"u": pod_of(raw)}), convert.deployment(_workload_w(raw)), 1.0
    ),
    "cockpit.incident.evidence.bundle:capture": _capture,
    "cockpit.incident.evidence.bundle:verify": _verify,
    "cockpit.incident.evidence.bundle:tarred": lambda raw: bundle.tarred({"p": raw.encode("utf-8", "replace")}, 0),
    "cockpit.incident.evidence.redaction:redacted": lambda raw: evidence_redaction.redacted(
        {"a": {"token": raw, "b": [raw]}}
    ),
    "cockpit.incident.evidence.onchain:fault_words": lambda raw: onchain.fault_words(Fault(SourceState.DOWN, raw, raw)),
    "cockpit.incident.evidence.onchain:standing": lambda raw: onchain.standing(Reading(raw, raw, 0.0), 1.0),
    "cockpit.kubeapi.convert:prose": convert.prose,
    "cockpit.kubeapi.convert:pod": lambda raw: convert.pod(_pod_w(raw)),
    "cockpit.kubeapi.convert:workload": lambda raw: convert.workload("Deployment", _workload_w(raw)),
    "cockpit.kubeapi.convert:event": _event,
    "cockpit.sources.kubernetes.configmaps:configmap": _configmap,
    "cockpit.kubeapi.convert:env_value": lambda raw: convert.env_value("NAME", raw),
    "cockpit.sources.kubernetes.network_policies:network_policy": _network_policy,
    "cockpit.kubeapi.errors:describe": lambda raw: _refused(lambda: kube_errors.describe("GET", f"/api/v1/{raw}")),
    "cockpit.kubeapi.errors:decode_status": lambda raw: kube_errors.decode_status(raw.encode("utf-8", "replace")),
    "cockpit.kubeapi.errors:from_answer": _api_error,
    "cockpit.kubeapi.errors:warned": lambda raw: kube_errors.warned([f'299 - "{raw}"', raw]),
    "cockpit.oracle.base58:decode": base58.decode,
    "cockpit.oracle.base58:pubkey": base58.pubkey,
    "cockpit.oracle.bundle_file:read_bundle": lambda raw: _refused(
        lambda: bundle_file.read_bundle(raw.encode("utf-8", "replace"))
    ),
    "cockpit.oracle.bundle_file:read_signer_set": lambda raw: _refused(
        lambda: bundle_file.read_signer_set(raw.encode("utf-8", "replace"))
    ),
    "cockpit.oracle.errors:failure_of": lambda raw: oracle_errors.failure_of(
        {"InstructionError": [0, {raw[:300]: raw}]}, ours=True
    ),
    "cockpit.oracle.layouts:decode_event": lambda raw: _refused(lambda: layouts.decode_event(raw)),
    "cockpit.oracle.layouts:account_of": lambda raw: _refused(
        lambda: layouts.account_of(raw, {"data": [raw, "base64"], "owner": raw, "lamports": 1}, 1)
    ),
    "cockpit.oracle.logs:read_logs": lambda raw: logs.read_logs(raw.split("\n"), ADDRESS),
    "panels.screens.logs.page:LogPage.set_filter": _log_page,
    "panels.screens.logs.page:rows_of": lambda raw: page.rows_of(raw, 80, True),
}
#: What no text from outside reaches, or only through what is fed above.
EXCUSED = {
    "cockpit.assessment.explain.selected:explain": "chooses among the explanations that are fed above",
    "cockpit.assessment.explain.signal:explain_signal": "a signal's words: its reason was cleaned where it was read",
    "cockpit.assessment.explain.alert:explain_alert": "an alert's words: they were cleaned and bounded where they were read",
    "cockpit.assessment.explain.signal:service_of": "names of the runbooks",
    "cockpit.assessment.explain.signal:unwell_signals": "names of the runbooks",
    "cockpit.incident.evidence.collectors:log_services": "names of the runbooks",
    "cockpit.text:counted": "a number, and a word of ours",
    "cockpit.redaction.own:remember": "the operator's own configuration",
    "cockpit.redaction.own:forget": "no text",
    "cockpit.assessment.explain.pod:span": "a number",
    "cockpit.assessment.explain.pod:ago": "numbers",
    "cockpit.incident.evidence.collectors:collectors": "fed by evidence's own test; every part goes through capture",
    "cockpit.incident.evidence.collectors:runbooks_digest": "the operator's own file",
    "cockpit.incident.evidence.collectors:manifest_about": "goes through capture",
    "cockpit.incident.evidence.onchain:find_last": "asks the chain; what it finds goes through capture",
    "cockpit.incident.evidence.onchain:chain_parts": "names parts; they go through capture",
    "cockpit.incident.evidence.onchain:last_bundle": "goes through capture",
    "cockpit.kubeapi.convert:deployment": "is workload",
    "cockpit.kubeapi.convert:statefulset": "is workload",
    "cockpit.kubeapi.convert:replicaset": "has the fields of a workload",
    "cockpit.kubeapi.convert:autoscaler": "numbers and names, cleaned as a workload's",
    "cockpit.kubeapi.convert:text": "is clean",
    "cockpit.kubeapi.convert:written_of": "names of managers, cleaned as a workload's",
    "cockpit.kubeapi.convert:job": "has the fields of a workload",
    "cockpit.kubeapi.convert:unix": "a time of at most 40 characters, else none",
    "cockpit.incident.evidence.onchain:trouble_words": "numbers",
    "cockpit.oracle.base58:encode": "bytes of fixed length",
    "cockpit.oracle.bundle_file:canonical": "of values that were read",
    "cockpit.oracle.layouts:event_discriminator": "the program's own names",
    "cockpit.oracle.layouts:account_discriminator": "the program's own names",
    "cockpit.oracle.layouts:protocol_state": "bytes at fixed places, through account_of",
    "cockpit.oracle.layouts:signer_set_state": "bytes at fixed places, through account_of",
    "cockpit.oracle.layouts:market_state": "bytes at fixed places, through account_of",
}


def public_functions() -> Iterator[str]:
    """Name every public function of the rooms, as "module:function"."""
    for room in ROOMS:
        module = importlib.import_module(room)
        below = getattr(module, "__path__", None)
        modules = [module]
        if below is not None:
            modules += [importlib.import_module(found.name) for found in pkgutil.walk_packages(below, f"{room}.")]
        for each in modules:
            for name, value in vars(each).items():
                own = getattr(value, "__module__", "") == each.__name__
                called = inspect.isfunction(value) or hasattr(value, "cache_info")
                if own and called and not name.startswith("_"):
                    yield f"{each.__name__}:{name}"
