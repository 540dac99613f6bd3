"""Lists what the palette offers now.

Steps of the best match first, then runbooks, panels and views.
"""

from __future__ import annotations

from functools import partial

from cockpit.model.links import Links
from cockpit.model.observed.chain import ProgramActivity
from cockpit.model.reading import believed, last_known
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.model.views import BY_NAME, PANELS, VIEWS, ViewSpec
from panels import messages
from panels.dialogs.palette import Command


def commands(situation: Situation | None, runbooks: Runbooks, links: Links | None = None) -> list[Command]:
    """Return the commands, each of which posts a request to the app.

    A step is planned, never sent, by choosing it here.
    """
    matches = situation.matches if situation is not None else ()
    offered = [match.runbook for match in matches] or list(runbooks.runbooks)
    found: list[Command] = []
    for runbook in offered:
        for step in runbook.mitigations:
            where = f"runbook {runbook.number} · {step.kind}" + (
                f" · {step.service}" if step.service and not step.names_service_by_value else ""
            )
            found.append(
                Command(f"{runbook.number}  {step.title}", where, partial(messages.PlanStep, runbook.id, step.id))
            )
    found += [
        Command(f"Runbook {b.number}  {b.title}", b.severity, partial(messages.OpenRunbook, b.id)) for b in offered
    ]
    found += [Command(f"Panel {p.key}  {p.title}", "go there", partial(messages.OpenView, p.name)) for p in PANELS]
    found += _services(situation) if situation is not None else []
    found += [command for view in VIEWS for command in _views(view, situation)]
    return [
        *found,
        *_incident(situation),
        *_links(situation, links),
        Command("Undo the newest step", "a plan like any other", messages.Undo),
        Command("Help", "all keys", messages.OpenHelp),
    ]


def _services(situation: Situation) -> list[Command]:
    """Return the views of one service, for each service of which they have something to show."""
    own = [view for view in VIEWS if view.of_service and view.name != "metrics"]
    offered = [(view, {"service": one.name, "namespace": one.namespace}) for one in situation.services for view in own]
    offered += [(BY_NAME["metrics"], {"service": name}) for name in situation.metrics]
    return [
        Command(view.offer.format(**args), view.words, partial(messages.OpenView, view.name, args))
        for view, args in offered
    ]


def _views(view: ViewSpec, situation: Situation | None) -> list[Command]:
    """Return the view itself, or each of its pages; none while its source is not configured."""
    if not view.offer or view.of_service:
        return []
    if view.source and (situation is None or view.source not in situation.configured):
        return []
    pages = [(title, {"show": page}) for page, title in view.pages.items()] or [("", {})]
    return [
        Command(view.offer.format(page=title.lower()), view.words, partial(messages.OpenView, view.name, args))
        for title, args in pages
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
    """Offer addresses to copy: the dashboard's, and each class's newest failed transaction."""
    if situation is None or links is None:
        return []
    found: list[tuple[str, str, str | None]] = []
    namespace = situation.namespaces[0] if situation.namespaces else ""
    found.append(("Copy the dashboard's link", namespace, links.of_dashboard(situation.context, namespace)))
    activity = last_known(believed(situation.solana.get("program"), situation.mono, ProgramActivity))
    for failure in activity.failures if activity is not None else ():
        url = links.of_transaction(failure.last_signature)
        found.append((f"Copy the link of the newest {failure.name}", "the transaction in the explorer", url))
    return [Command(what, why, partial(messages.CopyText, url, "link")) for what, why, url in found if url is not None]
