"""The operator's restore command put into the runbooks: with `[restore] argv`, step 14.restore.2 runs it; without, the step asks.

Only the operator's own tool knows where the backups lie, so its words are configuration; the step around them (confirmed, journalled,
ended after its timeout, never a shell) is the cockpit's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from cockpit.model.runbook import Param, Runbooks, Step

if TYPE_CHECKING:
    from cockpit.config import RestoreSettings

RUNBOOK, ITEM = "backup-restore", "14.restore.2"
#: RFC 3339, or as PostgreSQL's recovery_target_time takes it.
TIME = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)"
_PARAM = Param(name="time", type="string", title="restore to, with its zone (2026-11-23T04:10:00Z)", pattern=TIME)


def with_restore(runbooks: Runbooks, restore: RestoreSettings) -> Runbooks:
    """The same runbooks when nothing is configured, or an operator's own file has made something else of the step."""
    if not restore.argv:
        return runbooks

    def made(step: Step) -> Step:
        if step.item != ITEM or step.kind != "manual":
            return step
        params = (_PARAM,) if any("{time}" in word for word in restore.argv) else ()
        return replace(
            step, kind="command", argv=restore.argv, params=params, question="", note="runs [restore] argv of the configuration",
            args={"timeout": f"{restore.timeout:g}", "target": "database", "kind": "restore"},
        )  # fmt: skip

    books = tuple(
        replace(book, mitigations=tuple(made(step) for step in book.mitigations)) if book.id == RUNBOOK else book
        for book in runbooks.runbooks
    )
    return replace(runbooks, runbooks=books)
