"""The redaction corpus: no secret of it survives, no harmless line of it is touched (H3)."""

from __future__ import annotations

import pytest

from cockpit.incident.evidence.redaction import redacted
from cockpit.redaction.forms import KeyLines
from cockpit.redaction.names import secret_variable
from cockpit.sources.kubernetes.log_lines import parse
from cockpit.text import HIDDEN, redact, safe
from tests.hostile.redaction_corpus import ENTRIES, HARMLESS, SECRETS
from tests.support.paths import ROOT


def test_the_corpus_is_large_enough_and_says_what_is_secret() -> None:
    assert len(SECRETS) >= 300 and len(HARMLESS) >= 300
    for entry in SECRETS:
        assert entry.secrets and all(len(secret) >= 5 for secret in entry.secrets), entry
        assert entry.leaks(entry.text)
    for entry in HARMLESS:
        assert not entry.secrets and not set("«»") & set(entry.text), entry
    texts = [entry.text for entry in [*SECRETS, *HARMLESS]]
    assert len(texts) == len(set(texts))


def test_no_secret_of_the_corpus_survives() -> None:
    """H3: 0 misses; a piece of five characters is a miss."""
    misses = [(entry.file, entry.line, redact(entry.text)) for entry in SECRETS if entry.leaks(redact(entry.text))]
    assert misses == []


@pytest.mark.parametrize(
    "text",
    [
        "pass\u200bword=«hunter2x»",
        "pass\xadword=«hunter2x»",
        "pass\u202eword=«hunter2x»",
        "pass\x00word=«hunter2x»",
        "password\x00=«hunter2x»",
        "password\xa0=\xa0«hunter2x»",
        "password\u3000:\u3000«hunter2x»",
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44=«hunter2x»",
        "password\uff1a«hunter2x»",
        "https://rpc/?api\u2060key=«Zq8vK2mPx7Lw4Rt9Yb3N»",
        "HOME=/\x00DB_PASSWORD=«hunter2x»\x00PATH=/bin",
        "Bearer\u2009«Zq8vK2mPx7Lw4Rt9Yb3NZq8v»",
    ],
)
def test_a_name_that_is_read_as_one_hides_its_value(text: str) -> None:
    """H3: what is not seen, or only looks like a space or a letter, parted it from its value."""
    secret = text.partition("«")[2].partition("»")[0]
    shown = redact(text.replace("«", "").replace("»", ""))
    assert secret not in shown and redact(shown) == shown


def test_no_harmless_line_of_the_corpus_is_touched() -> None:
    """H3: 0 false alarms: hashes, pod names, signatures and prose stay evidence."""
    alarms = [(entry.file, entry.line, redact(entry.text)) for entry in HARMLESS if redact(entry.text) != entry.text]
    assert alarms == []


def test_what_is_hidden_stays_as_it_is() -> None:
    for entry in ENTRIES:
        once = redact(entry.text)
        assert redact(once) == once, entry
        assert safe(safe(entry.text)) == safe(entry.text), entry


def test_the_evidence_hides_what_the_screen_hides() -> None:
    """H3: one list of names guards text, variables and evidence alike."""
    for name in ("accessToken", "spring.datasource.password", "PGPASSWORD", "X-Api-Key", "M0_SIGNER_KEY", "db_pass"):
        assert redacted({name: "hunter2-abc", "n": 1}) == {name: HIDDEN, "n": 1}
        assert redacted({name: {"a": ["hunter2-abc"]}}) == {name: HIDDEN}
        assert secret_variable(name)
        assert "hunter2-abc" not in redact(f"{name}=hunter2-abc")
    for name in ("token_count", "passwordFile", "public_key", "cache_key", "M0_TOKEN_BUCKET_RATE", "secretName"):
        assert redacted({name: "12 of m0-tls"}) == {name: "12 of m0-tls"}
        assert not secret_variable(name)


def test_a_private_key_over_several_lines_of_a_log_is_hidden() -> None:
    """H3: each line of a log comes alone; the last of a key is short and bears no mark."""
    body = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "QwSab8hV0a1b2C3d4E5f=="]
    lines = ["loading", "-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----", "m0-signer is ready"]
    keys = KeyLines()
    shown = [parse(line.encode(), "p", "c", keys)[0].text for line in lines]
    assert shown == ["loading", "[private key ***]", "***", "***", "***-----END PRIVATE KEY-----", "m0-signer is ready"]


def test_the_docs_say_what_cannot_be_recognised() -> None:
    """H3: an example of each kind is really shown; what is shown is said."""
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    for kind, shown in {
        "a secret without a name or a mark": "logged in with hunter2",
        "a short or plain word in a sentence": "the password is summer",
        "a name that is not in the list": "unlock=hunter2 geheimnis=hunter2",
        "a secret in pieces": "hunt\ner2",
        "an encoding other than percent and JSON's": "data: aHVudGVyMg==",
        "a password that stands at its place": "tool -x hunter2; echo hunter2 | tool",
    }.items():
        assert f"**{kind}**" in page
        assert redact(shown) == shown
