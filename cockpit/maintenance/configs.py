"""Validates configuration (16.deploy.2): every variable and key against what it may be.

Pure. What nothing is said of, or what cannot be read, is unknown, never valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cockpit.model.maintenance import Finding
from cockpit.model.observed.cluster import Cluster, EnvVar, Workload
from cockpit.model.reading import kind_unknown
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.secrets import display_value
from cockpit.text import clean, counted

#: Of a service's variables these are the network's own; the rest is its image's affair.
OWN = "M0_"
_SHOWN = 6


class Held(NamedTuple):
    """Names one value and where it stands; None: `why` it cannot be read."""

    name: str
    where: str
    value: str | None
    why: str = ""


def config_findings(situation: Situation, runbooks: Runbooks) -> list[Finding]:
    """Check the runbooks in force, the services' variables, and the keys of the ConfigMaps."""
    found = [Finding("attention", clean(problem, 200)) for problem in runbooks.problems[:_SHOWN]]
    if not found:
        words = f"runbooks ({clean(runbooks.origin, 120)}): {counted(len(runbooks.runbooks), 'runbook')}, no problem"
        found.append(Finding("ok", words))
    found += _unread(situation)
    variables = list(_variables(situation.cluster, runbooks))
    if variables:
        words = counted(len(variables), "variable of the services", "variables of the services")
        found += _judged(variables, runbooks, words)
    for name in sorted({toggle.configmap for toggle in runbooks.toggles.values() if toggle.configmap}):
        found += _configmap(situation, runbooks, name)
    return found


def _unread(situation: Situation) -> list[Finding]:
    """Say which toggles have no deployment to be read from."""
    there = {workload.name for workload in situation.cluster.workloads.values()}
    blind = kind_unknown(situation.kinds, "deployments", situation.mono)
    reasons = {clean(t.reason, 160) for t in situation.toggles if t.level == "unknown" and t.deployment not in there}
    reasons |= {clean(blind, 160)} if blind else set()
    return [Finding("unknown", f"toggles: {words}") for words in sorted(reasons)[:_SHOWN]]


def _variables(cluster: Cluster, runbooks: Runbooks) -> Iterator[Held]:
    """Yield the variables of every service's containers that are the network's own, or known."""
    for workload in cluster.workloads.values():
        if workload.name not in runbooks.services:
            continue
        for container in workload.containers:
            last = {variable.name: variable for variable in container.env}  # of two the last one counts
            for variable in last.values():
                if variable.name.startswith(OWN) or runbooks.variable(variable.name) is not None:
                    yield _held(variable, workload, cluster)


def _held(variable: EnvVar, workload: Workload, cluster: Cluster) -> Held:
    if variable.value is not None or not variable.source:
        return Held(variable.name, workload.name, variable.value or "")
    kind, _, rest = variable.source.partition(" ")
    name, _, key = rest.partition("/")
    if kind == "configmap":
        config = cluster.configmaps.get((workload.namespace, name))
        value = config.data.get(key) if config is not None else None
        return Held(variable.name, workload.name, value, "" if value is not None else f"{variable.source} is not read")
    if kind == "secret" and workload.desired and workload.ready >= workload.desired == workload.updated:
        return Held(variable.name, workload.name, None)  # never read; what runs with it is ready
    return Held(variable.name, workload.name, None, f"{variable.source} is not read")


def _configmap(situation: Situation, runbooks: Runbooks, name: str) -> list[Finding]:
    configs = [config for (_, own), config in situation.cluster.configmaps.items() if own == name]
    blind = kind_unknown(situation.kinds, "configmaps", situation.mono)
    if blind or not configs:
        return [Finding("unknown", f"configmap {name}: {blind or 'there is none in the watched namespaces'}")]
    where = f"configmap {name}"
    held = [Held(key, where, value) for config in configs for key, value in config.data.items()]
    strange = sorted({each.name for each in held if each.name.startswith(OWN) and not _named(runbooks, each.name)})
    words = f"{where}: keys that runbooks.toml does not know: {clean(', '.join(strange[:_SHOWN]), 200)}"
    known = [each for each in held if each.name not in strange]
    found = [Finding("attention", words)] if strange else []
    return _judged(known, runbooks, counted(len(held), f"key of {where}", f"keys of {where}"), found)


def _named(runbooks: Runbooks, key: str) -> bool:
    """Tell whether the key is a row of runbooks.toml, or one that a step sets."""
    steps = (step for runbook in runbooks.runbooks for step in runbook.mitigations)
    set_by_steps = (s.args.get("key") for s in steps if STEP_KINDS[s.kind].patches == "ConfigMap")
    return runbooks.variable(key) is not None or key in set_by_steps


def _judged(
    values: Iterable[Held], runbooks: Runbooks, all_of_them: str, before: Sequence[Finding] = ()
) -> list[Finding]:
    """Hold each value against its row; `all_of_them` are allowed when nothing else is found."""
    wrong: dict[tuple[str, str], list[str]] = {}
    unsaid: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for name, where, value, why in values:
        row, cleaned = runbooks.variable(name), clean(name, 80)
        if why:
            unknown[f"{cleaned} at {where}: {clean(why, 120)}"] = None
        elif row is None or not row.said:
            unsaid[cleaned] = None
        elif value is not None and (expected := row.wrong(value)):
            shown = clean(display_value(runbooks, name, value), 40) or "empty"
            wrong.setdefault((cleaned, f"is {shown}: {expected}"), []).append(where)
    found = [*before]
    found += [Finding("attention", f"{name} at {', '.join(at)} {words}") for (name, words), at in wrong.items()][
        :_SHOWN
    ]
    found += [Finding("unknown", words) for words in list(unknown)[:_SHOWN]]
    if unsaid:
        words = f"nothing says what may be: {', '.join(list(unsaid)[:_SHOWN])} (add [variables.NAME] to your runbooks)"
        found.append(Finding("unknown", words))
    return found or [Finding("ok", f"{all_of_them}: allowed")]
