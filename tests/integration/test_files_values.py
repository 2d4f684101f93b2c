"""Values of CSV and JSON files: taken exactly, or refused with their place and a way out."""

from __future__ import annotations

import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.files import load, refuse, write  # noqa: F401


@pytest.mark.parametrize("line, path", [
    ('{"a":9007199254740993}', "a"), ('{"a":12345678901234567}', "a"),
    ('{"a":-36893488147419103233}', "a"), ('{"s":{"b":9007199254740993}}', "s.b"),
    ('{"l":[1,9007199254740993]}', "l[]")])
def test_whole_numbers_in_json_are_never_rounded(load, refuse, tmp_path, line, path):
    key = path[0]
    number = line.strip("{}]").split(":")[-1].split(",")[-1]
    first = line.replace(number, "1.5").replace("[1,1.5", "[1,2.5")
    for words in ((), ("--sample-rows", "1")):
        file = write(tmp_path / "k.jsonl", f"{first}\n{line}\n")
        said = refuse(file, *words)
        assert f"k.jsonl: line 2: column '{path}': '{number}' has more digits than a double" in said
        assert f"cast: {key}: string" in said
        rows = load(file, "--cast", f"{key}=string", *words)
        assert number in rows[1][key] and len(rows) == 2
        if path == "a":
            rows = load(file, "--cast", '"a=decimal(38,1)"', *words)
            assert [row["a"] for row in rows] == [decimal.Decimal("1.5"), decimal.Decimal(number)]
        rows = load(file, "--type-mismatch", "null", *words)
        assert "None" in str(rows[1][key])


def test_large_whole_numbers_that_fit_are_taken(load, tmp_path):
    # A field of the same name elsewhere is a double; this one is not.
    file = write(tmp_path / "a.jsonl", '{"id":9007199254740993,"s":{"id":1.5}}\n'
                                       '{"id":1,"s":{"id":9007199254740992}}\n')
    assert load(file) == [{"id": 9007199254740993, "s": {"id": 1.5}},
                          {"id": 1, "s": {"id": 9007199254740992.0}}]


@pytest.mark.parametrize("values, words", [
    (['1', '"x"'], "'x' is text, and values before it are numbers"),
    (['true', '1'], "'1' is a number, and values before it are true or false"),
    (['[1]', '{"b":1}'], "'{\"b\":1}' is an object, and values before it are arrays")])
def test_json_of_several_kinds(bulkhaul, load, refuse, tmp_path, values, words):
    file = write(tmp_path / "m.jsonl", "".join(f'{{"a":{value},"k":1}}\n' for value in values))
    for sample in ((), ("--sample-rows", "0")):
        said = refuse(file, *sample)
        assert f"m.jsonl: line 2: column 'a': {words}" in said
        assert "cast: a: string" in said and "type_mismatch: null" in said
        assert "larger sample_rows" not in said
        as_text = [row["a"] for row in load(file, "--cast", "a=string", *sample)]
        assert as_text == [value.strip('"') for value in values]
        first, second = load(file, "--type-mismatch", "null", *sample)
        assert (first["a"], second["a"]) == (json.loads(values[0]), None) and second["k"] == 1
    # A kind that the sample does not have.
    late = write(tmp_path / "late.jsonl", f'{{"a":{values[0]}}}\n' * 1500 + f'{{"a":{values[1]}}}\n')
    said = refuse(late)
    assert "late.jsonl: line 1501: column 'a': '" + values[1].strip('"') + "' is no" in said
    assert load(late, "--cast", "a=string")[-1]["a"] == values[1].strip('"')
    report = bulkhaul("copy", late, tmp_path / "counted", "--type-mismatch", "null", "--progress",
                      "none", "--output", "json").json
    assert report["tables"][0]["counters"]["type_mismatch_null"] == 1


def test_what_later_rows_of_json_have(load, refuse, tmp_path):
    file = write(tmp_path / "u.jsonl", '{"a":1}\n' * 1200 + '{"a":1,"s":2}\n')
    assert "u.jsonl: line 1201: the rows that were looked at have no field 's'" in refuse(file)
    assert load(file, "--sample-rows", "0")[-1] == {"a": 1, "s": 2}
    write(file, '{"a":1}\n' * 1200 + '{"a":1.5}\n')
    said = refuse(file)
    assert "u.jsonl: line 1201: column 'a': '1.5' is no int64. A larger sample_rows" in said
    assert load(file, "--sample-rows", "0")[-1] == {"a": 1.5}
    write(file, '{"at":"2024-01-01"}\n' * 1200 + '{"at":"soon"}\n')
    assert [row["at"] for row in load(file, "--type-mismatch", "null")].count(None) == 1
    # Renamed columns are cast by the names that they get.
    write(file, '{"A":1}\n{"A":"x"}\n')
    assert load(file, "--column-naming", "lower", "--cast", "a=string") == [{"a": "1"}, {"a": "x"}]


