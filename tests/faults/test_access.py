"""Rows and columns that the user may not read: never silently left out."""

from __future__ import annotations

import json

import pytest

from support import exports, tables


@pytest.fixture
def reader(postgres, database):
    """A role without rights of its own; gives its name."""
    name = f"reader_{database}"
    postgres.sql(f'CREATE ROLE "{name}" LOGIN')
    yield name
    postgres.sql(f'DROP OWNED BY "{name}"', database)
    postgres.sql(f'DROP ROLE "{name}"')


def test_policy_that_hides_rows_is_an_error(bulkhaul, postgres, database, reader, tmp_path):
    postgres.sql(f"""
        CREATE TABLE secret AS SELECT i, i % 2 AS tenant FROM generate_series(1, 1000) AS i;
        CREATE TABLE open AS SELECT 1 AS x;
        ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
        CREATE POLICY half ON secret USING (tenant = 0);
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{reader}";
    """, database)
    outcome = bulkhaul("copy", postgres.uri_of(database, reader), tmp_path / "out", "--table",
                       "public.secret", code=1)
    said = outcome.err + outcome.out
    assert "secret" in said and "row" in said.lower() and "security" in said.lower()
    assert exports.visible(tmp_path / "out") == []
    # Continue: the other table is there, this one is named.
    outcome = bulkhaul("copy", postgres.uri_of(database, reader), tmp_path / "all", "--all",
                       "--on-error", "continue", code=3)
    assert "secret" in outcome.err + outcome.out
    assert [folder.name for folder in exports.table_folders(tmp_path / "all")] == ["public_open"]
    # Who may see everything gets everything.
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "owner", "--table", "secret")
    assert exports.checksum(tmp_path / "owner" / "public_secret").rows == 1000


def test_column_grant_reads_what_is_granted(bulkhaul, postgres, database, reader, tmp_path):
    postgres.sql(f"""
        CREATE TABLE people (id int PRIMARY KEY, name text, salary int);
        INSERT INTO people SELECT i, 'n' || i, i FROM generate_series(1, 5000) AS i;
        GRANT SELECT (id, name) ON people TO "{reader}";
    """, database)
    outcome = bulkhaul("copy", postgres.uri_of(database, reader), tmp_path / "out", "--table",
                       "people", "--unit-bytes", "16KiB")
    table = exports.read(tmp_path / "out" / "public_people")
    assert table.column_names == ["id", "name"]
    assert sorted(table["id"].to_pylist()) == list(range(1, 5001))
    assert "salary" in outcome.err + outcome.out, "the missing column is not named"


def test_permission_denied_on_one_of_many(bulkhaul, postgres, database, reader, tmp_path):
    postgres.sql("".join(
        f"CREATE TABLE t{i} AS SELECT g AS x FROM generate_series(1, 100) AS g;" for i in range(6)
    ) + f"""GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{reader}";
        REVOKE SELECT ON t3 FROM "{reader}";""", database)
    destination = tmp_path / "out"
    words = ["copy", postgres.uri_of(database, reader), destination, "--all", "--job-id", "job"]
    stopped = bulkhaul(*words[:-1], "stopping", code=1)
    assert "t3" in stopped.err + stopped.out
    before = exports.visible(destination)

    outcome = bulkhaul(*words, "--on-error", "continue", "--conflict", "version", code=3)
    assert "t3" in outcome.err + outcome.out and "permission" in outcome.err + outcome.out
    published = {folder.name: folder.stat().st_ino for folder in exports.table_folders(destination)}
    assert not any("t3" in name for name in published)
    assert len([name for name in published if name not in before]) == 5

    # Still forbidden: the same end, and nothing is published again.
    bulkhaul("resume", "job", code=3)
    postgres.sql(f'GRANT SELECT ON t3 TO "{reader}"', database)
    report = tmp_path / "report.json"
    bulkhaul("resume", "job", "--report", report)
    after = {folder.name: folder.stat().st_ino for folder in exports.table_folders(destination)}
    assert published.items() <= after.items()
    assert set(after) - set(published) == {"public_t3"}
    assert exports.checksum(destination / "public_t3").rows == 100
    units = json.loads(report.read_text())["totals"]["units"]
    assert units == 1, "resume read more than what had failed"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_leaves_with_another_column_order(bulkhaul, postgres, database, tmp_path, workers):
    postgres.sql("""
        CREATE TABLE parent (id int, name text, day date) PARTITION BY RANGE (id);
        CREATE TABLE leaf1 PARTITION OF parent FOR VALUES FROM (0) TO (1000);
        CREATE TABLE leaf2 (day date, gone int, name text, id int);
        ALTER TABLE leaf2 DROP COLUMN gone;
        ALTER TABLE parent ATTACH PARTITION leaf2 FOR VALUES FROM (1000) TO (2000);
        CREATE TABLE nested PARTITION OF parent FOR VALUES FROM (2000) TO (4000)
          PARTITION BY LIST (name);
        CREATE TABLE leaf3 (name text, day date, id int);
        ALTER TABLE nested ATTACH PARTITION leaf3 DEFAULT;
        INSERT INTO parent SELECT i, 'n' || i, date '2020-01-01' + i
        FROM generate_series(0, 3999) AS i;
    """, database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "public.parent",
             "--unit-bytes", "8KiB", "--workers", workers)
    table = exports.read(tmp_path / "out" / "public_parent")
    assert table.column_names == ["id", "name", "day"]
    assert sorted(table["id"].to_pylist()) == list(range(4000))
    for row in table.slice(0, 200).to_pylist() + table.slice(3500).to_pylist():
        assert row["name"] == f"n{row['id']}"


