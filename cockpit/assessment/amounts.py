"""Says numbers and labels as an operator does."""

from __future__ import annotations

from collections.abc import Mapping


def amount(value: float) -> str:
    """Return a number as an operator says it: 74, 1.2, 0.034, 58,000."""
    size = abs(value)
    if size >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def labelled(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "no labels"
