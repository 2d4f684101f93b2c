"""Contracts and drift, by the program: what loads, what is refused, what is put aside."""

from __future__ import annotations

import datetime
import json
import os
import pathlib

import pyarrow
import pyarrow.parquet as parquet
import pytest

CONTRACT = """columns:
  id: {type: int64, nullable: false, unique: true}
  amount: {type: double, min: 0, max: 100}
  status: {type: string, allowed: [new, paid]}
"""


@pytest.fixture
def run(bulkhaul):
    return lambda *words, **options: bulkhaul(*words, code=None, **options)


@pytest.fixture
def orders(tmp_path) -> pathlib.Path:
    path = tmp_path / "orders.csv"
    rows = [f"{i},{i % 100}.5,{'new' if i % 2 else 'paid'}" for i in range(1, 2001)]
    path.write_text("id,amount,status\n" + "\n".join(rows) + "\n")
    (tmp_path / "orders.contract.yaml").write_text(CONTRACT)
    return path


def change_line(path, number: int, text: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")


def report_of(tmp_path, run, *words, code: int = 0) -> dict:
    outcome = run(*words, "--report", tmp_path / "report.json", "--progress", "none")
    assert outcome.code == code, outcome.err
    return json.loads((tmp_path / "report.json").read_text())


def test_rows_that_keep_the_contract_load(tmp_path, run, orders):
    report = report_of(tmp_path, run, "copy", orders, tmp_path / "out", "--contract",
                       tmp_path / "orders.contract.yaml", "--unit-bytes", "8KiB")
    assert report["tables"][0]["rows"] == 2000
    assert report["tables"][0]["rows_rejected"] == 0
    assert not (tmp_path / "out" / "_quarantine").exists()
    assert not list((tmp_path / "state").rglob("*.keys"))


def test_a_broken_rule_stops_the_load_and_names_the_line(tmp_path, run, orders):
    change_line(orders, 1502, "1501,100.5,paid")
    outcome = run("copy", orders, tmp_path / "out", "--contract",
                       tmp_path / "orders.contract.yaml")
    assert outcome.code == 1
    assert f"{orders}, line 1502: column 'amount' holds 100.5, which breaks the rule max: 100" \
        in outcome.err
    assert not list((tmp_path / "out").glob("*/*.parquet"))


def test_quarantine_holds_the_rows_and_the_counts_agree(tmp_path, run, orders):
    change_line(orders, 1502, "1501,-1,paid")
    change_line(orders, 3, "2,7.5,lost")
    report = report_of(tmp_path, run, "copy", orders, tmp_path / "out", "--contract",
                       tmp_path / "orders.contract.yaml", "--reject", "quarantine", "--unit-bytes",
                       "8KiB")
    table = report["tables"][0]
    assert (table["rows"], table["rows_rejected"]) == (1998, 2)
    rejected = parquet.read_table(table["rejected_to"]).to_pylist()
    assert [(row["_line"], row["_rule"], row["_value"], row["id"]) for row in rejected] == [
        (3, "allowed: [new, paid]", "lost", 2), (1502, "min: 0", "-1", 1501)]
    assert {row["_file"] for row in rejected} == {str(orders)}
    assert pathlib.Path(table["rejected_to"]).parent == tmp_path / "out" / "_quarantine"
    loaded = parquet.read_table(next((tmp_path / "out").glob("*/part*.parquet")).parent)
    assert loaded.num_rows == 1998
    assert not loaded.schema.field("id").nullable
    # One more than max_rejects fails, and the target does not appear.
    outcome = run("copy", orders, tmp_path / "more", "--contract",
                       tmp_path / "orders.contract.yaml", "--reject", "quarantine",
                       "--max-rejects", "1")
    assert outcome.code == 1 and "max_rejects" in outcome.err
    assert not list((tmp_path / "more").glob("*/*.parquet"))


def test_a_duplicate_in_another_unit_is_found_before_publishing(tmp_path, run, orders):
    change_line(orders, 1902, "17,1.5,paid")
    outcome = run("copy", orders, tmp_path / "out", "--contract",
                       tmp_path / "orders.contract.yaml", "--unit-bytes", "8KiB")
    assert outcome.code == 1
    assert "column 'id' is unique, but 1 of its values comes more than once: 17 in" in outcome.err
    assert not list((tmp_path / "out").glob("*/*.parquet"))


def test_drift_has_an_exit_code_and_a_hook(tmp_path, run, orders):
    hook = tmp_path / "hook"
    hook.write_text('#!/bin/sh\necho "$BULKHAUL_DRIFT_SUMMARY" > "$0.out"\n')
    hook.chmod(0o755)
    contract = tmp_path / "orders.contract.yaml"
    contract.write_text(CONTRACT + "  note: string\n")
    words = ["copy", orders, tmp_path / "out", "--contract", contract]
    outcome = run(*words, "--on-drift", hook)
    assert outcome.code == 4
    assert "column 'note' (string) was removed" in outcome.err
    assert "was removed" in (tmp_path / "hook.out").read_text()
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    assert run("plan", orders, "--contract", contract).code == 4
    outcome = run(*words, "--drift", "removed=warn")
    assert outcome.code == 0 and "was removed" in outcome.err


def test_drift_between_two_runs_is_seen_without_a_contract(tmp_path, run, orders):
    assert run("copy", orders, tmp_path / "out").code == 0
    assert run("contract", "diff", orders).out == "no drift\n"
    orders.write_text("id,status,extra\n1,new,5\n")
    outcome = run("contract", "diff", orders)
    assert outcome.code == 4
    assert outcome.out.splitlines() == [
        "orders: column 'extra' (int64) was added", "orders: column 'amount' (double) was removed"]
    outcome = run("copy", orders, tmp_path / "out", "--drift", "all=fail")
    assert outcome.code == 4 and "drift against the run of job" in outcome.err
    outcome = run("copy", orders, tmp_path / "out")
    assert outcome.code == 0 and "column 'extra' (int64) was added" in outcome.err
    assert "drift" not in run("copy", orders, tmp_path / "out").err


def test_drift_between_files_of_two_days_into_one_table(tmp_path, run, postgres, database):
    uri = postgres.uri_of(database)
    postgres.sql("CREATE SCHEMA daily", database)

    def load(day: int, text: str, *words, code: int = 0):
        path = tmp_path / f"d-2024-03-0{day}.csv"
        path.write_text(text)
        done = run("copy", path, uri, "--table", "daily.events", "--if-exists", "append", *words)
        assert done.code == code, done
        return done.err

    assert "drift" not in load(1, "id,note\n1,a\n", "--drift", "all=fail")
    assert "drift" not in load(2, "id,note\n2,b\n", "--drift", "all=fail")
    said = load(3, "id\n3\n", "--drift", "all=fail", code=4)
    assert "column 'note' (string) was removed" in said and "drift against the run of job" in said
    assert "was removed" in load(3, "id\n3\n")
    # A file that is known is held against itself.
    assert "drift" not in load(1, "id,note\n4,a\n", "--drift", "all=fail")
    assert postgres.sql("SELECT count(*) FROM daily.events", database) == [(4,)]


def test_init_writes_a_contract_that_its_data_keeps(tmp_path, run, orders):
    outcome = run("contract", "init", orders)
    assert outcome.code == 0, outcome.err
    written = tmp_path / "written.yaml"
    written.write_text(outcome.out)
    assert "id:\n    type: int64  # seen: min: 1, max: 2000\n    nullable: false" in outcome.out
    outcome = run("contract", "check", orders, written)
    assert outcome.code == 0, outcome.err
    assert "2,000 rows keep the contract, 0 break it" in outcome.out
    assert run("contract", "diff", orders, written).code == 0
    assert run("contract", "diff", written, tmp_path / "orders.contract.yaml").code == 0


def test_check_shows_every_breach_and_loads_nothing(tmp_path, run, orders):
    change_line(orders, 5, "4,-3,new")
    change_line(orders, 6, "5,3,gone")
    before = sorted(os.listdir(tmp_path))
    outcome = run("contract", "check", orders, tmp_path / "orders.contract.yaml")
    assert outcome.code == 1
    assert "1,998 rows keep the contract, 2 break it" in outcome.out
    assert "min: 0" in outcome.out and "allowed: [new, paid]" in outcome.out
    assert sorted(os.listdir(tmp_path)) == before
    outcome = run("contract", "check", orders, tmp_path / "orders.contract.yaml", "--drop",
                       "status")
    assert outcome.code == 4


def test_a_sample_says_so(tmp_path, run, orders):
    report = report_of(tmp_path, run, "copy", orders, tmp_path / "out", "--contract",
                       tmp_path / "orders.contract.yaml", "--sample", "0.5")
    assert "rows were looked at (sample: 0.5)" in report["tables"][0]["explanations"][0]


def test_a_job_file_names_its_contract_beside_it(tmp_path, run, orders):
    job = tmp_path / "job.yaml"
    job.write_text(f"source: {orders}\ndestination: {tmp_path / 'out'}\n"
                   "contract: orders.contract.yaml\ndrift: {added: warn}\n")
    assert run("run", job, cwd="/").code == 0
    job.write_text(f"source: {orders}\ndestination: {tmp_path / 'out'}\n"
                   "contract: gone.yaml\n")
    outcome = run("run", job)
    assert outcome.code != 0 and f"cannot read the contract '{tmp_path}/gone.yaml'" in outcome.err


def test_what_cannot_work_is_refused_before_a_row_is_read(tmp_path, run):
    outcome = run("copy", tmp_path / "gone.csv", tmp_path / "out")
    assert outcome.code == 2 and "gone.csv" in outcome.err
    twins = tmp_path / "twins.csv"
    twins.write_text("Id,ID\n1,2\n")
    outcome = run("copy", twins, tmp_path / "out", "--column-naming", "lower")
    assert outcome.code == 2
    assert "columns 'Id' and 'ID' would both be called 'id'" in outcome.err
    lists = tmp_path / "lists.parquet"
    parquet.write_table(pyarrow.table({"tags": [["a"], ["b"]]}), lists)
    outcome = run("copy", lists, tmp_path / "out", "--cast", "tags=date")
    assert outcome.code == 2 and "which cannot become date" in outcome.err
    assert not (tmp_path / "out").exists()


def test_evolve_says_why_it_refuses(tmp_path, run):
    parquet.write_table(pyarrow.table({"a": [1.5]}), tmp_path / "a.parquet")
    (tmp_path / "c.yaml").write_text("columns: {a: int64}\n")
    outcome = run("copy", tmp_path / "a.parquet", tmp_path / "out", "--contract",
                  tmp_path / "c.yaml", "--drift", "retyped=evolve")
    assert outcome.code == 4
    assert "; evolve takes only types that hold every value of the old one. Nothing was read" \
        in outcome.err


def test_evolve_adds_columns_and_widens_types_of_a_postgres_table(tmp_path, run, postgres,
                                                                  database):
    data = tmp_path / "events.csv"
    data.write_text("id,amount\n1,1.5\n2,2.5\n")
    words = ["copy", data, postgres.uri_of(database), "--target-schema", "public"]
    assert run(*words, "--cast", "id=int32").code == 0
    data.write_text("id,amount,note\n3000000000,3.5,late\n")
    refused = run(*words, "--if-exists", "append")
    assert refused.code != 0 and 'has no column "note"' in refused.err
    words += ["--if-exists", "append", "--drift", "all=evolve"]
    planned = run("plan", *words[1:])
    assert 'column "note" text is added to public.events' in planned.out
    assert 'column "id" of public.events becomes bigint: it was integer' in planned.out
    assert run(*words).code == 0
    assert postgres.sql("SELECT id, amount, note FROM events ORDER BY id", database) == \
        postgres.sql("VALUES (1::bigint, 1.5::float8, NULL::text), (2, 2.5, NULL), "
                     "(3000000000, 3.5, 'late')", database)
    # Only wider: a table of bigint takes no text, and one of text stays text.
    data.write_text("id,amount,note\nx1,1.5,5\n")
    refused = run(*words)
    assert refused.code == 4 and "column 'id' was int64, is string" in refused.err


@pytest.mark.parametrize("mode", [["--if-exists", "replace"],
                                  ["--if-exists", "append", "--commit", "unit"]],
                         ids=["replace", "unit"])
def test_evolve_changes_a_table_that_is_replaced_or_filled_unit_by_unit(tmp_path, run, postgres,
                                                                        database, mode):
    """A kill between the change of the columns and the rows leaves nothing that resume trips over."""
    postgres.sql("CREATE TABLE events (id int PRIMARY KEY, amount float8 DEFAULT 7);"
                     "CREATE VIEW amounts AS SELECT amount FROM events;"
                     "INSERT INTO events VALUES (1, 1.5)", database)
    data = tmp_path / "events.csv"
    data.write_text("id,amount,note\n3000000000,3.5,late\n" +
                    "".join(f"{number},{number}.5,n{number}\n" for number in range(10, 2000)))
    words = ["copy", data, postgres.uri_of(database), "--target-schema", "public", *mode,
             "--drift", "all=evolve", "--unit-bytes", "8KiB", "--job-id", "night"]
    planned = run("plan", *words[1:])
    assert 'column "note" text is added to public.events' in planned.out, planned.err
    assert 'column "id" of public.events becomes bigint: it was integer' in planned.out
    killed = run(*words, env={"BULKHAUL_CRASH_AT": "postgres.unit_committed"})
    assert killed.code != 0
    outcome = run("resume", "night")
    assert outcome.code == 0, outcome.err
    kept = "VALUES (1::bigint, 1.5::float8, NULL::text) UNION ALL " if "append" in mode else ""
    assert postgres.sql("SELECT id, amount, note FROM events ORDER BY id", database) == postgres.sql(
        f"SELECT * FROM ({kept}SELECT n, n + 0.5, 'n' || n FROM generate_series(10, 1999) n"
        " UNION ALL SELECT 3000000000, 3.5, 'late') x ORDER BY 1", database)
    assert postgres.sql("SELECT count(*) FROM pg_index WHERE indrelid = 'events'::regclass"
                        " AND indisprimary", database) == [(1,)]
    assert postgres.sql("SELECT count(*) FROM amounts", database) == \
        postgres.sql("SELECT count(*) FROM events", database)
    # What a view shows keeps its type.
    postgres.sql("CREATE TABLE small (id int); CREATE VIEW ids AS SELECT id FROM small",
                     database)
    (tmp_path / "small.csv").write_text("id\n3000000000\n")
    refused = run("copy", tmp_path / "small.csv", *words[2:-2])
    assert refused.code != 0 and "but view ids uses it" in refused.err, refused.err


def test_rejected_rows_of_a_database_go_where_quarantine_says(tmp_path, run, postgres, database):
    data = tmp_path / "items.csv"
    data.write_text("id,price\n1,5\n2,-5\n3,7\n")
    contract = tmp_path / "items.yaml"
    contract.write_text("columns: {id: {unique: true}, price: {min: 0}}\n")
    words = ["copy", data, postgres.uri_of(database), "--target-schema", "public", "--contract",
             contract, "--reject", "quarantine"]
    refused = run(*words)
    assert refused.code == 2 and "needs a folder for the rows" in refused.err
    outcome = run(*words, "--quarantine", "bad", "--job-id", "night", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    rejected = parquet.read_table(tmp_path / "bad" / "items_night.parquet").to_pylist()
    assert [(row["_line"], row["id"], row["price"]) for row in rejected] == [(3, 2, -5)]
    assert postgres.sql("SELECT id FROM items ORDER BY id", database) == \
        postgres.sql("VALUES (1::bigint), (3)", database)


def test_a_killed_load_keeps_its_rejected_rows(tmp_path, run, orders):
    """Killed before it is published, resumed: the same rows are put aside, none twice."""
    for line in (10, 700, 1900):
        change_line(orders, line, f"{line - 1},-1,paid")
    words = ["copy", orders, tmp_path / "out", "--contract", tmp_path / "orders.contract.yaml",
             "--reject", "quarantine", "--unit-bytes", "8KiB", "--job-id", "night"]
    killed = run(*words, env={"BULKHAUL_CRASH_AT": "ledger.dataset_staged"})
    assert killed.code != 0
    assert not (tmp_path / "out" / "_quarantine").exists()
    outcome = run("resume", "night", "--report", tmp_path / "report.json")
    assert outcome.code == 0, outcome.err
    table = json.loads((tmp_path / "report.json").read_text())["tables"][0]
    assert (table["rows"], table["rows_rejected"]) == (1997, 3)
    rejected = parquet.read_table(table["rejected_to"]).to_pylist()
    assert [row["_line"] for row in rejected] == [10, 700, 1900]


@pytest.mark.parametrize("point", ["ledger.dataset_staged", "ledger.published"])
def test_a_resumed_load_says_what_was_rejected(tmp_path, run, orders, point):
    change_line(orders, 10, "9,-1,paid")
    words = ["copy", orders, tmp_path / "out", "--contract", tmp_path / "orders.contract.yaml",
             "--reject", "quarantine", "--job-id", "night"]
    assert run(*words, env={"BULKHAUL_CRASH_AT": point}).code != 0
    outcome = run("resume", "night")
    assert outcome.code == 0, outcome.err
    assert "rejected: 1 rows, in no file yet" not in outcome.out
    assert f"rejected: 1 rows, in {tmp_path}/out/_quarantine/" in outcome.out
    assert "contract: 1 row rejected: amount, min: 0" in outcome.out


@pytest.mark.parametrize("rule", ["rows", "unique"])
def test_a_broken_rule_of_the_table_hides_no_broken_rows(tmp_path, run, rule):
    (tmp_path / "u.csv").write_text("id,a\n1,5\n1,6\n2,500\n")
    contract = tmp_path / "c.yaml"
    contract.write_text("columns:\n  id: {type: int64, unique: %s}\n  a: {type: int64, max: 10}\n%s" %
                        (("true", "") if rule == "unique" else ("false", "rows: {min: 5}\n")))
    broken = "column 'id' is unique" if rule == "unique" else "the contract asks for at least 5"

    outcome = run("contract", "check", tmp_path / "u.csv", contract)
    assert outcome.code == 1
    assert broken in outcome.err
    assert "u: 2 rows keep the rules of rows, 1 break them" in outcome.out
    assert "contract: 1 row rejected: a, max: 10" in outcome.out
    assert "500" in outcome.out
    outcome = run("contract", "check", tmp_path / "u.csv", contract, "--output", "json")
    assert outcome.code == 1
    table = json.loads(outcome.out)["tables"][0]
    assert broken in table["error"]
    assert table["notes"] == ["contract: 1 row rejected: a, max: 10"]
    assert [row["value"] for row in table["first_rejected"]] == ["500"]

    words = ["copy", tmp_path / "u.csv", tmp_path / "out", "--contract", contract, "--reject",
             "quarantine"]
    table = report_of(tmp_path, run, *words, code=1)["tables"][0]
    assert (table["state"], table["rows_rejected"]) == ("failed", 1)
    assert "contract: 1 row rejected: a, max: 10" in table["explanations"]
    assert parquet.read_table(table["rejected_to"])["_value"].to_pylist() == ["500"]
    assert not (tmp_path / "out" / "u").exists()
    # Mended, the same load has its place.
    contract.write_text("columns:\n  id: int64\n  a: {type: int64, max: 10}\n")
    assert report_of(tmp_path, run, *words)["tables"][0]["rows"] == 2


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("words", [(), ("--where", "status != 'gone'")])
def test_rejected_rows_keep_their_lines(tmp_path, run, kind, words):
    path = tmp_path / f"orders.{kind}"
    rows = [{"id": i, "amount": i % 100 + 0.5, "status": "gone" if i % 3 == 0 else "new"}
            for i in range(1, 3001)]
    for bad in (7, 1502, 2999):
        rows[bad - 1] |= {"amount": -1.0, "status": "paid"}
    if kind == "csv":
        first, lines = 2, ["id,amount,status"] + [",".join(map(str, row.values())) for row in rows]
    else:  # a blank line is no row
        first, lines = 2, [""] + [json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    contract = tmp_path / "c.yaml"
    contract.write_text("columns:\n  id: int64\n  amount: {type: double, min: 0}\n  status: string\n")
    wanted = [(bad + first - 1, bad) for bad in (7, 1502, 2999)]
    for size in ("8KiB", "1MiB"):
        report = report_of(tmp_path, run, "copy", path, tmp_path / f"out{size}", "--contract",
                           contract, "--reject", "quarantine", "--unit-bytes", size, *words)
        rejected = parquet.read_table(report["tables"][0]["rejected_to"]).to_pylist()
        assert sorted((row["_line"], row["id"]) for row in rejected) == wanted
    outcome = run("copy", path, tmp_path / "no", "--contract", contract, *words)
    assert f"{path}, line {6 + first}: column 'amount' holds -1" in outcome.err


def test_a_duplicate_names_its_file(tmp_path, run):
    (tmp_path / "in").mkdir()
    for number, name in enumerate("abcd"):
        (tmp_path / "in" / f"{name}.csv").write_text(f"id\n{number}\n{0 if name == 'c' else 10 + number}\n")
    contract = tmp_path / "c.yaml"
    contract.write_text("columns:\n  id: {type: int64, unique: true}\n")
    outcome = run("copy", tmp_path / "in", tmp_path / "out", "--contract", contract)
    assert outcome.code == 1
    assert f"0 in row 1 of unit 0.0 ({tmp_path}/in/a.csv) and row 6 of unit 0.0 ({tmp_path}/in/c.csv)" \
        in outcome.err


def test_check_shows_the_first_rejected_rows_and_names_no_file_that_goes(tmp_path, run, orders):
    for line in (2, 3):
        change_line(orders, line, f"{line - 1},-1.5,paid")
    outcome = run("contract", "check", orders, tmp_path / "orders.contract.yaml")
    assert outcome.code == 1
    assert "1,998 rows keep the contract, 2 break it" in outcome.out
    assert "min: 0  -1.5" in outcome.out
    assert "put into" not in outcome.out + outcome.err
    told = run("contract", "check", orders, tmp_path / "orders.contract.yaml", "--output",
               "json").json
    assert told["warnings"] == [] and not told["kept"]
    assert told["tables"][0]["first_rejected"][1] == {
        "file": str(orders), "line": "3", "row": "2", "column": "amount", "rule": "min: 0",
        "value": "-1.5"}


def test_check_counts_more_broken_rows_than_a_load_would_put_aside(tmp_path, run):
    data = tmp_path / "items.csv"
    data.write_text("id\n" + "".join(f"-{i}\n" for i in range(1, 1502)))
    contract = tmp_path / "items.yaml"
    contract.write_text("columns: {id: {min: 0}}\n")
    outcome = run("contract", "check", data, contract)
    assert outcome.code == 1 and "1,501 break it" in outcome.out, outcome.err
    assert "… and 1,481 more; a load with reject: quarantine keeps them all" in outcome.out


def test_the_nightly_example_runs_as_it_is_written(tmp_path, run, postgres, database):
    example = pathlib.Path(__file__).resolve().parents[2] / "examples" / "nightly-contract.yaml"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "orders.csv").write_text(
        "id,customer_id,total,status,email,created_at\n"
        f"1,7,12.5,new,a@example.com,{now}\n2,7,-3.5,paid,b@example.com,{now}\n"
        f"3,8,1.25,shipped,,{now}\n")
    outcome = run("run", example, cwd=tmp_path, env={
        "ORDERS": str(tmp_path / "orders" / "*.csv"), "QUARANTINE": str(tmp_path / "bad"),
        "DATABASE_URL": postgres.uri_of(database)})
    assert outcome.code == 0, outcome.err
    assert postgres.sql("SELECT id FROM orders ORDER BY id", database) == [(1,), (3,)]
    [rejected] = parquet.read_table(next((tmp_path / "bad").glob("*.parquet"))).to_pylist()
    assert (rejected["_line"], rejected["_column"], rejected["_rule"]) == (3, "total", "min: 0")


@pytest.mark.parametrize("type_name", ["timestamp", "timestamp(ms)", "time"])
def test_a_cast_cuts_no_digits_of_a_second(tmp_path, run, type_name):
    """As many digits as the type has, or an error that names line, column and value."""
    time = "10:00:00" if type_name == "time" else "2024-01-01 10:00:00"
    digits = 3 if type_name == "timestamp(ms)" else 6
    data = tmp_path / "times.csv"
    data.write_text(f"id,x\n1,{time}.{'1' * digits}\n2,{time}.123456789\n")
    refused = run("copy", data, tmp_path / "out", "--cast", f"x={type_name}")
    assert refused.code == 1
    assert f"line 3, column 'x': '{time}.123456789' is no " in refused.err
    data.write_text(f"id,x\n1,{time}.{'1' * digits}\n")
    assert run("copy", data, tmp_path / "out", "--cast", f"x={type_name}").code == 0
    [part] = (tmp_path / "out").rglob("*.parquet")
    assert str(parquet.read_table(part)["x"][0].as_py()).rstrip("0").endswith("." + "1" * digits)