def test_decimal_precision_holds_for_every_number(load, refuse, tmp_path):
    file = write(tmp_path / "a.csv", "x\n1e2\n1.50\n-2.5e-1\n")
    assert [str(row["x"]) for row in load(file, "--decimal-precision", "10,2")] == [
        "100.00", "1.50", "-0.25"]
    for value in ("nan", "inf", "1.505", "1e12", "1e-3", "1e400"):
        write(file, f"x\n1.5\n{value}\n")
        said = refuse(file, "--decimal-precision", "10,2", "--sample-rows", "0")
        assert f"a.csv: line 3, column 'x': '{value}' is no decimal128(10, 2)" in said
        assert "larger sample_rows" not in said


def test_a_pattern_that_was_given_decides_the_type(load, refuse, tmp_path):
    file = write(tmp_path / "a.csv", "x,n\n20240131,1\nNULL,2\n20240201,3\n")
    for words in (("--date-formats", "x=yyyyMMdd"),
                  ("--date-formats", "x=yyyyMMdd", "--cast", "x=date"),
                  ("--date-format", "yyyyMMdd", "--cast", "x=date")):
        rows = load(file, *words)
        assert [str(row["x"]) for row in rows] == ["2024-01-31", "None", "2024-02-01"]
        assert rows[0]["n"] == 1
    write(file, "x\n01.02.2024\n1.2.2024\n02.02.2024\n")
    said = refuse(file, "--date-formats", "x=dd.MM.yyyy")
    assert "a.csv: line 3, column 'x': '1.2.2024' is no date32[day] of the form dd.MM.yyyy" in said
    assert "larger sample_rows" not in said
    rows = load(file, "--date-formats", "x=dd.MM.yyyy", "--type-mismatch", "null")
    assert [str(row["x"]) for row in rows] == ["2024-02-01", "None", "2024-02-02"]
    write(file, "x\n31.12.2024 17:05\n")
    assert str(load(file, "--date-formats", "x=dd.MM.yyyy HH:mm")[0]["x"]) == "2024-12-31 17:05:00"


def test_patterns_that_say_too_little_are_refused(load, refuse, tmp_path):
    file = write(tmp_path / "a.csv", "Id,b\n1,13/05/2024\n2,14/06/2024\n")
    for words, option in ((("--date-format", "dd/mm/yyyy"), "date_format: "),
                          (("--date-formats", "b=dd/mm/yyyy"), "date_formats: b: ")):
        said = refuse(file, *words, code=2)
        assert (option + "the pattern 'dd/mm/yyyy' has a day without a month: mm is minutes, MM the "
                "month") in said
    assert "'bb'; did you mean 'b'" in refuse(file, "--date-formats", "bb=dd/MM/yyyy", code=2)
    said = refuse(file, "--date-formats", "born=dd/MM/yyyy", "--rename", "b=born", code=2)
    assert "there is no column 'born'; did you mean 'b', as it is called in the file?" in said
    assert str(load(file, "--date-formats", "b=dd/MM/yyyy", "--rename", "b=born")[0]["born"]) == (
        "2024-05-13")
    write(file, "b\n05/2024\n12/2023\n")
    assert [str(row["b"]) for row in load(file, "--date-format", "MM/yyyy")] == [
        "2024-05-01", "2023-12-01"]


