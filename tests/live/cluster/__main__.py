"""Runs the real cluster by hand, or only builds it.

`python -m tests.live.cluster [build] [--within SECONDS]`

Without `build` it prints the line that points kubectl and the cockpit at it, and runs until it is
interrupted. Exit code 75: it could not be built (in that time); the reason is on standard error.
"""

from __future__ import annotations

import argparse
import signal
import sys

from tests.live.cluster.build import NotBuilt, build
from tests.live.cluster.control_plane import running


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.cluster")
    parser.add_argument("what", nargs="?", choices=("run", "build"), default="run")
    parser.add_argument("--within", type=float, metavar="SECONDS", help="give a build up after so long")
    given = parser.parse_args()
    try:
        program = build(given.within)
    except NotBuilt as error:
        print(f"no real Kubernetes: {error}", file=sys.stderr)
        return 75
    if given.what == "run":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        with running(program) as cluster:
            print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
