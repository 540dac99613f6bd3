"""Turns parsed flags into settings and runbooks: the same for every command."""

from __future__ import annotations

import argparse

from cockpit.config import load_settings, own_secrets
from cockpit.model.runbook import Runbooks
from cockpit.redaction.own import remember
from cockpit.settings import Settings


def settings_of(args: argparse.Namespace) -> Settings:
    """Load the settings that the flags name.

    Raises ConfigProblem.
    """
    settings = load_settings(
        config=args.config,
        kubeconfig=args.kubeconfig,
        context=args.context,
        namespaces=tuple(args.namespace or ()),
        prometheus=args.prometheus,
        runbooks=args.runbooks_file,
        read_only=args.read_only,
    )
    remember(own_secrets(settings))
    return settings


def runbooks_of(settings: Settings) -> Runbooks:
    """Load the runbooks; never raises for a broken file.

    Then the packaged ones are returned, with `problems` saying what is wrong with the
    operator's. Raises RegistryError for a panel of a stage that there is not.
    """
    from cockpit.model.views import check_stages
    from cockpit.runbooks.own_commands import with_commands
    from cockpit.runbooks.schema import load

    found = with_commands(load(settings.runbooks), settings)
    check_stages(stage.name for stage in found.stages)
    return found
