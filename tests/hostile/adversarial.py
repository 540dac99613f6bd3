"""Texts that make a pattern go back over itself, if any does: one short piece again and again.

The pieces (pieces.txt, with Python's escapes) are openings, names, separators and signs of every
part of the redaction and of `clean`, and of the patterns of single sources.
"""

from __future__ import annotations

from pathlib import Path

PIECES = tuple(
    line.encode("ascii").decode("unicode_escape")
    for line in (Path(__file__).parent / "pieces.txt").read_text("ascii").splitlines()
)
HEADS = ("", "password=", 'token="', "https://h/?", "auth={", "name=", "Authorization: ")


def text(head: str, piece: str, size: int) -> str:
    """Return `size` characters of a piece repeated after its head."""
    return (head + piece * (size // len(piece) + 1))[:size]
