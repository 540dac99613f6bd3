"""The tree of errors is as printed, and nothing outside of it has a reason or a remedy."""

from __future__ import annotations

import ast
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cockpit
from cockpit import errors
from cockpit.errors import CockpitError
from cockpit.journal.journal import JournalProblem
from cockpit.kubeapi.errors import Unauthorised

ROOT = Path(cockpit.__file__).parents[1]
SIGNS = "*+-."  # of each depth, as httpx prints its own tree


def printed() -> list[tuple[int, str]]:
    """Return (depth, name) of each line of the tree in the module's docstring."""
    assert errors.__doc__ is not None
    lines = [line for line in errors.__doc__.splitlines() if line.strip()[:2] in {f"{sign} " for sign in SIGNS}]
    found = []
    for line in lines:
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, words = line.strip()[2:].partition(": ")
        assert line.strip()[0] == SIGNS[depth], line
        assert words.endswith(".") and len(words) > 10, f"say in a line what {name} means"
        found.append((depth, name))
    return found


def real(of: type[CockpitError] = CockpitError, depth: int = 0) -> Iterator[tuple[int, str]]:
    yield depth, of.__name__
    own = (kind for kind in of.__subclasses__() if kind.__module__.startswith("cockpit."))
    for kind in sorted(own, key=lambda kind: kind.__name__):
        yield from real(kind, depth + 1)


def test_the_printed_tree_is_the_real_one() -> None:
    for module in pkgutil.walk_packages(cockpit.__path__, "cockpit."):
        importlib.import_module(module.name)
    assert printed() == list(real())


def sources() -> list[Path]:
    return [path for room in ("cockpit", "panels") for path in sorted((ROOT / room).rglob("*.py"))]


def raisable(tree: ast.AST) -> Iterator[ast.ClassDef]:
    """Yield the classes that can be raised outside of the tree, by the names of their bases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
            if bases & {"Exception", "BaseException", "RuntimeError", "ValueError", "OSError", "LookupError"}:
                yield node


def test_no_exception_outside_of_the_tree_has_a_reason_or_a_remedy() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {kind.name}.{node.attr}"
        for path in sources()
        if path != Path(errors.__file__)
        for kind in raisable(ast.parse(path.read_text("utf-8")))
        for node in ast.walk(kind)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in ("reason", "remedy")
    ]
    assert not wrong


def test_nobody_gropes_for_a_reason_or_a_remedy() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr")
        if isinstance(node.args[1], ast.Constant) and node.args[1].value in ("reason", "remedy")
        if not (isinstance(node.args[0], ast.Name) and node.args[0].id == "cause")  # of ssl.SSLError
    ]
    assert not wrong, "CockpitError.of(error) has both"


def test_an_error_is_one_safe_line() -> None:
    error = JournalProblem("no space\x1b[2J left", "free\nsome")
    assert (error.reason, error.remedy) == ("no space\\e[2J left", "free\\nsome")
    assert str(error) == error.reason and error.line() == "no space\\e[2J left (free\\nsome)"
    assert CockpitError("why").line() == "why"


@pytest.mark.parametrize(
    "error", [JournalProblem("full", "free some"), Unauthorised("no", status=401, remedy="log in")]
)
def test_an_error_survives_pickling(error: CockpitError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and vars(again) == vars(error) and str(again) == str(error)


def test_any_other_exception_is_said_in_the_same_way() -> None:
    known = JournalProblem("full")
    assert CockpitError.of(known) is known
    assert CockpitError.of(OSError("gone\n")).line() == "gone\\n"
    assert CockpitError.of(ZeroDivisionError()).line() == "ZeroDivisionError"
