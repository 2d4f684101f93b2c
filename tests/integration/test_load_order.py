"""Several tables in one load, which refer to one another: each is published after those it needs."""

from __future__ import annotations

import pytest

from support import load_order
from support.loading import leftovers


@pytest.fixture(scope="module")
def server(postgres):
    postgres.sql("CREATE DATABASE load_order")
    yield postgres
    postgres.sql("DROP DATABASE load_order WITH (FORCE)")


@pytest.fixture
def sql(server):
    def run(text: str):
        return server.sql(text, "load_order")
    run(load_order.TABLES_SQL)
    yield run
    run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.fixture
def job(tmp_path, server):
    """Writes a job file; the tables in the order in which they cannot be loaded."""
    def write(settings: str, **more):
        return load_order.write_job(tmp_path / "job.yaml", tmp_path / "in",
                                    server.uri_of("load_order"), settings, **more)
    return write


@pytest.mark.parametrize("rows", [load_order.PARENTS_LARGE, load_order.CHILDREN_LARGE],
                         ids=["parents", "children"])
@pytest.mark.parametrize("settings", [
    "if_exists: append", "if_exists: upsert", "if_exists: append\ncommit: unit",
    "if_exists: append\nparallel_tables: 1\nworkers: 1",
    "if_exists: append\ncommit: unit\nparallel_tables: 1"])
def test_tables_that_refer_to_one_another(bulkhaul, sql, job, tmp_path, settings, rows):
    wanted = load_order.write_files(tmp_path / "in", rows)
    bulkhaul("run", job(settings), "--job-id", "order")
    assert load_order.content(sql) == wanted
    assert leftovers(sql) == []
    report = bulkhaul("status", "order", "--output", "json").json["report"]
    after = {table["name"]: [one["table"] for one in table["after"]] for table in report["tables"]}
    assert after == {"lines": ["public.orders", "public.products"], "customers": [],
                     "orders": ["public.customers"], "products": ["public.customers"]}


def test_each_mode_that_keeps_foreign_keys(bulkhaul, sql, job, tmp_path):
    load_order.write_files(tmp_path / "in", load_order.CHILDREN_LARGE)
    bulkhaul("run", job("if_exists: append"))
    wanted = load_order.write_files(tmp_path / "in", load_order.PARENTS_LARGE)
    tables = ("{pattern: lines, if_exists: replace}, orders, {pattern: products}, "
              "{pattern: customers}")
    sql("DELETE FROM lines")
    sql("DELETE FROM products")
    bulkhaul("run", job("if_exists: upsert", tables=tables))
    assert load_order.content(sql) == wanted
    wanted = load_order.write_files(tmp_path / "in", load_order.CHILDREN_LARGE)
    tables = tables.replace("replace", "truncate")
    bulkhaul("run", job("if_exists: upsert", tables=tables))
    assert load_order.content(sql)["lines"] == wanted["lines"]
    refused = bulkhaul("run", job("if_exists: truncate"), code=1)
    assert "customers cannot be truncated by itself" in refused.err + refused.out
    assert "one TRUNCATE" in refused.err + refused.out
    assert load_order.content(sql)["lines"] == wanted["lines"]


def test_the_plan_says_the_order(bulkhaul, sql, job, tmp_path):
    load_order.write_files(tmp_path / "in", load_order.PARENTS_LARGE)
    file = job("if_exists: append")
    shown = bulkhaul("plan", file).out
    assert "public.orders after public.customers (foreign key orders_customer_fkey)" in shown
    assert "public.lines after public.lines" not in shown
    tables = {table["name"]: table["after"] for table in
              bulkhaul("plan", file, "--output", "json").json["tables"]}
    assert tables["products"] == [
        {"table": "public.customers", "reason": "foreign key products_maker_fkey"}]
    assert tables["customers"] == []


@pytest.mark.parametrize("unit", ["", "commit: unit"])
def test_what_comes_after_a_failed_table_fails_with_it(bulkhaul, sql, job, tmp_path, unit):
    wanted = load_order.write_files(tmp_path / "in", load_order.PARENTS_LARGE)
    sql("CREATE TABLE notes (id int, note text);"
        "ALTER TABLE customers ADD CONSTRAINT few CHECK (id < 11999)")
    (tmp_path / "in" / "notes.csv").write_text("id,note\n1,unrelated\n")
    file = job(f"if_exists: append\non_error: continue\n{unit}",
               tables="lines, orders, products, customers, notes")
    bulkhaul("run", file, "--job-id", "partial", code=3)
    assert sql("SELECT note FROM notes") == [("unrelated",)]
    assert sql("SELECT count(*) FROM lines") == sql("SELECT count(*) FROM orders") == [(0,)]
    status = bulkhaul("status", "partial", "--output", "json").json
    states = {table["name"]: table for table in status["table_states"]}
    assert "few" in states["customers"]["error"]
    assert states["orders"]["error"] == ("not loaded: its foreign key orders_customer_fkey refers "
                                         "to public.customers, which failed")
    assert "public.orders, which failed" in states["lines"]["error"] or \
        "public.products, which failed" in states["lines"]["error"]
    assert {"table": "public.orders", "reason": "foreign key lines_order_id_fkey"} in \
        states["lines"]["waits_for"]
    sql("ALTER TABLE customers DROP CONSTRAINT few")
    bulkhaul("resume", "partial")
    assert load_order.content(sql) == wanted


