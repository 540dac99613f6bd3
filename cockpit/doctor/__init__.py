"""What `m0-cockpit doctor` examines: an area of this machine is one row and one file here.

A source brings its own area in its folder. Everything here only looks: no object is changed, no
message is posted. The clients are the sources' own (the same addresses, credentials, TLS and words
for what goes wrong), so that what the doctor finds is what the screen will meet.
"""

from cockpit.sources import SOURCES

_HERE = ("local", "terminal")

#: Area → the module whose `examine` gives its findings, in the order of the report.
AREAS = {area: f"cockpit.doctor.{area}" for area in _HERE} | {
    name: f"cockpit.sources.{name}.doctor" for name in SOURCES
}
