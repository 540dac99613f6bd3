"""The doctor on this machine: configuration, secrets in files, state directory, journal, terminal;
and checks that hang or break.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cockpit import cli
from cockpit.commands.doctor import as_text, examine
from cockpit.config import load_settings
from cockpit.doctor import local
from cockpit.doctor.terminal import tmux_says
from cockpit.journal.journal import Journal
from cockpit.runbooks import schema
from cockpit.session import journal_path
from cockpit.settings import Settings
from cockpit.sources.examination import Examination, Finding, State, bounded, found, skew, verdict
from tests.support.doctor_rig import by_check, findings_of, worse
from tests.support.paths import ROOT


def case(tmp_path: Path, text: str = "", mode: int = 0o600, **options: Any) -> Examination:
    path = tmp_path / "config.toml"
    path.write_text(f'state-dir = "{tmp_path / "state"}"\n{text}', "utf-8")
    path.chmod(mode)
    settings = load_settings(config=str(path), env={})
    return Examination(settings, schema.load(settings.runbooks), **options)


def states(findings: Sequence[Finding]) -> dict[str, State]:
    return {finding.check: finding.state for finding in findings}


# --- configuration


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[prometheus]\nurl = "http://p"\npassword = "hunter2hunter2"', "prometheus.password"),
        ('[prometheus]\nurl = "http://p"\nheaders = { X-Key = "hunter2hunter2" }', "prometheus.headers"),
        ('[postgres]\nurl = "postgresql://a:hunter2hunter2@b/c"', "postgres.url"),
        ('[webhook]\nurl = "https://hooks.example.com/hunter2hunter2"', "webhook.url"),
        ('[network-cli]\nenv = { KEY = "hunter2hunter2" }', "network-cli.env"),
        ('[[rpc-endpoints]]\nname = "a"\nurl = "https://rpc.example.com/v2/hunter2hunter2"', "rpc-endpoints.url"),
    ],
)
def test_secrets_that_others_may_read_are_a_warning(tmp_path: Path, text: str, key: str) -> None:
    (finding,) = local.configuration(case(tmp_path, text, 0o644))
    assert finding.state is State.WARN and key in finding.words and finding.remedy.startswith("chmod 600 ")
    assert "hunter2" not in finding.words
    assert states(local.configuration(case(tmp_path, text, 0o600))) == {"configuration": State.OK}


def test_a_file_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    plain = '[prometheus]\nurl = "http://p"\n[[rpc-endpoints]]\nname = "a"\nurl = "https://rpc.example.com/"'
    assert states(local.configuration(case(tmp_path, plain, 0o644))) == {"configuration": State.OK}


def test_secret_files_are_read_and_their_modes_reported(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("hunter2")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "empty").touch()
    found_ = local.configuration(
        case(
            tmp_path,
            f'[prometheus]\npassword-file = "{tmp_path / "open"}"\nbearer-file = "{tmp_path / "none"}"\n'
            f'[postgres]\nurl-file = "{tmp_path / "empty"}"',
        )
    )
    assert states(found_) == {
        "configuration": State.OK,
        "prometheus.password-file": State.WARN,
        "prometheus.bearer-file": State.FAIL,
        "postgres.url-file": State.FAIL,
    }


def test_a_broken_configuration_is_a_finding_and_the_rest_is_examined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "config.toml"
    path.write_text("[prometheus]\nintervall = 3\n", "utf-8")
    assert cli.main(["doctor", "--json", "--config", str(path), "local", "kubernetes"]) == 2
    findings = {(f["area"], f["check"]): f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert (
        findings["local", "configuration"]["state"] == "fail"
        and "intervall" in findings["local", "configuration"]["words"]
    )
    assert findings["local", "runbooks"]["state"] == "ok"
    assert "no kubeconfig" in findings["kubernetes", "kubeconfig"]["words"]


def test_a_broken_runbooks_file_is_reported_with_its_line(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text("[signals.x]\ntitel = 3\n", "utf-8")
    (finding,) = local.runbooks(case(tmp_path, f'runbooks = "{own}"\n'))
    assert finding.state is State.FAIL and "the packaged runbooks are in force" in finding.words
    assert "mine.toml:" in finding.remedy


# --- the state directory and the journal


def test_the_state_directory_is_made_later_or_has_a_mode(tmp_path: Path) -> None:
    one = case(tmp_path)
    state = one.settings.state_dir
    assert "will be made" in local.state(one)[0].words
    state.mkdir(mode=0o755)
    (finding,) = local.state(one)
    assert finding.state is State.WARN and "0755" in finding.words and "chmod 700" in finding.remedy
    state.chmod(0o700)
    assert local.state(one)[0].state is State.OK
    state.rmdir()
    state.write_text("a file")
    assert local.state(one)[0].state is State.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    one = case(tmp_path)
    one.settings.state_dir.mkdir(mode=0o500)
    (finding,) = local.state(one)
    assert finding.state is State.FAIL and "cannot be written" in finding.words


def test_the_journal_is_verified_without_being_touched(tmp_path: Path) -> None:
    one = case(tmp_path)
    assert local.journal(one)[0].state is State.OFF
    path = journal_path(one.settings)
    assert not path.exists()
    journal = Journal.open(path)
    for number in range(3):
        journal.append({"type": "note", "text": f"note {number}"})
    journal.close()
    before = path.read_bytes()
    (finding,) = local.journal(one)
    assert finding.state is State.OK and "3 records" in finding.words
    assert path.read_bytes() == before
    path.write_bytes(before.replace(b"note 1", b"note 7"))
    (finding,) = local.journal(one)
    assert finding.state is State.FAIL and "line 2" in finding.words


# --- other programs


def test_a_network_cli_that_is_not_installed(tmp_path: Path) -> None:
    findings = local.programs(case(tmp_path, '[network-cli]\nargv = ["no-such-m0-cli"]'))
    assert states(findings) == {"network CLI": State.WARN} and "no-such-m0-cli is not in PATH" in findings[0].words
    assert states(local.programs(case(tmp_path, f'[network-cli]\nargv = ["{sys.executable}"]'))) == {
        "network CLI": State.OK
    }


def test_the_webhook_is_never_posted_to(tmp_path: Path) -> None:
    url = "https://hooks.example.com/services/T0/B0/hunter2hunter2"
    (finding,) = local.webhook(case(tmp_path, f'[webhook]\nurl = "{url}"'))
    assert finding.state is State.OK and "hooks.example.com" in finding.words and "hunter2" not in finding.words
    assert local.webhook(case(tmp_path, '[webhook]\nurl = "slack"'))[0].state is State.FAIL
    assert local.webhook(case(tmp_path))[0].state is State.OFF


# --- the terminal


def on_terminal(tmp_path: Path, env: dict[str, str], size: tuple[int, int] = (160, 48)) -> dict[str, State]:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        one = case(tmp_path, tty=theirs, env=env)
        findings, _ = examine(one, ("terminal",))
    finally:
        os.close(ours)
        os.close(theirs)
    return states(findings)


def test_a_good_terminal_and_a_poor_one(tmp_path: Path) -> None:
    good = on_terminal(tmp_path, {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"})
    assert good == {
        "TERM": State.OK,
        "colours": State.OK,
        "UTF-8": State.OK,
        "size": State.OK,
        "clipboard": State.OFF,
    }
    poor = on_terminal(tmp_path, {"TERM": "xterm", "LANG": "C"}, (79, 24))
    assert poor["UTF-8"] is State.WARN and poor["size"] is State.WARN
    assert on_terminal(tmp_path, {"TERM": "dumb"})["TERM"] is State.FAIL
    assert on_terminal(tmp_path, {"TERM": "screen", "STY": "1.pts", "LANG": "C.UTF-8"})["clipboard"] is State.OFF


def test_a_pipe_is_no_terminal(tmp_path: Path) -> None:
    findings, _ = examine(case(tmp_path, tty=None), ("terminal",))
    assert states(findings) == {"terminal": State.OFF}


def test_what_tmux_lets_through() -> None:
    good = states(tmux_says("3.4", "10", "external", "256,clipboard,hyperlinks,RGB", "on"))
    assert set(good.values()) == {State.OK}
    old = {f.check: f for f in tmux_says("3.3a", "500", "off", "256,clipboard", "off")}
    assert old["tmux"].state is State.WARN and "escape-time 10" in old["tmux"].remedy
    assert old["clipboard"].state is State.WARN and old["hyperlinks in tmux"].state is State.OFF
    assert "tmux 3.4" in old["hyperlinks in tmux"].remedy
    assert states(tmux_says("", "", "", "", ""))["tmux"] is State.OK  # nothing known against it
    assert states(tmux_says("next-3.6", "0", "on", "hyperlinks", ""))["hyperlinks in tmux"] is State.OK


@pytest.mark.real
def test_a_real_tmux_is_asked(tmp_path: Path, need: Callable[[str], str]) -> None:
    tmux = [need("tmux"), "-L", f"doctor-{os.getpid()}", "-f", "/dev/null"]
    out = tmp_path / "out"
    run = f"PYTHONPATH={ROOT} XDG_STATE_HOME={tmp_path} LANG=C.UTF-8 {sys.executable} -m cockpit.cli doctor terminal 2>&1 | cat > {out}.part; mv {out}.part {out}; sleep 60"
    env = {**os.environ, "TERM": "xterm-256color"}
    try:
        subprocess.run([*tmux, "new-session", "-d", "-x", "160", "-y", "48", run], env=env, check=True, timeout=20)
        deadline = time.monotonic() + 20
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        subprocess.run([*tmux, "kill-server"], env=env, check=False, capture_output=True, timeout=20)
    text = out.read_text()
    assert "tmux: tmux 3" in text and "escape-time 500 ms" in text, text
    assert "size: 160×48" in text


# --- checks that hang, break, or tell secrets


async def test_a_check_that_hangs_or_breaks_is_unknown(tmp_path: Path) -> None:
    one = case(tmp_path, limit_s=0.05)

    async def hangs() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def breaks() -> list[Finding]:
        raise RuntimeError("password=hunter2hunter2 \x1b]0;x\x07")

    (late,) = await bounded(one, "a", "b", hangs)
    assert late.state is State.UNKNOWN and "no answer in 0.05 s" in late.words
    (broken,) = await bounded(one, "a", "b", breaks)
    assert broken.state is State.UNKNOWN and "hunter2" not in broken.words and "\x1b" not in broken.words


def test_a_credential_plugin_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    """Its thread is left behind; the other areas are examined."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": [str(gate)]}}
    (tmp_path / "kubeconfig").write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    settings = Settings(kubeconfig=str(tmp_path / "kubeconfig"), state_dir=tmp_path / "state")
    findings, left_behind = examine(Examination(settings, schema.load(), limit_s=0.3), ("local", "kubernetes"))
    with gate.open("w") as end:
        end.write("{}")
    found_ = by_check(findings)
    assert left_behind
    assert found_["kubernetes", "kubeconfig"].state is State.UNKNOWN
    assert found_["local", "runbooks"].state is State.OK