def test_a_parent_that_is_refused_takes_its_children_along(bulkhaul, sql, job, tmp_path):
    load_order.write_files(tmp_path / "in", load_order.PARENTS_LARGE)
    sql("ALTER TABLE customers ADD COLUMN region text NOT NULL")
    bulkhaul("run", job("if_exists: append\non_error: continue"), "--job-id", "refused", code=3)
    status = bulkhaul("status", "refused", "--output", "json").json
    errors = {table["name"]: table["error"] for table in status["table_states"]}
    assert "NOT NULL" in errors["customers"]
    assert "public.customers, which failed" in errors["products"]


def test_tables_in_a_circle(bulkhaul, sql, job, tmp_path):
    sql("""
      CREATE TABLE departments (id int PRIMARY KEY, manager int);
      CREATE TABLE employees (id int PRIMARY KEY, department int
        REFERENCES departments DEFERRABLE INITIALLY DEFERRED);
      ALTER TABLE departments ADD CONSTRAINT managed FOREIGN KEY (manager) REFERENCES employees
        DEFERRABLE INITIALLY DEFERRED""")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "departments.csv").write_text("id,manager\n1,1\n")
    (tmp_path / "in" / "employees.csv").write_text("id,department\n1,1\n")
    file = job("if_exists: append", tables="departments, employees")
    assert "would be refused: none of these tables can be published first" in \
        bulkhaul("plan", file, code=1).out
    refused = bulkhaul("run", file, code=1)
    assert "public.departments after public.employees (foreign key managed)" in refused.err
    assert "leave the columns of one key out" in refused.err
    assert leftovers(sql) == [] and sql("SELECT count(*) FROM departments") == [(0,)]
    # What the message says: without the column of one key, then the whole.
    bulkhaul("run", job("if_exists: append",
                        tables="employees, {pattern: departments, columns: [id]}"))
    bulkhaul("run", job("if_exists: upsert", tables="departments"))
    assert sql("SELECT * FROM departments") == [(1, 1)]
    # A key that is not enforced is no obstacle.
    sql("TRUNCATE departments, employees; ALTER TABLE departments DISABLE TRIGGER ALL")
    bulkhaul("run", job("if_exists: append", tables="departments, employees"))
    assert sql("SELECT * FROM departments, employees") == [(1, 1, 1, 1)]


def test_keys_of_partitions(bulkhaul, sql, job, tmp_path):
    sql("""
      CREATE TABLE p_all (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
      CREATE TABLE p_low PARTITION OF p_all FOR VALUES FROM (0) TO (1000);
      CREATE TABLE p_rest PARTITION OF p_all DEFAULT;
      CREATE TABLE a_whole (id int, p int REFERENCES p_all);
      CREATE TABLE b_parts (id int, p int) PARTITION BY LIST (id);
      CREATE TABLE b_rest PARTITION OF b_parts DEFAULT;
      ALTER TABLE b_rest ADD CONSTRAINT of_the_part FOREIGN KEY (p) REFERENCES p_low""")
    (tmp_path / "in").mkdir()
    for name in ("a_whole", "b_parts"):
        (tmp_path / "in" / f"{name}.csv").write_text("id,p\n1,5\n2,7\n")
    (tmp_path / "in" / "p_all.csv").write_text("id,name\n5,five\n7,seven\n")
    (tmp_path / "in" / "p_low.csv").write_text("id,name\n6,six\n")
    file = job("if_exists: append", tables="a_whole, b_parts, p_all, p_low")
    plan = {table["name"]: table["after"] for table in
            bulkhaul("plan", file, "--output", "json").json["tables"]}
    assert [one["table"] for one in plan["a_whole"]] == ["public.p_all", "public.p_low"]
    assert [one["reason"] for one in plan["b_parts"]] == ["foreign key of_the_part"] * 2
    bulkhaul("run", file)
    assert sql("SELECT (SELECT count(*) FROM a_whole), (SELECT count(*) FROM b_parts)") == [(2, 2)]


def test_an_order_that_the_user_says(bulkhaul, sql, job, tmp_path):
    sql("""
      CREATE TABLE notes (id int, note text);
      CREATE FUNCTION needs_customers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM customers) THEN RAISE 'no customers yet'; END IF;
        RETURN NULL; END $$;
      CREATE TRIGGER t AFTER INSERT ON notes EXECUTE FUNCTION needs_customers()""")
    load_order.write_files(tmp_path / "in", load_order.PARENTS_LARGE)
    (tmp_path / "in" / "notes.csv").write_text("id,note\n1,late\n")
    file = job("if_exists: append", tables="{pattern: notes, after: [customers]}, customers")
    assert "public.notes after public.customers\n" in bulkhaul("plan", file).out
    bulkhaul("run", file)
    assert sql("SELECT note FROM notes") == [("late",)]
    refused = bulkhaul("run", job("if_exists: append",
                                  tables="{pattern: notes, after: [custommers]}, customers"),
                       code=1)
    assert "after names 'custommers'" in refused.err and "did you mean 'customers'?" in refused.err
