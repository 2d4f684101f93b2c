"""Rows into PostgreSQL: new tables, each if_exists mode, every type there and back, and what is
refused before a row is sent."""

from __future__ import annotations

import json

import pytest

from support.loading import TYPES_SQL, database_fixture, leftovers, sql_fixture

ORDERS = "generator:preset=orders&rows={}"


database = database_fixture("load", TYPES_SQL)
sql = sql_fixture("load", "public.orders")


def load(bulkhaul, database, rows, *words, code=0):
    return bulkhaul("copy", ORDERS.format(rows), database, "--table", "orders", *words, code=code)


def count(sql, table="public.orders"):
    return sql(f"SELECT count(*) FROM {table}")[0][0]


def test_a_new_table_is_made_from_the_rows(bulkhaul, database, sql, tmp_path):
    report = tmp_path / "report.json"
    load(bulkhaul, database, 50_000, "--workers", 2, "--unit-rows", 9000, "--report", report)
    assert count(sql) == 50_000
    found = json.loads(report.read_text())
    assert found["tables"][0]["location"] == "public.orders"
    assert found["tables"][0]["rows"] == 50_000
    assert found["tables"][0]["counters"]["server_wal_bytes"] > 1_000_000
    assert found["format"] == "postgres"
    refused = load(bulkhaul, database, 10, code=1)
    assert "public.orders exists; set if_exists" in refused.err
    assert count(sql) == 50_000


def test_every_type_goes_out_and_comes_back_unchanged(bulkhaul, database, sql):
    sql("DROP TABLE IF EXISTS there.every_type")
    bulkhaul("copy", database, database, "--table", "public.every_type", "--target-schema", "there")
    difference = """
      (SELECT t::text FROM {a}.every_type t EXCEPT ALL SELECT t::text FROM {b}.every_type t)"""
    assert sql(difference.format(a="public", b="there")) == []
    assert sql(difference.format(a="there", b="public")) == []
    columns = """
      SELECT attname, format_type(atttypid, atttypmod), attnotnull, attndims,
        col_description(attrelid, attnum)
      FROM pg_attribute WHERE attrelid = '{}.every_type'::regclass AND attnum > 0 ORDER BY attnum"""
    assert sql(columns.format("there")) == sql(columns.format("public"))
    assert sql("SELECT obj_description('there.every_type'::regclass)") == [("all of them",)]
    assert sql("SELECT count(*) FROM pg_index WHERE indrelid = 'there.every_type'::regclass "
               "AND indisprimary") == [(1,)]
    bulkhaul("copy", database, database, "--table", "public.every_type", "--target-schema", "there",
             "--if-exists", "truncate")
    assert sql(difference.format(a="public", b="there")) == []


