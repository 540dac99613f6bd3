"""Lists what `m0-cockpit doctor` examines: an area of this machine is one row and one file here.

A source brings its own area in its folder. Everything here only looks: no object is changed, no
message is posted. The clients are the sources' own (the same addresses, credentials, TLS and words
for what goes wrong), so that what the doctor finds is what the screen will meet.
"""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

from cockpit.model.registry import RegistryError
from cockpit.sources import SOURCES

HERE = ("local", "terminal")


def areas(here: Iterable[str]) -> Mapping[str, str]:
    """Return area → the module whose `examine` gives its findings, in the order of the report.

    Raises RegistryError for a row without a name, or with that of another or of a source.
    """
    found: dict[str, str] = {}
    of_sources = {name: f"cockpit.sources.{name}.doctor" for name in SOURCES}
    for place, name in enumerate(here, start=1):
        if not name:
            raise RegistryError(f"cockpit/doctor/__init__.py: row {place} has no name")
        if name in found or name in of_sources:
            raise RegistryError(f"cockpit/doctor/__init__.py: two areas are named {name!r}")
        found[name] = f"cockpit.doctor.{name}"
        if find_spec(found[name]) is None:
            raise RegistryError(f"cockpit/doctor/__init__.py: row {name!r} has no file cockpit/doctor/{name}.py")
    return found | of_sources


AREAS = areas(HERE)
