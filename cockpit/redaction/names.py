"""Judges by a name whether its value is a secret: the one list of such names, and its tokeniser.

A name is split at case, underscore, dot and dash: `accessToken`, `spring.datasource.password` and
`X-Api-Key` are two, three and three words. What follows the secret word can take it back: the
value of `token_count` or `passwordFile` is none. Words were gathered from what gitleaks,
detect-secrets and trufflehog look for, and from what this network's services print.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from cockpit.redaction.marks import listed


class Secrecy(Enum):
    """What a name says of its value."""

    NONE = "shown"
    MAYBE = "hidden if it looks random"
    TOKEN = "hidden, but for counts"
    PASSWORD = "hidden, numbers too"
    PHRASE = "hidden to the end of the line: it has words in it"
    HEADER = "hidden to the end of the line, but for the scheme"


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_LONGEST = 128  # characters of a name that are looked at, from its end

_PASSWORD = listed("password passwords passwd passwort pwd passcode contrasena contrase requirepass masterauth bindpw")
_PHRASE = frozenset(("passphrase", "mnemonic"))
_HEADER = frozenset(("authorization", "cookie", "cookies"))
_TOKEN = listed(
    "secret secrets token tokens apikey apikeys appkey authkey secretkey accesskey privatekey privkey "
    "signingkey encryptionkey masterkey credential credentials creds cred keypair jwt pass pw psk bearer"
)
_MAYBE = listed("auth seed dsn session jsessionid phpsessid sessionid sid")
#: Words that others are glued in front of: PGPASSWORD, csrftoken, keystorepassword.
_GLUED = listed(
    "password passwd passphrase secret token tokens apikey secretkey accesskey privatekey credentials keypair "
    "authorization cookie jsessionid"
)
_GLUED_PASS = frozenset(
    one + word for one in listed("db pg user auth admin root my bind") for word in ("pass", "pwd", "pw")
)
#: A key is a secret after these words; after others only if it looks random; alone it is a name.
_KEY = frozenset(("key", "keys"))
_SECRET_KEYS = listed(
    "api app application secret private priv access signing encryption enc decryption crypt master account "
    "auth license licence shared storage subscription client consumer session service deploy admin root "
    "wallet unseal libsodium sodium rpc functions write ingest integration hmac aes signer ssh"
)
_PLAIN_KEYS = listed(
    "public pub primary foreign cache routing partition sort group object lookup row idempotency map host "
    "dedup index unique hash range metric label config param message msg event shard verification verifying "
    "verify registry hot composite natural last next first prev previous start end min max any this that same "
    "the wrong duplicate arrow parent by for of a"
)
_PHRASES = listed("seed recovery secret mnemonic backup wallet")  # …_phrase
#: What these words say of a secret is none: its file, its age, how many there are.
_ABOUT = listed(
    "file files path paths dir name names ref refs reference type types kind count counts ttl url uri urls "
    "endpoint endpoints id ids length len size encryption policy rotation version versions expiry expires "
    "expire expiration exp age seconds ms total bucket buckets program programs account accounts mint balance "
    "balances amount amounts symbol address location mode method methods provider providers manager interval "
    "limit limits rate budget used usage error errors status state hint field column prefix arn algorithm alg "
    "domain domains "
    "required enabled disabled stdin help flow server class format index hits misses table review reviews "
    "authentication changed created updated at rules scope scopes audience issuer cache source sources "
    "selector reset attempts attempt min max valid validation validator verified loaded helper expired "
    "invalid missing failed mismatch exception found py rs go java ts js c cc cpp rb php"
)
#: Tokens that are no secret: of text, of pages, of the chain.
_PLAIN_TOKENS = listed(
    "page continue continuation next cancellation cancel sync unexpected prompt completion total max min "
    "input output spl lp pre post unknown syntax keyword"
)


def words_of(name: str) -> tuple[str, ...]:
    """Split a name at case, underscore, dot and dash, in small letters."""
    return tuple(word.lower() for word in _WORD.findall(name[-_LONGEST:]))


def _known(word: str) -> Secrecy:
    if word in _PASSWORD or word in _GLUED_PASS:
        return Secrecy.PASSWORD
    if word in _PHRASE:
        return Secrecy.PHRASE
    if word in _HEADER:
        return Secrecy.HEADER
    if word in _TOKEN:
        return Secrecy.TOKEN
    if word in _MAYBE:
        return Secrecy.MAYBE
    ending = next((glued for glued in _GLUED if word.endswith(glued) and len(word) > len(glued)), None)
    return _known(ending) if ending is not None else Secrecy.NONE


def _of_key(before: str) -> Secrecy:
    if before in _SECRET_KEYS:
        return Secrecy.TOKEN
    return Secrecy.NONE if before in _PLAIN_KEYS or not before or before.isdigit() else Secrecy.MAYBE


def _judge(words: tuple[str, ...]) -> Secrecy:
    if "public" in words or "pub" in words or "pubkey" in words:
        return Secrecy.NONE
    found = Secrecy.NONE
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if word in _KEY:
            here = _of_key(before)
        elif word == "phrase" and before in _PHRASES:
            here = Secrecy.PHRASE
        else:
            here = _known(word)
        if word in ("token", "tokens") and before in _PLAIN_TOKENS:
            here = Secrecy.NONE
        if word == "secrets" and before == "pull":
            here = Secrecy.NONE
        if here is not Secrecy.NONE:
            found = here
        elif found is not Secrecy.NONE and word in _ABOUT:
            known = word == "id" and before in ("secret", "session")  # Vault's secret_id is the secret itself
            found = Secrecy.MAYBE if known else Secrecy.NONE
    return found


def secrecy(name: str, before: str = "") -> Secrecy:
    """Judge a name; `before` is the word in front of it in the text, as in `private key: …`."""
    return _secrecy(name[-_LONGEST:], before)


@lru_cache(maxsize=4096)
def _secrecy(name: str, before: str) -> Secrecy:
    words = words_of(name)
    found = _judge(words)
    if found is Secrecy.NONE and before and len(words) == 1 and words[0] in (*_KEY, "phrase", "token", "tokens"):
        found = _judge((before.lower(), *words))
    elif before.lower() in _PLAIN_TOKENS and words in (("token",), ("tokens",)):
        found = Secrecy.NONE
    if found is Secrecy.NONE and len(words) > 3 and max(map(len, words)) <= 2:
        found = _judge(words_of(name.lower()))  # AuThOrIzAtIoN
    return found


def secret_variable(name: str) -> bool:
    """Judge the name of a variable or a key of a ConfigMap: there a key alone is a secret too."""
    if secrecy(name) is not Secrecy.NONE:
        return True
    words = words_of(name)
    if not words or {"public", "pub", "pubkey"} & set(words):
        return False
    return (words[-1] in _KEY and (len(words) == 1 or words[-2] not in _PLAIN_KEYS)) or words[-1] == "private"


#: Every secret name has one of these in it, in small letters: a cheap first look at a text.
STEMS = tuple(
    sorted(
        listed(
            "pass pwd pw secret token key cred auth cookie mnemonic phrase seed dsn jwt sess sid contrase psk bearer "
            "masterauth"
        )
    )
)
