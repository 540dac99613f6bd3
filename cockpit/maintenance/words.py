"""Spells numbers as an operator reads them in a round."""

from __future__ import annotations


def number(value: float, unit: str = "") -> str:
    """Spell a number with its unit: "182 ms", "0.4 %", "12,300"."""
    if value != value or abs(value) == float("inf"):
        return "no number"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def share(part: float) -> str:
    """Spell a share of 0..1: "0.4 %"; what is there at all is never "0 %"."""
    return f"{100 * part:.0f} %" if part in (0.0, 1.0) or 0.1 <= part <= 0.995 else f"{100 * part:.2g} %"


def span(seconds: float) -> str:
    """Spell a duration: "3 d", "5 h", "2 min"."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
