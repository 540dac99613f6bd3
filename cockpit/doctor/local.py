"""Examines this machine: configuration, secrets, runbooks, state directory, journal, programs."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path

from cockpit.journal.state_files import find_directory
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.session import read_journal
from cockpit.settings import ConfigProblem, Section, Settings, secret_of
from cockpit.sources.examination import Examination, Finding, State, bounded, found, listed, together
from cockpit.sources.registry import configured, sources
from cockpit.sources.transport import REMEDY, exposed
from cockpit.text import counted, url_hint

AREA = "local"
_ROOM = 64 * 1024 * 1024  # bytes: a journal grows by a kilobyte a step, evidence by some megabytes


async def examine(exam: Examination) -> list[Finding]:
    return await together(
        bounded(exam, AREA, check, lambda check_of=check_of: asyncio.to_thread(check_of, exam))  # type: ignore[misc]
        for check, check_of in (
            ("configuration", configuration),
            ("transport", transport),
            ("runbooks", runbooks),
            ("state directory", state),
            ("journal", journal),
            ("webhook", webhook),
            ("programs", programs),
        )
    )


def configuration(exam: Examination) -> Sequence[Finding]:
    check = "configuration"
    if exam.problem is not None:
        return [found(AREA, check, State.FAIL, *exam.problem)]
    settings = exam.settings
    findings = []
    path = None if settings.origin == "defaults" else Path(settings.origin).expanduser()
    held = list(inline_secrets(settings))
    words = f"{path}" if path is not None else "no file: flags, environment and defaults"
    if path is not None and held and _others_read(path):
        words = f"{path} holds {listed(held)}, and others may read it"
        findings.append(found(AREA, check, State.WARN, words, f"chmod 600 {path}"))
    else:
        findings.append(found(AREA, check, State.OK, words))
    for name, file in secret_files(settings):
        findings += _secret_file(name, file)
    return findings


def transport(exam: Examination) -> Sequence[Finding]:
    lines = exposed(exam.settings)
    if not lines:
        return [found(AREA, "transport", State.OK, "no secret leaves this machine without TLS")]
    return [found(AREA, "transport", State.WARN, line, REMEDY) for line in lines]


def _sections(settings: Settings) -> Iterator[tuple[str, Section]]:
    """Yield each section with its name in the file; those of a list one by one."""
    for key in [key for source in sources().values() for key in source.sections]:
        held = settings.of(key)
        yield from ((key.name, one) for one in (held if isinstance(held, tuple) else (held,)))
    yield from (("webhook", settings.webhook), ("network-cli", settings.network_cli))


def inline_secrets(settings: Settings) -> Iterator[str]:
    """Yield the keys whose values are secrets and stand in the configuration itself."""
    single, tables, addresses = [], [], []
    for name, section in _sections(settings):
        for attribute in section.SECRETS:
            value, key = attrgetter(attribute)(section), f"{name}.{attribute}".replace("_", "-")
            if isinstance(value, str) and attribute in section.ADDRESSES:
                addresses += [key] if url_hint(value).rstrip("/") != value.rstrip("/") else []
            elif isinstance(value, dict):
                tables += [key] if value else []
            elif value is not None:
                single.append(key)
    yield from dict.fromkeys([*single, *tables, *addresses])


def secret_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the keys that name a file which holds a secret, with that file."""
    for name, section in _sections(settings):
        for attribute in section.SECRET_FILES:
            file = attrgetter(attribute)(section)
            if file is not None:
                yield f"{name}.{attribute}".replace("_", "-"), file


def _secret_file(name: str, file: str) -> list[Finding]:
    try:
        if not secret_of(None, file, name):
            return [found(AREA, name, State.FAIL, f"{file} is empty", "write the secret into it")]
    except ConfigProblem as problem:
        return [found(AREA, name, State.FAIL, problem.reason, problem.remedy)]
    path = Path(file).expanduser()
    if _others_read(path):
        return [found(AREA, name, State.WARN, f"others may read {path}", f"chmod 600 {path}")]
    return [found(AREA, name, State.OK, f"{path}")]


def _others_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH))
    except OSError:
        return False


def runbooks(exam: Examination) -> Sequence[Finding]:
    loaded = exam.runbooks
    if loaded.problems:
        return [
            found(
                AREA, "runbooks", State.FAIL, loaded.problems[0], loaded.problems[1] if len(loaded.problems) > 1 else ""
            )
        ]
    words = f"{loaded.origin}: {counted(len(loaded.runbooks), 'runbook')}, {counted(len(loaded.signals), 'signal')}"
    return [found(AREA, "runbooks", State.OK, words)]


