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
from cockpit.kubeapi.errors import NotFound, Unauthorised
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.postgres.session import PgProblem
from cockpit.sources.probes.http import ProbeProblem
from cockpit.sources.prometheus.wire import PromFault
from cockpit.sources.solana.rpc import RpcProblem
from cockpit.text import safe

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
    assert CockpitError.of(OSError("gone\n")).line() == "gone\\n (mend that and try again)"
    assert CockpitError.of(ZeroDivisionError()).line() == "ZeroDivisionError (it is a bug: please report it)"


def kinds() -> dict[str, type[CockpitError]]:
    for module in pkgutil.walk_packages(cockpit.__path__, "cockpit."):
        importlib.import_module(module.name)
    found: dict[str, type[CockpitError]] = {}
    waiting: list[type[CockpitError]] = [CockpitError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith("cockpit."):
            found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found


def test_every_kind_of_error_says_what_to_do() -> None:
    """Each class below the root has a remedy for where none is given: its own, or its parent's."""
    for name, kind in kinds().items():
        assert bool(kind.usual_remedy) == (kind is not CockpitError), f"{name} has no usual_remedy"
        assert kind.usual_remedy == safe(kind.usual_remedy, errors.REMEDY_LIMIT)
    assert JournalProblem("full").remedy == JournalProblem.usual_remedy
    assert JournalProblem("full", "free some").remedy == "free some"


def test_a_fault_made_of_an_error_has_its_remedy() -> None:
    for fault in (
        PgProblem(Fault(SourceState.DOWN, "gone"), lost=True).fault,
        ProbeProblem("gone").fault,
        PromFault(SourceState.DOWN, "gone").fault,
        RpcProblem("gone").fault(),
        NotFound("gone").fault(),
    ):
        assert fault.reason == "gone" and fault.remedy


def constructions() -> Iterator[tuple[str, ast.Call, str]]:
    """Yield (place, call, class) of everything in the product that makes an error of the tree."""
    known = kinds()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
                if name in known:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node, name


def test_every_error_is_made_with_a_reason_and_has_a_remedy() -> None:
    """The root has no usual remedy, so that it is made with one."""
    made = list(constructions())
    assert len(made) > 300
    for place, call, name in made:
        assert call.args, f"{place}: {name} without a reason"
        assert not any(isinstance(given, ast.Constant) and not given.value for given in call.args[:2]), place
        assert name != "CockpitError" or len(call.args) == 2, f"{place}: the root needs a remedy of its own"


#: Where the reason of a caught error goes on without its remedy, and why.
_REASON_ALONE = {
    "cockpit/mitigation/cluster/dryrun.py": "a server without dry run: there is nothing to correct",
    "cockpit/sources/kubernetes/doctor.py": "the server is well: it only does not say its version",
    "cockpit/sources/kubernetes/logs.py": "compared, not shown",
    "cockpit/sources/kubernetes/topic.py": "an optional kind that this server does not have: off, no fault",
    "cockpit/sources/solana/doctor.py": "the node's own word for its health, in a finding with a remedy",
    "cockpit/sources/solana/program.py": "in a fault with a remedy; each endpoint's light has its own",
}


def _made_anew(handler: ast.ExceptHandler, known: frozenset[str]) -> set[ast.AST]:
    """Return all that is said inside of another error of the tree, which has a remedy."""
    inside: set[ast.AST] = set()
    for node in ast.walk(handler):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in known:
            inside |= set(ast.walk(node))
    return inside


def test_what_is_caught_and_shown_keeps_its_remedy() -> None:
    """`line()` says both; a reason alone makes another error, or is listed with why."""
    known = frozenset(kinds())
    alone: dict[str, list[int]] = {}
    for path in sources():
        for handler in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(handler, ast.ExceptHandler) or handler.name is None or handler.type is None:
                continue
            if not {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} & known:
                continue
            read = [
                node
                for node in ast.walk(handler)
                if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == handler.name
            ]
            words = [node for node in ast.walk(handler) if isinstance(node, ast.FormattedValue)]
            raw = [node.value for node in words if getattr(node.value, "id", "") == handler.name]
            reasons = [node for node in read if node.attr == "reason"]
            if "remedy" in {node.attr for node in read}:
                reasons = []
            lines = [node.lineno for node in (*reasons, *raw) if node not in _made_anew(handler, known)]
            if lines:
                alone[str(path.relative_to(ROOT))] = lines
    unsaid = {path: lines for path, lines in alone.items() if path not in _REASON_ALONE}
    assert not unsaid, "show error.line()"
    assert not set(_REASON_ALONE) - set(alone), "no longer needed"
