"""Real shells load the script and complete a line with what parser and runbooks have."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit import cli
from cockpit.cli import build_parser
from cockpit.commands import COMMANDS
from cockpit.commands.completion import script, words
from cockpit.drill.scenarios import SCENARIOS
from cockpit.runbooks import schema
from tests.support.paths import ROOT

Need = Callable[[str], str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make a directory with the program in it, and a kubeconfig beside."""
    program = tmp_path / "bin" / "m0-cockpit"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m cockpit.cli "$@"\n'
    )
    program.chmod(0o755)
    contexts = ["prod-eu", "arn:aws:eks:eu-1:42:cluster/m0", "a b", "$(touch pwned)", "x;y"]
    (tmp_path / "kubeconfig").write_text(json.dumps({"contexts": [{"name": name} for name in contexts]}))
    for shell in ("bash", "zsh"):
        (tmp_path / shell).write_text(script(shell, build_parser()), "utf-8")
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "HOME": str(home),
        "KUBECONFIG": str(home / "kubeconfig"),
        "XDG_CONFIG_HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
    }


def in_bash(home: Path, line: str) -> list[str]:
    """Return what bash would offer at the end of the line."""
    script = f"""
    source {home}/bash
    line={shlex.quote(line)}
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMP_LINE=$line; COMP_POINT=${{#line}}
    eval "$(complete -p m0-cockpit | sed -E 's/.* -F ([^ ]+) .*/found=\\1/')"
    $found 2>/dev/null
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment(home), cwd=home, capture_output=True, text=True, check=True
    )
    return [word for word in done.stdout.split("\n") if word]


def in_zsh(home: Path, line: str) -> str:
    """Return the line as a tab leaves it, in an interactive zsh on a pty of its own."""
    (home / "inner.zsh").write_text(
        f"""
        fpath=({home} $fpath); autoload -U compinit; compinit -u -D; eval "$(<{home}/zsh)"
        tell() {{ print -r -- "$BUFFER" > {home}/line; zle kill-buffer; print -r -- ENDED }}
        zle -N tell; bindkey '^X' tell
        """
    )
    outer = f"""
    zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z 'source {home}/inner.zsh; print -r -- STAR""TED'
    zpty -r z out '*STARTED*'
    zpty -w -n z {shlex.quote(line)}$'\\t\\C-x'
    zpty -r z out '*ENDED*'
    zpty -d z
    """
    subprocess.run(
        ["zsh", "-f", "-c", outer], env=environment(home), cwd=home, capture_output=True, check=True, timeout=60
    )
    return (home / "line").read_text().rstrip("\n")


CASES = [
    ("m0-cockpit ", {row.name for row in COMMANDS}),
    ("m0-cockpit do", {"doctor"}),
    ("m0-cockpit runbooks ", {"check", "list", "show", "alerts"}),
    ("m0-cockpit journal ", {"show", "verify", "undo"}),
    ("m0-cockpit completion ", {"bash", "zsh"}),
    ("m0-cockpit run wat", {"watermark-lag"}),
    ("m0-cockpit run 6 scale", {"scale-ingestors"}),
    ("m0-cockpit run watermark-lag 6.mitigation.", {f"6.mitigation.{n}" for n in range(1, 5)}),
    ("m0-cockpit drill ", {*SCENARIOS}),
    ("m0-cockpit runbooks show post", {"postgres-saturation"}),
    ("m0-cockpit doctor kub", {"kubernetes"}),
    ("m0-cockpit --context prod", {"prod-eu"}),
    ("m0-cockpit status --context prod", {"prod-eu"}),
]


@pytest.mark.parametrize(("line", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_bash_offers_what_there_is(home: Path, line: str, expected: set[str]) -> None:
    offered = in_bash(home, line)
    assert set(offered) == expected


def test_bash_completes_flags_and_files(home: Path) -> None:
    assert {"--json", "--watch", "--context", "--read-only"} <= set(in_bash(home, "m0-cockpit status --"))
    assert in_bash(home, "m0-cockpit journal undo 3 --dry") == ["--dry-run"]
    (home / "mine.toml").touch()
    assert in_bash(home, "m0-cockpit --config min") == ["mine.toml"]
    assert "--words" not in in_bash(home, "m0-cockpit completion --")
    assert "--parent" not in in_bash(home, "m0-cockpit drill --")


def test_a_hostile_context_is_neither_offered_nor_run(home: Path) -> None:
    assert set(in_bash(home, "m0-cockpit --context ")) == {"prod-eu", "arn:aws:eks:eu-1:42:cluster/m0"}
    assert not (home / "pwned").exists()


def test_an_own_runbooks_file_counts(home: Path) -> None:
    (home / "mine.toml").write_text('[[runbook]]\nid = "own-book"\nnumber = 40\ntitle = "Own"\n', "utf-8")
    assert in_bash(home, "m0-cockpit --runbooks mine.toml run own") == ["own-book"]
    (home / "mine.toml").write_text("broken", "utf-8")  # the packaged ones are in force
    assert in_bash(home, "m0-cockpit --runbooks mine.toml run water") == ["watermark-lag"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("line", "expected"),
    [case for case in CASES if len(case[1]) == 1],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_zsh_completes_what_bash_does(home: Path, need: Need, line: str, expected: set[str]) -> None:
    need("zsh")
    (word,) = expected
    assert in_zsh(home, line).rstrip() == f"{line.rpartition(' ')[0]} {word}"


def test_words_are_safe_for_a_shell_and_never_an_error(tmp_path: Path) -> None:
    runbooks = schema.load().runbooks
    assert {b.id for b in runbooks} | {str(b.number) for b in runbooks} == set(words("runbooks", []))
    assert words("steps", ["run", "nothing"]) == words("steps", []) == words("no such kind", []) == []
    assert words("contexts", ["--kubeconfig", str(tmp_path / "none")]) == []
    (tmp_path / "odd").write_text("contexts: [1, {name: [x]}, {name: ok}]")
    assert words("contexts", [f"--kubeconfig={tmp_path / 'odd'}"]) == ["ok"]


def test_the_command_prints_the_script_and_asks_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "bash"]) == 0
    assert "complete -o bashdefault" in capsys.readouterr().out
    assert cli.main(["completion"]) == 70
    assert "whose completion?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        cli.main(["completion", "fish"])
    assert caught.value.code == 64
