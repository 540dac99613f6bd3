-- The role that the cockpit watches the database with: it may read what the server says of itself, and nothing else.
--
--   psql -d m0 -f deploy/postgres-role.sql      as a superuser, in the database to be watched (twice does no harm)
--   \password m0_cockpit                        its password, which goes into [postgres] url-file
--
-- pg_monitor shows the texts and states of all sessions, all settings and the archiver's queue. The role owns nothing and is
-- granted no table: that is the guarantee. The two settings below are a second line; a session could undo them.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'm0_cockpit') THEN
    CREATE ROLE m0_cockpit;
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO m0_cockpit', current_database());
END
$$;

ALTER ROLE m0_cockpit LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 4;
ALTER ROLE m0_cockpit SET statement_timeout = '5s';
ALTER ROLE m0_cockpit SET default_transaction_read_only = on;
GRANT pg_monitor TO m0_cockpit;

-- The publish state and the migrations, for [postgres] publish-state and migrations (queries of yours, read within a SELECT):
--   GRANT SELECT ON public.publish_state, public._sqlx_migrations TO m0_cockpit;
-- PostgreSQL 13 and 14 let every role create tables in schema public:
--   REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- Top queries and the columns of missing indexes need the extension (shared_preload_libraries = 'pg_stat_statements'):
--   CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
-- To be let in when all connections are taken (PostgreSQL 16 and newer, with reserved_connections = 2):
--   GRANT pg_use_reserved_connections TO m0_cockpit;
