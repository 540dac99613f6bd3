"""Makes the view that was asked for, by the file that its row names.

`logs` and `explain` have none: what they show is not in the situation, the app fetches it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from cockpit.model.registry import RegistryError
from cockpit.model.views import VIEWS, WHERE, ViewSpec
from panels.screens.view import Asked, View


def makers(rows: Sequence[ViewSpec]) -> Mapping[str, Callable[[Asked], View]]:
    """Return what makes each view that has a file, by name.

    Raises RegistryError, naming the row, for a file without `view`.
    """
    found: dict[str, Callable[[Asked], View]] = {}
    for row in rows:
        if row.file:
            make = getattr(import_module(f"panels.screens.{row.file}"), "view", None)
            if not callable(make):
                file = f"panels/screens/{row.file.replace('.', '/')}.py"
                raise RegistryError(f"{WHERE}: row {row.name!r}: {file} has no function view")
            found[row.name] = make
    return found


MAKERS = makers(VIEWS)
