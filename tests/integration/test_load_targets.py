"""Targets with something about them: partitions, keys of other tables, triggers, row security; the
way out as Parquet and back in; what `clean` removes; a destination as libpq writes it."""

from __future__ import annotations

import json
import re
import socket

import pytest

from support import faults
from support.loading import TYPES_SQL, database_fixture, leftovers, sql_fixture

ROWS = 5000


database = database_fixture("load_targets", f"""
  CREATE SCHEMA given;
  CREATE TABLE given.rows AS SELECT i AS id, i % 10 AS kind, 'row ' || i AS name
    FROM generate_series(1, {ROWS}) i; ANALYZE""")
sql = sql_fixture("load_targets", "target", "parent")


@pytest.fixture
def load(bulkhaul, database):
    """Loads given.rows into public.target."""
    def run(mode: str, *words, code: int | None = 0, uri: str | None = None, verb: str = "copy",
            env: dict | None = None):
        return bulkhaul(verb, database, uri or database, "--table", "given.rows", "--target-table",
                        "public.target", "--if-exists", mode, "--unit-bytes", "64KiB",
                        "--progress", "none", *words, code=code, env=env)
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


def test_truncate_leaves_the_rows_of_tables_that_inherit(load, sql):
    sql("""
      CREATE TABLE target (id int, kind int, name text); INSERT INTO target VALUES (0, 0, 'old');
      CREATE TABLE heir (extra int) INHERITS (target); INSERT INTO heir VALUES (-1, 0, 'mine', 1)""")
    assert "those of tables that inherit from it stay" in load("truncate", verb="plan").out
    load("truncate")
    assert sql("SELECT count(*) FROM ONLY target") == [(ROWS,)]
    assert sql("SELECT id, name, extra FROM heir") == [(-1, "mine", 1)]
    sql("DROP TABLE target CASCADE")


def test_unlogged_is_refused_where_no_table_is_loaded_beside(load, sql):
    sql("CREATE TABLE target (id int, kind int, name text)")
    assert "leave one of them out" in load("append", "--commit", "unit", "--unlogged", code=2).err
    assert sql("SELECT count(*) FROM target") == [(0,)]


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


@pytest.mark.parametrize("words", [
    ["append"], ["truncate"], ["upsert"], ["upsert", "--duplicates", "last"],
    ["append", "--commit", "unit"]], ids=" ".join)
def test_rows_that_triggers_leave_out_are_said(load, sql, tmp_path, words):
    sql("""
      CREATE TABLE target (id int PRIMARY KEY, kind int, name text);
      CREATE OR REPLACE FUNCTION keep_some() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.kind = 3 THEN RETURN NULL; END IF; NEW.name := upper(NEW.name); RETURN NEW; END';
      CREATE TRIGGER some_only BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION keep_some()""")
    assert "triggers some_only fire" in load(*words, verb="plan").out
    report = tmp_path / "report.json"
    loaded = load(*words, "--report", report)
    kept = ROWS * 9 // 10
    assert sql("SELECT count(*), count(*) FILTER (WHERE name LIKE 'ROW %') FROM target") == [(kept, kept)]
    assert f"public.target: triggers left out {ROWS - kept} of {ROWS:,} rows" in loaded.err, loaded.err
    (table,) = json.loads(report.read_text())["tables"]
    assert table["rows"] == kept
    assert table["counters"]["left_out_by_triggers"] == ROWS - kept
    assert "duplicates_left_out" not in table["counters"]


