"""What the palette offers now: the steps of the best match first, then every runbook, panel and
service.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from cockpit.model.links import Links
from cockpit.model.observed.chain import ProgramActivity
from cockpit.model.reading import believed
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from panels import messages
from panels.dashboard.panel import LinesPanel
from panels.dialogs.palette import Command
from panels.screens.postgres.pages import PAGES


def commands(
    situation: Situation | None, runbooks: Runbooks, panels: Iterable[LinesPanel], links: Links | None = None
) -> list[Command]:
    """Each posts a request to the app; a step is planned, never sent, by choosing it here."""
    matches = situation.matches if situation is not None else ()
    books = [match.runbook for match in matches] or list(runbooks.runbooks)
    found: list[Command] = []
    for book in books:
        for step in book.mitigations:
            where = f"runbook {book.number} · {step.kind}" + (f" · {step.service}" if step.service else "")
            found.append(Command(f"{book.number}  {step.title}", where, partial(messages.PlanStep, book.id, step.id)))
    found += [Command(f"Runbook {b.number}  {b.title}", b.severity, partial(messages.OpenRunbook, b.id)) for b in books]
    found += [
        Command(f"Panel {p.hotkey}  {p.title_text}", "go there", partial(messages.OpenView, p.key)) for p in panels
    ]
    for service in situation.services if situation is not None else ():
        logs = partial(messages.OpenLogs, service.namespace, service=service.name)
        found.append(Command(f"Logs  {service.name}", "follow all its pods", logs))
        chosen = messages.Selection(service.kind, service.namespace, service.name)
        found.append(Command(f"Explain  {service.name}", "why it is not healthy", partial(messages.Explain, chosen)))
    for name in situation.metrics if situation is not None else ():
        opened = partial(messages.OpenView, "metrics", {"service": name})
        found.append(Command(f"Metrics {name} (direct)", "its own /metrics, while Prometheus is down", opened))
    if situation is not None and "postgres" in situation.configured:
        for show, (title, _) in PAGES.items():
            opened = partial(messages.OpenView, "postgres", {"show": show})
            found.append(Command(f"Postgres: {title.lower()}", "the database in full", opened))
    found.append(
        Command("View signer set", "chain, agents and cluster compared", partial(messages.OpenView, "signer-set"))
    )
    found.append(
        Command(
            "View transactions", "failed ones by class, commits that wait", partial(messages.OpenView, "transactions")
        )
    )
    found.append(
        Command(
            "View RPC endpoints", "side by side, with all that is measured", partial(messages.OpenView, "endpoints")
        )
    )
    return [
        *found,
        *_incident(situation),
        *_links(situation, links),
        Command("Undo the newest step", "a plan like any other", messages.Undo),
        Command("Help", "all keys", messages.OpenHelp),
    ]


def _incident(situation: Situation | None) -> list[Command]:
    if situation is None or situation.incident is None:
        return [Command("Open an incident", "title and severity from the best match", messages.OpenIncident)]
    name = f"incident #{situation.incident.incident.number}"
    asked = {
        "note": "Note",
        "update": "Update for others",
        "severity": "Change the severity",
        "role": "Give a role",
        "close": "Close the incident",
    }
    return [
        Command("Incident", f"{name}: its page", messages.OpenIncident),
        *(Command(words, name, partial(messages.AskIncident, action)) for action, words in asked.items()),
        Command("Capture evidence", name, partial(messages.IncidentAct, "evidence")),
        Command("Write the incident's report", name, partial(messages.IncidentAct, "report")),
    ]


def _links(situation: Situation | None, links: Links | None) -> list[Command]:
    """Addresses to copy: the dashboard, and the newest failed transaction of each class in the
    explorer.
    """
    if situation is None or links is None:
        return []
    found: list[tuple[str, str, str | None]] = []
    namespace = situation.namespaces[0] if situation.namespaces else ""
    found.append(("Copy the dashboard's link", namespace, links.of_dashboard(situation.context, namespace)))
    activity = believed(situation.solana.get("program"), situation.mono, ProgramActivity).last
    for failure in activity.failures if activity is not None else ():
        url = links.of_transaction(failure.last_signature)
        found.append((f"Copy the link of the newest {failure.name}", "the transaction in the explorer", url))
    return [Command(what, why, partial(messages.CopyText, url, "link")) for what, why, url in found if url is not None]
