"""Registers the subcommands, one file and one row each.

In its file, `add(parser)` declares a command, `run(args)` carries it out and returns the exit code.
The parser, the completion scripts and the table of docs/commands.md are derived from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from cockpit.model.registry import LEFT_OUT, RowType, registry

WHERE = "cockpit/commands/__init__.py"


@dataclass(frozen=True, slots=True)
class CommandSpec(metaclass=RowType):
    """Describes one subcommand: its `name` is that of its file, imported only when it is called."""

    name: str = LEFT_OUT
    help: str = LEFT_OUT  # a line without a full stop, for `--help` and docs/commands.md


COMMANDS = (
    CommandSpec("live", "the cockpit on a cluster (what `m0-cockpit` alone does)"),
    CommandSpec("drill", "the cockpit on an embedded world with an incident in it"),
    CommandSpec("status", "one look without a screen: sources, signals, stages, runbooks"),
    CommandSpec("changes", "what was changed, by whom, and what explains the incident; the best explanation first"),
    CommandSpec("run", "carry out one step of a runbook: same plan, guards, journal and proof"),
    CommandSpec("runbooks", "check, list or show the runbooks; alert rules made of them"),
    CommandSpec("verify", "a bundle's signatures, hashes and threshold, against the active signer set"),
    CommandSpec(
        "doctor", "each source: reachable, credentials, rights, clocks; and this terminal and machine: what to mend"
    ),
    CommandSpec("journal", "show, verify or undo what was done"),
    CommandSpec(
        "maintenance", "the weekly or monthly round, or a checklist: measured, asked, and left as a dated report"
    ),
    CommandSpec("incident", "the incident record: open, close, roles, notes, updates, checklist, evidence, report"),
    CommandSpec("files", "the files to apply or to change: rights, database role, alert rules, runbooks"),
    CommandSpec("completion", "the completion script of bash or zsh"),
)


def command_rows() -> Mapping[str, CommandSpec]:
    """Return the rows by name; raises RegistryError for one that cannot be used."""
    return registry(COMMANDS, kind=CommandSpec, where=WHERE, name=attrgetter("name"))
