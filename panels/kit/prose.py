"""Wraps spans of words under their label, for dialogs and full-size views; never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from panels.kit.marks import ink
from panels.kit.spans import Span
from panels.kit.theme import Appearance


@dataclass(frozen=True, slots=True)
class Para:
    """Holds one logical line.

    `label` stays at the left; `spans` wrap beside it. `key` names what the cursor can act on.
    """

    spans: tuple[Span, ...] = ()
    label: tuple[Span, ...] = ()
    key: str | None = None
    fold: bool = False  # break anywhere: for commands and log lines, so that a copy holds every character


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one screen row of a wrapped line."""

    spans: tuple[Span, ...]
    line: int
    key: str | None = None


def para(*spans: Span | str, key: str | None = None, label: Span | str | None = None, fold: bool = False) -> Para:
    """Make a line of spans; bare strings are plain."""
    heads = () if label is None else ((label, "dim") if isinstance(label, str) else label,)
    return Para(tuple((s, "text") if isinstance(s, str) else s for s in spans if s), heads, key, fold)


def heading(text: str, aside: str = "") -> list[Para]:
    """Return the lines that head a part of a page."""
    return [para(), para((text, "heading+bold"), (f"   {aside}" if aside else "", "dim"))]


def labelled(label: str, width: int, *spans: Span | str, key: str | None = None, role: str = "dim") -> Para:
    """Make a line whose label is padded to `width` cells, so that values stand in one column."""
    return para(*spans, key=key, label=(label.ljust(width), role))


def _tokens(spans: Iterable[Span]) -> Iterable[Span]:
    """Split spans into words with the blanks after them."""
    for text, role in spans:
        start = 0
        for at in range(1, len(text) + 1):
            if at == len(text) or (text[at - 1] == " " and text[at] != " "):
                yield text[start:at], role
                start = at


def _at_joint(head: str) -> str:
    """Return the row's share of a name that is longer than a row.

    Up to a joint ("public.outputs_market_id_"), unless that leaves half of the row empty.

    Two names that differ at their ends are told apart by whole parts.
    """
    at = max(head.rfind(joint) for joint in "_./-:,=@") + 1
    return head[:at] if at > len(head) // 2 else head


def _pieces(tokens: Iterable[Span], width: int, fold: bool) -> list[list[Span]]:
    rows: list[list[Span]] = [[]]
    used = 0
    joined: list[list[Span]] = []  # words whose spans touch ("rpc-b" + ":") are kept whole
    for text, role in tokens:
        if joined and not joined[-1][-1][0].endswith(" ") and not fold:
            joined[-1].append((text, role))
        else:
            joined.append([(text, role)])
    for word in joined:
        bare = cell_len("".join(text for text, _ in word).rstrip())
        if used and (used + bare > width) and not (fold and bare > width - used):
            rows.append([])
            used = 0
        for text, role in word:
            if used + cell_len(text.rstrip()) > width:
                room = max(1, width - used) if fold else width
                if not fold and used:
                    rows.append([])
                    used = 0
                while text and used + cell_len(text.rstrip()) > width:
                    head = chop_cells(text, room)[0]
                    head = head if fold else _at_joint(head)
                    rows[-1].append((head, role))
                    text = text[len(head) :]
                    rows.append([])
                    used, room = 0, width
            if text:
                rows[-1].append((text, role))
                used += cell_len(text)
    return rows


def wrap(lines: Sequence[Para], width: int) -> list[Row]:
    """Wrap lines into rows of at most `width` cells.

    Continuations stand under the first word after the label.
    """
    rows: list[Row] = []
    for number, item in enumerate(lines):
        indent = sum(cell_len(text) for text, _ in item.label)
        if indent > width - 12:  # a label that leaves no room: the words go below it
            indent = 2
            rows.append(Row(item.label, number, item.key))
            heads: tuple[Span, ...] = (("  ", "text"),)
        else:
            heads = item.label
        for index, piece in enumerate(_pieces(_tokens(item.spans), max(1, width - indent), item.fold)):
            lead = heads if index == 0 else (((" " * indent, "text"),) if indent else ())
            rows.append(Row((*lead, *piece), number, item.key))
    return rows


def row_strip(row: Row, width: int, base: Style, appearance: Appearance) -> Strip:
    """Return the row as a strip of exactly `width` cells over the base style."""
    segments = [Segment(appearance.glyphs(text), base + ink(appearance, role)) for text, role in row.spans]
    return Strip(segments).adjust_cell_length(width, base)


def plain(lines: Iterable[Para]) -> str:
    """Return the words alone, for tests and for copying."""
    return "\n".join("".join(text for text, _ in (*item.label, *item.spans)) for item in lines)
