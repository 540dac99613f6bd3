"""`set-config` sets one key of a ConfigMap, by merge patch with its resourceVersion.

Keys: `args.configmap`, `args.key`, `args.value` (they may hold "{param}"). Arguments: {"key": name,
"value": text, or None to remove the key}. What takes the key is said, and whether it needs a
restart to see the change. A value of several lines is shown as a diff.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation import copied
from cockpit.mitigation.cluster.configmaps import Workloads, consumers, workloads
from cockpit.mitigation.cluster.objects import Subject, fetch_configmap
from cockpit.mitigation.cluster.patches import MERGE
from cockpit.mitigation.context import StepContext
from cockpit.mitigation.kind import Draft, Patch, RawInverse, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.steps.patch import PatchContext, PatchStep
from cockpit.mitigation.steps.toggles import dangers_of, owes, relaxing
from cockpit.model.plan import Change
from cockpit.model.runbook import Runbooks, Service, Step
from cockpit.secrets import display_value, fingerprint
from cockpit.text import clean, redact

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")  # Kubernetes API reference, ConfigMap: data
_DIFF_LINES = 24
_KEPT = 64 * 1024  # characters of an older value that the journal keeps
_MOST = 512 * 1024  # bytes: a ConfigMap holds 1 MiB


class SetConfig(PatchStep):
    rolls = False

    def target_name(self, step: Step, values: Mapping[str, str]) -> str:
        name = filled(step.args.get("configmap", ""), values, f"step {step.id}: args.configmap")
        if not name:
            raise PlanProblem(f"step {step.id} names no ConfigMap", "correct runbooks.toml: args.configmap")
        return name

    async def fetch(self, context: StepContext, name: str, kind: str) -> Subject:
        obj = await fetch_configmap(context.client, context.namespace, name)
        return Subject(*context.place, kind="ConfigMap", name=name, obj=obj, service=Service())

    async def survey(self, client: KubeClient, subject: Subject) -> Workloads | str:
        """Read the workloads of the namespace, or why they are not known."""
        try:
            return await workloads(client, subject.namespace)
        except KubeError as error:
            return error.line()

    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        key = filled(step.args.get("key", ""), values, f"step {step.id}: args.key")
        if "value" not in step.args:
            raise PlanProblem(f"step {step.id} gives no value", "correct runbooks.toml: args.value")
        return {"key": key, "value": filled(step.args["value"], values, f"step {step.id}: args.value")}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        key = str(scope["key"])
        value = (obj.get("data") or {}).get(key)
        return {f"data {key}": None if value is None else fingerprint(salt, value)}

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        key, value = str(arguments["key"]), arguments["value"]
        _check(subject, key, value, around.runbooks)
        before = (subject.obj.get("data") or {}).get(key)
        scope = {"key": key}
        relevant = self.relevant(subject.obj, scope, around.salt)
        old, new = _as_env(key, before), _as_env(key, value)
        changed = before != value
        diff = _diff(around.runbooks, key, before, value)
        patch = Patch(
            subject=subject,
            body={"data": {key: value}},
            content_type=MERGE,
        )
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            scope=scope,
            relevant=relevant,
            expected={f"data {key}": None if value is None else fingerprint(around.salt, value)},
            changes=(_change(around.runbooks, key, before, value, bool(diff)),) if changed else (),
            kubectl=_line(subject, around.runbooks, key, value),
            blast=(*diff, *_consumers(around.seen, subject, key)),
            inverse=_inverse(subject, around, key, before),
            dangers=dangers_of(around.runbooks, new, old) if changed else (),
            relaxing=relaxing(around.runbooks, new, old) if changed else (),
            owes=owes(around.runbooks, new, old),
            hidden=tuple(text for text in (before, value) if text and not _safe_to_journal(around.runbooks, key, text)),
        )


KIND = SetConfig()


def _check(subject: Subject, key: str, value: str | None, runbooks: Runbooks) -> None:
    if not _KEY.fullmatch(key):
        raise PlanProblem(f"{clean(key, 80) or 'no name'}: not a key of a ConfigMap", "letters, digits, - _ and . only")
    if subject.obj.get("immutable"):
        raise PlanProblem(f"configmap {subject.name} is immutable", "make another one and point its readers there")
    if key in (subject.obj.get("binaryData") or {}):
        raise PlanProblem(f"{key} holds binary data, which this step cannot show", "change it by hand")
    if value is not None and len(value.encode()) > _MOST:
        raise PlanProblem(
            f"the value of {key} is larger than {_MOST // 1024} KiB", "a ConfigMap holds no more: make it smaller"
        )
    known = runbooks.variable(key)
    wrong = known.wrong(value) if known is not None and value is not None else ""
    if wrong:
        raise PlanProblem(f"{key}={display_value(runbooks, key, value or '')}: not a value of {key}", wrong)


def _as_env(key: str, value: str | None) -> dict[str, dict[str, Any] | None]:
    return {key: None if value is None else {"value": value}}


def _shown(runbooks: Runbooks, key: str, value: str | None) -> str | None:
    return None if value is None else display_value(runbooks, key, value)


def _change(runbooks: Runbooks, key: str, before: str | None, after: str | None, several: bool) -> Change:
    if several:
        lines = [f"{text.count(chr(10)) + 1} lines" if text is not None else None for text in (before, after)]
        return Change(key, lines[0], lines[1], "the lines that differ are below")
    old, new = (_shown(runbooks, key, value) for value in (before, after))
    return Change(key, old, new, "another value behind the same shown part" if old == new else "")


def _safe_to_journal(runbooks: Runbooks, key: str, value: str) -> bool:
    """Tell whether nothing of it is hidden where it is shown: the journal may keep it whole."""
    if "\n" not in value and len(value) < 500:
        return display_value(runbooks, key, value) == value
    return _open(runbooks, key) and redact(f"{key}={value}") == f"{key}={value}" and len(value) <= _KEPT


def _open(runbooks: Runbooks, key: str) -> bool:
    """Tell whether the key's name leaves open that its value is a secret or an address."""
    return display_value(runbooks, key, "x") == "x"


