"""Makes a throw-away self-signed certificate for loopback, with the standard library only.

kubectl sends no token over plain HTTP, so the drill speaks TLS. The key is made at start, lives in
a file of mode 0600 for as long as OpenSSL needs to read it, and protects nothing: it serves a
made-up cluster on 127.0.0.1. P-256, ECDSA, X.509 v3.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None


def _add(a: _Point, b: _Point) -> _Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % _P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, _P) % _P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, _P) % _P
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


def _times(k: int, point: _Point) -> _Point:
    total: _Point = None
    while k:
        if k & 1:
            total = _add(total, point)
        point = _add(point, point)
        k >>= 1
    return total


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(text: str) -> bytes:
    first, second, *rest = (int(part) for part in text.split("."))
    body = bytes((first * 40 + second,))
    for part in rest:
        chunk = bytes((part & 0x7F,))
        while part := part >> 7:
            chunk = bytes((0x80 | part & 0x7F,)) + chunk
        body += chunk
    return _der(0x06, body)


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, *parts)


_ECDSA = _sequence(_oid("1.2.840.10045.4.3.2"))
_CURVE = _oid("1.2.840.10045.3.1.7")


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(_oid(oid), *((b"\x01\x01\xff",) if critical else ()), _der(0x04, value))


def _sign(key: int, data: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
    nonce = secrets.randbelow(_N - 1) + 1
    point = _times(nonce, _G)
    assert point is not None
    r = point[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * key) % _N
    return _sequence(_integer(r), _integer(s))


def _pem(label: str, der: bytes) -> str:
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


@dataclass(frozen=True)
class Identity:
    """Holds a certificate and a context that serves it.

    `certificate`: PEM, its own authority.

    `context`: for the server.
    """

    certificate: str
    context: ssl.SSLContext


def make_identity(names: tuple[str, ...] = ("127.0.0.1", "::1", "localhost")) -> Identity:
    """Make a key and a certificate for these IP addresses and DNS names (about 20 ms)."""
    key = secrets.randbelow(_N - 1) + 1
    public = _times(key, _G)
    assert public is not None
    point = b"\x04" + public[0].to_bytes(32, "big") + public[1].to_bytes(32, "big")
    key_id = hashlib.sha1(point, usedforsecurity=False).digest()
    name = _sequence(_der(0x31, _sequence(_oid("2.5.4.3"), _der(0x0C, b"m0-cockpit drill"))))
    extensions = _sequence(
        _extension("2.5.29.19", _sequence(b"\x01\x01\xff"), critical=True),
        _extension("2.5.29.15", b"\x03\x02\x02\x84", critical=True),  # digitalSignature, keyCertSign
        _extension("2.5.29.14", _der(0x04, key_id)),
        _extension("2.5.29.35", _sequence(_der(0x80, key_id))),
        _extension("2.5.29.17", _sequence(*(_alternative(n) for n in names))),
    )
    body = _sequence(
        _der(0xA0, _integer(2)),
        _integer(secrets.randbits(120) | 1),
        _ECDSA,
        name,
        _sequence(_der(0x17, b"240101000000Z"), _der(0x17, b"490101000000Z")),
        name,
        _sequence(_sequence(_oid("1.2.840.10045.2.1"), _CURVE), _der(0x03, b"\x00", point)),
        _der(0xA3, extensions),
    )
    certificate = _pem("CERTIFICATE", _sequence(body, _ECDSA, _der(0x03, b"\x00", _sign(key, body))))
    private = _sequence(
        _integer(1), _der(0x04, key.to_bytes(32, "big")), _der(0xA0, _CURVE), _der(0xA1, _der(0x03, b"\x00", point))
    )
    return Identity(certificate, _context(certificate, _pem("EC PRIVATE KEY", private)))


def _alternative(name: str) -> bytes:
    try:
        return _der(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return _der(0x82, name.encode())


def _context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    handle, path = tempfile.mkstemp(suffix=".pem")  # mode 0600; the ssl module reads keys from files only
    try:
        with os.fdopen(handle, "w") as file:
            file.write(certificate + key)
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()
    return context
