"""Holds a line as data: spans of text with a role each.

Made by panels, compared to find what changed, then turned into a Strip.

`to_strip` is the one place where text becomes something a terminal sees: whatever is not printable
is made visible there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cockpit.text import clean
from panels.kit.theme import Appearance

Span = tuple[str, str]  # text, role
Line = tuple[Span, ...]

BLANK: Line = ()


def width_of(text: str) -> int:
    """Return how many terminal cells the text takes."""
    return len(text) if text.isascii() else cell_len(text)


def line_width(line: Line) -> int:
    return width_of(plain(line))


def plain(line: Line) -> str:
    return "".join([text for text, _ in line])


def cut(text: str, width: int) -> str:
    """Cut the text to at most `width` cells, ending in an ellipsis when shortened."""
    text = clean(text)
    if width_of(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def cut_middle(text: str, width: int) -> str:
    """Shorten like `cut`, but keep the end: pod names differ only there."""
    text = clean(text)
    if width_of(text) <= width or not text.isascii() or width < 8:
        return cut(text, width)
    tail = min(6, width // 3)
    return text[: width - tail - 1] + "…" + text[-tail:]


@lru_cache(maxsize=2048)  # most cells of a table are those of a second ago
def pad(text: str, width: int, align: str = "<", middle: bool = False) -> str:
    """Pad or cut the text to exactly `width` cells; `align` is "<" or ">"."""
    text = cut_middle(text, width) if middle else cut(text, width)
    gap = " " * (width - width_of(text))
    return gap + text if align == ">" else text + gap


def fit(line: Line, width: int) -> Line:
    """Return the line within `width` cells.

    The span that crosses the edge ends in an ellipsis, later ones are dropped.
    """
    if line_width(line) <= width:
        return line
    out: list[Span] = []
    left = width
    *before, (last, last_role) = line
    line = (*before, (last.rstrip(), last_role))  # blanks at the end are not worth an ellipsis
    if line_width(line) <= width:
        return line
    for text, role in line:
        size = width_of(text)
        if size < left:
            out.append((text, role))
            left -= size
            continue
        out.append((set_cell_size(text, left - 1) + "…" if left > 0 else "", role))
        break
    return tuple(out)


def spread(left: Line, right: Line, width: int) -> Line:
    """Put `left` at the left edge, `right` at the right one; the left gives way."""
    room = width - line_width(right)
    left = fit(left, max(0, room - 1))
    gap = max(0, room - line_width(left))
    return (*left, (" " * gap, "text"), *right)


def changed(old: Line, new: Line) -> tuple[int, int] | None:
    """Return the cells [start, end) in which two lines of one width differ.

    None when they are equal.

    None when they are equal.
    """
    if old == new:
        return None
    start = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        start += width_of(after[0])
    total = max(line_width(old), line_width(new))
    if line_width(old) != line_width(new):
        return start, total
    end = total
    for before, after in zip(reversed(old), reversed(new), strict=False):
        if before != after or end - width_of(after[0]) < start:
            break
        end -= width_of(after[0])
    return start, max(end, start + 1)


def to_strip(line: Line, width: int, appearance: Appearance) -> Strip:
    """Turn a line into a strip of exactly `width` cells.

    No control, format or bidirectional character gets through, whatever a panel wrote.
    """
    segments: list[Segment] = []
    texts: list[str] = []
    style: Style | None = None
    last = ""
    for text, role in line:
        if not text:
            continue
        new = appearance.style(role)
        # Blanks take the style before them where that shows no difference: each change of style
        # costs some 40 bytes.
        if style is not None and (
            new is style or (text.isspace() and appearance.blank(role) == appearance.blank(last) is not None)
        ):
            texts.append(appearance.glyphs(clean(text)))
            continue
        if texts:
            segments.append(Segment("".join(texts), style))
        texts, style, last = [appearance.glyphs(clean(text))], new, role
    if texts:
        segments.append(Segment("".join(texts), style))
    # The rest of the line is painted too: an unstyled cell shows the terminal's own background
    # instead of ours.
    same = style is not None and appearance.blank(last) == appearance.blank("text") is not None
    return Strip(segments).adjust_cell_length(width, style if same else appearance.style("text"))


@dataclass(frozen=True, slots=True)
class Column:
    """Describes a column: `width` is the least, `most` the limit where it grows.

    What is left over goes to columns with `grow`, up to `most`.
    The highest `drop` goes first when the room is short; 0 stays.
    """

    title: str
    width: int
    align: str = "<"
    grow: int = 0
    most: int = 200
    drop: int = 0
    middle: bool = False


GAP = 2


def fit_columns(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return (index, width) of the columns that fit; nothing ever scrolls sideways."""
    chosen = list(range(len(columns)))

    def need() -> int:
        return sum(columns[i].width for i in chosen) + GAP * (len(chosen) - 1)

    while need() > width and any(columns[i].drop for i in chosen):
        chosen.remove(max(chosen, key=lambda i: columns[i].drop))
    widths = {i: columns[i].width for i in chosen}
    left = width - need()
    while left < 0 and any(widths[i] > 1 for i in chosen):
        widths[max(chosen, key=lambda i: widths[i])] -= 1
        left += 1
    growing = [i for i in chosen if columns[i].grow]
    while left > 0 and growing:
        growing = [i for i in growing if widths[i] < columns[i].most]
        for i in growing:
            share = min(columns[i].grow, left, columns[i].most - widths[i])
            widths[i] += share
            left -= share
    return [(i, widths[i]) for i in chosen]


def row(cells: Sequence[Span], columns: Sequence[Column], widths: Sequence[tuple[int, int]]) -> Line:
    out: list[Span] = []
    for place, (index, width) in enumerate(widths):
        text, role = cells[index]
        column = columns[index]
        if place:
            out.append((" " * GAP, "text"))
        out.append((pad(text, width, column.align, column.middle), role))
    return tuple(out)


def heading(columns: Sequence[Column], widths: Sequence[tuple[int, int]]) -> Line:
    return row([(c.title, "heading") for c in columns], columns, widths)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Span]], width: int) -> list[Line]:
    """Lay out a small table, heading first.

    Growing columns are as wide as what they hold, so that numbers stay near names.
    """
    shaped = [
        Column(
            title=c.title,
            width=c.width,
            align=c.align,
            grow=c.grow,
            most=min(c.most, max([c.width, *(width_of(r[i][0]) for r in rows)])),
            drop=c.drop,
            middle=c.middle,
        )
        for i, c in enumerate(columns)
    ]
    widths = fit_columns(shaped, width)
    return [heading(shaped, widths), *(row(cells, shaped, widths) for cells in rows)]
