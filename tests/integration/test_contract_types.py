"""A contract's types are those of CSV files and JSON lines, whatever a day's values look like."""

from __future__ import annotations

import datetime
import json
import pathlib
import re

import pyarrow
import pyarrow.compute
import pyarrow.parquet as parquet
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def run(bulkhaul):
    return lambda *words, **options: bulkhaul(*words, code=None, **options)


def loaded(folder) -> pyarrow.Table:
    return pyarrow.concat_tables(parquet.read_table(path)
                                 for path in sorted(folder.rglob("part*.parquet")))


def example_of_the_docs(tmp_path) -> pathlib.Path:
    text = (ROOT / "docs" / "contracts.md").read_text()
    path = tmp_path / "docs.yaml"
    path.write_text(re.search(r"```yaml\n(columns:.*?)```", text, re.DOTALL)[1])
    return path


def orders_file(tmp_path, rows) -> pathlib.Path:
    path = tmp_path / "orders.csv"
    path.write_text("id,customer_id,total,status,email,created_at\n" +
                    "".join(row + "\n" for row in rows))
    return path


def test_the_example_of_the_docs_takes_a_file_that_fits_it(tmp_path, run):
    contract = example_of_the_docs(tmp_path)
    data = tmp_path / "orders.csv"
    data.write_text("id,amount,email,status,updated_at,note\n"
                    f"1,12.5,a@example.com,new,{NOW:%Y-%m-%dT%H:%M:%SZ},\n"
                    f"2,7,b@example.com,paid,{NOW:%Y-%m-%dT%H:%M:%SZ},\n")
    checked = run("contract", "check", data, contract)
    assert checked.code == 0, checked.err
    assert run("contract", "diff", data, contract).out == "no drift\n"
    outcome = run("copy", data, tmp_path / "out", "--contract", contract)
    assert outcome.code == 0, outcome.err
    table = loaded(tmp_path / "out")
    assert table.schema.field("amount").type == pyarrow.decimal128(15, 2)
    assert [str(value) for value in table["amount"].to_pylist()] == ["12.50", "7.00"]


@pytest.mark.parametrize("totals", [["7", "12"], ["7.5", "12"]], ids=["whole", "fractions"])
def test_the_nightly_contract_takes_a_day_of_whole_totals(tmp_path, run, totals):
    contract = ROOT / "examples" / "contracts" / "orders.yaml"
    rows = [f"{number},7,{total},new,,{NOW:%Y-%m-%d %H:%M:%S}"
            for number, total in enumerate(totals, 1)]
    data = orders_file(tmp_path, rows)
    assert run("contract", "diff", data, contract).out == "no drift\n"
    outcome = run("contract", "check", data, contract)
    assert outcome.code == 0, outcome.err
    assert run("plan", data, "--contract", contract).code == 0
    outcome = run("copy", data, tmp_path / "out", "--contract", contract)
    assert outcome.code == 0, outcome.err
    table = loaded(tmp_path / "out")
    assert table.schema.field("total").type == pyarrow.float64()
    assert table.schema.field("email").type == pyarrow.string()
    assert table["total"].to_pylist() == [float(total) for total in totals]


def test_a_day_without_rows_breaks_the_rule_about_rows_and_no_type(tmp_path, run):
    data = orders_file(tmp_path, [])
    contract = ROOT / "examples" / "contracts" / "orders.yaml"
    assert run("contract", "diff", data, contract).out == "no drift\n"
    outcome = run("copy", data, tmp_path / "out", "--contract", contract)
    assert outcome.code == 1 and "rows" in outcome.err and "drift" not in outcome.err, outcome.err
    bare = tmp_path / "bare.yaml"
    bare.write_text("columns: {id: int64, customer_id: int32, total: 'decimal(15,2)', status: string,"
                    " email: string, created_at: date}\n")
    outcome = run("copy", data, tmp_path / "out", "--contract", bare)
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_column_of_nulls_has_the_type_of_the_contract(tmp_path, run, kind):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, n: int32, x: double, f: float, d: date, at: timestamptz,"
                        " price: 'decimal(10,2)', ok: bool, name: string}\n")
    names = ["id", "n", "x", "f", "d", "at", "price", "ok", "name"]
    data = tmp_path / f"items.{kind}"
    if kind == "csv":
        data.write_text(",".join(names) + "\n1,,,,,,,,\n2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,\n")
    else:
        data.write_text("".join(json.dumps({**dict.fromkeys(names), "id": number}) + "\n"
                                for number in (1, 2)))
    outcome = run("copy", data, tmp_path / "out", "--contract", contract)
    assert outcome.code == 0, outcome.err
    schema = loaded(tmp_path / "out").schema
    assert [schema.field(name).type for name in names] == [
        pyarrow.int64(), pyarrow.int32(), pyarrow.float64(), pyarrow.float32(), pyarrow.date32(),
        pyarrow.timestamp("us", "UTC"), pyarrow.decimal128(10, 2), pyarrow.bool_(),
        pyarrow.string()]


