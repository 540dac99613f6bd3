"""The imports inside functions that are meant, by rule, with the reason of each.

All others stand at the top of their file. `where` is a pattern of files, `what` one of modules;
times are those of a laptop.
"""

from __future__ import annotations

from typing import NamedTuple


class LazyImport(NamedTuple):
    where: str
    what: str
    why: str


LAZY_IMPORTS = (
    # --- what only some start needs ---
    LazyImport(
        "cockpit/commands/*",
        "cockpit.*",
        "each shell start declares the flags of every command for its completion; only the command that runs is loaded",
    ),
    LazyImport(
        "cockpit/session.py", "cockpit.*", "the screen draws its first frame before what acts is loaded (0.4 s)"
    ),
    LazyImport("cockpit/engine.py", "cockpit.*", "the sources' thread loads clients while the screen draws"),
    LazyImport("cockpit/app/main.py", "panels.*", "the splash screen is drawn before the dashboard is loaded"),
    LazyImport("cockpit/app/*", "cockpit.*", "no plan and no sequence is shown in the first frame"),
    LazyImport(
        "cockpit/redaction/__init__.py",
        "cockpit.redaction.passes",
        "nothing of the first frame is from outside: its patterns come after it (0.02 s)",
    ),
    LazyImport(
        "cockpit/text.py", "cockpit.redaction.marks", "until an address has what may be a key, as those patterns"
    ),
    LazyImport(
        "cockpit/sources/*/__init__.py", "cockpit.sources.*", "every row is read, only what is configured is loaded"
    ),
    LazyImport(
        "cockpit/runbooks/step_rules.py", "cockpit.mitigation.*", "the packaged runbooks load without their checker"
    ),
    LazyImport(
        "cockpit/sources/*/doctor.py", "cockpit.*", "a broken client library is a finding of the doctor, no crash"
    ),
    # --- clients that a part can do without ---
    LazyImport(
        "cockpit/incident/evidence/*", "cockpit.kubeapi.client", "an incident is noted without a cluster (0.2 s)"
    ),
    LazyImport("cockpit/incident/evidence/*", "cockpit.sources.*", "an incident is noted without any source (0.4 s)"),
    LazyImport("cockpit/kubeapi/client.py", "cockpit.kubeapi.streams", "a single request needs no watch (0.3 s)"),
    LazyImport(
        "cockpit/sources/kubernetes/log_*.py", "cockpit.sources.kubernetes.log*", "until logs are opened (0.4 s)"
    ),
    LazyImport(
        "cockpit/sources/solana/stream.py",
        "cockpit.sources.bounded_socket",
        "only with a program to subscribe to, as websockets",
    ),
    LazyImport("cockpit/sources/solana/rpc.py", "cockpit.sources.solana.http", "until an endpoint is asked (0.1 s)"),
    # --- libraries ---
    LazyImport("*", "aiohttp", "the doctor says when it cannot be loaded"),
    LazyImport("*", "httpx", "0.1 s, for the webhook and single questions to an endpoint"),
    LazyImport("*", "kubernetes*", "0.3 s, for kubeconfigs with a credential plugin only"),
    LazyImport("*", "platformdirs", "only where no directory is configured"),
    LazyImport("*", "promql_parser", "for a file of the operator's own, and once Prometheus is asked"),
    LazyImport("*", "psycopg*", "an optional extra"),
    LazyImport("cockpit/patterns.py", "re2", "native code, until there is a pattern to search with"),
    LazyImport("*", "shtab", "only for a completion script"),
    LazyImport("*", "solders.*", "native code, for keys of a configured program only"),
    LazyImport("*", "tree_sitter*", "native code, for the line of an error only"),
    LazyImport("*", "websockets.*", "only with a program to subscribe to"),
    LazyImport("*", "yaml", "0.03 s, for a kubeconfig that is not plain and for patches in YAML"),
)
