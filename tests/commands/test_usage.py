"""A word of the command line that names nothing: one line, what was meant, and exit code 64."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit import cli
from cockpit.errors import nearest

WRONG = {
    "statsu": "status",
    "drill rpc-outag": "rpc-outage",
    "drill ingest-backlog+rpc-outag": "rpc-outage",
    "runbooks alert": "alerts",
    "runbooks show publish-stops": "publishing-stops",
    "run publishing-stop 1.mitigation.A --dry-run": "publishing-stops",
    "run 1 1.mitigation.AA --dry-run": "1.mitigation.A",
    "run 1 1.mitigation.A --dry-run --param ulr=https://a": "url",
    "maintenance weakly": "weekly",
    "incident opne": "open",
    "incident role comander bob": "commander",
    "incident open --title x --severity SEV1 --runbook reveal-fail": "reveal-fails",
    "journal verfy": "verify",
    "completion bsh": "bash",
    "doctor kubernets": "kubernetes",
    "status --jsno": "--json",
}
#: Nothing is like these, or only another number.
UNLIKE = (
    "runbooks show 99",
    "incident open --title x --severity SEV9",
    "incident show 4",
    "journal undo 9",
    "drill xyz",
)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def code_of(words: str) -> int:
    try:
        return cli.main(words.split())
    except SystemExit as end:
        return int(str(end.code))


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_name_exits_64_and_says_which_one_may_be_meant(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """U17."""
    assert code_of(words) == 64
    said = capsys.readouterr().err
    assert f"did you mean {WRONG[words]!r}?" in said and said.count("\n") == 1


@pytest.mark.parametrize("words", UNLIKE)
def test_what_is_like_nothing_is_refused_without_a_guess(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """U17."""
    code = code_of(words)
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (64, 1)
    assert "did you mean" not in said


@pytest.mark.parametrize(
    "words",
    [
        "drill --speed 1000",
        "drill rpc-outage --surprise",
        "drill calm --first",
        "run 1 1.mitigation.A --dry-run --param url",
        "run 1 1.mitigation.A --dry-run",
        "run 1 1.mitigation.A --dry-run --param url=nonsense",
        "drill calm+rpc-outage+gateway-leak+missing-index",
    ],
)
def test_a_value_that_cannot_be_used_exits_64_before_anything_is_asked(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """U17."""
    assert code_of(words) == 64
    assert capsys.readouterr().err.startswith("m0-cockpit: ")


def test_another_number_is_no_slip_of_the_finger() -> None:
    assert nearest("SEV9", ["SEV0", "SEV1"]) == "" == nearest("99", ["9", "1"])
    assert nearest("1.mitigation.Z", ["2.mitigation.Z"]) == ""
    assert nearest("WEEKLY ", ["weekly"]) == "; did you mean 'weekly'?"