def test_append_adds_all_at_once(bulkhaul, database, sql):
    load(bulkhaul, database, 1000)
    sql("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    load(bulkhaul, database, 500, "--if-exists", "append", "--unit-rows", 100)
    assert count(sql) == 1500
    load(bulkhaul, database, 500, "--if-exists", "append", "--commit", "unit", "--unit-rows", 100)
    assert count(sql) == 2000
    load(bulkhaul, database, 7, "--if-exists", "truncate")
    assert count(sql) == 7
    assert leftovers(sql) == []


@pytest.mark.parametrize("unlogged", [[], ["--unlogged"]], ids=["logged", "unlogged"])
def test_replace_with_values_that_only_the_server_reads(bulkhaul, database, sql, tmp_path,
                                                        unlogged):
    sql("DROP TABLE IF EXISTS places; CREATE TABLE places (id int GENERATED ALWAYS AS IDENTITY"
        " PRIMARY KEY, at point NOT NULL DEFAULT '(1,1)', words tsvector); CREATE INDEX ON places"
        " USING gin (words); INSERT INTO places (words) VALUES ('old')")
    data = tmp_path / "places.csv"
    data.write_text("id,at,words\n" + "".join(f'{n},"({n},0)",fat cat {n}\n' for n in range(900)))
    bulkhaul("copy", data, database, "--target-schema", "public", "--if-exists", "replace",
             "--unit-bytes", "4KiB", *unlogged)
    assert sql("SELECT relpersistence::text FROM pg_class WHERE relname = 'places'") == [("p",)]
    assert sql("SELECT id, at[0]::int, words::text FROM places ORDER BY id") == \
        [(n, n, " ".join(sorted([f"'{n}'", "'cat'", "'fat'"]))) for n in range(900)]
    sql("INSERT INTO places (words) VALUES ('new')")
    assert sql("SELECT max(id), count(*) FROM places") == [(900, 901)]
    assert sql("SELECT count(*) FROM pg_index WHERE indrelid = 'places'::regclass") == [(2,)]
    assert leftovers(sql) == []
    sql("DROP TABLE places")


def test_replace_keeps_what_hangs_off_the_table(bulkhaul, postgres, database, sql):
    load(bulkhaul, database, 100)
    column, second = [row[0] for row in sql(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 "
        "ORDER BY attnum LIMIT 2")]
    sql(f"""
      DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      GRANT SELECT ON orders TO reader WITH GRANT OPTION;
      CREATE INDEX by_second ON orders ("{second}") WHERE "{column}" IS NOT NULL;
      ALTER TABLE orders ADD CONSTRAINT some_check CHECK ("{column}" IS NOT NULL);
      COMMENT ON TABLE orders IS 'kept'; COMMENT ON INDEX by_second IS 'kept too';
      ALTER TABLE orders SET (fillfactor = 90);
      CREATE VIEW of_orders AS SELECT count(*) AS n FROM orders;
      GRANT SELECT ON of_orders TO reader;
      CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER each_row BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nothing();
      INSERT INTO orders SELECT * FROM orders LIMIT 0""")
    look = """
      SELECT relacl::text, obj_description(oid), reloptions,
        (SELECT array_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid::regclass::text) FROM pg_index
          WHERE indrelid = c.oid),
        (SELECT array_agg(conname || pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint
          WHERE conrelid = c.oid),
        (SELECT array_agg(pg_get_triggerdef(oid)) FROM pg_trigger WHERE tgrelid = c.oid
          AND NOT tgisinternal), obj_description('by_second'::regclass)
      FROM pg_class c WHERE oid = 'orders'::regclass"""
    before = sql(look)
    old_oid = sql("SELECT 'orders'::regclass::oid")[0][0]
    load(bulkhaul, database, 250, "--if-exists", "replace")
    assert sql("SELECT 'orders'::regclass::oid")[0][0] != old_oid
    assert sql(look) == before
    assert sql("SELECT n FROM of_orders") == [(250,)]
    sql("CREATE MATERIALIZED VIEW seen AS SELECT * FROM orders")
    refused = load(bulkhaul, database, 5, "--if-exists", "replace", code=1)
    assert "would lose the materialized view seen" in refused.err
    assert count(sql) == 250
    sql("DROP FUNCTION nothing() CASCADE; DROP MATERIALIZED VIEW seen; DROP VIEW of_orders")


def test_upsert(bulkhaul, database, sql):
    sql("""
      DROP SCHEMA IF EXISTS up CASCADE; CREATE SCHEMA up;
      CREATE TABLE up.fresh (id int, v text); INSERT INTO up.fresh SELECT i, 'new ' || i
        FROM generate_series(5, 14) i;
      CREATE TABLE up.stock (id int PRIMARY KEY, v text, kept text DEFAULT 'yes');
      INSERT INTO up.stock SELECT i, 'old', 'mine' FROM generate_series(1, 10) i""")
    words = ["copy", database, database, "--table", "up.fresh", "--target-table", "up.stock",
             "--if-exists", "upsert"]
    bulkhaul(*words)
    assert sql("SELECT count(*), count(*) FILTER (WHERE v LIKE 'new%'), count(*) FILTER (WHERE kept "
               "= 'mine') FROM up.stock") == [(14, 10, 10)]
    sql("INSERT INTO up.fresh VALUES (20, 'a'), (20, 'b'), (20, 'c')")
    refused = bulkhaul(*words, code=1)
    assert "3 rows have the key (id) = 20" in refused.err
    assert sql("SELECT count(*) FROM up.stock WHERE id = 20") == [(0,)]
    for policy, expected in (("first", "a"), ("last", "c")):
        bulkhaul(*words, "--duplicates", policy)
        assert sql("SELECT v FROM up.stock WHERE id = 20") == [(expected,)]
    sql("CREATE TABLE up.keys (id int PRIMARY KEY); INSERT INTO up.keys VALUES (5), (99)")
    only = [*words, "--columns", "id", "--target-table", "up.keys"]
    assert "3 rows have the key (id) = 20" in bulkhaul(*only, code=1).err
    bulkhaul(*only, "--duplicates", "first")
    assert sql("SELECT count(*) FROM up.keys") == [(12,)]
    bulkhaul(*words[:-1], "upsert", "--target-table", "up.made", "--key", "id", "--duplicates",
             "last")
    assert sql("SELECT count(*), count(DISTINCT id) FROM up.made") == [(11, 11)]


def test_a_table_that_does_not_fit_is_refused_before_a_row_is_sent(bulkhaul, database, sql):
    sql("""
      DROP SCHEMA IF EXISTS fit CASCADE; CREATE SCHEMA fit;
      CREATE TABLE fit.source (id int, naem text, whole text, at timestamp);
      INSERT INTO fit.source VALUES (1, 'x', 'y', now());
      CREATE TABLE fit.target (id int, name text, whole int, at date, must int NOT NULL);
      CREATE TABLE fit.guarded (id int, naem text, whole text, at timestamp);
      CREATE VIEW fit.looking AS SELECT 1 AS x""")
    words = ["copy", database, database, "--table", "fit.source", "--if-exists", "append",
             "--target-table"]
    refused = bulkhaul(*words, "fit.target", code=1)
    for said in ('it has no column "naem" (did you mean "name"?)', 'column "at" is timestamp',
                 '"must" is NOT NULL without a default'):
        assert said in refused.err, refused.err
    assert "is a view" in bulkhaul(*words, "fit.looking", code=1).err
    missing = bulkhaul(*words, "nowhere.t", code=1)
    assert "no schema 'nowhere'" in missing.err


def test_identity_generated_and_defaults(bulkhaul, database, sql):
    sql("""
      DROP SCHEMA IF EXISTS ident CASCADE; CREATE SCHEMA ident;
      CREATE TABLE ident.source AS SELECT i AS id, i * 2 AS twice FROM generate_series(1, 40) i;
      CREATE TABLE ident.target (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        twice int GENERATED ALWAYS AS (id * 2) STORED, made text DEFAULT 'by default');""")
    for mode in ("append", "truncate", "upsert", "replace"):
        bulkhaul("copy", database, database, "--table", "ident.source", "--target-table",
                 "ident.target", "--if-exists", mode)
        assert sql("SELECT count(*), sum(id), sum(twice), min(made) FROM ident.target") == [
            (40, 820, 1640, "by default")], mode
        sql("INSERT INTO ident.target DEFAULT VALUES")  # the sequence stands behind the rows
        sql("DELETE FROM ident.target WHERE id > 40")


def test_names_widths_and_no_rows(bulkhaul, database, sql):
    columns = ", ".join(f'"c {i}" int' for i in range(1600))
    sql(f"""
      DROP SCHEMA IF EXISTS "Odd ""Schema" CASCADE; CREATE SCHEMA "Odd ""Schema";
      CREATE TABLE "Odd ""Schema"."wide ü" ({columns});
      INSERT INTO "Odd ""Schema"."wide ü" ("c 0", "c 1599") VALUES (1, 2);
      CREATE TABLE "Odd ""Schema".empty (id int, "select" text)""")
    bulkhaul("copy", database, database, "--schema", 'Odd "Schema', "--target-table",
             "copy of {table}")
    assert sql("""SELECT "c 0", "c 7", "c 1599" FROM "Odd ""Schema"."copy of wide ü" """) == [
        (1, None, 2)]
    assert sql("""SELECT count("select") FROM "Odd ""Schema"."copy of empty" """) == [(0,)]


def test_the_last_row_breaks_a_unique_index_and_nothing_changes(bulkhaul, database, sql):
    sql("""
      DROP SCHEMA IF EXISTS uni CASCADE; CREATE SCHEMA uni;
      CREATE TABLE uni.source AS SELECT i AS id FROM generate_series(1, 20000) i;
      CREATE TABLE uni.target (id int PRIMARY KEY); INSERT INTO uni.target VALUES (20000)""")
    words = ["copy", database, database, "--table", "uni.source", "--target-table", "uni.target",
             "--if-exists", "append", "--unit-bytes", "64KiB", "--job-id", "unique"]
    refused = bulkhaul(*words, code=1)
    assert "20000" in refused.err and "uni.target" in refused.err
    assert sql("SELECT * FROM uni.target") == [(20000,)]
    sql("DELETE FROM uni.target")
    bulkhaul("resume", "unique")
    assert count(sql, "uni.target") == 20000


def test_what_files_have_and_tables_do_not(bulkhaul, database):
    for words in (["--shrink"], ["--single-file"], ["--conflict", "fail"], ["--commit", "job"],
                  ["--commit", "unit"]):
        refused = load(bulkhaul, database, 10, *words, code=2)
        assert "leave out" in refused.err or "set commit" in refused.err or \
            "takes if_exists" in refused.err or "if_exists: append" in refused.err, refused.err
    planned = bulkhaul("plan", ORDERS.format(10), database, "--table", "orders",
                       "--if-exists", "append")
    assert "public.orders" in planned.out


@pytest.mark.parametrize("name", ["xmin", "ctid", "tableoid"])
def test_names_of_system_columns_are_refused(bulkhaul, database, tmp_path, name):
    path = tmp_path / "rows.csv"
    path.write_text(f"id,{name}\n1,2\n")
    message = f"'{name}' cannot be the name of a column"
    assert message in bulkhaul("plan", path, database, code=1).out
    assert message in bulkhaul("copy", path, database, code=1).err
    assert "cannot be" not in bulkhaul("plan", path, database, "--rename", f"{name}=other").out


def test_a_file_without_an_ending_goes_into_the_named_table(bulkhaul, database, sql, tmp_path):
    for kind, text in (("csv", "id\n1\n"), ("json", '{"id":1}\n')):
        path = tmp_path / "data.dat"
        path.write_text(text)
        bulkhaul("copy", path, database, "--source-format", kind, "--table", "public.orders",
                 "--if-exists", "replace")
        assert sql("SELECT id FROM public.orders") == [(1,)]


def test_nul_bytes_within_nested_values_are_stripped(bulkhaul, database, sql, tmp_path):
    path = tmp_path / "orders.jsonl"
    path.write_text('{"s":{"x":"a\\u0000b","y":["\\\\u0000","\\u0000"]}}\n')
    said = bulkhaul("copy", path, database, "--table", "public.orders", code=1)
    assert 'column "s": a text in it holds a NUL byte' in said.err and "nul_bytes: strip" in said.err
    bulkhaul("copy", path, database, "--table", "public.orders", "--nul-bytes", "strip")
    assert sql("SELECT s FROM public.orders") == [({"x": "ab", "y": ["\\u0000", ""]},)]


def test_escaped_nul_in_a_text_into_jsonb(bulkhaul, database, sql, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("""id,j
1,"{""a"": ""b""}"
2,"{""a"": ""x\\u0000y"", ""b"": ""\\\\u0000""}"
""")
    sql("CREATE TABLE public.orders (id int, j jsonb)")
    words = ("copy", path, database, "--target-table", "public.orders", "--if-exists", "append")
    said = bulkhaul(*words, code=1).err
    assert f"{path}, line 3: load into public.orders: unsupported Unicode escape sequence" in said, said
    assert "COPY was at line 2, column j" in said and "nul_bytes: strip" in said
    bulkhaul(*words, "--nul-bytes", "strip")
    assert sql("SELECT j FROM public.orders ORDER BY id") == [
        ({"a": "b"},), ({"a": "xy", "b": "\\u0000"},)]
