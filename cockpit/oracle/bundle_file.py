"""Reads a bundle from a JSON file, bounded in size and depth, every error with its key.

`{"payload": {…} | "payload_b64": "…", "bundle_content_hash": hex, "signer_set_id": n,
"publish_epoch_id": n, "sequence": n, "market": id, "salt": hex, "commit_hash": hex, "signatures":
[{"pubkey": base58, "signature": base58}, …]}`; market, salt and commit_hash may be absent. The
canonical payload is JSON with sorted keys, no whitespace, UTF-8; numbers stay as they are written,
for 0.10 and 0.1 are different bytes to whoever signed them.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cockpit.errors import CockpitError
from cockpit.model.observed.chain import SignerSetState
from cockpit.text import safe

MOST_BYTES = 1024 * 1024
MOST_DEPTH = 64
MOST_SIGNATURES = 256
U64 = 2**64 - 1


class BundleProblem(CockpitError):
    """The file is no bundle (or no signer set); the line names the key and what was expected."""

    usual_remedy = "fetch the file again; docs/commands.md has the form of a bundle and of a signer set"


@dataclass(frozen=True, slots=True)
class Signed:
    """Holds base58 as it was written: whether it is any is for the verification to say."""

    pubkey: str
    signature: str


@dataclass(frozen=True, slots=True)
class Bundle:
    payload: bytes  # canonical, or the very bytes of payload_b64
    content_hash: bytes  # as claimed, 32 bytes
    signer_set_id: int
    publish_epoch_id: int
    sequence: int
    signatures: tuple[Signed, ...]
    market: str = ""
    salt: bytes | None = None
    commit_hash: bytes | None = None


class _Number(str):
    """Holds a number's text."""


def read_bundle(raw: bytes) -> Bundle:
    """Read a bundle.

    Raises BundleProblem.
    """
    table = _object(_parse(raw), "the file")
    if ("payload" in table) == ("payload_b64" in table):
        raise BundleProblem("payload: expected exactly one of payload and payload_b64")
    payload = _base64(table, "payload_b64") if "payload_b64" in table else canonical(table["payload"])
    if "payload" in table and not isinstance(table["payload"], dict):
        raise BundleProblem(f"payload: expected an object, got {_kind(table['payload'])}")
    entries = _need(table, "signatures")
    if not isinstance(entries, list):
        raise BundleProblem(f"signatures: expected a list, got {_kind(entries)}")
    if len(entries) > MOST_SIGNATURES:
        raise BundleProblem(f"signatures: expected {MOST_SIGNATURES} at most, got {len(entries):,}")
    signatures = []
    for index, entry in enumerate(entries):
        place = f"signatures[{index}]"
        one = _object(entry, place)
        signatures.append(Signed(_text(one, "pubkey", place, 64), _text(one, "signature", place, 128)))
    return Bundle(
        payload=payload,
        content_hash=_hash(table, _claimed(table)) or b"",
        signer_set_id=_u64(table, "signer_set_id"),
        publish_epoch_id=_u64(table, "publish_epoch_id"),
        sequence=_u64(table, "sequence"),
        signatures=tuple(signatures),
        market=_text(table, "market", "", 128) if table.get("market") is not None else "",
        salt=_hash(table, "salt", optional=True),
        commit_hash=_hash(table, "commit_hash", optional=True),
    )


def _claimed(table: dict[str, Any]) -> str:
    """Return the key of the hash that the bundle claims.

    `bundle_content_hash`, or `content_hash` as the network publishes it.
    """
    if (
        "content_hash" in table
        and "bundle_content_hash" in table
        and table["content_hash"] != table["bundle_content_hash"]
    ):
        raise BundleProblem("content_hash and bundle_content_hash: expected one, got two that differ")
    return "content_hash" if "content_hash" in table and "bundle_content_hash" not in table else "bundle_content_hash"