@pytest.mark.parametrize("words, kept, counted", [
    (["upsert", "--duplicates", "last"], 9,
     {"duplicates_left_out": ROWS - 10, "left_out_by_triggers": 1}),
    (["append", "--commit", "unit"], ROWS * 9 // 10, {"left_out_by_triggers": ROWS // 10})],
    ids=["upsert", "unit"])
def test_what_was_left_out_is_known_after_a_kill(load, sql, bulkhaul, tmp_path, words, kept, counted):
    sql("""
      CREATE TABLE target (id int, kind int, name text);
      CREATE OR REPLACE FUNCTION not_three() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.kind = 3 THEN RETURN NULL; END IF; RETURN NEW; END';
      CREATE TRIGGER some_only BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION not_three()""")
    if words[0] == "upsert":
        sql("ALTER TABLE target ADD PRIMARY KEY (kind)")
    killed = load(*words, "--job-id", "job", env={"BULKHAUL_CRASH_AT": "postgres.committed"}, code=None)
    assert killed.code == faults.SIGKILLED, killed.err
    report = tmp_path / "report.json"
    resumed = bulkhaul("resume", "job", "--report", report)
    assert sql("SELECT count(*) FROM target") == [(kept,)]
    assert "public.target: triggers left out" in resumed.err, resumed.err
    (table,) = json.loads(report.read_text())["tables"]
    assert table["rows"] == kept
    assert {name: count for name, count in table["counters"].items() if "left_out" in name} == counted


def test_triggers_do_not_fire_for_replace(load, sql):
    sql("""
      CREATE TABLE target (id int, kind int, name text);
      CREATE OR REPLACE FUNCTION keep_none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER none_at_all BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION keep_none()""")
    assert "triggers none_at_all do not fire" in load("replace", verb="plan").out
    load("replace")
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]


def test_rules(load, sql):
    sql("CREATE TABLE target (id int PRIMARY KEY, kind int, name text); CREATE TABLE parent (n int);"
        " CREATE RULE also AS ON INSERT TO target DO ALSO INSERT INTO parent VALUES (1)")
    assert "the rules also run for the rows" in load("append", verb="plan").out
    load("append")
    assert sql("SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM parent) > 0") == [(ROWS, True)]
    assert "COPY would not run" in load("append", "--commit", "unit", code=1).err
    assert "upsert cannot go with" in load("upsert", code=1).err
    sql("CREATE RULE away AS ON INSERT TO target DO INSTEAD NOTHING")
    for words in (["append"], ["truncate"], ["upsert"], ["append", "--commit", "unit"]):
        assert "rules that run instead of an INSERT" in load(*words, code=1).err
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]


@pytest.mark.parametrize("nulls", ["DISTINCT", "NOT DISTINCT"])
@pytest.mark.parametrize("taken", ["first", "last"])
def test_upsert_with_null_in_the_key(bulkhaul, database, sql, tmp_path, nulls, taken):
    sql(f"CREATE TABLE target (id int, part int, name text, UNIQUE NULLS {nulls} (id, part))")
    path = tmp_path / "rows.csv"
    path.write_text("id,part,name\n,1,a\n,1,b\n1,1,c\n1,1,d\n")
    bulkhaul("copy", path, database, "--target-table", "public.target", "--if-exists", "upsert",
             "--key", "id,part", "--duplicates", taken)
    wanted = {"first": ["a", "c"], "last": ["b", "d"]}[taken]
    if nulls == "DISTINCT":
        wanted = ["a", "b", wanted[1]]
    assert sql("SELECT name FROM target ORDER BY 1") == [(name,) for name in wanted]


def test_advice_is_a_statement_that_runs(bulkhaul, load, database, postgres, sql):
    sql('CREATE TABLE target (id int, "kind" int, name text)')
    refused = load("upsert", "--key", "id,kind", code=1)
    advice = re.search(r'CREATE UNIQUE INDEX ON "public"."target" \(.*?\)', refused.err)
    sql(advice.group())
    load("upsert", "--key", "id,kind")
    assert sql("SELECT count(*) FROM target") == [(ROWS,)]
    nowhere = database + "?options=-csearch_path%3Dno_such"
    refused = bulkhaul("copy", "generator:preset=orders&rows=1", nowhere, "--table", "orders", code=1)
    assert "no schema of this role's search_path exists" in refused.err
    assert "target_schema" in refused.err


@pytest.mark.parametrize("mode", ["replace", "truncate"])
def test_a_table_is_not_loaded_from_itself(bulkhaul, database, sql, mode):
    sql("CREATE TABLE target (id int); INSERT INTO target VALUES (1)")
    words = [database, database, "--table", "public.target", "--if-exists", mode]
    assert "would be refused: public.target is where the rows" in bulkhaul("plan", *words, code=1).out
    refused = bulkhaul("copy", *words, code=1)
    assert "public.target is where the rows come from" in refused.err, refused.err
    assert sql("SELECT id FROM target") == [(1,)] and leftovers(sql) == []


