"""The kinds of step that change the cluster: one file a kind, one line here."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.mitigation.draft import StepKind
from cockpit.mitigation.steps.restart import Restart
from cockpit.mitigation.steps.scale import Scale
from cockpit.mitigation.steps.set_env import SetEnv
from cockpit.mitigation.steps.set_image import SetImage

KINDS: Mapping[str, StepKind] = {kind.kind: kind for kind in (Scale(), SetEnv(), SetImage(), Restart())}
