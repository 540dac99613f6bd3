"""The doctor against a real PostgreSQL: a good role, a superuser's, one that may write, one without
pg_monitor, a wrong password.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cockpit.drill.postgres import DrillPostgres, schema
from cockpit.settings import Settings
from cockpit.sources.examination import State
from cockpit.sources.postgres.settings import POSTGRES, PostgresSettings
from tests.support.doctor_rig import findings_of

pytestmark = pytest.mark.real


def states(url: str, tmp_path: Path) -> dict[str, State]:
    found = findings_of(Settings(state_dir=tmp_path).having(POSTGRES, PostgresSettings(url=url)), "postgres")
    assert url not in str(found)
    return {check: finding.state for (_, check), finding in found.items()}


def test_the_watching_role_is_sound(database: DrillPostgres, tmp_path: Path) -> None:
    assert states(database.url, tmp_path) == {
        "server": State.OK,
        "transport": State.OK,
        "clock": State.OK,
        "role": State.OK,
        "grants": State.OK,
        "pg_stat_statements": State.OK,
    }


def test_roles_that_may_too_much_or_too_little(database: DrillPostgres, tmp_path: Path) -> None:
    superuser = states(database.cluster.own_url(schema.DATABASE), tmp_path)
    assert superuser["role"] is State.WARN and "grants" not in superuser
    application = states(database.app_url, tmp_path)
    assert application["role"] is State.FAIL and application["grants"] is State.WARN


def test_a_database_without_the_extension(database: DrillPostgres, tmp_path: Path) -> None:
    other = database.url.replace(f"/{schema.DATABASE}", "/postgres")
    assert states(other, tmp_path)["pg_stat_statements"] is State.WARN


def test_who_is_not_let_in_and_what_is_not_there(database: DrillPostgres, tmp_path: Path) -> None:
    wrong = database.url.replace(database.cluster.password, "hunter2hunter2")
    settings = Settings(state_dir=tmp_path).having(POSTGRES, PostgresSettings(url=wrong))
    server = findings_of(settings, "postgres")["postgres", "server"]
    assert server.state is State.FAIL and "hunter2" not in server.words and "pg_hba" in server.remedy
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://a:b@127.0.0.1:{free.getsockname()[1]}/m0"
        assert states(url, tmp_path) == {"server": State.FAIL}
    settings = Settings(state_dir=tmp_path).having(POSTGRES, PostgresSettings(url_file=str(tmp_path / "none")))
    assert findings_of(settings, "postgres")["postgres", "server"].state is State.FAIL


def test_a_server_that_never_answers_is_unknown(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"postgresql://a:b@127.0.0.1:{mute.getsockname()[1]}/m0"
        settings = Settings(state_dir=tmp_path).having(POSTGRES, PostgresSettings(url=url))
        server = findings_of(settings, "postgres", limit_s=0.5)["postgres", "server"]
    assert server.state is State.UNKNOWN and "no answer in 0.5 s" in server.words
