"""Two threads may read the runbooks at once, as a drill and the cockpit beside it do."""

from __future__ import annotations

import subprocess
import sys

_READ_IN_TEN_THREADS = """
import sys, threading
from cockpit.runbooks.schema import load
sys.setswitchinterval(1e-6)
start = threading.Barrier(10)
def read():
    start.wait()
    load()
threads = [threading.Thread(target=read) for _ in range(10)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_ten_threads_read_the_runbooks_at_once() -> None:
    """In a process of its own: what went wrong was a segmentation fault, at the first use alone."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", _READ_IN_TEN_THREADS], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
