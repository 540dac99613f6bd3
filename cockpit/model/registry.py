"""Says what every registry of plug-ins demands of its rows, as soon as it is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from cockpit.errors import CockpitError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Row = TypeVar("Row", bound="DataclassInstance")

#: The default of each part that a row must give: typed as anything, and refused by `registry`.
LEFT_OUT: Any = type("LeftOut", (), {"__repr__": lambda _: "left out", "__bool__": lambda _: False})()


class RegistryError(CockpitError):
    """A row cannot be used; the reason names the registry and the row."""

    usual_remedy = "correct the row; in a packaged m0-cockpit: install it again"


def registry(rows: Iterable[Row], *, where: str, name: Callable[[Row], str]) -> Mapping[str, Row]:
    """Return the rows by name, in their order.

    Raises RegistryError for a row without a name, with the name of another, or lacking a part.
    """
    found: dict[str, Row] = {}
    for place, row in enumerate(rows, start=1):
        known = name(row)
        if not known:
            raise RegistryError(f"{where}: row {place} has no name")
        if known in found:
            raise RegistryError(f"{where}: two rows are named {known!r}")
        lacking = [part.name for part in dataclasses.fields(row) if getattr(row, part.name) is LEFT_OUT]
        if lacking:
            raise RegistryError(f"{where}: row {known!r} lacks {', '.join(lacking)}")
        found[known] = row
    return found
