"""Lists the kinds of step: one row each, and all that the house asks of a kind but how it acts.

Derived from a row: what `runbooks check` demands, the preview on the runbook screen, what is
possible when read-only, the rights that the doctor asks for, the table in docs/runbooks.md. A kind
that is planned and carried out has its other half in a file named by it:
`cockpit/mitigation/steps/NAME.py`, or `steps/workload/NAME.py` when it patches a workload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cockpit.model import step_previews as previews
from cockpit.model.registry import LEFT_OUT, RowType, registry
from cockpit.model.runbook import Step

if TYPE_CHECKING:
    from cockpit.model.situation import Situation
else:
    Situation = Any  # the rows are read at each start, before what a situation is made of is loaded

Patched = Literal["", "workload", "ConfigMap", "CronJob"]
WHERE = "cockpit/model/step_kinds.py"


@dataclass(frozen=True, slots=True)
class StepRight:
    """Describes a right on the cluster that a kind of step needs on its own target.

    In `resource`, "{workloads}" stands for deployments or statefulsets, "{revisions}" for what
    keeps the older templates of such a workload. `of` is the key that names the object ("service",
    "args.cronjob"); "" when it is no single object. A step without that key does not need it.
    """

    verb: str
    group: str
    resource: str
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec(metaclass=RowType):
    """Describes a kind of step as its row; nothing has a default, so that nothing is forgotten."""

    kind: str = ""  # as in runbooks.toml
    title: str = LEFT_OUT  # what it does, for the table in docs/runbooks.md
    needs: tuple[str, ...] = LEFT_OUT  # keys of the step, "args.KEY" among them; "A|B": exactly one of them
    takes: tuple[str, ...] | None = LEFT_OUT  # more keys of `args`; None: any
    patches: Patched = LEFT_OUT  # the object that it patches; "": it does something else
    unplanned: str = LEFT_OUT  # why it is not planned and carried out; "": it is
    only_reads: bool = LEFT_OUT  # it changes nothing: possible when read-only, needs no confirmation
    verb: str = LEFT_OUT  # what one that only reads did, in a word of the journal; "" for the others
    rights: tuple[StepRight, ...] = LEFT_OUT
    preview: Callable[[Step, Situation], str] = LEFT_OUT  # what it would change now, one line
    holds: Callable[[Step, Situation], bool] = LEFT_OUT  # it would change nothing now

    @property
    def knows(self) -> tuple[str, ...] | None:
        """Return the keys that `args` may have; None: any."""
        if self.takes is None:
            return None
        needed = [key.removeprefix("args.") for key in self.alternatives if key.startswith("args.")]
        return (*needed, *self.takes)

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Return every key that is needed, each of several that exclude each other too."""
        return tuple(key for needed in self.needs for key in needed.split("|"))

    @property
    def runs_programs(self) -> bool:
        return "argv" in self.needs

    @property
    def opens_view(self) -> bool:
        """Return whether it opens a view of the screen, and does nothing else."""
        return "view" in self.needs

    @property
    def sets_value(self) -> bool:
        """Return whether it sets what has a value now: replicas, variables, a key, an image."""
        return bool(self.patches) and not {"replicas", "env", "image", "args.value"}.isdisjoint(self.needs)

    @property
    def asks(self) -> bool:
        """Return whether it asks the operator, and records the answer."""
        return "question" in self.needs

    @property
    def has_parts(self) -> bool:
        """Return whether it stands for other steps, each confirmed on its own."""
        return "steps" in self.needs

    @property
    def judges_signals(self) -> bool:
        """Return whether its signals are what it judges; they do not justify it."""
        return "signals" in self.needs

    @property
    def module(self) -> str:
        """Return its other half's module, below `cockpit.mitigation.steps`; "" for one without."""
        if self.unplanned:
            return ""
        name = self.kind.replace("-", "_")
        return f"workload.{name}" if self.patches == "workload" else name


