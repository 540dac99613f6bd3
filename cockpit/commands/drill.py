"""`m0-cockpit drill` shows the same cockpit on an embedded world, with a score at the end.

The world runs in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import select
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile, gettempdir, mkdtemp
from typing import TYPE_CHECKING, Any

from cockpit import terminal
from cockpit.commands.live import NO_TERMINAL, show
from cockpit.config import ENV_PREFIX, load_settings
from cockpit.errors import UsageProblem
from cockpit.journal.state_files import make_own, own_directory
from cockpit.settings import ConfigProblem, default_state_dir
from cockpit.text import counted, safe

if TYPE_CHECKING:
    from cockpit.drill.school.control_client import ControlClient
    from cockpit.settings import Settings

START_TIMEOUT_S = 30.0
END_WITHIN_S = 3.0
DEFAULT_SEED = 7
MOST_DECOYS = 200
#: Below the state directory: what each drill has left, the newest of them.
DRILLS, MOST_KEPT = "drills", 20
KEPT_FOR = (".md", ".tar", ".gz", ".tgz")
NEEDS = "PostgreSQL is not installed here: pip install 'm0-cockpit[drill]', in a checkout `make setup`"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenario",
        nargs="?",
        metavar="SCENARIO",
        help="which incident, or several at once: A+B; see --list (default: rpc-outage)",
    )
    parser.add_argument("--scenario", dest="scenario_flag", metavar="NAME", help="the same, for scripts")
    parser.add_argument("--list", action="store_true", help="list the scenarios and stop")
    parser.add_argument("--first", action="store_true", help="a guided first drill: the keys, in about five minutes")
    parser.add_argument("--surprise", action="store_true", help="an incident that is not named before the end")
    parser.add_argument("--history", action="store_true", help="the scores of all drills so far, and stop")
    parser.add_argument("--serve", action="store_true", help="run the world alone; one JSON line says where it is")
    parser.add_argument(
        "--speed",
        type=float,
        metavar="N",
        help="simulated seconds a second (default 1); with --status: of the running drill",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help=f"same seed, same world (default {DEFAULT_SEED}; --surprise: any)"
    )
    parser.add_argument(
        "--decoys", type=int, default=0, metavar="N", help="harmless changes of all kinds around what did it"
    )
    parser.add_argument(
        "--postgres",
        action=argparse.BooleanOptionalAction,
        help="with a real PostgreSQL, where the extra m0-cockpit[drill] is installed (default)",
    )
    running = parser.add_argument_group("the drill that runs, from another terminal")
    running.add_argument("--pause", action="store_true", help="its world stands still")
    running.add_argument("--resume", action="store_true", help="its world moves again")
    running.add_argument("--status", action="store_true", help="how long, how fast, at what cost so far")
    running.add_argument("--do", metavar="TOOL", help="what the operator's other tools would do, such as failover-db")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # the process whose end is ours


def run(args: argparse.Namespace) -> int:
    if args.list or args.history:
        return _list() if args.list else _history()
    if args.pause or args.resume or args.status or args.do:
        return _steer(args)
    name, seed = chosen(args)
    _check_database(name, args.postgres)
    args.postgres = args.postgres is not False
    speed = 1.0 if args.speed is None else args.speed
    if not 0.1 <= speed <= 100:
        raise UsageProblem(f"--speed {speed:g} is out of bounds", "give 0.1 to 100")
    if not 0 <= args.decoys <= MOST_DECOYS:
        raise UsageProblem(f"--decoys {args.decoys} is out of bounds", f"give 0 to {MOST_DECOYS}")
    if args.serve:
        from cockpit.drill.school.control_client import CONTROLS
        from cockpit.drill.serving import serve_forever

        control = state_dir() / CONTROLS / f"{os.getpid()}.json"
        return serve_forever(
            name,
            seed=seed,
            speed=speed,
            parent=args.parent,
            postgres=args.postgres,
            control=control,
            decoys=args.decoys,
        )
    why = terminal.problem()
    if why is not None:
        print(f"m0-cockpit: {why}", file=sys.stderr)
        return NO_TERMINAL
    given = "surprise" if args.surprise else name  # not even `ps` tells
    kept = state_dir() / DRILLS / time.strftime(f"%Y%m%dT%H%M%SZ-{given}", time.gmtime())
    world, where = start_world(given, seed=seed, speed=speed, postgres=args.postgres, decoys=args.decoys)
    try:
        settings = load_settings(config=where["config"], read_only=args.read_only, runbooks=args.runbooks_file)
        make_own(kept)
        code = _school(replace(settings, state_dir=kept), where, args)
        if _keep(kept):
            print(f"  kept, its journal, reports and evidence:\n  {kept}")
        return code
    finally:
        world.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # its database may take longer: it ends without us too
            world.wait(timeout=END_WITHIN_S)


def chosen(args: argparse.Namespace) -> tuple[str, int]:
    """Return (scenario, seed).

    Raises UsageProblem.
    """
    from cockpit.drill.scenarios import find
    from cockpit.drill.school.lessons import SCENARIO

    name = args.scenario or args.scenario_flag
    if args.surprise or name == "surprise":
        from cockpit.drill.school.surprise import surprise

        if name not in (None, "surprise"):
            raise UsageProblem("--surprise chooses the scenario itself", "leave the name out")
        seed = secrets.randbelow(1_000_000) if args.seed is None else args.seed
        return surprise(seed, database=args.postgres is not False and has_database()), seed
    seed = DEFAULT_SEED if args.seed is None else args.seed
    name = name or (SCENARIO if args.first else "calm" if args.serve else "rpc-outage")
    if args.first and name != SCENARIO:
        raise UsageProblem("--first has a scenario of its own", "leave the name out")
    return find(name).name, seed


def has_database() -> bool:
    from cockpit.drill.postgres.cluster import installed

    return installed()


def _check_database(name: str, wanted: bool | None) -> None:
    """Say before anything starts that it needs PostgreSQL, unless that is left out on purpose.

    Raises ConfigProblem.
    """
    from cockpit.drill.scenarios import find

    needing = [part.name for part in find(name).incidents if part.needs_database]
    if needing and wanted is None and not has_database():
        raise ConfigProblem(
            f"the scenario {needing[0]} needs PostgreSQL, which is not installed here: its causes could not be told",
            "pip install 'm0-cockpit[drill]', in a checkout `make setup`; --no-postgres starts it all the same",
        )


def state_dir() -> Path:
    """Return where scores, kept drills and the addresses of running ones lie.

    Where nothing can be written there (a read-only home), it is below the directory for temporary
    files, and said.
    """
    given = os.environ.get(ENV_PREFIX + "STATE_DIR")
    path = own_directory(Path(given).expanduser() if given else default_state_dir())
    try:
        make_own(path)
        if os.access(path, os.W_OK | os.X_OK):
            return path
        why = "it is read-only"
    except OSError as error:
        why = error.strerror or str(error)
    other = Path(gettempdir()) / f"m0-cockpit-{os.getuid()}"
    try:
        other.mkdir(mode=0o700)
    except FileExistsError:
        found = other.lstat()
        if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
            other = Path(mkdtemp(prefix="m0-cockpit-"))
    os.environ[ENV_PREFIX + "STATE_DIR"] = str(other)
    print(f"m0-cockpit: {path} cannot be written ({why}): this drill keeps its state in {other}", file=sys.stderr)
    return other


def _school(settings: Settings, where: dict[str, Any], args: argparse.Namespace) -> int:
    """Show the screen, watched by the coach; then print the score."""
    from cockpit.drill.school.coach import DrillCoach
    from cockpit.drill.school.control_client import ControlClient
    from cockpit.drill.school.lessons import Course
    from cockpit.session import journal_path

    control = ControlClient.of(Path(where["control"]))
    tools = control.request("watch", journal=str(journal_path(settings)))["tools"]
    coach = DrillCoach(control, tools, Course() if args.first else None)
    code = show(settings, debug=bool(args.debug), coach=coach)
    coach.close()
    for words in _scored(control, surprise=args.surprise, guided=args.first):
        if code == 0:
            print(safe(words))  # steps and objects are named as the world and the journal name them
    return code


def _keep(directory: Path) -> bool:
    """Keep what a drill has left if a report or evidence is in it; of the last drills only."""
    worth = any(file.suffix in KEPT_FOR for file in directory.rglob("*"))
    if not worth:
        shutil.rmtree(directory, ignore_errors=True)
    for old in sorted(directory.parent.iterdir())[:-MOST_KEPT] if directory.parent.exists() else ():
        shutil.rmtree(old, ignore_errors=True)
    return worth


def _scored(control: ControlClient, *, surprise: bool, guided: bool) -> list[str]:
    """Return the score in words, kept in the history.

    A drill in which nothing was opened or done is not kept.
    """
    from cockpit.drill.school import history
    from cockpit.drill.school.control_client import NoDrill
    from cockpit.drill.score import Score, report

    try:
        answer = control.request("score", surprise=surprise, guided=guided)
    except NoDrill as error:
        return [f"no score: {error.line()}"]
    score = Score.of(answer["score"])
    path = state_dir() / history.FILE
    try:
        before, _ = history.read(path)
    except OSError:
        before = []  # `append` says below what is wrong with it
    lines = report(score, answer["title"], answer["story"], before)
    if surprise:
        lines.append(f"  the same again: m0-cockpit drill {score.scenario} --seed {score.seed}")
    if not score.steps and all(incident.detected_s is None for incident in score.incidents):
        return lines if score.incidents else []
    try:
        history.append(path, score)
    except OSError as error:
        lines.append(f"  not kept in the history: {error.strerror or error}")
    return lines


def _list() -> int:
    from cockpit.drill.scenarios import SCENARIOS

    for scenario in SCENARIOS.values():
        needs = "  (needs PostgreSQL)" if scenario.needs_database else ""
        print(f"{scenario.name:24} runbook {scenario.runbook or '-':<3} {scenario.title}{needs}")
    if not has_database():
        print(NEEDS, file=sys.stderr)
    return 0


def _history() -> int:
    from cockpit.drill.school import history

    try:
        scores, broken = history.read(state_dir() / history.FILE)
    except OSError as error:
        print(f"m0-cockpit: the history of drills cannot be read: {error.strerror or error}", file=sys.stderr)
        return 1
    if not scores:
        print("no drill has been scored yet: `m0-cockpit drill --first` is a good one to begin with")
    else:
        print("\n".join(safe(row) for row in history.table(scores)))
    if broken:
        print(f"m0-cockpit: {counted(broken, 'line')} of the history not readable", file=sys.stderr)
    return 0


def _steer(args: argparse.Namespace) -> int:
    """Steer a running drill from another terminal.

    Raises NoDrill.
    """
    from cockpit.drill.school.control_client import CONTROLS, ControlClient

    control = ControlClient.newest(state_dir() / CONTROLS)
    status = control.status()
    if args.speed is not None:
        status = control.request("speed", speed=args.speed)
    if args.do:
        status = control.request("do", tool=args.do)
    if args.pause or args.resume:
        status = control.request("pause" if args.pause else "resume")
    now = f"{'paused' if status['paused'] else 'running'} at {status['speed']:g}×, {status['elapsed_s']:.0f} s"
    print(safe(f"{now}, harm: {status['harm']}; tools: {', '.join(status['tools'])}"))
    return 0


def start_world(
    name: str, *, seed: int, speed: float, postgres: bool = False, decoys: int = 0
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start `drill --serve` as a child and wait for its JSON line.

    Raises ConfigProblem when it does not come up.
    """
    command = [
        sys.executable,
        "-P",  # never from the current directory, which may be anybody's
        "-m",
        "cockpit.cli",
        "drill",
        "--serve",
        "--scenario",
        name,
        "--seed",
        str(seed),
        "--speed",
        str(speed),
        "--decoys",
        str(decoys),
    ]
    command += ["--parent", str(os.getpid()), "--postgres" if postgres else "--no-postgres"]
    own = [str(_root()), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, own)), "PYTHONSAFEPATH": "1"}
    # a session of its own: ctrl+c and a hang-up are for the cockpit, which ends the world in its
    # own time
    complaints = TemporaryFile()  # noqa: SIM115  # the world writes into it for as long as it lives
    world = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stderr=complaints,
        start_new_session=True,
        env=env,
    )
    assert world.stdout is not None
    import_module("cockpit.drill.school.coach")  # while the world comes up
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if select.select([world.stdout], [], [], 0.2)[0]:
            line = world.stdout.readline()
            if line:
                return world, json.loads(line)
        if world.poll() is not None:
            break
    world.kill()
    complaints.seek(0)
    said = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
    why = f": {said[0].removeprefix('m0-cockpit: ')}" if said else ""
    raise ConfigProblem(f"the drill's world did not start{why}", "run `m0-cockpit drill --serve` to see why")


def _root() -> Path:
    return Path(__file__).resolve().parent.parent.parent
