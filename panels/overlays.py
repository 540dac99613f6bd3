"""Everything that opens over the dashboard, in one place: loaded after the first paint, which need not wait for it."""

from __future__ import annotations

from panels.commands import commands
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.filter import FilterBar
from panels.dialogs.help import HelpDialog
from panels.dialogs.manual import ManualDialog
from panels.dialogs.notice import NoticeDialog
from panels.dialogs.overlay import Overlay, topmost
from panels.dialogs.palette import Command, provider
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.quit import QuitDialog
from panels.dialogs.unfinished import UnfinishedDialog
from panels.screens.explain import ExplainView
from panels.screens.logs import LogView
from panels.screens.metrics import MetricsView
from panels.screens.runbook import RunbookView

__all__ = [
    "Command", "ConfirmDialog", "ExplainView", "FilterBar", "HelpDialog", "LogView", "ManualDialog", "MetricsView", "NoticeDialog", "Overlay",
    "ParametersDialog", "QuitDialog", "RunbookView", "UnfinishedDialog", "commands", "provider", "topmost",
]  # fmt: skip
