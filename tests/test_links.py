"""`[links]` refuses templates that could surprise.

What is filled in can change nothing but its own place.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.config import load_settings
from cockpit.links import problem_of
from cockpit.model.links import LONGEST_VALUE, Links
from cockpit.settings import ConfigProblem, LinksSettings, Settings
from cockpit.terminal import hyperlinks


def settings(tmp_path: Path, links: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(f"[links]\n{links}\n", "utf-8")
    return load_settings(config=str(path), env={})


def test_templates_come_from_the_configuration(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        'trace = "https://traces.example.com/trace/{trace}"\n'
        'signal = "https://grafana.example.com/d/m0?var-signal={signal}&from=now-1h"\n'
        'transaction = "https://explorer.example.com/tx/{signature}?cluster=devnet"\n'
        'dashboard = "https://grafana.example.com/d/m0?var-ns={namespace}&var-c={context}"',
    )
    links = found.links.templates
    assert links.of_trace("4bf92f3577b34da6") == "https://traces.example.com/trace/4bf92f3577b34da6"
    assert links.of_signal("watermark-lag") == "https://grafana.example.com/d/m0?var-signal=watermark-lag&from=now-1h"
    assert links.of_transaction("5Sig") == "https://explorer.example.com/tx/5Sig?cluster=devnet"
    assert links.of_dashboard("prod eu", "m0-prod") == "https://grafana.example.com/d/m0?var-ns=m0-prod&var-c=prod%20eu"


def test_nothing_is_linked_without_a_template() -> None:
    none = LinksSettings().templates
    assert none.of_trace("a") is none.of_signal("a") is none.of_transaction("a") is none.of_dashboard("a", "b") is None


@pytest.mark.parametrize(
    ("name", "template", "words"),
    [
        ("trace", "ftp://x/{trace}", "not an http(s) URL"),
        ("trace", "javascript:alert({trace})", "not an http(s) URL"),
        ("trace", "https://x/{id}", "unknown placeholder {id}: there is {trace}"),
        ("trace", "https://x/{signal}", "unknown placeholder {signal}"),
        ("trace", "https://x/", "{trace} is missing"),
        ("trace", "https://x/{trace}?a={", "%7B"),
        ("trace", "https://x/{{trace}}", "%7B"),
        ("trace", "https://{trace}.example.com/", "the host must be written out"),
        ("trace", "https://{trace}", "the host must be written out"),
        ("trace", "https:///{trace}", "the host must be written out"),
        ("trace", "https://user:pw@x/{trace}", "no user name or password"),
        ("trace", "https://x/{trace}\x1b\\", "percent-encoded"),
        ("trace", "https://x/{trace} b", "percent-encoded"),
        ("trace", "https://x:port/{trace}", "not a URL that can be read"),
        ("trace", "https://[x/{trace}", "not a URL that can be read"),
        ("trace", "https://x/" + "a" * 3000 + "{trace}", "at most"),
        ("signal", "https://x/{trace}", "there is {signal}"),
        ("transaction", "https://x/{transaction}", "there is {signature}"),
        ("dashboard", "https://x/{market}", "there is {context} and {namespace}"),
    ],
)
def test_a_template_that_cannot_be_is_a_configuration_error(
    tmp_path: Path, name: str, template: str, words: str
) -> None:
    assert words in problem_of(name, template)
    escaped = template.replace("\\", "\\\\").replace("\x1b", "\\u001b")
    with pytest.raises(ConfigProblem) as caught:
        settings(tmp_path, f'{name} = "{escaped}"')
    unseen = "has characters in it that"  # of every setting, before what it says is read
    assert (words in caught.value.reason or unseen in caught.value.reason) and "config.toml" in caught.value.reason
    assert "\x1b" not in caught.value.reason and "pw@" not in caught.value.reason


def test_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="traces"):
        settings(tmp_path, 'traces = "https://x/{trace}"')


@given(st.text(max_size=60))
def test_whatever_the_value_the_address_is_one_printable_word_to_the_same_place(value: str) -> None:
    links = Links(
        trace="https://traces.example.com/trace/{trace}?org=1#a", signal="https://g.example.com/d?var={signal}&kiosk"
    )
    for url in (links.of_trace(value), links.of_signal(value)):
        if url is None:
            assert not value.strip(".")
            continue
        assert all("!" <= char <= "~" for char in url)
        assert urlsplit(url).hostname in ("traces.example.com", "g.example.com")
    trace, signal = links.of_trace(value), links.of_signal(value)
    if trace is not None and signal is not None:
        parts = urlsplit(trace)
        assert (parts.query, parts.fragment) == ("org=1", "a")
        assert parts.path.count("/") == 2
        plain = value.encode("utf-8", "replace").decode()
        assert unquote(parts.path.removeprefix("/trace/")) == plain
        assert parse_qs(urlsplit(signal).query)["var"] == [plain]


def test_what_cannot_be_a_name_is_not_linked() -> None:
    links = Links(trace="https://x/{trace}/y")
    assert [links.of_trace(v) for v in ("", ".", "..", "x" * (LONGEST_VALUE + 1))] == [None] * 4
    assert links.of_trace("a..b") == "https://x/a..b/y"
    assert links.of_trace("{trace}") == "https://x/%7Btrace%7D/y"


@pytest.mark.parametrize(
    ("env", "sent"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux"}, True),
        ({"TERM": "screen-256color", "TMUX": "/tmp/tmux"}, True),
        ({"TERM": "screen-256color"}, False),
        ({"TERM": "screen.xterm-256color", "STY": "1.pts"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "vt220"}, False),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4803"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7203"}, True),
        ({}, False),
    ],
)
def test_hyperlinks_go_to_terminals_that_take_or_drop_them(env: dict[str, str], sent: bool) -> None:
    assert hyperlinks("auto", env) is sent
    assert hyperlinks("always", env) and not hyperlinks("never", env)
