"""A copied line can be run as it is; what is hidden is a variable of the shell (U5)."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.mitigation import copied


def _run(line: str, **env: str) -> list[str]:
    """Let a real shell split the line, and return the words that a program would get."""
    script = f"printf '%s\\0' {line}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env=env)
    return [word.decode() for word in done.stdout.split(b"\0")[:-1]]


def test_a_hidden_value_is_filled_in_by_the_shell() -> None:
    """U5: never a literal `…/***` that would break production where it is pasted."""
    line = copied.line(
        ["kubectl", "set", "env", "deploy/m0-submitter", f"SOLANA_RPC_URL={copied.hidden('SOLANA_RPC_URL')}"]
    )
    assert line == 'kubectl set env deploy/m0-submitter SOLANA_RPC_URL="$SOLANA_RPC_URL"'
    url = "https://rpc-b.example/v2/key with 'quotes' and $signs"
    assert _run(line, SOLANA_RPC_URL=url)[-1] == f"SOLANA_RPC_URL={url}"


def test_inside_a_quoted_patch_too() -> None:
    patch = json.dumps({"data": {"a key": copied.hidden("a key")}})
    assert _run(copied.word(patch), A_KEY="it's") == ['{"data": {"a key": "it\'s"}}']


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=3))
def test_any_words_come_back_as_they_are(words: list[str]) -> None:
    import shlex

    assert shlex.split(copied.line(words)) == words


@pytest.mark.parametrize("name", ["X", "m0.url", "a-b"])
def test_a_name_that_no_shell_takes_is_made_one(name: str) -> None:
    assert _run(copied.word(copied.hidden(name)), X="v", M0_URL="v", A_B="v") == ["v"]
