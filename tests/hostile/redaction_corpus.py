"""Reads the redaction corpus: lines with the pieces in them that must not survive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
_MARK = re.compile("«([^»]*)»")
_PIECE = 5  # so many characters of a secret in a row are a leak


@dataclass(frozen=True)
class Entry:
    file: str
    line: int
    text: str
    secrets: tuple[str, ...]

    def leaks(self, shown: str) -> bool:
        """Tell whether a piece of a secret is still in what is shown."""
        return any(piece in shown for secret in self.secrets for piece in _pieces(secret))


def _pieces(secret: str) -> set[str]:
    size = min(_PIECE, len(secret))
    pieces = {secret[at : at + size] for at in range(len(secret) - size + 1)}
    return {piece for piece in pieces if sum(char.isspace() for char in piece) < 3}


def _read(path: Path) -> list[Entry]:
    entries = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line and not line.startswith("# "):
            raw = line.replace("⏎", "\n").replace("␛", "\x1b").replace("¦", "")
            secrets = tuple(_MARK.findall(raw))
            entries.append(Entry(path.name, number, _MARK.sub(r"\1", raw), secrets))
    return entries


ENTRIES = [entry for path in sorted(CORPUS.glob("*.txt")) for entry in _read(path)]
SECRETS = [entry for entry in ENTRIES if not entry.file.startswith("harmless")]
HARMLESS = [entry for entry in ENTRIES if entry.file.startswith("harmless")]
