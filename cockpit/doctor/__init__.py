"""Lists what `m0-cockpit doctor` examines: an area of this machine is one row and one file here.

A source brings its own area in its folder. Everything here only looks: no object is changed, no
message is posted. The clients are the sources' own (the same addresses, credentials, TLS and words
for what goes wrong), so that what the doctor finds is what the screen will meet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from cockpit.model.registry import LEFT_OUT, RowType, need_file, registry
from cockpit.sources import SOURCES

WHERE = "cockpit/doctor/__init__.py"
HERE = ("local", "terminal")


@dataclass(frozen=True, slots=True)
class AreaSpec(metaclass=RowType):
    """Describes an area by the module whose `examine` gives its findings."""

    name: str = LEFT_OUT
    module: str = LEFT_OUT


def areas(here: Iterable[str]) -> Mapping[str, str]:
    """Return area → the module whose `examine` gives its findings, in the order of the report.

    Raises RegistryError for a row without a name or a file, or with the name of another or of a
    source.
    """
    rows = [AreaSpec(name, f"cockpit.doctor.{name}") for name in here]
    rows += [AreaSpec(name, f"cockpit.sources.{name}.doctor") for name in SOURCES]
    found = registry(rows, kind=AreaSpec, where=WHERE, name=attrgetter("name"))
    for row in found.values():
        need_file(row.module, where=WHERE, row=row.name)
    return {name: row.module for name, row in found.items()}


AREAS = areas(HERE)