def test_the_ledger_of_another_role(load, postgres, sql):
    sql("""
      CREATE ROLE second LOGIN; GRANT ALL ON SCHEMA public, given TO second;
      GRANT ALL ON ALL TABLES IN SCHEMA given TO second;
      CREATE TABLE target (id int PRIMARY KEY, kind int, name text);
      GRANT ALL ON target TO second; INSERT INTO target VALUES (1, 1, 'here')""")
    try:
        load("append", code=1)  # leaves a job that could go on
        second = postgres.uri_of("load_targets", "second")
        sql("DELETE FROM target")
        assert "would be refused: jobs of role postgres" in load("append", uri=second, verb="plan",
                                                             code=1).out
        refused = load("append", uri=second, code=1)
        sql(re.search(r"GRANT SELECT, INSERT.* TO \"second\"", refused.err).group())
        load("append", uri=second)
        assert sql("SELECT count(*) FROM target") == [(ROWS,)]
    finally:
        sql("DROP TABLE target; DROP OWNED BY second; DROP ROLE second")


def test_where_copy_was_when_it_failed(bulkhaul, database, sql, tmp_path):
    sql("CREATE TABLE target (id int, short varchar(3))")
    path = tmp_path / "rows.csv"
    path.write_text("id,short\n1,abc\n2,abcd\n")
    refused = bulkhaul("copy", path, database, "--target-table", "public.target", "--if-exists",
                       "append", code=1)
    assert (f"{path}, line 3: load into public.target: value too long for type character varying(3); "
            "COPY was at line 2, column short") in refused.err


# A row that the server refuses long after its batch: the reader is at another file by then.
def test_the_refused_row_is_named_by_its_file_and_line(bulkhaul, database, sql, tmp_path):
    sql("CREATE TABLE target (id int PRIMARY KEY, n int NOT NULL CHECK (n < 1000), s varchar(9))")
    folder = tmp_path / "rows"
    folder.mkdir()
    for file in range(4):
        lines = [f"{file * 1000 + i},{i},text {i % 10}" for i in range(1000)]
        (folder / f"{file}.csv").write_text("\n".join(["id,n,s", *lines, ""]))
    middle = (folder / "2.csv").read_text()

    def refused(bad, *words):
        (folder / "2.csv").write_text(middle.replace("\n2500,500,text 0\n", f"\n{bad}\n"))
        answer = bulkhaul("copy", folder, database, "--target-table", "public.target", "--if-exists",
                          "append", "--commit", "unit", *words, code=1)
        assert f"{folder}/2.csv, line 502: load into public.target: " in answer.err, answer.err
        assert "COPY was at line " in answer.err
        return answer.err

    assert 'violates check constraint "target_n_check"' in refused("2500,1000,text 0")
    assert 'violates not-null constraint (Failing row contains' in refused("2500,,text 0")
    assert 'violates unique constraint "target_pkey"' in refused("2400,500,text 0")
    assert "value too long" in refused("2500,500,text that is long")
    # Rows that a contract puts aside are not sent.
    contract = tmp_path / "contract.yaml"
    contract.write_text("columns:\n  id: {type: int64}\n  n: {type: int64}\n"
                        "  s: {type: string, pattern: 'text [0-35-9].*'}\n")
    assert "value too long" in refused("2500,500,text 0 that is long", "--contract", contract,
                                       "--reject", "quarantine", "--max-rejects", "1000",
                                       "--quarantine", tmp_path / "aside")
    # And a text that the type cannot hold, which is found before it is sent.
    (folder / "2.csv").write_text(middle.replace("\n2500,500,text 0\n", "\n2500,500,te\0xt\n"))
    answer = bulkhaul("copy", folder, database, "--target-table", "public.target", "--if-exists",
                      "append", code=1)
    assert f"{folder}/2.csv, line 502: column \"s\", row " in answer.err
    assert "holds a NUL byte" in answer.err


def test_a_refused_row_of_parquet_is_named_by_its_file(bulkhaul, database, sql, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    sql("CREATE TABLE target (id int, s varchar(3))")
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "s": ["a", "long text", "c"]}), path)
    refused = bulkhaul("copy", path, database, "--target-table", "public.target", "--if-exists",
                       "append", code=1)
    assert f"{path}, row 2 of the unit: load into public.target: value too long" in refused.err


