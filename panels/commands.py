"""What the palette offers now: the steps of the best match first, then every runbook, panel and service."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from panels import messages as wish
from panels.dialogs.palette import Command
from panels.lines import LinesPanel


def commands(situation: Situation | None, runbooks: Runbooks, panels: Iterable[LinesPanel]) -> list[Command]:
    """Each posts a wish to the app; a step is planned, never sent, by choosing it here."""
    matches = situation.matches if situation is not None else ()
    books = [match.runbook for match in matches] or list(runbooks.runbooks)
    found: list[Command] = []
    for book in books:
        for step in book.mitigations:
            where = f"runbook {book.number} · {step.kind}" + (f" · {step.service}" if step.service else "")
            found.append(Command(f"{book.number}  {step.title}", where, partial(wish.PlanStep, book.id, step.id)))
    found += [Command(f"Runbook {b.number}  {b.title}", b.severity, partial(wish.OpenRunbook, b.id)) for b in books]
    found += [Command(f"Panel {p.number}  {p.title_text}", "go there", partial(wish.OpenView, p.key)) for p in panels]
    for service in situation.services if situation is not None else ():
        logs = partial(wish.OpenLogs, service.namespace, service=service.name)
        found.append(Command(f"Logs  {service.name}", "follow all its pods", logs))
        chosen = wish.Selection(service.kind, service.namespace, service.name)
        found.append(Command(f"Explain  {service.name}", "why it is not healthy", partial(wish.Explain, chosen)))
    for name in situation.metrics if situation is not None else ():
        opened = partial(wish.OpenView, "metrics", {"service": name})
        found.append(Command(f"Metrics {name} (direct)", "its own /metrics, while Prometheus is down", opened))
    return [
        *found,
        Command("Undo the newest step", "a plan like any other", wish.Undo),
        Command("Help", "all keys", wish.OpenHelp),
    ]
