"""Targets with something about them: partitions, keys of other tables, triggers, row security; the
way out as Parquet and back in; what `clean` removes; a destination as libpq writes it."""

from __future__ import annotations

import re

import pytest

from support.loading import TYPES_SQL, leftovers

ROWS = 5000


@pytest.fixture(scope="module")
def server(postgres):
    postgres.sql("CREATE DATABASE load_targets")
    postgres.sql(f"""
      CREATE SCHEMA given;
      CREATE TABLE given.rows AS SELECT i AS id, i % 10 AS kind, 'row ' || i AS name
        FROM generate_series(1, {ROWS}) i; ANALYZE""", "load_targets")
    yield postgres
    postgres.sql("DROP DATABASE load_targets WITH (FORCE)")


@pytest.fixture
def database(server):
    return server.uri_of("load_targets")


@pytest.fixture
def sql(server):
    def run(text: str):
        return server.sql(text, "load_targets")
    run("DROP TABLE IF EXISTS target, parent CASCADE")
    yield run
    for (name,) in leftovers(run):
        run(f"DROP TABLE {name}")


@pytest.fixture
def load(bulkhaul, database):
    """Loads given.rows into public.target."""
    def run(mode: str, *words, code: int = 0, uri: str | None = None, verb: str = "copy"):
        return bulkhaul(verb, database, uri or database, "--table", "given.rows", "--target-table",
                        "public.target", "--if-exists", mode, "--unit-bytes", "64KiB",
                        "--progress", "none", *words, code=code)
    return run


def content(sql) -> list:
    return sql("SELECT count(*), sum(id), sum(hashtext((id, kind, name)::text)::bigint) FROM target")


