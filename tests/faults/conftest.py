"""What the fault suites share: databases that are made once, and one undisturbed run to compare
with."""

from __future__ import annotations

import pytest

from support import exports, program, proxy, tables


@pytest.fixture(scope="session")
def events_database(postgres):
    """A database with the table `events`; tests only read it."""
    postgres.sql("CREATE DATABASE events")
    postgres.sql(tables.EVENTS_SQL, "events")
    return "events"


@pytest.fixture(scope="session")
def events_checksum(postgres, events_database, bulkhaul_binary, tmp_path_factory):
    """What an undisturbed run publishes of `events`."""
    folder = tmp_path_factory.mktemp("undisturbed")
    program.run(
        bulkhaul_binary, folder / "state", "copy", postgres.uri_of(events_database), folder / "out", "--table", "public.events",
        "--unit-bytes", tables.UNIT_BYTES,
    )
    found = exports.checksum(folder / "out" / "public_events")
    assert found.rows == tables.ROWS
    return found


@pytest.fixture
def events_words(postgres, events_database, tmp_path):
    """The command that exports `events` in more than 200 units, as job "job"."""
    def words(destination=tmp_path / "out", uri=postgres.uri_of(events_database), *more):
        return [
            "copy", uri, destination, "--table", "public.events", "--unit-bytes",
            tables.UNIT_BYTES, "--workers", "2", "--job-id", "job", "--retry-delay", "10ms",
            "--progress", "none", *more,
        ]

    return words


@pytest.fixture
def events_proxy(postgres, events_database):
    """A misbehaving way to the server; `.events_uri` leads through it."""
    with proxy.FaultProxy(postgres.port) as between:
        between.events_uri = between.uri(events_database) + "?sslmode=disable"
        yield between
