"""Names the values that runbooks.toml may use, by the source that gives them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from cockpit.sources.registry import sources
from cockpit.sources.values import Family

FAMILIES: Mapping[str, Family] = {
    name: import_module(f"cockpit.sources.{name}.values").FAMILY
    for name, source in sorted(sources().items())
    if source.has_values
}