def test_json_numbers_and_texts_become_what_the_contract_says(tmp_path, run):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int32, x: double, price: 'decimal(10,2)', code: string,"
                        " at: timestamp, d: date}\n")
    data = tmp_path / "items.jsonl"
    rows = [{"id": 1, "x": 2, "price": 3, "code": 7, "at": "2024-05-01", "d": "2024-05-01"}] * 1500
    rows += [{"id": 2, "x": 2.5, "price": 0.1, "code": "b", "at": "2024-05-01T10:00:00",
              "d": "2024-05-02"}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = run("copy", data, tmp_path / "out", "--contract", contract, "--unit-bytes", "16KiB")
    assert outcome.code == 0, outcome.err
    table = loaded(tmp_path / "out")
    assert table.num_rows == 1501
    last = table.filter(pyarrow.compute.equal(table["id"], 2)).to_pylist()[0]
    assert table.schema.field("id").type == pyarrow.int32()
    assert (last["x"], str(last["price"]), last["code"]) == (2.5, "0.10", "b")
    assert (last["at"], last["d"]) == (datetime.datetime(2024, 5, 1, 10), datetime.date(2024, 5, 2))
    assert table["code"][0].as_py() == "7"
    # What does not fit is named with its place.
    rows[1200] = {**rows[1200], "price": 0.125}
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = run("copy", data, tmp_path / "more", "--contract", contract)
    assert outcome.code == 1
    assert f"{data}: line 1201: column 'price': '0.125' is no decimal128(10, 2), as the contract " \
        "or the table there wants it" in outcome.err
    rows[1200] = {**rows[1200], "price": 1, "id": 2 ** 31}
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = run("copy", data, tmp_path / "more", "--contract", contract)
    assert outcome.code == 1
    assert "line 1201: column 'id': '2147483648' is no int32, as the contract or the table there " \
        "wants it" in outcome.err


@pytest.mark.parametrize("line", [3, 1800], ids=["in the sample", "behind it"])
def test_a_value_that_does_not_fit_is_named_with_its_place(tmp_path, run, line):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, amount: 'decimal(15,2)'}\n")
    data = tmp_path / "orders.csv"
    rows = [f"{number},{number}.25" for number in range(1, 2001)]
    rows[line - 2] = "9,1.125"
    data.write_text("id,amount\n" + "\n".join(rows) + "\n")
    outcome = run("copy", data, tmp_path / "out", "--contract", contract)
    assert outcome.code == 1
    assert f"{data}: line {line}, column 'amount': '1.125' is no decimal128(15, 2), as the " \
        "contract or the table there wants it" in outcome.err
    outcome = run("contract", "check", data, contract)
    assert outcome.code == 1
    assert "1,999 rows keep the contract, 1 break it" in outcome.out
    assert "not read: 1 row rejected: amount, type: decimal(15,2)" in outcome.out
    assert [str(data), str(line), "amount", "type:", "decimal(15,2)", "1.125"] in \
        [shown.split() for shown in outcome.out.splitlines()]
    # A cast of the user is the last word on how values are read; then the types are compared.
    outcome = run("copy", data, tmp_path / "out", "--contract", contract, "--cast", "amount=double")
    assert outcome.code == 4 and "column 'amount' was decimal(15,2), is double" in outcome.err


