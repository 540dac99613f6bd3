"""Nothing prints a traceback without --debug, and none that is not redacted."""

from __future__ import annotations

import subprocess
import sys

import pytest

WAYS = {
    "the main thread": "raise ValueError('password=hunter2')",
    "a thread": "import threading; t = threading.Thread(target=lambda: 1 / int('password=hunter2')); t.start(); t.join()",
    "a task that nobody waited for": """
import asyncio, gc
async def fails(): raise ValueError('password=hunter2')
async def main():
    task = asyncio.create_task(fails()); await asyncio.sleep(0.01); del task; gc.collect()
asyncio.run(main())
""",
    "a callback": """
import asyncio
def fails(): raise ValueError('password=hunter2')
async def main():
    asyncio.get_running_loop().call_soon(fails); await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "a finaliser": """
class Broken:
    def __del__(self): raise ValueError('password=hunter2')
Broken()
""",
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_bug_is_one_redacted_line(way: str, debug: bool) -> None:
    """S10: 50 lines of unredacted traceback; the crash path of the whole program."""
    code = f"from cockpit import crash\ncrash.install(debug={debug})\n{WAYS[way]}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "hunter2" not in ended.stdout + ended.stderr
    assert "m0-cockpit: a bug" in ended.stderr
    assert ("Traceback" in ended.stderr) is debug
    if not debug:
        assert len(ended.stderr.splitlines()) == 1
