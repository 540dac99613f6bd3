"""Finds the service that a step is for by what was chosen: its image, or its revision.

`service = "{param}"` in runbooks.toml, where the parameter is chosen from `images:*` or
`revisions:*`: any service may have had the bad release (11.step.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cockpit.assessment.imagehistory import runs
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.runbook import Runbooks, Step
from cockpit.text import clean

if TYPE_CHECKING:
    from cockpit.model.situation import Situation

#: Between the service and its revision, as a choice from `revisions:*` has them.
OF = ":"


def aimed(step: Step, values: Mapping[str, str], runbooks: Runbooks, situation: Situation | None) -> Step:
    """Return the step with the service that the chosen value belongs to.

    Raises PlanProblem when no service, or more than one, could be meant.
    """
    name = (step.service or "").strip("{}")
    if name == step.service or name not in values:
        return step
    source = next((param.choices_from or "" for param in step.params if param.name == name), "")
    if source.startswith("revisions"):
        service, _, revision = values[name].rpartition(OF)
        if not service:
            raise PlanProblem(f"{clean(revision, 80)} names no service", f"give SERVICE{OF}REVISION")
        return replace(step, service=service)
    return replace(step, service=service_of_image(values[name], runbooks, situation))


def service_of_image(image: str, runbooks: Runbooks, situation: Situation | None) -> str:
    """Return the service that ran the image, else the one whose image is of that repository.

    Raises PlanProblem.
    """
    if situation is None:
        raise PlanProblem("no deployment was read yet, so whose image this is cannot be told", "one moment")
    namespace = situation.namespaces[0] if situation.namespaces else ""
    names = {name for space, name in situation.cluster.workloads if space == namespace} & runbooks.services.keys()
    ran = {name: [one.image for one in runs(situation.cluster, namespace, name)] for name in names}
    found = sorted(name for name, images in ran.items() if image in images)
    found = found or sorted(name for name, images in ran.items() if repository(image) in map(repository, images))
    if len(found) != 1:
        which = f"{', '.join(found)} all do" if found else f"none of {', '.join(sorted(names)) or 'no service'} does"
        raise PlanProblem(
            f"which service runs {clean(repository(image), 120)} is not clear: {which}",
            "choose an image that one of them ran",
        )
    return found[0]


def repository(image: str) -> str:
    """Return an image's name without tag and digest."""
    head, slash, name = image.partition("@")[0].rpartition("/")
    return f"{head}{slash}{name.partition(':')[0]}"
