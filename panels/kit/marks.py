"""Gives verdicts, proofs and levels their signs and roles; `panels.kit.theme` owns the colours."""

from __future__ import annotations

from functools import cache
from typing import Final

from rich.style import Style

from cockpit.model.plan import Gauge, Progress, Proof, Verdict
from cockpit.model.signal import Level
from panels.kit.spans import Span
from panels.kit.theme import BACKGROUND, WORD, Appearance

SIGN: Final = {
    "ok": "✓",
    "recovering": "△",
    "warn": "!",
    "crit": "✗",
    "unknown": "?",
    "next": "▶",
    "arrow": "→",
    "dot": "·",
    "cursor": "▸",
    "dash": "–",
    "likely": "◀",
    "full": "█",
    "empty": "·",
}

VERDICTS: Final[dict[Verdict, tuple[str, str]]] = {  # sign, role
    Verdict.PASS: (SIGN["ok"], "ok"),
    Verdict.NOTE: (SIGN["dot"], "accent"),
    Verdict.CONFIRM: (SIGN["warn"], "warn"),
    Verdict.UNKNOWN: (SIGN["unknown"], "unknown"),
    Verdict.BLOCK: (SIGN["crit"], "crit"),
}

PROOFS: Final[dict[Proof, tuple[str, str]]] = {
    Proof.PASS: (SIGN["ok"], "ok"),
    Proof.FAIL: (SIGN["crit"], "crit"),
    Proof.UNKNOWN: (SIGN["unknown"], "unknown"),
    Proof.PENDING: (SIGN["dot"], "accent"),
    Proof.NONE: (SIGN["dash"], "dim"),
}


@cache
def _without_ground(style: Style) -> Style:
    return Style(
        color=style.color,
        bold=style.bold,
        italic=style.italic,
        underline=style.underline,
        reverse=style.reverse,
        dim=style.dim,
    )


def ink(appearance: Appearance, role: str) -> Style:
    """Return the role's style without the dashboard's background.

    Dialogs and cursors bring another.
    """
    style = appearance.style(role)
    return _without_ground(style) if style.bgcolor is not None and style.bgcolor.name == BACKGROUND else style


def sign(name: str) -> str:
    return SIGN[name]


def level_words(level: Level) -> str:
    """Return the level's sign and word, as "✗ CRIT"."""
    return f"{SIGN[level.value]} {WORD[level]}"


def countdown(seconds: float) -> str:
    """Return "1:58", which is never negative."""
    whole = max(0, int(seconds + 0.999))
    return f"{whole // 60}:{whole % 60:02d}"


def proof_time(progress: Progress) -> str:
    """Say when a proof that goes on gives up, or how long one that is to come can take."""
    left = progress.gives_up_s
    if not progress.running or (left is None and (progress.gauges or progress.proof_s is None)):
        return ""
    if left is not None:
        return f"the proof gives up in {countdown(left)}"
    assert progress.proof_s is not None
    least, most = progress.proof_s
    return f"then its proof: {countdown(least)} at least, gives up after {countdown(most)}"


def trend_words(gauge: Gauge) -> tuple[Span, ...]:
    """Say whether a number that is still to prove something becomes better or worse."""
    role = {"better": "ok", "worse": "warn"}.get(gauge.trend, "dim")
    return ((f"  {gauge.trend}", role),) if gauge.trend and gauge.proof is Proof.PENDING else ()


def meter(share: float, width: int) -> str:
    """Draw a bar of `width` cells, for what is held of what must hold."""
    full = max(0, min(width, round(share * width)))
    return SIGN["full"] * full + SIGN["empty"] * (width - full)