def test_a_column_without_one_value_of_the_type_has_drifted(tmp_path, run):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, day: date}\n")
    data = tmp_path / "orders.csv"
    data.write_text("id,day\nx1,2024-01-01 10:00:00\nx2,2024-01-02 10:00:00\n")
    words = ["copy", data, tmp_path / "out", "--contract", contract]
    outcome = run(*words)
    assert outcome.code == 4
    assert f"column 'id' was int64, is string: {data}, line 2: 'x1' is no int64" in outcome.err
    assert "column 'day' was date, is timestamp" in outcome.err
    assert "drift: {retyped: warn}" in outcome.err
    # evolve takes the type that widens, and not the other.
    outcome = run(*words, "--drift", "retyped=evolve")
    assert outcome.code == 4
    assert "column 'id' was" in outcome.err and "column 'day' was" not in outcome.err
    outcome = run(*words, "--drift", "retyped=warn")
    assert outcome.code == 0, outcome.err
    assert loaded(tmp_path / "out").schema.field("day").type == pyarrow.timestamp("us")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_contract_calls_columns_by_their_new_names(tmp_path, run, kind):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {order_id: int32, total_amount: double, code: string}\n")
    data = tmp_path / f"orders.{kind}"
    if kind == "csv":
        data.write_text("OrderID,TotalAmount,Code,total_amount2\n1,5,007,x\n")
    else:
        data.write_text('{"OrderID": 1, "TotalAmount": 5, "Code": 7, "total_amount2": "x"}\n')
    words = ["copy", data, tmp_path / "out", "--contract", contract, "--drop", "total_amount2",
             "--column-naming", "snake"]
    outcome = run(*words)
    assert outcome.code == 0, outcome.err
    schema = loaded(tmp_path / "out").schema
    assert schema.names == ["order_id", "total_amount", "code"]
    assert schema.types == [pyarrow.int32(), pyarrow.float64(), pyarrow.string()]
    # A given name wins over the style, and a dropped column is read as nothing.
    contract.write_text("columns: {order_id: int32, total_amount2: double, code: string}\n")
    words[2] = tmp_path / "renamed"
    outcome = run(*words, "--rename", "TotalAmount=total_amount2")
    assert outcome.code == 0, outcome.err
    assert loaded(tmp_path / "renamed").schema.field("total_amount2").type == pyarrow.float64()


def test_folders_of_a_contract_and_typed_files(tmp_path, run):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, month: string}\n")
    for month in ("10", "11"):
        folder = tmp_path / "data" / f"month={month}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("id\n1\n")
    outcome = run("copy", tmp_path / "data", tmp_path / "out", "--contract", contract)
    assert outcome.code == 0, outcome.err
    assert sorted(loaded(tmp_path / "out")["month"].to_pylist()) == ["10", "11"]
    # Files that say their types are compared.
    parquet.write_table(pyarrow.table({"id": [1], "month": [2]}), tmp_path / "typed.parquet")
    outcome = run("copy", tmp_path / "typed.parquet", tmp_path / "typed", "--contract", contract)
    assert outcome.code == 4 and "column 'month' was string, is int64" in outcome.err


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_nights_without_a_contract_warn_of_changes_only(tmp_path, run, kind):
    data = tmp_path / f"orders.{kind}"

    def night(*rows) -> str:
        if kind == "csv":
            data.write_text("id,total,day\n" + "".join(
                ",".join("" if value is None else str(value) for value in row) + "\n"
                for row in rows))
        else:
            data.write_text("".join(json.dumps(dict(zip(("id", "total", "day"), row))) + "\n"
                                    for row in rows))
        outcome = run("copy", data, tmp_path / "out")
        assert outcome.code == 0, outcome.err
        return outcome.err

    assert "drift" not in night((1, 1.5, "2024-01-01 10:00:00"))
    assert "drift" not in night((1, 2, "2024-01-01 10:00:00"))      # whole numbers
    assert "drift" not in night((1, None, None))                    # nothing
    if kind == "csv":
        assert "drift" not in night()                               # no rows
    assert "drift" not in night((1, 2.5, "2024-01-01"))             # days
    assert "drift" not in night((1, 2.5, "2024-01-01 10:00:00"))    # and back
    assert "column 'total' was double, is string" in night((1, "many", "2024-01-01 10:00:00"))
    assert "drift" not in night((1, "few", "2024-01-01 10:00:00"))


def test_a_killed_load_goes_on_with_the_contract_as_it_was(tmp_path, run):
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, total: double}\n")
    data = tmp_path / "orders.csv"
    data.write_text("id,total\n" + "".join(f"{number},{number}\n" for number in range(3000)))
    killed = run("copy", data, tmp_path / "out", "--contract", contract, "--unit-bytes", "8KiB",
                 "--job-id", "night", env={"BULKHAUL_CRASH_AT": "ledger.unit_done"})
    assert killed.code != 0
    contract.unlink()
    outcome = run("resume", "night")
    assert outcome.code == 0, outcome.err
    table = loaded(tmp_path / "out")
    assert table.num_rows == 3000 and table.schema.field("total").type == pyarrow.float64()
