"""Tells what a step would change now, in one line, and whether it is so already.

Pure: a step and a situation in, words out. Each row of `step_kinds.py` names its own function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.model.sections.order import safe_value

if TYPE_CHECKING:
    from cockpit.model.observed.cluster import Workload
    from cockpit.model.runbook import Step
    from cockpit.model.situation import ServiceStatus, Situation


def service_of(situation: Situation, name: str | None) -> ServiceStatus | None:
    return next((s for s in situation.services if s.name == name), None) if name else None


def filled(step: Step, text: str) -> str:
    """Put each parameter's default where the text says "{name}", or its title where it has none."""
    for param in step.params:
        default = f"<{param.title or param.name}>" if param.default is None else str(param.default)
        text = text.replace("{" + param.name + "}", default)
    return text


def scale(step: Step, situation: Situation) -> str:
    return f"{step.service} replicas {_desired(step, situation)} → {_start(step, 'replicas', situation)}"


def _start(step: Step, name: str, situation: Situation) -> str:
    """Return what a form would start with: what goes the step's way from the value now."""
    text = values_set(step).get(name, "")
    param = next((p for p in step.params if text == "{" + p.name + "}"), None)
    if param is not None and param.choices_from:  # worked out live, when it is asked for
        return f"<{param.title or param.name}>"
    if param is None or not isinstance(param.default, int) or step.direction is None:
        return filled(step, text)
    now = value_now(step, name, situation)
    value = safe_value(step.direction, now, param.default, param.minimum, param.maximum)
    return "no further" if value is None else str(value)


def scaled_already(step: Step, situation: Situation) -> bool:
    found = service_of(situation, step.service)
    return isinstance(step.replicas, int) and found is not None and found.desired == step.replicas


def set_env(step: Step, situation: Situation) -> str:
    parts = [
        f"{name} {_shown(_value_now(situation, step, name))} → {_start(step, name, situation) or '(empty)'}"
        for name in step.env
    ]
    return ", ".join(parts) + f" on {step.service}"


def set_already(step: Step, situation: Situation) -> bool:
    """Tell whether each variable has its value; one that is a parameter is not known yet."""
    return bool(step.env) and all(
        "{" not in value and _value_now(situation, step, name) == value for name, value in step.env.items()
    )


def set_image(step: Step, situation: Situation) -> str:
    service = "its service" if step.names_service_by_value else step.service
    return f"image of {service} → {filled(step, step.image or '?')}"


def restart(step: Step, situation: Situation) -> str:
    count = _desired(step, situation)
    all_of = "the pod" if count == "1" else f"all {count} pods"
    return f"replaces {all_of} of {step.service}"


def delete_pod(step: Step, situation: Situation) -> str:
    return f"deletes {filled(step, str(step.args['pod']))}; its controller makes another"


def undo_rollout(step: Step, situation: Situation) -> str:
    service = "a service" if step.names_service_by_value else step.service
    return f"{service} back to a revision that you choose"


def set_config(step: Step, situation: Situation) -> str:
    name, key = step.args.get("configmap", ""), step.args.get("key", "{")
    if "{" in key:
        return f"one key of {step.args.get('configmap', 'a ConfigMap')}"
    return f"{key} {_shown(_configured(situation, name, key))} → {filled(step, step.args.get('value', ''))} in {name}"


def run_job(step: Step, situation: Situation) -> str:
    return f"starts a job of {step.args['cronjob']}" if "cronjob" in step.args else "starts a job"


def suspend(step: Step, situation: Situation) -> str:
    return f"cronjob {step.args['cronjob']} suspend → {step.args['suspend']}"


def command(step: Step, situation: Situation) -> str:
    return f"runs {' '.join(step.argv[:3])}"


def command_each(step: Step, situation: Situation) -> str:
    return f"{command(step, situation)} for each of them"


def view(step: Step, situation: Situation) -> str:
    shown = (value for name, value in step.args.items() if name not in ("signals", "names"))  # lists: the view has them
    return f"opens {step.view}" + "".join(f" {value}" for value in shown)


def check(step: Step, situation: Situation) -> str:
    titles = (situation.signals[name].title if name in situation.signals else name for name in step.signals)
    return f"checks now: {', '.join(titles)}"


def sequence(step: Step, situation: Situation) -> str:
    return "in order: " + ", ".join(step.steps)


def _desired(step: Step, situation: Situation) -> str:
    found = service_of(situation, step.service)
    return str(found.desired) if found else "?"


def _value_now(situation: Situation, step: Step, variable: str) -> str | None:
    """Return a variable's value as it may be shown: from the toggles, else from the workload.

    "(unset)" when it is not set; None: unknown; what is set to nothing is the empty text.
    """
    for toggle in situation.toggles:
        if toggle.name == variable and toggle.deployment == step.service:
            return "(unset)" if toggle.level == "unset" else toggle.value
    workload = _workload(situation, step)
    if workload is None:
        return None
    found = workload.env(variable)
    if found is None:
        return "(unset)"
    return found.source if found.value is None else found.value


def _workload(situation: Situation, step: Step) -> Workload | None:
    return next(
        (
            workload
            for (namespace, name), workload in situation.cluster.workloads.items()
            if name == step.service and namespace in situation.namespaces
        ),
        None,
    )


def _configured(situation: Situation, name: str, key: str) -> str | None:
    """Return what the ConfigMap's key holds now.

    "(unset)" when it has no such key; None: the ConfigMap is not known.
    """
    found = (m for (space, n), m in situation.cluster.configmaps.items() if n == name and space in situation.namespaces)
    held = next(found, None)
    return None if held is None else held.data.get(key, "(unset)")


def value_now(step: Step, name: str, situation: Situation) -> str | None:
    """Return what `name` ("replicas", a variable, a key) is now, and means where it is not set.

    None: not known.
    """
    if name == "replicas":
        found = service_of(situation, step.service)
        return None if found is None else str(found.desired)
    if "configmap" in step.args:
        now = _configured(situation, step.args["configmap"], name)
    else:
        now = _value_now(situation, step, name)
    if now != "(unset)":
        kind = (now or "").partition(" ")[0]
        if kind in ("configmap", "secret", "field", "reference"):
            return value_behind(now or "", _namespace(situation), situation)
        return now
    variable = situation.runbooks.variable(name)
    unset = variable.unset if variable is not None else None
    if unset is not None and unset.startswith("configmap "):
        return value_behind(unset, _namespace(situation), situation)
    return unset


def _namespace(situation: Situation) -> str:
    return situation.namespaces[0] if situation.namespaces else ""


def values_set(step: Step) -> dict[str, str]:
    """Return what the step sets, as the file has it: "replicas", variables or a key."""
    if step.replicas is not None:
        return {"replicas": str(step.replicas)}
    if "configmap" in step.args:
        return {step.args["key"]: step.args.get("value", "")} if "{" not in step.args.get("key", "{") else {}
    return dict(step.env)


def value_behind(source: str, namespace: str, situation: Situation | None) -> str | None:
    """Return the value behind "configmap NAME/KEY", where that ConfigMap is watched."""
    kind, _, rest = source.partition(" ")
    name, _, key = rest.partition("/")
    if kind != "configmap" or situation is None:
        return None
    held = situation.cluster.configmaps.get((namespace, name))
    return held.data.get(key) if held is not None else None


def _shown(value: str | None) -> str:
    return "?" if value is None else value or "(empty)"
