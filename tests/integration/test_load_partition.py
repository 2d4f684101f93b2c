"""Rows that become a new partition of their target."""

from __future__ import annotations

import pytest

from support import faults
from support.loading import leftovers, loads_into

ROWS = 5000
DAY = "FROM ('2024-03-01') TO ('2024-03-02')"


@pytest.fixture(scope="module")
def server(postgres):
    postgres.sql("CREATE DATABASE load_partition")
    postgres.sql(f"""
      CREATE SCHEMA given;
      CREATE TABLE given.rows AS SELECT i AS id, timestamp '2024-03-01' + i * interval '1 second'
        AS happened, 'row ' || i AS name FROM generate_series(1, {ROWS}) i; ANALYZE""",
                 "load_partition")
    yield postgres
    postgres.sql("DROP DATABASE load_partition WITH (FORCE)")
    postgres.sql("DROP ROLE IF EXISTS partition_guest")


@pytest.fixture
def sql(server):
    with loads_into(server, "load_partition", "target", "target_day") as run:
        run("""
          CREATE TABLE target (id int NOT NULL, happened timestamp NOT NULL, name text DEFAULT 'x',
            PRIMARY KEY (id, happened), CHECK (id > 0)) PARTITION BY RANGE (happened);
          CREATE INDEX ON target (name);
          CREATE TABLE target_before PARTITION OF target
            FOR VALUES FROM ('2024-02-29') TO ('2024-03-01');
          INSERT INTO target VALUES (1, '2024-02-29 12:00', 'old')""")
        yield run


@pytest.fixture
def load(bulkhaul, server):
    """Loads given.rows as a partition of public.target."""
    uri = server.uri_of("load_partition")

    def run(*words, partition="target_day", bounds=DAY, code: int | None = 0, user="postgres",
            mode="append", env=None):
        return bulkhaul("copy", uri, server.uri_of("load_partition", user), "--table",
                        "given.rows", "--target-table", "public.target", "--if-exists", mode,
                        "--partition", partition, "--partition-for", bounds, "--unit-bytes",
                        "64KiB", "--workers", "2", "--progress", "none", "--job-id", "job", *words,
                        code=code, env=env)
    return run


CONTENT = "SELECT count(*), sum(id), sum(hashtext((id, happened, name)::text)::bigint) FROM {}"


def whole(sql, table="target_day"):
    assert sql(CONTENT.format(table)) == sql(CONTENT.format("given.rows"))
    assert sql(CONTENT.format("target"))[0][0] == ROWS + 1
    assert leftovers(sql) == []


def untouched(sql):
    assert sql("SELECT id, name FROM target") == [(1, "old")]
    assert sql("SELECT to_regclass('target_day')") == [(None,)]


@pytest.mark.parametrize("words", [[], ["--unlogged"]])
def test_rows_become_a_partition_with_all_that_it_needs(load, sql, words):
    load(*words)
    whole(sql)
    assert sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'target_day' ORDER BY 1") == [
        ("CREATE INDEX target_day_name_idx ON public.target_day USING btree (name)",),
        ("CREATE UNIQUE INDEX target_day_pkey ON public.target_day USING btree (id, happened)",)]
    assert sql("SELECT relpersistence::text, reltuples::int FROM pg_class "
               "WHERE relname = 'target_day'") == [("p", ROWS)]
    assert sql("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'target_day'"
               ) == [("FOR VALUES FROM ('2024-03-01 00:00:00') TO ('2024-03-02 00:00:00')",)]


def test_the_target_is_read_meanwhile(load, sql, server):
    """A reader's lock, held to its end, does not stop the load, nor the load a reader."""
    with server.connect("load_partition", autocommit=False) as reader:
        assert reader.execute("SELECT count(*) FROM target").fetchone() == (1,)
        load("--lock-timeout", "500ms", "--retries", "0")
    whole(sql)


@pytest.mark.parametrize(("bounds", "partitioning"), [
    ("IN ('a', 'b')", "LIST (kind)"), ("DEFAULT", "LIST (kind)"),
    ("for values with (modulus 1, remainder 0)", "HASH (id)")])
def test_other_kinds_of_partitions(load, sql, bounds, partitioning):
    sql(f"DROP TABLE target; CREATE TABLE target (id int, happened timestamp, name text,"
        f" kind text DEFAULT 'a') PARTITION BY {partitioning}")
    load(bounds=bounds)
    assert sql("SELECT count(*), min(kind) FROM target_day") == [(ROWS, "a")]


def test_rows_outside_of_the_bounds_leave_the_target_alone(load, sql):
    failed = load(bounds="FROM ('2024-03-01') TO ('2024-03-01 00:30')", code=1)
    assert "outside of partition_for" in failed.err
    untouched(sql)


def test_text_that_the_server_casts(load, sql, bulkhaul, server, tmp_path):
    (tmp_path / "rows.csv").write_text(
        "id,happened,name\n7,2024-03-01 10:00:00,seven\n8,2024-03-01 11:00:00,\n")
    bulkhaul("copy", tmp_path / "rows.csv", server.uri_of("load_partition"), "--target-table",
             "public.target", "--if-exists", "append", "--partition", "target_day",
             "--partition-for", DAY, "--cast", "happened=string", "--progress", "none")
    assert sql("SELECT id, happened::text, name FROM target_day ORDER BY 1") == [
        (7, "2024-03-01 10:00:00", "seven"), (8, "2024-03-01 11:00:00", None)]
    assert leftovers(sql) == []


@pytest.mark.parametrize("point", ["postgres.unit_committed#2", "postgres.checked",
                                   "postgres.before_commit", "postgres.committed"])
def test_killed_and_resumed(load, sql, bulkhaul, point):
    killed = load(env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert killed.code == faults.SIGKILLED, killed.err
    if point != "postgres.committed":
        untouched(sql)
    bulkhaul("resume", "job")
    whole(sql)


@pytest.mark.parametrize(("change", "words", "said"), [
    ("", {"bounds": "FROM ('2024-02-29 10:00') TO ('2024-03-02')"}, "would overlap"),
    ("", {"bounds": "FROM (now( TO"}, "behind FOR VALUES"),
    ("", {"bounds": DAY + "; DROP TABLE target_before"}, "behind FOR VALUES"),
    ("", {"partition": "target_before"}, "is there already"),
    ("DROP TABLE target; CREATE TABLE target (id int, happened timestamp, name text)", {},
     "is not partitioned"),
    ("DROP TABLE target", {}, "there is no table"),
    ("DROP TABLE target; CREATE TABLE target (id int, happened timestamp, name text, number int"
     " GENERATED BY DEFAULT AS IDENTITY) PARTITION BY RANGE (happened)", {}, "number"),
    ("DO $$ BEGIN CREATE ROLE partition_guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL;"
     "END $$; GRANT CREATE, USAGE ON SCHEMA public TO partition_guest; GRANT INSERT ON target TO "
     "partition_guest; GRANT USAGE ON SCHEMA given TO partition_guest; GRANT SELECT ON given.rows"
     " TO partition_guest", {"user": "partition_guest"}, "only the owner"),
    ("", {"mode": "upsert"}, "if_exists: append"),
    ("", {"bounds": ""}, "go together"),
])
def test_what_cannot_be_attached_is_refused_before_a_row_is_read(load, sql, change, words, said):
    if change:
        sql(change)
    refused = load(**words, code=None)
    assert refused.code in (1, 2) and said in refused.err, refused.err
    assert sql("SELECT to_regclass('target_day')") == [(None,)]
    assert leftovers(sql) == []
    if "DROP" in change:
        return
    assert sql("SELECT count(*) FROM target") == [(1,)]
