"""File, environment, flags: the later wins, errors are one line that names the place, the safest
word wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from cockpit.config import BOUNDS, file_type, is_production, load_settings
from cockpit.settings import ConfigProblem, Settings, secret_of
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.solana.settings import RPC_ENDPOINTS


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    config = write(tmp_path, 'context = "file"\nnamespace = "m0-dev"\n[prometheus]\nurl = "http://file:9090"\n')
    env = {"M0_COCKPIT_CONTEXT": "env", "M0_COCKPIT_PROMETHEUS": "http://env:9090"}
    settings = load_settings(config=config, context="flag", env=env)
    assert (settings.context, settings.namespace, settings.of(PROMETHEUS).url) == ("flag", "m0-dev", "http://env:9090")


def test_steps_act_in_the_first_namespace_and_all_are_watched() -> None:
    settings = load_settings(config=None, env={"M0_COCKPIT_NAMESPACE": "m0-prod,m0-signers"})
    assert settings.namespace == "m0-prod"
    assert settings.namespaces == ("m0-prod", "m0-signers")


def test_read_only_cannot_be_lifted(tmp_path: Path) -> None:
    assert load_settings(config=write(tmp_path, "read-only = true\n"), read_only=False, env={}).read_only
    assert load_settings(env={"M0_COCKPIT_READ_ONLY": "1"}).read_only


@pytest.mark.parametrize("name", ["", " ", "a/../b", "a,b", "Prod", "a\n"])
def test_what_is_no_namespace_is_refused(name: str) -> None:
    """R8: `-n "$NS"` with nothing in it read "live 0 s", of no namespace at all."""
    with pytest.raises(ConfigProblem, match="no name of a namespace"):
        load_settings(namespaces=(name,), env={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("context = nope", "line 1"),
        ("contxt = 'x'", "contxt"),
        ("[prometheus]\ninterval = 'often'", "interval"),
        ("[[rpc-endpoints]]\nname = 'a'", "url"),
        ("[prometheus]\n# often\ninterval = 1e12", "config.toml:3: prometheus.interval: expected a number from 0.1 to"),
        ("[probes]\ntimeout = nan", "config.toml:2: probes.timeout"),
        ("[postgres]\ninterval = -1", "config.toml:2: postgres.interval"),
        ("[solana]\nreveal_delay_slots = -5", "config.toml:2: solana.reveal-delay-slots: expected a number from 0 to"),
        ("[[prometheus]]\ninterval = 1", "prometheus"),
        ("restore = { argv = ['x'], timeout = 1e9 }", "timeout"),
    ],
)
def test_a_broken_file_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigProblem) as caught:
        load_settings(config=write(tmp_path, text), env={})
    assert said in caught.value.reason
    assert "config.toml" in caught.value.reason
    assert "\n" not in caught.value.reason


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="no configuration file"):
        load_settings(config=str(tmp_path / "none.toml"), env={})


def test_an_address_that_is_no_url_is_refused() -> None:
    with pytest.raises(ConfigProblem, match="not an http"):
        load_settings(prometheus="prometheus:9090", env={})


def test_underscores_are_dashes(tmp_path: Path) -> None:
    config = write(tmp_path, 'read_only = true\nrpc_endpoints = [{name = "a", url = "https://a.example"}]\n')
    settings = load_settings(config=config, env={})
    assert settings.read_only
    assert settings.of(RPC_ENDPOINTS)[0].name == "a"


@pytest.mark.parametrize(
    ("context", "namespace", "production"),
    [
        ("prod-eu", "m0-prod", True),
        ("eu-1", "default", True),
        ("staging", "m0-staging", False),
        ("drill", "m0-dev", False),
        ("drill", "m0-prod", False),
        ("eu-1", "m0-dev1", False),
        ("kind-m0", "default", False),
        ("contest", "default", True),  # H10: a word is a whole word
        ("prod-attestation-eu", "m0", True),
        ("mankind-eu", "m0", True),
        ("prod-eu", "m0-test", True),
        ("prod-testing", "m0-dev", True),  # in doubt
    ],
)
def test_in_doubt_it_is_production(context: str, namespace: str, production: bool) -> None:
    assert is_production(Settings(), context, namespace) is production
    assert is_production(Settings(production=True), context, namespace) is True


def test_a_secret_may_live_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t\n")
    assert secret_of(None, str(tmp_path / "secret"), "the password") == "s3cr3t"
    with pytest.raises(ConfigProblem, match="the password"):
        secret_of(None, str(tmp_path / "none"), "the password")


def test_services_may_be_read_directly_and_keep_their_names(tmp_path: Path) -> None:
    text = '[prometheus.direct]\nm0-quant = "http://q:9090/metrics"\nmy_service = "http://m/metrics"\n'
    direct = load_settings(config=write(tmp_path, text), env={}).of(PROMETHEUS).direct
    assert direct == {"m0-quant": "http://q:9090/metrics", "my_service": "http://m/metrics"}


def test_every_number_of_the_file_has_bounds() -> None:
    """B21: a number of which nobody says what it may be would be taken as it is."""

    def numbers(kind: Any, seen: frozenset[Any] = frozenset()) -> Iterator[str]:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
            for field in msgspec.structs.fields(kind):
                if {int, float} & {field.type, *get_args(field.type)}:
                    yield field.name
                yield from numbers(field.type, seen | {kind})
        for each in get_args(kind):
            yield from numbers(each, seen)

    assert set(numbers(file_type())) == set(BOUNDS)