def value_at(step: Step, key: str) -> Any:
    """Return what a step has at a key such as "service" or "args.cronjob"; None for nothing."""
    top, _, sub = key.partition(".")
    return step.args.get(sub) if sub else getattr(step, top)


def unknowable(step: Step, situation: Situation) -> bool:
    """Tell nothing beforehand: for kinds whose effect is not among what is observed."""
    return False


_ON_WORKLOAD = (
    StepRight("get", "apps", "{workloads}", "service"),
    StepRight("patch", "apps", "{workloads}", "service"),
)
_COMMAND = ("timeout", "target", "reads", "expect", "becomes", "undo", "enables")

_ROWS = (
    StepSpec(
        kind="scale",
        title="sets the number of replicas",
        needs=("service", "replicas"),
        takes=(),
        patches="workload",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(
            StepRight("get", "apps", "{workloads}", "service"),
            StepRight("patch", "apps", "{workloads}/scale", "service"),
        ),
        preview=previews.scale,
        holds=previews.scaled_already,
    ),
    StepSpec(
        kind="set-env",
        title="sets environment variables of one container",
        needs=("service", "env"),
        takes=(),
        patches="workload",
        unplanned="",
        only_reads=False,
        verb="",
        rights=_ON_WORKLOAD,
        preview=previews.set_env,
        holds=previews.set_already,
    ),
    StepSpec(
        kind="set-image",
        title="sets the image of one container, by digest",
        needs=("service", "image"),
        takes=(),
        patches="workload",
        unplanned="",
        only_reads=False,
        verb="",
        rights=_ON_WORKLOAD,
        preview=previews.set_image,
        holds=unknowable,
    ),
    StepSpec(
        kind="restart",
        title="replaces all pods",
        needs=("service",),
        takes=(),
        patches="workload",
        unplanned="",
        only_reads=False,
        verb="",
        rights=_ON_WORKLOAD,
        preview=previews.restart,
        holds=unknowable,
    ),
    StepSpec(
        kind="undo-rollout",
        title="goes back to an older revision of the pod template",
        needs=("service",),
        takes=("revision",),
        patches="workload",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(*_ON_WORKLOAD, StepRight("list", "apps", "{revisions}")),
        preview=previews.undo_rollout,
        holds=unknowable,
    ),
    StepSpec(
        kind="set-config",
        title="sets one key of a ConfigMap",
        needs=("args.configmap", "args.key", "args.value"),
        takes=(),
        patches="ConfigMap",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(
            StepRight("get", "", "configmaps", "args.configmap"),
            StepRight("patch", "", "configmaps", "args.configmap"),
        ),
        preview=previews.set_config,
        holds=unknowable,
    ),
    StepSpec(
        kind="suspend",
        title="suspends a CronJob, or lets it run again",
        needs=("args.cronjob", "args.suspend"),
        takes=(),
        patches="CronJob",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(
            StepRight("get", "batch", "cronjobs", "args.cronjob"),
            StepRight("patch", "batch", "cronjobs", "args.cronjob"),
        ),
        preview=previews.suspend,
        holds=unknowable,
    ),
    StepSpec(
        kind="run-job",
        title="starts a Job from a CronJob or a template",
        needs=("args.cronjob|args.template",),
        takes=("name",),
        patches="",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(
            StepRight("get", "batch", "cronjobs", "args.cronjob"),
            *(StepRight(verb, "batch", "jobs") for verb in ("create", "get", "list", "delete")),
        ),
        preview=previews.run_job,
        holds=unknowable,
    ),
    StepSpec(
        kind="delete-pod",
        title="deletes one pod that nothing else will replace",
        needs=("args.pod",),
        takes=(),
        patches="",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(
            *(StepRight(verb, "", "pods") for verb in ("get", "list", "delete")),
            *(StepRight("get", "apps", resource) for resource in ("statefulsets", "replicasets")),
            StepRight("list", "policy", "poddisruptionbudgets"),
        ),
        preview=previews.delete_pod,
        holds=unknowable,
    ),
    StepSpec(
        kind="command",
        title="runs one program, never a shell",
        needs=("argv",),
        takes=(*_COMMAND, "kind", "absent", "with"),
        patches="",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(),
        preview=previews.command,
        holds=unknowable,
    ),
    StepSpec(
        kind="command-each",
        title="runs one program for each market",
        needs=("argv", "args.each", "args.reads"),
        takes=("but", *(key for key in _COMMAND if key != "reads")),
        patches="",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(),
        preview=previews.command_each,
        holds=unknowable,
    ),
    StepSpec(
        kind="sql",
        title="runs one reviewed statement",
        needs=("args.statement",),
        takes=("timeout", "lock-timeout"),
        patches="",
        unplanned="",
        only_reads=False,
        verb="",
        rights=(),
        preview=lambda step, situation: "one reviewed statement",
        holds=unknowable,
    ),
    StepSpec(
        kind="view",
        title="opens a live view",
        needs=("view",),
        takes=None,
        patches="",
        unplanned="it opens or asks something",
        only_reads=True,
        verb="opened",
        rights=(),
        preview=previews.view,
        holds=unknowable,
    ),
    StepSpec(
        kind="check",
        title="judges signals now",
        needs=("signals",),
        takes=(),
        patches="",
        unplanned="",
        only_reads=True,
        verb="looked",
        rights=(),
        preview=previews.check,
        holds=unknowable,
    ),
    StepSpec(
        kind="verify-signatures",
        title="verifies the signatures of a bundle, here",
        needs=("args.bundle",),
        takes=("signer-set",),
        patches="",
        unplanned="",
        only_reads=True,
        verb="verified",
        rights=(),
        preview=lambda step, situation: "works it out here",
        holds=unknowable,
    ),
    StepSpec(
        kind="evidence",
        title="captures a redacted bundle of evidence",
        needs=(),
        takes=(),
        patches="",
        unplanned="",
        only_reads=True,
        verb="captured",
        rights=(),
        preview=lambda step, situation: "writes a redacted file here",
        holds=unknowable,
    ),
    StepSpec(
        kind="manual",
        title="asks the operator, and records the answer",
        needs=("question",),
        takes=("answer", "opens"),
        patches="",
        unplanned="it opens or asks something",
        only_reads=True,
        verb="answered",
        rights=(),
        preview=lambda step, situation: step.question,
        holds=unknowable,
    ),
    StepSpec(
        kind="sequence",
        title="several steps in order, each confirmed on its own",
        needs=("steps",),
        takes=(),
        patches="",
        unplanned="its steps are planned one by one",
        only_reads=False,
        verb="",
        rights=(),
        preview=previews.sequence,
        holds=unknowable,
    ),
)

