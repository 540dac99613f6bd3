"""A program is run from a list, watched, bounded, and ended with everything that it started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from cockpit.clock import SystemClock
from cockpit.mitigation import process

CLOCK = SystemClock()


def run(script: str, *words: str, timeout_s: float = 30.0, grace_s: float = 0.3, **env: str) -> process.Ended:
    argv = (sys.executable, "-c", script, *words)
    return asyncio.run(process.run(argv, process.environment(env), timeout_s, CLOCK, grace_s=grace_s))


def gone(pid: int) -> bool:
    """Ended; a zombie that nobody waits for has ended too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in ("Z", "X")


def test_words_are_words_whatever_they_hold() -> None:
    hostile = ["; touch /tmp/pwned", "$(id)", "`id`", "a b", "", "*", "--flag=x y", "\x1b[2J"]
    ended = run("import sys; print(repr(sys.argv[1:]))", *hostile)
    assert ended.status == 0
    assert ended.output == (repr(hostile),)


def test_its_exit_status_is_reported() -> None:
    assert run("raise SystemExit(3)").words == "exit 3"
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGTERM)").words == "ended by SIGTERM"


def test_the_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    ended = run("import os; print(sorted(os.environ))", M0_GIVEN="1")
    assert "AWS_SECRET_ACCESS_KEY" not in ended.output[0]
    assert "M0_GIVEN" in ended.output[0]
    assert "PATH" in ended.output[0]


def test_standard_input_is_empty() -> None:
    assert run("import sys; print(repr(sys.stdin.read()))").output == ("''",)


def test_output_is_cleaned_and_redacted() -> None:
    ended = run(r"print('\x1b[2Jpassword=hunter2secret \x1b]52;c;x\x07')")
    assert "\x1b" not in ended.output[0]
    assert "hunter2secret" not in ended.output[0]


def test_a_hundred_megabytes_keep_the_last_lines_and_say_what_was_dropped() -> None:
    script = """
import sys
line = b'x' * 999 + b'\\n'
for _ in range(100):
    sys.stdout.buffer.write(line * 1000)
print('the end')
"""
    ended = run(script, timeout_s=60)
    assert ended.status == 0
    assert ended.output[-1] == "the end"
    assert len(ended.output) <= process.KEPT_LINES
    assert "earlier lines (99.8 MB)" in ended.dropped


def test_one_line_without_an_end_is_bounded_too() -> None:
    ended = run("import sys; [sys.stdout.write('y' * 1000_000) for _ in range(20)]; print(); print('after')")
    assert ended.output[-1] == "after"
    assert sum(map(len, ended.output)) < 5000
    assert "20.0 MB of lines longer than" in ended.dropped


def test_one_that_hangs_is_ended_when_its_time_is_up() -> None:
    ended = run("import time; print('waiting', flush=True); time.sleep(600)", timeout_s=0.5)
    assert ended.timed_out
    assert ended.output == ("waiting",)
    assert ended.status == -signal.SIGTERM


def test_one_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'])
with open(sys.argv[1] + '.new', 'w') as file:
    file.write(f'{os.getpid()} {child.pid}')
os.rename(sys.argv[1] + '.new', sys.argv[1])
time.sleep(600)
"""
    ended = run(script, str(pids), timeout_s=3.0)
    assert ended.timed_out
    assert ended.status == -signal.SIGKILL
    for pid in map(int, pids.read_text().split()):
        deadline = time.monotonic() + 5
        while not gone(pid) and time.monotonic() < deadline:
            os.sched_yield()
        assert gone(pid)


def test_children_that_it_leaves_behind_do_not_outlive_it(tmp_path: Path) -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(child.pid)
"""
    ended = run(script)
    assert ended.status == 0
    deadline = time.monotonic() + 5
    while not gone(int(ended.output[0])) and time.monotonic() < deadline:
        os.sched_yield()
    assert gone(int(ended.output[0]))


def test_one_that_does_not_exist_says_so() -> None:
    ended = asyncio.run(process.run(("/nowhere/m0-cli",), {}, 5.0, CLOCK))
    assert ended.status is None
    assert "did not start: No such file" in ended.words


def test_the_loop_goes_on_while_it_prints() -> None:
    async def both() -> int:
        beats = 0
        running = asyncio.create_task(
            process.run(
                (sys.executable, "-c", "for _ in range(200000): print('x' * 200)"), process.environment({}), 60.0, CLOCK
            )
        )
        while not running.done():
            beats += 1
            await asyncio.sleep(0.005)
        return beats

    assert asyncio.run(both()) > 10
