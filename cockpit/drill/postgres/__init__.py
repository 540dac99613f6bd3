"""Runs a real PostgreSQL in the drill, whose troubles are real."""

from __future__ import annotations

from cockpit.drill.postgres.cluster import installed
from cockpit.drill.postgres.drill import DrillPostgres

__all__ = ["DrillPostgres", "installed"]
