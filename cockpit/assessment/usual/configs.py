"""Names the keys of a ConfigMap that changed, and what each held before, as far as that is known.

An older value is known from our own journal, from the object's last-applied annotation (what
`kubectl apply` wrote, while somebody patched or edited it since), or because runbooks.toml says
what is usual. What was written lately and was nothing of these is said to be not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.model.observed.cluster import Cluster, ConfigMap
from cockpit.model.plan import JournalLine
from cockpit.model.reading import spell
from cockpit.model.runbook import Runbooks
from cockpit.secrets import display_value
from cockpit.text import HIDDEN, safe

#: A write that is older than this is no change of today.
RECENT_S = 86400.0
#: What was written so soon after the object was made came with it.
MADE_S = 60.0
LINES = " lines"


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """Holds one key: its value now, each older value with where that is known from, who wrote it.

    `before` empty: it was written lately, and what it held is not known.
    """

    key: str
    now: str
    before: tuple[tuple[str, str], ...] = ()
    written: str = ""

    @property
    def words(self) -> str:
        """Return "feature_batch is 512; 16: usual, last applied; written 12 min ago by kubectl"."""
        old = "; ".join(f"{value or '(empty)'}: {source}" for value, source in self.before) or "before: not known"
        return "; ".join(filter(None, (f"{self.key} is {self.now or '(empty)'}", old, self.written)))


def changed_keys(
    runbooks: Runbooks,
    cluster: Cluster,
    namespaces: Sequence[str],
    name: str,
    journal: Sequence[JournalLine] = (),
    now: float = 0.0,
) -> list[ChangedKey] | str:
    """Return the keys that changed, those of which an older value is known first.

    Or why it is not known. `now`: unix seconds on the cluster's clock.
    """
    held = next((m for (space, n), m in cluster.configmaps.items() if n == name and space in namespaces), None)
    if held is None:
        return f"configmap {name} is not read"
    ours = _journalled(runbooks, journal, name)
    found = [_of_key(runbooks, held, key, ours.get(key), now) for key in sorted({*held.data, *held.applied})]
    return sorted((each for each in found if each is not None), key=lambda each: not each.before)


def _of_key(
    runbooks: Runbooks, held: ConfigMap, key: str, ours: tuple[str, str, str] | None, now: float
) -> ChangedKey | None:
    value = held.data.get(key)
    variable = runbooks.variable(key)
    olds: dict[str, list[str]] = {}
    if ours is not None and ours[1] == (value or ""):
        olds.setdefault(ours[0], []).append(ours[2])
    applied = held.applied.get(key)
    if applied is not None and applied != value:
        olds.setdefault(applied, []).append("last applied")
    if variable is not None and variable.usual is not None and value is not None and value != variable.usual:
        olds.setdefault(variable.usual, []).append("usual")
    at, by = held.written.get(key, (None, ""))
    recent = at is not None and at - (held.created_at or 0.0) > MADE_S and now - at < RECENT_S
    written = f"written {spell(max(0.0, now - at))} ago by {safe(by, 40)}" if at is not None and recent else ""
    as_usual = variable is not None and variable.usual is not None and value == variable.usual
    if not olds and (as_usual or not written):
        return None
    shown = "not there" if value is None else safe(display_value(runbooks, key, value), 60)
    return ChangedKey(key, shown, tuple((old, ", ".join(sources)) for old, sources in olds.items()), written)


def _journalled(runbooks: Runbooks, journal: Sequence[JournalLine], name: str) -> dict[str, tuple[str, str, str]]:
    """Return key → (before, after, where) of our newest change of it that was not taken back."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in journal:  # the newest first
        if not line.target.endswith(f" {name}") or line.undone or not line.undoable:
            continue
        for change in line.changes:
            whole = [text for text in (change.before, change.after) if text is not None]
            hidden = any(HIDDEN in text or text.endswith(LINES) for text in whole)
            if len(whole) == 2 and not hidden and display_value(runbooks, change.field, "x") == "x":
                found.setdefault(change.field, (whole[0], whole[1], f"before journal {line.number}"))
    return found
