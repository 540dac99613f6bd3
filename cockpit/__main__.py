"""Runs the cockpit by the name of its package: `python -m cockpit` is `m0-cockpit`."""

from __future__ import annotations

import sys

from cockpit.cli import main

if __name__ == "__main__":
    sys.exit(main())
