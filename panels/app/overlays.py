"""Gathers all that opens over the dashboard, so that it can load after the first paint."""

from __future__ import annotations

from panels.app.palette import commands
from panels.app.views import MAKERS
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.filter import FilterBar
from panels.dialogs.help import HelpDialog
from panels.dialogs.incident import FORMS as INCIDENT_FORMS
from panels.dialogs.incident import IncidentForm, best_match
from panels.dialogs.manual import ManualDialog
from panels.dialogs.notice import NoticeDialog
from panels.dialogs.palette import Command, provider
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.quit import QuitDialog
from panels.dialogs.sequence import SequenceDialog
from panels.dialogs.stop import StopDialog
from panels.dialogs.unfinished import UnfinishedDialog
from panels.kit.overlay import Overlay, topmost
from panels.screens.chart.view import ChartView
from panels.screens.explain import ExplainView
from panels.screens.incident.view import IncidentView
from panels.screens.logs.view import LogView
from panels.screens.maintenance import MaintenanceView
from panels.screens.panel import PanelView
from panels.screens.runbook.view import RunbookView
from panels.screens.view import Asked, View

__all__ = [
    "INCIDENT_FORMS",
    "MAKERS",
    "Asked",
    "ChartView",
    "Command",
    "ConfirmDialog",
    "ExplainView",
    "FilterBar",
    "HelpDialog",
    "IncidentForm",
    "IncidentView",
    "LogView",
    "MaintenanceView",
    "ManualDialog",
    "NoticeDialog",
    "Overlay",
    "PanelView",
    "ParametersDialog",
    "QuitDialog",
    "RunbookView",
    "SequenceDialog",
    "StopDialog",
    "UnfinishedDialog",
    "View",
    "best_match",
    "commands",
    "provider",
    "topmost",
]
