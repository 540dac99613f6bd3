"""Runs Python as another user of this machine, in a child that gives root's rights up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ANNA, BERT, GROUP = 4101, 4102, 4200

#: What follows runs as the user: uid, gid and the source are arguments.
_BECOME = (
    "import os, sys\n"
    "uid, gid, groups = int(sys.argv[1]), int(sys.argv[2]), [int(g) for g in sys.argv[3].split(',') if g]\n"
    "import tempfile, pkgutil, importlib, cockpit\n"  # all that is used: the interpreter's files may be root's alone
    "for found in pkgutil.walk_packages(cockpit.__path__, 'cockpit.'):\n"
    "    if not found.name.startswith(('cockpit.drill', 'cockpit.app', 'cockpit.__main__')):\n"
    "        importlib.import_module(found.name)\n"
    "import cockpit.cli\n"
    "os.setgroups(groups); os.setgid(gid); os.setuid(uid); os.umask(0o022)\n"
    "source = sys.argv[4]; sys.argv = ['m0-cockpit', *sys.argv[5:]]\n"
    "exec(compile(source, 'as another user', 'exec'))\n"
)

needs_root = pytest.mark.skipif(
    os.geteuid() != 0,
    reason="NOT TRIED: what another user sees needs root, to become another user (run these tests as root once)",
)


def as_user(
    uid: int, source: str, *arguments: str, groups: Sequence[int] = (GROUP,), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `source` as the user; what it prints and how it ends is returned."""
    command = [sys.executable, "-c", _BECOME, str(uid), str(uid), ",".join(map(str, groups)), source, *arguments]
    whole = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=whole, cwd=ROOT)
