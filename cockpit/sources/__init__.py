"""Holds what the cockpit observes: one folder and one row a source.

The folder holds all of a source: its descriptor (`__init__.py`: `SOURCE`, with its section of the
configuration), `source.py`, `values.py` (what signals may name) and `doctor.py` (its doctor area).
"""

#: In the order of the lights, of the doctor's areas and of everything else that lists sources.
SOURCES = (
    "kubernetes",
    "prometheus",
    "solana",
    "postgres",
    "probes",
)