def test_a_partitioned_target(load, sql):
    sql("""
      CREATE TABLE target (id int, kind int, name text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
      CREATE TABLE target_low PARTITION OF target FOR VALUES IN (0, 1, 2, 3, 4);
      CREATE TABLE target_rest PARTITION OF target DEFAULT""")
    wanted = sql("SELECT count(*), sum(id), sum(hashtext((id, kind, name)::text)::bigint) FROM given.rows")
    for words in (["append"], ["truncate"], ["upsert"]):
        load(*words)
        assert content(sql) == wanted, words
    sql("TRUNCATE target")
    load("append", "--commit", "unit")
    assert content(sql) == wanted
    assert sql("SELECT count(*) FROM target_low") == [(ROWS // 2,)]
    refused = load("replace", code=1)
    assert "partition" in refused.err
    assert content(sql) == wanted and leftovers(sql) == []


def test_rows_that_no_partition_takes_change_nothing(load, sql):
    sql("""
      CREATE TABLE target (id int, kind int, name text) PARTITION BY LIST (kind);
      CREATE TABLE target_low PARTITION OF target FOR VALUES IN (0, 1, 2, 3, 4)""")
    refused = load("append", code=1)
    assert "no partition of relation" in refused.err and "public.target" in refused.err
    assert sql("SELECT count(*) FROM target") == [(0,)]


def test_foreign_keys_are_said_at_plan_time_and_hold(load, sql):
    sql("""
      CREATE TABLE parent (kind int PRIMARY KEY); INSERT INTO parent SELECT generate_series(0, 8);
      CREATE TABLE target (id int, kind int CONSTRAINT of_a_kind REFERENCES parent, name text)""")
    planned = load("append", verb="plan")
    assert "foreign keys of_a_kind" in planned.out, planned.out
    refused = load("append", code=1)
    assert "of_a_kind" in refused.err and "(kind)=(9)" in refused.err, refused.err
    assert sql("SELECT count(*) FROM target") == [(0,)]
    sql("INSERT INTO parent VALUES (9)")
    load("append")
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]


def test_a_table_that_others_refer_to(load, sql):
    sql("""
      CREATE TABLE target (id int PRIMARY KEY, kind int, name text);
      INSERT INTO target VALUES (1, 1, 'old');
      CREATE TABLE parent (id int CONSTRAINT to_target REFERENCES target); INSERT INTO parent VALUES (1)""")
    for mode in ("truncate", "replace"):
        refused = load(mode, code=1)
        assert "to_target" in refused.err, refused.err
    load("upsert")
    assert sql("SELECT count(*), min(name) FILTER (WHERE id = 1) FROM target") == [(ROWS, "row 1")]


def test_triggers_fire_and_may_leave_rows_out(load, sql):
    sql("""
      CREATE TABLE target (id int, kind int, name text);
      CREATE OR REPLACE FUNCTION keep_some() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.kind = 3 THEN RETURN NULL; END IF; NEW.name := upper(NEW.name); RETURN NEW; END';
      CREATE TRIGGER some_only BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION keep_some()""")
    assert "triggers some_only" in load("append", verb="plan").out
    load("append")
    wanted = [(ROWS * 9 // 10, ROWS * 9 // 10)]
    look = "SELECT count(*), count(*) FILTER (WHERE name LIKE 'ROW %') FROM target"
    assert sql(look) == wanted
    sql("TRUNCATE target")
    load("append", "--commit", "unit")
    assert sql(look) == wanted


def test_row_security_is_refused_before_a_row_is_sent(load, server, sql):
    sql("""
      DO $$ BEGIN CREATE ROLE guarded LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      CREATE TABLE target (id int, kind int, name text);
      ALTER TABLE target ENABLE ROW LEVEL SECURITY;
      CREATE POLICY only_low ON target USING (kind < 5);
      GRANT INSERT, SELECT ON target TO guarded; GRANT CREATE, USAGE ON SCHEMA public TO guarded;
      GRANT USAGE ON SCHEMA given TO guarded; GRANT SELECT ON given.rows TO guarded""")
    guarded = server.uri_of("load_targets", "guarded")
    for words in ([], ["--commit", "unit"]):
        refused = load("append", *words, uri=guarded, code=1)
        assert "public.target has row security that applies to this role" in refused.err
    assert leftovers(sql) == []
    load("append")  # the owner is not subject to it
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]
    sql("ALTER TABLE target FORCE ROW LEVEL SECURITY; DROP TABLE target; REVOKE ALL ON SCHEMA public,"
        " given FROM guarded; REVOKE ALL ON given.rows FROM guarded; DROP ROLE guarded")


def test_every_type_goes_out_as_parquet_and_comes_back_unchanged(bulkhaul, database, sql, tmp_path):
    sql(TYPES_SQL)
    bulkhaul("copy", database, tmp_path / "out", "--format", "parquet", "--table",
             "public.every_type")
    (part,) = (tmp_path / "out").rglob("*.parquet")
    bulkhaul("copy", part, database, "--target-table", "there.every_type")
    difference = """
      (SELECT t::text FROM {a}.every_type t EXCEPT ALL SELECT t::text FROM {b}.every_type t)"""
    assert sql(difference.format(a="public", b="there")) == []
    assert sql(difference.format(a="there", b="public")) == []
    columns = """
      SELECT attname, format_type(atttypid, atttypmod), attnotnull,
        col_description(attrelid, attnum)
      FROM pg_attribute WHERE attrelid = '{}.every_type'::regclass AND attnum > 0 ORDER BY attnum"""
    assert sql(columns.format("there")) == sql(columns.format("public"))


def test_clean_drops_what_a_job_that_is_given_up_left(bulkhaul, load, sql, server):
    sql(f"CREATE TABLE target (id int PRIMARY KEY, kind int, name text); "
        f"INSERT INTO target VALUES ({ROWS}, 0, 'here')")
    load("append", "--job-id", "given-up", code=1)
    assert len(leftovers(sql)) == 2  # the rows loaded beside, and the ledger
    assert "given-up" in bulkhaul("clean", "--older-than", "0s", "--dry-run").out
    assert len(leftovers(sql)) == 2
    server.sql("ALTER DATABASE load_targets RENAME TO load_targets_away")
    try:
        kept = bulkhaul("clean", "--older-than", "0s", code=1)
        assert "job given-up is kept" in kept.err, kept.err
    finally:
        server.sql("ALTER DATABASE load_targets_away RENAME TO load_targets")
    bulkhaul("clean", "--older-than", "0s")
    assert leftovers(sql) == []
    assert sql("SELECT id FROM target") == [(ROWS,)]
    assert "no jobs" in bulkhaul("jobs").out


def test_a_destination_as_libpq_writes_it(bulkhaul, database, load, sql):
    user, host, port, name = re.fullmatch(r"postgres://(.*)@(.*):(.*)/(.*)", database).groups()
    words = f"host={host} port={port} dbname={name} user={user}"
    load("fail", "--job-id", "words", uri=words)
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]
    (job,) = bulkhaul("jobs", "--output", "json").json
    assert job["destination"] == words
    sql(f"DELETE FROM target; ALTER TABLE target ADD PRIMARY KEY (id); "
        f"INSERT INTO target VALUES ({ROWS}, 0, 'here')")
    load("append", "--job-id", "again", uri=words, code=1)
    sql("DELETE FROM target")
    bulkhaul("resume", "again")
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]


def test_units_are_smaller_where_they_leave_no_trace(bulkhaul, database, tmp_path):
    path = tmp_path / "rows.csv"
    with open(path, "w") as file:
        file.write("id,text\n")
        file.writelines(f"{i},{'x' * 1000}\n" for i in range(40_000))

    def units(destination):
        return bulkhaul("plan", path, destination, "--output", "json").json["tables"][0]["units"]

    assert units(tmp_path / "out") == 1  # of 64 MiB
    assert units(database) == 3  # of 16 MiB