@pytest.mark.parametrize("naming", [True, False])
def test_advice_names_columns_as_cast_does(load, refuse, tmp_path, naming):
    words = ("--column-naming", "lower") if naming else ("--rename", "Id=id")
    file = write(tmp_path / "a.csv", "Id\n1\nx\n")
    said = refuse(file, "--cast", "id=int64", *words)
    assert "line 3, column 'Id': 'x' is no int64. cast: id: string" in said
    assert load(file, "--cast", "id=string", *words)[1] == {"id": "x"}
    write(file, "Id\n03/04/2024\n")
    said = refuse(file, *words)
    assert "date_formats: Id: d/M/yyyy, or keep them as text by cast: id: string" in said
    assert str(load(file, "--date-formats", "Id=d/M/yyyy", *words)[0]["id"]) == "2024-04-03"
    assert load(file, "--cast", "id=string", *words)[0] == {"id": "03/04/2024"}
    for first, second in (("1", '"x"'), ("1", "1.5"), ('"2024-01-01"', '"soon"')):
        late = write(tmp_path / "a.jsonl", f'{{"Id":{first}}}\n' * 1200 + f'{{"Id":{second}}}\n')
        said = refuse(late, *words)
        assert "line 1201: column 'Id': " in said and "cast: id: string" in said, said
        assert load(late, "--cast", "id=string", *words)[-1] == {"id": second.strip('"')}


def test_texts_of_null_come_before_values(load, tmp_path):
    file = write(tmp_path / "nan.csv", "id,x,d\n1,NaN,9999-12-31\n2,1.5,2024-01-01\n"
                                       "-999,-999,2024-01-02\n")
    contract = write(tmp_path / "c.yaml", "columns: {id: int64, x: double, d: date}\n")
    for words in ((), ("--cast", "id=int64", "--cast", "x=double", "--cast", "d=date"),
                  ("--contract", str(contract)), ("--sample-rows", "1")):
        rows = load(file, "--source-null=NaN,9999-12-31,-999", *words)
        assert [row["id"] for row in rows] == [1, 2, None], words
        assert [str(row["x"]) for row in rows] == ["None", "1.5", "None"], words
        assert [str(row["d"]) for row in rows] == ["None", "2024-01-01", "2024-01-02"], words


def test_advice_on_a_value_of_csv_works(load, refuse, tmp_path):
    file = write(tmp_path / "a.csv", "x\n1.5\n" * 1 + "2.5\n" * 1200 + "9007199254740993\n")
    said = refuse(file)
    assert "a.csv: line 1203, column 'x': '9007199254740993' cannot be held by a double exactly" in said
    assert "decimal_precision" in said and "larger sample_rows (0: all)" in said
    for words in (("--sample-rows", "0"), ("--decimal-precision", "38,9")):
        assert int(load(file, *words)[-1]["x"]) == 9007199254740993
    said = refuse(file, "--cast", "x=double")
    assert "decimal_precision" in said and "larger sample_rows" not in said
    write(file, "x\n1\ny\n")
    said = refuse(file, "--cast", "x=int64")
    assert "line 3, column 'x': 'y' is no int64. cast: x: string" in said


@pytest.mark.parametrize("name, first, row, odd", [
    ("csv", "x\n", "1\n", "1.5\n"), ("jsonl", "", '{"x":1}\n', '{"x":1.5}\n'),
    ("jsonl", "", '{"x":"2024-01-01"}\n', '{"x":"soon"}\n'),
    ("jsonl", "", '{"x":1}\n', '{"x":1,"y":2}\n')])
def test_advice_on_values_of_many_files_works(load, refuse, tmp_path, name, first, row, odd):
    def files(count, odd_one, rows):
        folder = tmp_path / f"in{len(list(tmp_path.glob('in*')))}"
        for i in range(count):
            write(folder / f"{i:02}.{name}", first + row * rows + (odd if i == odd_one else ""))
        return folder

    # The sixth of twelve files is none of the ten that are looked at.
    many = files(12, 5, 1200)
    said = refuse(many)
    assert f"05.{name}: line" in said and "larger sample_rows and sample_files (0: all)" in said
    both = ("--sample-rows", "0", "--sample-files", "0")
    assert len(load(many, *both)) == 12 * 1200 + 1
    assert "larger sample_files (0: all)" in refuse(many, "--sample-rows", "0")
    assert "larger sample_rows (0: all)" in refuse(many, "--sample-files", "12")
    few = files(10, 1, 1200)
    assert "larger sample_rows (0: all)" in refuse(few)
    assert len(load(few, "--sample-rows", "0")) == 10 * 1200 + 1


@pytest.mark.parametrize("name, row, end", [
    ("a.csv", "x{}", "\n"), ("a.csv", "x{}", "\r\n"), ("a.jsonl", '{{"a":"{}"}}', "\n"),
    ("a.jsonl", '{{"a":"{}"}}', "\r\n")])
