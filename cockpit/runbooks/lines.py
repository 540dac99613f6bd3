"""Finds the line of a key in a TOML file: `tomllib` forgets, so errors ask the syntax tree.

Built only when asked.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

#: ("runbook", 0, "symptoms", 2, "signal"): names of tables and keys, indices of arrays.
Path = tuple[str | int, ...]


class Lines:
    """Holds the lines of one text, 1-based.

    The text must be TOML that `tomllib` accepts.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, path: Path) -> int:
        """Return the line of `path`, or of the nearest table or array around it (else 1)."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return line
        return 1

    @cached_property
    def _lines(self) -> dict[Path, int]:
        import tree_sitter_toml
        from tree_sitter import Language, Parser

        tree = Parser(Language(tree_sitter_toml.language())).parse(self._text.encode("utf-8", "replace"))
        lines: dict[Path, int] = {}
        lengths: dict[Path, int] = {}  # of arrays of tables
        for node in tree.root_node.named_children:
            if node.type == "pair":
                _pair(node, (), lines)
            elif node.type in ("table", "table_array_element"):
                _table(node, lines, lengths)
        return lines


def _table(node: Node, lines: dict[Path, int], lengths: dict[Path, int]) -> None:
    if not node.named_children:
        return
    path: Path = ()
    names = _names(node.named_children[0])
    for depth, name in enumerate(names):
        path = (*path, name)
        last = depth == len(names) - 1
        if last and node.type == "table_array_element":
            lengths[path] = lengths.get(path, 0) + 1
        lines.setdefault(path, _line(node))
        if path in lengths:
            path = (*path, lengths[path] - 1)
    lines.setdefault(path, _line(node))
    for child in node.named_children[1:]:
        if child.type == "pair":
            _pair(child, path, lines)


def _pair(node: Node, above: Path, lines: dict[Path, int]) -> None:
    children = node.named_children
    if len(children) < 2:
        return
    path = above
    for name in _names(children[0]):
        path = (*path, name)
        lines.setdefault(path, _line(node))
    _value(children[1], path, lines)


def _value(node: Node, path: Path, lines: dict[Path, int]) -> None:
    if node.type == "inline_table":
        for child in node.named_children:
            if child.type == "pair":
                _pair(child, path, lines)
    elif node.type == "array":
        elements = [child for child in node.named_children if child.type != "comment"]
        for index, child in enumerate(elements):
            lines.setdefault((*path, index), _line(child))
            _value(child, (*path, index), lines)


def _names(node: Node) -> list[str]:
    if node.type == "dotted_key":
        return [name for child in node.named_children for name in _names(child)]
    text = (node.text or b"").decode("utf-8", "replace")
    return [text[1:-1] if node.type == "quoted_key" else text]


def _line(node: Node) -> int:
    return int(node.start_point[0]) + 1
