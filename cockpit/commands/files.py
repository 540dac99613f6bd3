"""`m0-cockpit files [NAME]` prints the files that come with the package, to apply or to change."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cockpit.errors import CockpitError, UnknownName

#: What each is for.
FILES = {
    "rbac.yaml": "the least rights in the cluster: kubectl apply -f, after changing group and namespace",
    "postgres-role.sql": "the role that watches the database: psql -f, as a superuser",
    "alerts.yaml": "Prometheus rules of the packaged runbooks (`runbooks alerts` makes those of your own)",
    "runbooks.toml": "the packaged runbooks, signals and toggles: what --runbooks extends",
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one of {', '.join(FILES)} (default: list them)")


def run(args: argparse.Namespace) -> int:
    if args.name is None:
        for name, words in FILES.items():
            print(f"{name:18} {words}")
        return 0
    if args.name not in FILES:
        raise UnknownName("file", args.name, FILES)
    sys.stdout.write(text_of(args.name))
    return 0


def text_of(name: str) -> str:
    """Return the file: in the package of a wheel, beside the package in a checkout.

    Raises CockpitError.
    """
    package = Path(__file__).resolve().parent.parent
    for path in (package / "deploy" / name, package.parent / "deploy" / name, package / name, package.parent / name):
        if path.is_file():
            return path.read_text("utf-8")
    raise CockpitError(f"{name} is missing from the installation", "install m0-cockpit again")
