"""Checks, before anything starts, that each row of each registry of plug-ins has its file.

Nothing of the files is imported here: what a row names is looked for only.
"""

from __future__ import annotations

from functools import cache

from cockpit import commands
from cockpit.model import step_kinds, views
from cockpit.model.registry import RegistryError, need_file
from cockpit.sources import registry as sources


@cache
def check_rows() -> None:
    """Raise RegistryError for the first row whose file is missing, or that names what is not there.

    The areas of the doctor are checked where they are read.
    """
    for kind, step in step_kinds.STEP_KINDS.items():
        if step.module:
            need_file(f"cockpit.mitigation.steps.{step.module}", where=step_kinds.WHERE, row=kind)
    known = sources.sources()
    for name, view in views.BY_NAME.items():
        for module in view.modules:
            need_file(module, where=views.WHERE, row=name)
        if view.source and view.source not in known:
            raise RegistryError(f"{views.WHERE}: row {name!r}: source: there is no source {view.source!r}")
    for name, source in known.items():
        for part in ("doctor", *(["values"] if source.has_values else [])):
            need_file(f"cockpit.sources.{name}.{part}", where=sources.WHERE, row=name)
    for name in commands.command_rows():
        need_file(f"cockpit.commands.{name}", where=commands.WHERE, row=name)