def state(exam: Examination) -> Sequence[Finding]:
    check, path = "state directory", exam.settings.state_dir
    directory = find_directory(path, listed=exam.settings.state_dir_shared)
    if directory.trouble:
        return [found(AREA, check, State.FAIL, directory.trouble, directory.remedy)]
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return [
            found(
                AREA,
                check,
                State.FAIL,
                f"{there} is no directory",
                "set state-dir; without a journal nothing can be changed",
            )
        ]
    if not os.access(there, os.W_OK | os.X_OK):
        return [
            found(
                AREA,
                check,
                State.FAIL,
                f"{there} cannot be written",
                "mend its owner and mode, or set state-dir; without a journal nothing can be changed",
            )
        ]
    room = os.statvfs(there)
    free = room.f_bavail * room.f_frsize
    if free < _ROOM:
        return [
            found(
                AREA,
                check,
                State.WARN,
                f"{free / 1e6:.0f} MB are left for {path}",
                "make room: without a journal nothing can be changed",
            )
        ]
    if there != path:
        return [found(AREA, check, State.OK, f"{path} will be made")]
    mode = path.stat().st_mode & 0o777
    if directory.everyone:
        words = f"{path} has mode {mode:04o}: whoever is on this machine may write to it"
        return [found(AREA, check, State.WARN, words, f"chgrp GROUP {path}; chmod 2770 {path}")]
    if directory.shared:
        return [found(AREA, check, State.OK, f"{path}, mode {mode:04o}, shared: a journal a user in it")]
    if mode & 0o077:
        return [
            found(AREA, check, State.WARN, f"{path} has mode {mode:04o}: others may look into it", f"chmod 700 {path}")
        ]
    return [found(AREA, check, State.OK, f"{path}, mode {mode:04o}")]


def journal(exam: Examination) -> Sequence[Finding]:
    one = read_journal(exam.settings)  # not opened: nothing is written, nothing locked
    if not one.there:
        return [found(AREA, "journal", State.OFF, "none yet: the first step begins it")]
    if one.unreadable:
        more = f"; {len(one.unreadable) - 1} more" if len(one.unreadable) > 1 else ""
        return [found(AREA, "journal", State.UNKNOWN, one.unreadable[0] + more, "mend its owner and mode")]
    problems = one.verify()
    if problems:
        words = f"{problems[0]}" + (f"; {len(problems) - 1} more" if len(problems) > 1 else "")
        return [
            found(AREA, "journal", State.FAIL, words, "m0-cockpit journal verify says all; keep a copy as evidence")
        ]
    count = sum(len(chain.records) for chain in one.chains().values())
    unfinished = len(one.unfinished())
    if unfinished:
        return [
            found(
                AREA,
                "journal",
                State.WARN,
                f"intact, {counted(count, 'record')}; {unfinished} without an outcome",
                "the next start compares them with the cluster",
            )
        ]
    return [found(AREA, "journal", State.OK, f"intact, {counted(count, 'record')}")]


def webhook(exam: Examination) -> Sequence[Finding]:
    """Examine the webhook without posting anything: others would read it."""
    own = exam.settings.webhook
    if not own.configured:
        return [found(AREA, "webhook", State.OFF, "not configured: updates are not posted")]
    try:
        url = secret_of(own.url, own.url_file, "the webhook's URL") or ""
    except ConfigProblem as problem:
        return [found(AREA, "webhook", State.FAIL, problem.reason, problem.remedy)]
    if not url.startswith(("https://", "http://")):
        return [found(AREA, "webhook", State.FAIL, "its url is no http(s) URL", "correct [webhook]")]
    return [found(AREA, "webhook", State.OK, f"{url_hint(url)}; nothing was posted to it")]


def programs(exam: Examination) -> Sequence[Finding]:
    """Look for what steps and sources need beside the package."""
    findings = []
    own = exam.settings.network_cli.argv[0]
    users: dict[str, int] = {}
    for runbook in exam.runbooks.runbooks:
        for step in runbook.mitigations:
            if STEP_KINDS[step.kind].runs_programs and step.argv:
                program = own if step.argv[0] == "m0-cli" else step.argv[0]
                users[program] = users.get(program, 0) + 1
    for program, count in users.items():
        check = "network CLI" if program == own else f"program {program}"
        where = shutil.which(program)
        if where is None:
            words = f"{program} is not in PATH: {count} step{'s' if count > 1 else ''} cannot run"
            findings.append(found(AREA, check, State.WARN, words, "install it, or set argv in [network-cli]"))
        else:
            findings.append(found(AREA, check, State.OK, where))
    if "postgres" in configured(exam.settings) and find_spec("psycopg") is None:
        findings.append(found(AREA, "psycopg", State.FAIL, "not installed", "pip install 'm0-cockpit[postgres]'"))
    return findings
