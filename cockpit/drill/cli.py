"""Stands in for the network's command line: the same commands, acting on a drill's world.

The commands are those that docs/oracle-program.md describes: `python -m cockpit.drill.cli market
pause|unpause|get --market-id ID --cluster C`, `… signer-set create --signer-set-id N --threshold T
--pubkey P… --activate-epoch E|now`, `… signer-set get --signer-set-id N`; and, for an operator's
own commands to restore the database and to fail it over, `… database restore --to TIME` and `…
database failover`.

The environment says where the drill is (`cockpit.drill.admin`). It prints one JSON object on
standard output, and exits with 0 when done, 1 when rejected or unreachable, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from cockpit import crash
from cockpit.text import safe

# As cockpit.drill.admin names them, without importing its server.
ADDRESS, TOKEN = "M0_DRILL_ADMIN", "M0_DRILL_TOKEN"
_TIMEOUT_S = 20.0


def main(words: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(words)
    asked = {key: value for key, value in vars(args).items() if key not in ("thing",)}
    address = os.environ.get(ADDRESS)
    if not address:
        sys.stderr.write(f"m0-cli: no cluster {args.cluster}: {ADDRESS} is not set" + "\n")
        return 1
    request = urllib.request.Request(
        f"{address}/{args.thing}",
        json.dumps(asked).encode(),
        headers={"Authorization": f"Bearer {os.environ.get(TOKEN, '')}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            sys.stdout.write(json.dumps(json.loads(answer.read()), indent=1) + "\n")
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"m0-cli: rejected: {safe(_reason(error))}" + "\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"m0-cli: cannot reach cluster {args.cluster}: {safe(error)}" + "\n")
        return 1
    return 0


def _reason(error: urllib.error.HTTPError) -> Any:
    text = error.read().decode("utf-8", "replace")
    try:
        return json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return text or error.reason


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="m0-cli", allow_abbrev=False)
    things = parser.add_subparsers(dest="thing", required=True)
    verbs = things.add_parser("market").add_subparsers(dest="verb", required=True)
    for verb in ("pause", "unpause", "get"):
        one = verbs.add_parser(verb)
        one.add_argument("--market-id", required=True)
        one.add_argument("--cluster", required=True)
    verbs = things.add_parser("signer-set").add_subparsers(dest="verb", required=True)
    for verb in ("create", "get"):
        one = verbs.add_parser(verb)
        one.add_argument("--signer-set-id", type=int, required=True)
        one.add_argument("--cluster", default="mainnet")
        if verb == "create":
            one.add_argument("--threshold", type=int, required=True)
            one.add_argument("--pubkey", dest="pubkeys", action="extend", nargs="+", default=[])
            one.add_argument("--activate-epoch", default="now")
    verbs = things.add_parser("database").add_subparsers(dest="verb", required=True)
    for verb in ("restore", "failover", "scale", "move-analytics"):
        one = verbs.add_parser(verb)
        one.add_argument("--cluster", default="drill")
        if verb == "restore":
            one.add_argument("--to", required=True)
    return parser


if __name__ == "__main__":
    crash.install(debug=False)
    raise SystemExit(main())