def test_row_bytes_max_is_exact(load, refuse, tmp_path, name, row, end):
    for limit in (2000, 100_000, 3_000_000):
        room = limit - len(row.format(""))
        header = ["a"] if name == "a.csv" else [row.format("head")]
        for last in (end, ""):
            file = write(tmp_path / name, end.join(header + [row.format("y" * room)] * 3) + last)
            assert len(load(file, "--row-bytes-max", limit)) >= 3
            file = write(tmp_path / name, end.join(
                header + [row.format("y" * room), row.format("y" * (room + 1)), row.format("z")]) + last)
            said = refuse(file, "--row-bytes-max", limit)
            assert f"{name}: line 3: the row is longer than row_bytes_max" in said


def test_files_without_columns_are_refused(bulkhaul, refuse, tmp_path):
    file = write(tmp_path / "a.jsonl", "{}\n{}\n")
    assert bulkhaul("plan", file, tmp_path / "out", code=None).code != 0
    assert "no row that was looked at has a column" in refuse(file)


def test_a_column_that_folders_give_too_is_refused(bulkhaul, load, refuse, tmp_path):
    file = write(tmp_path / "h" / "year=2024" / "a.csv", "id,year\n1,1999\n")
    said = refuse(tmp_path / "h")
    assert "the column 'year' is in the file" in said and "hive_partitions: false" in said
    assert str(file) in said
    assert load(tmp_path / "h", "--no-hive-partitions") == [{"id": 1, "year": 1999}]
    # In a file that was not looked at.
    write(file, "id\n1\n")
    late = write(tmp_path / "h" / "year=2025" / "b.csv", "id,year\n2,1999\n")
    said = refuse(tmp_path / "h", "--sample-files", "1")
    assert f"{late}: the column 'year' is in the file" in said
    file.unlink()
    late.unlink()
    pq.write_table(pa.table({"id": [1], "year": [1999]}), late.parent / "p.parquet")
    assert "p.parquet: the column 'year' is in the file" in refuse(tmp_path / "h")


def test_a_separator_line_is_no_row(load, refuse, tmp_path):
    for end in ("\n", "\r\n"):
        file = write(tmp_path / "a.csv", end.join(["sep=;", "id;v", "1;a,b", "2;c"]) + end)
        assert load(file) == [{"id": 1, "v": "a,b"}, {"id": 2, "v": "c"}]
        assert load(file, "--source-header", "false")[0] == {"column_1": "id", "column_2": "v"}
    write(file, "sep=;\nid;v\n1;2\nx;2\n")
    assert "a.csv: line 4, column 'id': 'x' is no int64" in refuse(file, "--sample-rows", "1")
    write(file, "sep=,b\n1,2\n")  # a header
    assert load(file) == [{"sep=": 1, "b": 2}]


def test_short_rows_behind_a_header_are_no_long_row(load, tmp_path):
    file = write(tmp_path / "a.csv", "a\n" + "x" * 50 + "\n" + ("y" * 70 + "\n") * 30_000)
    assert len(load(file, "--row-bytes-max", "1KiB")) == 30_001


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.large_string(), pa.binary_view()])
@pytest.mark.parametrize("row_group", [1000, 50_000])
def test_parquet_texts_in_dictionaries_and_views(load, tmp_path, kind, row_group):
    """Texts that all stand in dictionaries, that only begin there, that never do; with NULLs."""
    rows = 20_000
    few = [None if i % 7 == 0 else "" if i % 11 == 0 else f"value {i % 13}" for i in range(rows)]
    many = [f"{i:08} " + "x" * (i % 90) for i in range(rows)]
    texts = [values if "binary" not in str(kind) else [v and v.encode() for v in values]
             for values in (few, many)]
    # pyarrow writes no views inside others.
    inner = {"string_view": pa.string(), "binary_view": pa.binary()}.get(str(kind), kind)
    table = pa.table({
        "few": pa.array(texts[0], kind), "many": pa.array(texts[1], kind),
        "plain": pa.array(texts[0], kind), "none": pa.array([None] * rows, kind),
        "listed": pa.array([[v, v] for v in texts[0]], pa.list_(inner)),
        "inside": pa.StructArray.from_arrays([pa.array(texts[0], inner)], ["text"])})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=row_group, data_page_size=4096,
                   use_dictionary=["few", "many", "none", "listed.list.element", "inside.text"],
                   dictionary_pagesize_limit=32 << 10)
    assert load(tmp_path / "t.parquet") == table.to_pylist()