def _diff(runbooks: Runbooks, key: str, before: str | None, after: str | None) -> tuple[str, ...]:
    """Return the changed lines of a value of several lines, redacted one by one.

    Empty for a value of one line, or a hidden one.
    """
    old, new = (before or "").splitlines(), (after or "").splitlines()
    if max(len(old), len(new)) < 2 or not _open(runbooks, key):
        return ()
    lines = [
        clean(redact(line), 200)
        for line in difflib.unified_diff(old, new, lineterm="", n=1)
        if not line.startswith(("---", "+++"))
    ]
    if len(lines) > _DIFF_LINES:
        lines = [*lines[:_DIFF_LINES], f"… {len(lines) - _DIFF_LINES} more lines differ"]
    return tuple(lines)


def _consumers(seen: Workloads | str | None, subject: Subject, key: str) -> tuple[str, ...]:
    """Say what takes the key, and what must be restarted."""
    if isinstance(seen, str):
        return (f"who takes it is not known: {seen}",)
    found = consumers(seen or (), subject.name, key)
    lines = [consumer.words for consumer in found]
    restart = [consumer.name for consumer in found if consumer.restart]
    if restart:
        lines.append(f"restart {', '.join(dict.fromkeys(restart))} afterwards: this step does not")
    return tuple(lines) or (f"no workload of {subject.namespace} takes this key from {subject.name}",)


def _inverse(subject: Subject, around: PatchContext, key: str, before: str | None) -> RawInverse:
    shown = _shown(around.runbooks, key, before)
    kept: Any = before
    if before is not None and not _safe_to_journal(around.runbooks, key, before):
        kept = {"hidden": fingerprint(around.salt, before)}
    several = "\n" in (before or "")
    words = f"remove {key}" if before is None else f"set {key} back to {'what it was' if several else shown or 'empty'}"
    return RawInverse(
        {"key": key, "value": before}, {"key": key, "value": kept}, words, _line(subject, around.runbooks, key, before)
    )


def _line(subject: Subject, runbooks: Runbooks, key: str, value: str | None) -> str:
    text = value if value is None or _shown(runbooks, key, value) == value else copied.hidden(key)
    patch = canonical({"data": {key: text}})
    return f"{kubectl_prefix(subject)} patch configmap {shlex.quote(subject.name)} --type merge -p {copied.word(patch)}"
