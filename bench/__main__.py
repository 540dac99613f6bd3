"""Measures the budgets of docs/performance.md, each against its yardstick in this one run.

`make bench` runs it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.chain import measured
from bench.charts import charted
from bench.pane import Pane

COCKPIT = [sys.executable, "-m", "cockpit.cli"]
BARE = """
from textual.app import App
from textual.widgets import Static
class A(App):
  def compose(self):
    yield Static('bare frame')
A().run()
"""
ROWS: list[tuple[str, str, str, bool]] = []


def row(what: str, measured: str, budget: str, holds: bool) -> None:
    ROWS.append((what, measured, budget, holds))
    print(f"{'ok  ' if holds else 'OVER'}  {what:<58} {measured:<46} budget {budget}", flush=True)


@contextmanager
def world(*command: str) -> Iterator[dict[str, Any]]:
    """Run a drill in a process of its own; yield where it is."""
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def timed(argv: list[str], env: dict[str, str] | None = None) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    return time.perf_counter() - began


def median(measure: Callable[[], float], times: int = 5) -> float:
    return statistics.median(measure() for _ in range(times))


@contextmanager
def pane(argv: list[str], **options: Any) -> Iterator[Pane]:
    with tempfile.TemporaryDirectory() as home:
        shown = Pane(argv, env={"M0_COCKPIT_STATE_DIR": home}, **options)
        try:
            yield shown
        finally:
            shown.close()


def when(argv: list[str], text: str) -> float:
    with pane(argv) as shown:
        return shown.when(text)


def first_frame(config: str) -> None:
    own = median(lambda: when([*COCKPIT, "--config", config], "M0CLUB"))
    bare = median(lambda: when([sys.executable, "-c", BARE], "bare frame"))
    row(
        "first painted frame, cold start",
        f"{own:.2f} s / {bare:.2f} s bare = {own / bare:.2f}",
        "<= 1.3 x a bare Textual app",
        own / bare <= 1.3,
    )


def first_pods(where: dict[str, Any]) -> None:
    own = median(lambda: when([*COCKPIT, "--config", where["config"]], "m0-submitter"))
    kubectl = median(lambda: timed(["kubectl", "--kubeconfig", where["kubeconfig"], "get", "pods"]))
    row(
        "first live pods, cold start",
        f"{own:.2f} s / {kubectl:.3f} s kubectl = {own / kubectl:.1f}",
        "<= 10 x kubectl get pods",
        own / kubectl <= 10,
    )


def raw_pages(where: dict[str, Any]) -> float:
    """Return the seconds for every page of 500 by curl, decoding nothing.

    Only the continue token is picked out.
    """
    import yaml

    config = yaml.safe_load(Path(where["kubeconfig"]).read_text())
    server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
    began = time.perf_counter()
    more = ""
    while True:
        url = f"{server}/api/v1/namespaces/m0-prod/pods?limit=500" + (f"&continue={quote(more)}" if more else "")
        page = subprocess.run(
            ["curl", "-sk", "-H", f"Authorization: Bearer {token}", url], check=True, capture_output=True
        )
        found = re.search(rb'"continue": ?"([^"]+)"', page.stdout[:2000])
        if found is None:
            return time.perf_counter() - began
        more = found[1].decode()


def crowd() -> None:
    with world("bench.crowd", "10000", "0") as where:
        raw = median(lambda: raw_pages(where), 3)

        def complete() -> float:
            with pane([*COCKPIT, "--config", where["config"]]) as shown:
                painted = shown.when("Pods")
                return shown.when("10,022") - painted

        own = median(complete, 3)
        row(
            "10,000 pods: list complete on screen, from the first frame",
            f"{own:.2f} s / {raw:.2f} s raw = {own / raw:.2f}",
            "<= 2 x the same pages by curl",
            own / raw <= 2,
        )
    with world("bench.crowd", "10000", "1000") as where, pane([*COCKPIT, "--config", where["config"]]) as shown:
        shown.when("10,022")
        time.sleep(6)
        shown.type("1a")
        time.sleep(2)
        presses = []
        for n in range(100):
            time.sleep(0.05)
            presses.append(shown.latency("jk"[n % 2]))
        p95 = sorted(presses)[94] * 1000
        cpu = shown.cpu(10) * 100
        memory = shown.memory() / 1e6
        row("key press to repaint, 10,000 pods, 1,000 events/s", f"p95 {p95:.0f} ms", "<= 40 ms", p95 <= 40)
        row("CPU, 10,000 pods, 1,000 events/s", f"{cpu:.1f} % of a core", "<= 15 %", cpu <= 15)
        row("memory, 10,000 pods", f"{memory:.0f} MB", "<= 150 MB", memory <= 150)


def steady(where: dict[str, Any]) -> None:
    with pane([*COCKPIT, "--config", where["config"]]) as shown:
        shown.when("m0-submitter")
        time.sleep(8)
        cpu = shown.cpu(15) * 100
        quiet = shown.written(15) / 15000
        shown.type("?")
        time.sleep(2)
        covered = shown.written(15) / 15000
        memory = shown.memory() / 1e6
        row("idle, live namespace, all panels at 1 Hz", f"{cpu:.1f} % of a core", "<= 4 %", cpu <= 4)
        row("bytes to the terminal, 160x48, steady", f"{quiet:.2f} kB/s", "<= 3 kB/s", quiet <= 3)
        row("bytes to the terminal, with a dialog open", f"{covered:.2f} kB/s", "<= 3 kB/s", covered <= 3)
        row("memory, 50 pods", f"{memory:.0f} MB", "<= 110 MB", memory <= 110)


def chart(where: dict[str, Any]) -> None:
    with pane([*COCKPIT, "--config", where["config"]]) as shown:
        took, bare, after = charted(shown, where)
    row(
        "a chart, from its key to its last byte",
        f"{took * 1000:.0f} ms, Prometheus {bare * 1000:.0f} ms",
        "<= 150 ms beyond Prometheus' answer",
        took - bare <= 0.15,
    )
    row("bytes to the terminal, a chart of 5 minutes", f"{after / 1000:.2f} kB/s", "<= 1 kB/s", after <= 1000)


def answer(where: dict[str, Any]) -> None:
    from cockpit.commands.settings import runbooks_of
    from cockpit.commands.status import first_situation
    from cockpit.config import load_settings
    from cockpit.session import Session

    kubectl = median(
        lambda: timed(["kubectl", "--kubeconfig", where["kubeconfig"], "scale", "deploy/m0-realtime", "--replicas=2"])
    )
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(config=where["config"], env={"M0_COCKPIT_STATE_DIR": home})
        session = Session(settings, runbooks_of(settings))
        session.start()
        first_situation(session)
        session.ready.wait(30)
        runbook, step = session.runbooks.step("6", "scale-ingestors")
        times = []
        for replicas in (5, 6, 7, 8, 9):
            plan = session.mitigations.plan(runbook, step, {"replicas": str(replicas)}).result(30)
            began = time.perf_counter()
            session.mitigations.confirm(plan, plan.typed).result(30)
            times.append(time.perf_counter() - began)
            session.mitigations.stop_watching(plan.id)
        session.close(5)
    own = statistics.median(times)
    row(
        "from y to the API server's answer",
        f"{own * 1000:.0f} ms / {kubectl * 1000:.0f} ms kubectl = {own / kubectl:.2f}",
        "<= 0.5 x kubectl scale",
        own / kubectl <= 0.5,
    )


async def one_refresh(where: dict[str, Any]) -> tuple[float, float]:
    """Return (seconds for a round of all queries, those of the slowest one).

    After a warm round.
    """
    from cockpit.clock import SystemClock
    from cockpit.runbooks.schema import load
    from cockpit.sources.prometheus.address import PrometheusAddress
    from cockpit.sources.prometheus.queries import query_specs
    from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec

    specs = {name: QuerySpec(*spec) for name, spec in query_specs(load()).items()}
    source = PrometheusSource(PrometheusAddress(url=where["prometheus"]), specs, 1.0, SystemClock())
    seen: dict[str, int] = {}
    began = slowest = 0.0
    async for reading in source.readings():
        name = reading.topic.removeprefix("prometheus/")
        if name not in specs:
            continue
        seen[name] = seen.get(name, 0) + 1
        if seen[name] == 3:
            began = min(began or 1e18, time.perf_counter() - reading.took_s)
            slowest = max(slowest, reading.took_s)
            if sum(count >= 3 for count in seen.values()) == len(specs):
                return time.perf_counter() - began, slowest
    raise RuntimeError("the source ended")


def refresh(where: dict[str, Any]) -> None:
    took, slowest = asyncio.run(one_refresh(where))
    row(
        "a refresh of all signals",
        f"{took * 1000:.0f} ms / {slowest * 1000:.0f} ms slowest = {took / slowest:.1f}",
        "<= 3 x the slowest query",
        took / slowest <= 3,
    )


def pulse(where: dict[str, Any]) -> None:
    for stall, what in (
        (False, "the screen's loop, longest hold, live"),
        (True, "the same, terminal stalled for 10 s"),
    ):
        with tempfile.TemporaryDirectory() as home:
            out = Path(home) / "pulse.json"
            shown = Pane(
                [sys.executable, "-m", "bench.heartbeat", where["config"], str(out)], env={"M0_COCKPIT_STATE_DIR": home}
            )
            shown.when("m0-submitter")
            time.sleep(9)
            shown.reading = not stall
            time.sleep(10)
            shown.reading = True
            time.sleep(1)
            shown.close()
            result = json.loads(out.read_text())
        longest, oldest = result["longest_s"] * 1000, result["oldest_reading_s"]
        row(
            what,
            f"{longest:.0f} ms (p99 {result['p99_s'] * 1000:.0f}), oldest reading {oldest:.0f} s",
            "<= 20 ms, sources go on (<= 15 s)",
            longest <= 20 and oldest <= 15,
        )


def chain() -> None:
    result = measured()
    sent, counted = sum(result["sent"].values()), sum(result["counted"].values())
    rate, cpu, grown = result["per_second"], result["cpu"] * 100, result["peak_mb"] - result["early_mb"]
    row(
        f"program transactions counted, {rate:,.0f} a second for 60 s",
        f"{counted:,} / {sent:,} sent = {counted / sent:.4f}",
        "each exactly once, by kind",
        result["exact"],
    )
    row("CPU, 1,000 program transactions a second", f"{cpu:.1f} % of a core", "<= 40 %", cpu <= 40)
    ratio = result["peak_mb"] / result["early_mb"]
    row(
        "memory at the same, its peak to that after 20 s",
        f"{result['peak_mb']:.0f} / {result['early_mb']:.0f} MB = {ratio:.2f} (+{grown:.0f} MB)",
        "<= 1.15",
        ratio <= 1.15,
    )


def soak() -> None:
    serve = ("cockpit.cli", "drill", "--serve", "--no-postgres", "--scenario", "rpc-outage")
    with world(*serve) as where, tempfile.TemporaryDirectory() as home:
        out = Path(home) / "soak.json"
        shown = Pane(
            [sys.executable, "-m", "bench.soak", where["config"], where["control"], str(out)],
            env={"M0_COCKPIT_STATE_DIR": home},
        )
        shown.ended(timeout_s=400.0)
        result = json.loads(out.read_text())
    if "error" in result:
        row("300 openings of all screens and dialogs", result["error"], "each opens and closes", False)
        return
    ratio = result["hour_mb"] / result["first_mb"]
    row(
        f"memory, 300 openings of {result['kinds']} screens and dialogs, then an hour",
        f"{result['hour_mb']:.0f} / {result['first_mb']:.0f} MB after a round = {ratio:.2f}",
        "<= 1.15, each was opened",
        ratio <= 1.15 and not result["never"],
    )


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode; a first run writes it
    print(f"one run on this machine: {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    with world("cockpit.cli", "drill", "--serve", "--no-postgres", "--scenario", "calm") as where:
        first_frame(where["config"])
        first_pods(where)
        steady(where)
        chart(where)
        refresh(where)
        answer(where)
        pulse(where)
    crowd()
    chain()
    soak()
    over = [name for name, _, _, holds in ROWS if not holds]
    print(f"\n{len(ROWS) - len(over)} of {len(ROWS)} within budget" + (f"; over: {'; '.join(over)}" if over else ""))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
