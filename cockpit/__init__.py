"""Holds all that knows: sources, signals, runbooks, mitigations, the journal and the drill."""

__version__ = "0.2.0"
