"""Loads the sources by name, as their folders describe them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from cockpit.model.registry import RegistryError, is_name, registry
from cockpit.settings import Settings
from cockpit.sources import SOURCES
from cockpit.sources.spec import SourceSpec

WHERE = "cockpit/sources/__init__.py"


@cache
def sources() -> Mapping[str, SourceSpec]:
    """Return every source's descriptor, in the order of the rows.

    Raises RegistryError for a row that has no folder, lacks a part, or takes a name of another.
    """
    rows = [_described(name) for name in SOURCES]
    return registry(rows, kind=SourceSpec, where=WHERE, name=lambda row: row.name, claims=_claims)


def _claims(row: SourceSpec) -> Iterator[tuple[str, str]]:
    yield "light", row.light
    yield from (("key", key.name) for key in row.sections)


def _described(name: str) -> SourceSpec:
    if not is_name(name):
        return SourceSpec(name=name)
    try:
        spec = getattr(import_module(f"cockpit.sources.{name}"), "SOURCE", None)
    except ModuleNotFoundError as missing:
        raise RegistryError(f"{WHERE}: row {name!r}: there is no {missing.name}") from None
    if not isinstance(spec, SourceSpec):
        raise RegistryError(f"{WHERE}: row {name!r}: cockpit/sources/{name}/__init__.py has no SOURCE")
    if spec.name != name:
        raise RegistryError(f"{WHERE}: row {name!r}: its SOURCE is named {spec.name!r}")
    return spec


def configured(settings: Settings) -> frozenset[str]:
    """Return the names of the sources that have an address."""
    return frozenset(name for name, source in sources().items() if source.configured(settings))