def read_signer_set(raw: bytes) -> SignerSetState:
    """Read a signer set.

    `{"signer_set_id": n, "threshold": n, "pubkeys": [base58, …], "active": true}`.

    Raises BundleProblem.
    """
    table = _object(_parse(raw), "the file")
    keys = _need(table, "pubkeys")
    if not isinstance(keys, list) or len(keys) > MOST_SIGNATURES:
        raise BundleProblem(f"pubkeys: expected a list of {MOST_SIGNATURES} at most, got {_kind(keys)}")
    for index, key in enumerate(keys):
        if not isinstance(key, str) or isinstance(key, _Number):
            raise BundleProblem(f"pubkeys[{index}]: expected a base58 key, got {_kind(key)}")
    active = table.get("active", True)
    if not isinstance(active, bool):
        raise BundleProblem(f"active: expected true or false, got {_kind(active)}")
    threshold = _u64(table, "threshold")
    if not 1 <= threshold <= len(set(keys)):
        raise BundleProblem(f"threshold: expected 1 to {len(set(keys))} (the number of distinct keys), got {threshold}")
    return SignerSetState(
        address="",
        signer_set_id=_u64(table, "signer_set_id"),
        threshold=threshold,
        pubkeys=tuple(keys),
        active=active,
        created_at_slot=0,
        slot=0,
    )


def canonical(value: Any) -> bytes:
    """Write JSON with sorted keys (by code point), no whitespace, UTF-8.

    Raises BundleProblem for text that is no Unicode.
    """
    try:
        return _canonical(value).encode("utf-8")
    except UnicodeEncodeError:
        raise BundleProblem("payload: a string holds half a surrogate pair, which is no text") from None


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    return {True: "true", False: "false", None: "null"}[value]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _parse(raw: bytes) -> Any:
    if len(raw) > MOST_BYTES:
        raise BundleProblem(f"the file is larger than {MOST_BYTES // 1024:,} KiB: not read")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BundleProblem(f"the file is not UTF-8 (byte {error.start:,})") from None
    if _depth(text) > MOST_DEPTH:
        raise BundleProblem(f"the file nests deeper than {MOST_DEPTH} levels: not read")
    try:
        return json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except json.JSONDecodeError as error:
        raise BundleProblem(f"the file is not JSON: line {error.lineno}: {safe(error.msg, 120)}") from None


def _depth(text: str) -> int:
    """Return how deep brackets nest outside strings; counted first, for the parser recurses."""
    deepest = depth = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> Any:
    raise BundleProblem(f"the file holds {safe(name, 20)}, which is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BundleProblem(f"{safe(twice, 60)}: this key is there twice, so nobody knows which one was signed")
    return table


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BundleProblem(f"{place}: expected an object, got {_kind(value)}")
    return value


def _need(table: dict[str, Any], key: str, place: str = "") -> Any:
    if key not in table:
        raise BundleProblem(f"{_path(place, key)}: missing")
    return table[key]


def _path(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _text(table: dict[str, Any], key: str, place: str, limit: int) -> str:
    value = _need(table, key, place)
    if not isinstance(value, str) or isinstance(value, _Number):
        raise BundleProblem(f"{_path(place, key)}: expected text, got {_kind(value)}")
    if len(value) > limit:
        raise BundleProblem(f"{_path(place, key)}: expected {limit} characters at most, got {len(value):,}")
    return value


def _u64(table: dict[str, Any], key: str) -> int:
    value = _need(table, key)
    if not isinstance(value, _Number) or not str(value).isascii() or not value.isdigit() or len(value) > 20:
        raise BundleProblem(f"{key}: expected a whole number from 0 to 2^64 − 1, got {_kind(value)}")
    if int(value) > U64:
        raise BundleProblem(f"{key}: expected a whole number from 0 to 2^64 − 1, got {value}")
    return int(value)


def _hash(table: dict[str, Any], key: str, *, optional: bool = False) -> bytes | None:
    if optional and table.get(key) is None:
        return None
    text = _text(table, key, "", 80)
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 32:
        raise BundleProblem(f"{key}: expected 32 bytes in hex (64 digits), got {safe(text, 80)!r}")
    return found


def _base64(table: dict[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(_text(table, key, "", MOST_BYTES), validate=True)
    except (binascii.Error, ValueError):
        raise BundleProblem(f"{key}: expected base64") from None


def _kind(value: Any) -> str:
    """Say what it is instead, in words; its text never: it may be anything."""
    if isinstance(value, _Number):
        return f"the number {safe(str(value), 40)}"
    named = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return named.get(type(value), type(value).__name__)