def test_inheritance_children_are_counted_once(bulkhaul, postgres, database, tmp_path):
    postgres.sql("""
        CREATE TABLE parent (id int, name text);
        CREATE TABLE child (extra int) INHERITS (parent);
        INSERT INTO parent SELECT i, 'p' FROM generate_series(1, 300) AS i;
        INSERT INTO child SELECT i, 'c', 1 FROM generate_series(301, 1000) AS i;
    """, database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "with", "--table", "public.parent",
             "--unit-bytes", "8KiB")
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "only", "--table", "public.parent",
             "--no-include-children")
    assert exports.checksum(tmp_path / "with" / "public_parent").rows == 1000
    assert exports.checksum(tmp_path / "only" / "public_parent").rows == 300


def test_views_and_materialised_views(bulkhaul, postgres, database, tmp_path):
    postgres.sql(tables.EVENTS_SQL + """
        CREATE VIEW v AS SELECT id, name FROM events WHERE flag;
        CREATE MATERIALIZED VIEW m AS SELECT id, name FROM events;
    """, database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "public.v",
             "--table", "public.m", "--split-by", "id", "--unit-rows", "1000")
    assert exports.checksum(tmp_path / "out" / "public_v").rows == tables.ROWS // 3
    assert exports.checksum(tmp_path / "out" / "public_m").rows == tables.ROWS
    assert len(exports.parts(tmp_path / "out" / "public_v")) > 1


def test_table_dropped_between_plan_and_read(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE here AS SELECT 1 AS x; CREATE TABLE gone AS SELECT 1 AS x", database)
    bulkhaul("plan", job_file(tmp_path, postgres.uri_of(database)))
    postgres.sql("DROP TABLE gone", database)
    outcome = bulkhaul("run", job_file(tmp_path, postgres.uri_of(database)), code=None)
    assert outcome.code in (1, 2)
    assert "gone" in outcome.err + outcome.out
    assert exports.visible(tmp_path / "out") == []


def job_file(folder, uri):
    path = folder / "job.json"
    path.write_text(json.dumps({
        "source": uri, "destination": str(folder / "out"),
        "tables": {"public.here": {}, "public.gone": {}},
    }))
    return path


def test_type_changes_between_failure_and_resume(bulkhaul, postgres, database, tmp_path):
    """The ledger's schema no longer fits: a new epoch with the new type, or a clear error; never
    the old type over new bytes."""
    postgres.sql("CREATE TABLE t AS SELECT i AS id, i::int AS x FROM generate_series(1, 5000) AS i",
                 database)
    words = ["copy", postgres.uri_of(database), tmp_path / "out", "--table", "public.t",
             "--unit-bytes", "8KiB", "--job-id", "job"]
    from support import faults

    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "ledger.unit_done#5"}, code=faults.SIGKILLED)
    postgres.sql("ALTER TABLE t ALTER COLUMN x TYPE text USING 'x' || x", database)
    outcome = bulkhaul("resume", "job", code=None)
    if outcome.code == 0:
        values = exports.read(tmp_path / "out" / "public_t")["x"].to_pylist()
        assert sorted(values) == sorted(f"x{i}" for i in range(1, 5001))
    else:
        assert outcome.code == 1
        assert "x" in outcome.err + outcome.out and "changed" in outcome.err + outcome.out
        assert exports.visible(tmp_path / "out") == []
