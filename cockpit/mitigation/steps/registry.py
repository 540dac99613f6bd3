"""Finds the half of each kind of step that acts, by its row in `model/step_kinds.py`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from cockpit.mitigation.kind import StepKind
from cockpit.model.registry import RegistryError, need_file
from cockpit.model.step_kinds import STEP_KINDS, WHERE, StepSpec

PARTS = tuple(part for part in vars(StepKind) if not part.startswith("_"))


def acting_halves(rows: Mapping[str, StepSpec]) -> Mapping[str, StepKind]:
    """Return the `KIND` of each row's module, for the rows that are planned.

    Raises RegistryError naming the row whose module is missing or lacks a part.
    """
    return {kind: _half(spec) for kind, spec in rows.items() if spec.module}


def _half(spec: StepSpec) -> StepKind:
    module = f"cockpit.mitigation.steps.{spec.module}"
    need_file(module, where=WHERE, row=spec.kind)
    half = getattr(import_module(module), "KIND", None)
    if half is None:
        raise RegistryError(f"{WHERE}: row {spec.kind!r}: {module.replace('.', '/')}.py has no KIND")
    lacking = [part for part in PARTS if not hasattr(half, part)]
    if lacking:
        raise RegistryError(f"{WHERE}: row {spec.kind!r}: its KIND lacks {', '.join(lacking)}")
    found: StepKind = half
    return found


KINDS = acting_halves(STEP_KINDS)
