"""Creates the network's tables in the drill: who may do what in them, and many rows.

Roles: `m0_owner` owns the schema and may end sessions (what `[postgres] admin-url` is), `m0_app`
reads and writes (the services), `cockpit` watches: the least that deploy/postgres-role.sql grants.
"""

from __future__ import annotations

from typing import Final

DATABASE: Final = "m0"
#: Its name while it is filled: a cockpit that looked then would see tables that are scanned whole.
UNFINISHED: Final = "m0_unfinished"
OWNER: Final = "m0_owner"
APP: Final = "m0_app"
WATCHER: Final = "cockpit"

OUTPUT_ROWS: Final = 160_000
FEATURE_ROWS: Final = 80_000
PUBLISH_ROWS: Final = 30_000
QUEUE_ROWS: Final = 40
QUEUE_DEBT: Final = 600_000

#: The index without which the API's query reads `outputs` whole.
HOT_INDEX: Final = "outputs_market_id_epoch_idx"
HOT_INDEX_SQL: Final = f"CREATE INDEX {HOT_INDEX} ON public.outputs (market_id, epoch)"

EXTENSION: Final = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"


def roles(password: str) -> str:
    """Create the roles; `password` is of letters, digits, - and _ only."""
    return f"""
CREATE ROLE {OWNER} LOGIN PASSWORD '{password}';
CREATE ROLE {APP} LOGIN PASSWORD '{password}';
CREATE ROLE {WATCHER} LOGIN PASSWORD '{password}' CONNECTION LIMIT 4;
GRANT pg_monitor TO {WATCHER};
ALTER ROLE {WATCHER} SET default_transaction_read_only = on;
ALTER ROLE {WATCHER} SET statement_timeout = '5s';
REVOKE ALL ON DATABASE {UNFINISHED} FROM PUBLIC;
GRANT CONNECT ON DATABASE {UNFINISHED} TO {WATCHER}, {APP}, {OWNER};
ALTER DATABASE {UNFINISHED} OWNER TO {OWNER};
ALTER SCHEMA public OWNER TO {OWNER};
GRANT pg_signal_backend TO {OWNER};
"""


TABLES: Final = f"""
SET ROLE {OWNER};
CREATE TABLE markets (id text PRIMARY KEY, domain text NOT NULL, active boolean NOT NULL DEFAULT true);
CREATE TABLE outputs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, market_id text NOT NULL, epoch bigint NOT NULL,
  tick integer NOT NULL,
  bundle_hash text NOT NULL, payload text NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE features (
  market_id text NOT NULL, name text NOT NULL, at timestamptz NOT NULL, value double precision NOT NULL
);
CREATE TABLE publish_state (
  id bigint PRIMARY KEY, market_id text NOT NULL, sequence bigint NOT NULL, status text NOT NULL,
  attempts integer NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL
);
CREATE TABLE publish_cursor (
  market_id text PRIMARY KEY, epoch bigint NOT NULL, sequence bigint NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE _sqlx_migrations (
  version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(),
  success boolean NOT NULL
);
INSERT INTO _sqlx_migrations VALUES
  (20260901101500, 'publish cursor', now() - interval '80 days', true),
  (20261103083000, 'outputs by market and epoch', now() - interval '20 days', true);
CREATE TABLE publish_queue (
  id bigint GENERATED ALWAYS AS IDENTITY, market_id text NOT NULL, queued_at timestamptz NOT NULL
);
INSERT INTO markets SELECT 'market-' || i, (ARRAY['sports', 'politics', 'macro', 'crypto'])[1 + i % 4]
  FROM generate_series(0, 39) i;
INSERT INTO outputs (market_id, epoch, tick, bundle_hash, payload, created_at)
  SELECT 'market-' || i % 40, i / 400, i % 400, md5(i::text), repeat(md5(i::text), 2),
  now() - interval '1 s' * ({OUTPUT_ROWS} - i)
  FROM generate_series(1, {OUTPUT_ROWS}) i;
INSERT INTO features SELECT 'market-' || i % 40, 'f' || i % 25,
  now() - interval '1 s' * ({FEATURE_ROWS} - i), i % 997 / 997.0
  FROM generate_series(1, {FEATURE_ROWS}) i;
INSERT INTO publish_state SELECT i, 'market-' || i % 40, i, 'revealed', 1, now() - interval '1 s' * ({PUBLISH_ROWS} - i)
  FROM generate_series(1, {PUBLISH_ROWS}) i;
INSERT INTO publish_queue (market_id, queued_at)
  SELECT 'market-' || i, now() FROM generate_series(0, {QUEUE_ROWS} - 1) i;
{HOT_INDEX_SQL};
CREATE INDEX features_market_id_at_idx ON features (market_id, at);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP};
GRANT SELECT ON publish_cursor, _sqlx_migrations TO {WATCHER};
RESET ROLE;
"""
#: What the configuration asks of them: `[postgres]` of a drill.
PUBLISH_STATE: Final = "SELECT market_id, epoch, sequence FROM public.publish_cursor"
MIGRATIONS: Final = "SELECT version, success, installed_on FROM public._sqlx_migrations ORDER BY version DESC"
#: Outside a transaction.
SETTLE: Final = (
    "VACUUM (ANALYZE) outputs",
    "VACUUM (ANALYZE) features",
    "VACUUM (ANALYZE) publish_state",
    "VACUUM (ANALYZE) publish_queue",
    "ANALYZE markets",
)
