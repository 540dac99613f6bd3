"""Imports inside functions: those that are meant are listed with their reason, and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

import pytest

from tests.house.lazy_imports import LAZY_IMPORTS, LazyImport
from tests.support.paths import ROOT


class Found(NamedTuple):
    path: str
    line: int
    module: str


def inside(node: ast.AST, path: str, *, function: bool = False) -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from inside(child, path, function=True)
        elif function and isinstance(child, ast.Import):
            yield from (Found(path, child.lineno, alias.name) for alias in child.names)
        elif function and isinstance(child, ast.ImportFrom):
            yield Found(path, child.lineno, child.module or ".")
        else:
            yield from inside(child, path, function=function)


FOUND = [
    found
    for room in ("cockpit", "panels")
    for file in sorted((ROOT / room).rglob("*.py"))
    for found in inside(ast.parse(file.read_text("utf-8")), str(file.relative_to(ROOT)))
]


def covers(rule: LazyImport, found: Found) -> bool:
    return fnmatchcase(found.path, rule.where) and fnmatchcase(found.module, rule.what)


def test_no_other_import_is_lazy() -> None:
    others = [
        f"{found.path}:{found.line}: import {found.module} at the top, or list it with its reason"
        for found in FOUND
        if not any(covers(rule, found) for rule in LAZY_IMPORTS)
    ]
    assert not others, "\n".join(others)


@pytest.mark.parametrize("rule", LAZY_IMPORTS, ids=lambda rule: f"{rule.where}: {rule.what}")
def test_every_rule_is_needed_and_has_a_reason(rule: LazyImport) -> None:
    assert rule.why
    mine = [found for found in FOUND if covers(rule, found)]
    others = [other for other in LAZY_IMPORTS if other != rule]
    assert [found for found in mine if not any(covers(other, found) for other in others)], "nothing needs it"