_STEP_KEYS = frozenset(Step.__struct_fields__)


def step_kinds(rows: tuple[StepSpec, ...]) -> Mapping[str, StepSpec]:
    """Return the kinds by name.

    Raises RegistryError naming the row that lacks a part, has the name of another, or contradicts
    itself.
    """
    return registry(rows, kind=StepSpec, where=WHERE, name=lambda row: row.kind, faults=_contradictions)


def _contradictions(row: StepSpec) -> Iterator[str]:
    if not row.title:
        yield "its title is empty"
    for key in row.alternatives:
        if key.partition(".")[0] not in _STEP_KEYS or key == "args":
            yield f"needs {key!r}, which is no key of a step"
    for right in row.rights:
        if right.of and right.of.removeprefix("args.") not in (*row.alternatives, *(row.knows or ())):
            yield f"a right is of {right.of!r}, which a step of this kind does not have"
    if row.patches and "patch" not in {right.verb for right in row.rights}:
        yield f"it patches a {row.patches}, but asks for no right to patch"
    if row.unplanned and (row.patches or row.rights):
        yield "it is not planned, but patches or has rights"
    if row.only_reads and row.patches:
        yield f"it only reads, but patches a {row.patches}"
    if row.only_reads != bool(row.verb):
        yield "a verb of the journal is for kinds that only read, and each of them needs one"


STEP_KINDS = step_kinds(_ROWS)
