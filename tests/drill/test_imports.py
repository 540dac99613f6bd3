"""No module of the drill imports itself by way of others, imports for types alone included."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.paths import ROOT


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, known: set[str]) -> set[str]:
    """Return the drill's modules that this file names, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= parts & known or {node.module}
    return names & known - {module(path)}


def test_no_module_of_the_drill_imports_itself_by_way_of_others() -> None:
    paths = {module(path): path for path in (ROOT / "cockpit" / "drill").rglob("*.py")}
    graph = {name: imported(path, set(paths)) for name, path in paths.items()}
    assert "cockpit.drill.physics.plant" in graph["cockpit.drill.physics.publish"]
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert order.index("cockpit.drill.world") < order.index("cockpit.drill.scenarios")
