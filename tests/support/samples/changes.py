"""A change of a ConfigMap as the cockpit knows it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cockpit.model.observed.changes import Change


def batch(at: float, **more: Any) -> Change:
    """`feature_batch` went from 16 to 512."""
    made = Change(
        kind="config",
        namespace="m0-prod",
        owner="ConfigMap",
        name="m0-engine-config",
        field="feature_batch",
        before="16",
        after="512",
        at=at,
    )
    return replace(made, **more)
