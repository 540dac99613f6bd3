"""Builds the control plane from Kubernetes' and etcd's Go modules, once, and keeps the program.

It lies under XDG_CACHE_HOME, named by what it was built from. A cold build takes both cores for
minutes; the sums of every module are pinned in go.sum.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
_VERSION = "k8s.io/component-base/version"


class NotBuilt(Exception):
    """There is no control plane, and why."""


def program() -> Path:
    """Return where the built program lies, or is to lie."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((HERE / name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "m0-cockpit" / f"control-plane-{digest.hexdigest()[:12]}"


def build(within_s: float | None = None) -> Path:
    """Return the program, built now where it is not there yet.

    Raises NotBuilt when Go is missing or too old, a module cannot be had, or `within_s` is over
    (what was compiled by then stays in Go's own cache: the next time goes on from there).
    """
    target = program()
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        raise NotBuilt("go is not installed, which builds it")
    found = re.search(r"^\tk8s\.io/kubernetes (v1\.(\d+)\.\S+)", (HERE / "go.mod").read_text(), re.M)
    assert found, "go.mod names the version of Kubernetes"
    stamps = {"gitVersion": found[1], "gitMajor": "1", "gitMinor": found[2]}
    flags = " ".join(["-s -w", *(f"-X {_VERSION}.{name}={value}" for name, value in stamps.items())])
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    started = time.monotonic()
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(fresh), "."]
    work = subprocess.Popen(
        command,
        cwd=HERE,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # its compilers end with it
    )
    try:
        output, _ = work.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        raise NotBuilt(f"building it takes more than the {within_s:.0f} s there are") from None
    finally:
        if work.poll() is None:
            os.killpg(work.pid, signal.SIGKILL)
            work.wait()
            fresh.unlink(missing_ok=True)
    if work.returncode:
        lines = [line for line in output.splitlines() if line.strip() and not line.startswith("go: downloading")]
        raise NotBuilt(f"go build failed: {' / '.join(lines[-3:])}")
    fresh.replace(target)
    for old in target.parent.glob("control-plane-*"):  # of other versions
        if old != target:
            old.unlink(missing_ok=True)
    print(f"built in {time.monotonic() - started:.0f} s: {target}", flush=True)
    return target