def test_row_security_is_refused_before_a_row_is_sent(load, postgres, sql):
    sql("""
      DO $$ BEGIN CREATE ROLE guarded LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      CREATE TABLE target (id int, kind int, name text);
      ALTER TABLE target ENABLE ROW LEVEL SECURITY;
      CREATE POLICY only_low ON target USING (kind < 5);
      GRANT INSERT, SELECT ON target TO guarded; GRANT CREATE, USAGE ON SCHEMA public TO guarded;
      GRANT USAGE ON SCHEMA given TO guarded; GRANT SELECT ON given.rows TO guarded""")
    guarded = postgres.uri_of("load_targets", "guarded")
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


def test_clean_drops_what_a_job_that_is_given_up_left(bulkhaul, load, sql, postgres):
    sql(f"CREATE TABLE target (id int PRIMARY KEY, kind int, name text); "
        f"INSERT INTO target VALUES ({ROWS}, 0, 'here')")
    load("append", "--job-id", "given-up", code=1)
    assert len(leftovers(sql)) == 2  # the rows loaded beside, and the ledger
    assert "given-up" in bulkhaul("clean", "--older-than", "0s", "--dry-run").out
    assert len(leftovers(sql)) == 2
    postgres.sql("ALTER DATABASE load_targets RENAME TO load_targets_away")
    try:
        kept = bulkhaul("clean", "--older-than", "0s", code=1)
        assert "job given-up is kept" in kept.err, kept.err
    finally:
        postgres.sql("ALTER DATABASE load_targets_away RENAME TO load_targets")
    bulkhaul("clean", "--older-than", "0s")
    assert leftovers(sql) == []
    assert sql("SELECT id FROM target") == [(ROWS,)]
    assert "no jobs" in bulkhaul("jobs").out


def test_groups_are_refused_when_planned(bulkhaul, database, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id\n1\n")
    job = tmp_path / "job.yaml"
    job.write_text(f"source: {path}\ndestination: {database}\n"
                   "tables: [{pattern: '*', aggregates: [count]}]\n")
    for verb in (("plan", path, database, "--group-by", "id", "--aggregates", "count"),
                 ("copy", path, database, "--group-by", "id", "--aggregates", "count"),
                 ("plan", job), ("run", job)):
        refused = bulkhaul(*verb, code=2)
        assert "sink postgres cannot write staged rows again, as " in refused.err
        assert "write the groups into files and load those" in refused.err
    assert "no jobs" in bulkhaul("jobs").out


def test_clean_removes_a_job_that_never_reached_its_destination(bulkhaul, postgres, database,
                                                                tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id\n1\n")
    nobody = postgres.uri_of("load_targets", "nobody")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and never listens
        refusing = f"postgres://somebody@127.0.0.1:{silent.getsockname()[1]}/away"
        for uri in (refusing, nobody):
            refused = bulkhaul("copy", path, uri, "--job-id", "nowhere", "--retries", "1",
                               "--retry-delay", "1ms", code=1)
            assert "resume nowhere" in refused.err, refused.err
            bulkhaul("resume", "nowhere", code=1)
            assert "removed job nowhere" in bulkhaul("clean", "--older-than", "0s").out
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


def test_options_that_nothing_looks_at_are_refused(bulkhaul, database, sql, tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("id\n1\n")
    for words, says in ((["--format", "csv"], "from source files to sink postgres: it is about files"),
                        (["--page-documents", "9"], "about search clusters as a source"),
                        (["--csv-quote", "all"], "about CSV files that are written"),
                        (["--conflict", "fail"], "a table in PostgreSQL takes if_exists"),
                        (["--key", "id"], "key does nothing without if_exists: upsert"),
                        (["--duplicates", "last"], "duplicates does nothing without"),
                        (["--max-rejects", "5"],
                         "max_rejects does nothing without reject: quarantine"),
                        (["--quarantine", "q"], "quarantine does nothing without reject: quarantine"),
                        (["--reject", "quarantine"], "quarantine needs a folder for the rows")):
        for verb in ("plan", "copy"):
            refused = bulkhaul(verb, data, database, *words, code=2)
            assert says in refused.err, refused.err
    bulkhaul("copy", data, database, "--target-table", "public.target", "--format", "auto")
    assert sql("SELECT id FROM target") == [(1,)]