def test_the_verdict_is_the_worst_and_off_is_no_fault() -> None:
    def of(*several: State) -> State:
        return verdict([found("a", "b", state, "w") for state in several])

    assert of(State.OK, State.OFF) is State.OK
    assert of(State.OK, State.UNKNOWN) is State.UNKNOWN
    assert of(State.UNKNOWN, State.WARN) is State.WARN
    assert of(State.WARN, State.FAIL, State.UNKNOWN) is State.FAIL


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(1.0, State.OK), (-3.0, State.OK), (-4.0, State.WARN), (14.0, State.WARN), (-16.0, State.FAIL)],
)
def test_skew_has_three_degrees(seconds: float, state: State) -> None:
    assert skew("a", seconds, "their", 1.0).state is state


def test_an_area_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor", "kubernets"])
    assert caught.value.code == 64 and "there is no area 'kubernets'" in capsys.readouterr().err


def test_text_and_findings_have_a_line_each(tmp_path: Path) -> None:
    findings = findings_of(Settings(state_dir=tmp_path), "solana", "probes", "postgres")
    assert worse(findings) == {}
    assert as_text(list(findings.values())).splitlines()[-1] == "OK: 3 off"


def test_nothing_of_it_is_imported_until_it_is_called() -> None:
    code = "import sys; from cockpit.cli import build_parser; build_parser('live'); print([m for m in sys.modules if 'doctor' in m or 'shtab' in m or 'completion' in m])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
