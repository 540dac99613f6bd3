"""What the doctor's tests share: a calm drill in a thread of its own, and the findings of one look
at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from cockpit.commands.doctor import examine
from cockpit.config import load_settings
from cockpit.doctor import AREAS
from cockpit.drill.server import DrillThread
from cockpit.runbooks import schema
from cockpit.settings import Settings
from cockpit.sources.examination import Examination, Finding, State
from cockpit.sources.registry import sources

Findings = dict[tuple[str, str], Finding]


def settings_of(drill: DrillThread, **changes: Any) -> Settings:
    """The drill's; `changes` by attribute name, or by the key of a source's section."""
    from dataclasses import replace as changed

    settings = load_settings(config=drill.drill.config, env={})
    for key in [key for source in sources().values() for key in source.sections]:
        if (attribute := key.name.replace("-", "_")) in changes:
            settings = settings.having(key, changes.pop(attribute))
    return changed(settings, **changes)


def findings_of(settings: Settings, *areas: str, limit_s: float = 5.0, **options: Any) -> Findings:
    """By (area, check).

    Nothing may be left behind.
    """
    findings, left = examine(
        Examination(settings, schema.load(settings.runbooks), limit_s, **options), areas or tuple(AREAS)
    )
    assert not left
    return by_check(findings)


def by_check(findings: list[Finding]) -> Findings:
    return {(finding.area, finding.check): finding for finding in findings}


def worse(findings: Findings) -> dict[tuple[str, str], State]:
    """What is neither ok nor off."""
    return {key: f.state for key, f in findings.items() if f.state not in (State.OK, State.OFF)}


@contextmanager
def changed(target: Any, **values: Any) -> Iterator[None]:
    """Attributes that are put back."""
    before = {name: getattr(target, name) for name in values}
    for name, value in values.items():
        setattr(target, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(target, name, value)


__all__ = ["Findings", "by_check", "changed", "findings_of", "replace", "settings_of", "worse"]
