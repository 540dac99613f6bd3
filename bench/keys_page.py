"""Writes docs/keys.md from the keys that `?` shows: `python -m bench.keys_page docs/keys.md`.

A test holds the two together.
"""

from __future__ import annotations

import sys
from pathlib import Path

from panels import keys

HEAD = """\
# Keys

What `?` shows, on paper (made by `make generated`). Every key only looks, or opens a dialog that asks: nothing \
harmful lies on a key that
tmux, screen or vim users press by habit. The app's own keys can be given others in `[keys]` of the \
[configuration](configuration.md).
"""


def page() -> str:
    lines = [HEAD]
    for title, rows in keys.HELP.items():
        lines += [f"## {title}", "", "| key | what it does |", "|---|---|"]
        lines += [f"| `{_cell(key)}` | {_cell(words)} |" for key, words in rows]
        lines.append("")
    ids = ", ".join(f"`{binding.id}`" for binding in keys.APP if binding.id)
    lines += ["## Names for `[keys]`", "", f"{ids}.", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
