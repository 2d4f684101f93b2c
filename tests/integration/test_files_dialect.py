"""How CSV is written: what a user says of delimiters, quotes, escapes, NULL and white space."""

from __future__ import annotations

import random

import pytest

from support.files import load, refuse, write  # noqa: F401


@pytest.mark.parametrize("words, text, rows", [
    (["--source-delimiter", "^"], "a^b\n1^x,y;z\n", [{"a": 1, "b": "x,y;z"}]),
    (["--source-delimiter", "tab"], "a,b\tc\n1,2\t3\n", [{"a,b": "1,2", "c": 3}]),
    (["--source-delimiter", "\\t"], "a\tb\n1\t2\n", [{"a": 1, "b": 2}]),
    (["--source-delimiter", " "], 'a b\n1 "x y"\n', [{"a": 1, "b": "x y"}]),
    # Detected it would be the comma.
    (["--source-delimiter", ";"], "a,b;c\n1,5;2\n3,5;4\n",
     [{"a,b": "1,5", "c": 2}, {"a,b": "3,5", "c": 4}]),
    (["--source-delimiter", "none"], "a,b\n1,2\n", [{"a,b": "1,2"}]),
    (["--source-quote", "'"], "a,b\n1,'x,y'\n2,'it''s'\n3,\"z\"\n",
     [{"a": 1, "b": "x,y"}, {"a": 2, "b": "it's"}, {"a": 3, "b": '"z"'}]),
    (["--source-quote", "~"], "a,b\n1,~x,\ny~\n", [{"a": 1, "b": "x,\ny"}]),
    (["--source-quote", "none"], 'a,b\n1,"x\n2,y"\n', [{"a": 1, "b": '"x'}, {"a": 2, "b": 'y"'}]),
    (["--source-escape", "\\"], 'a,b\n1,"say \\"hi\\", \\\\"\n2,x\\,y\n',
     [{"a": 1, "b": 'say "hi", \\'}, {"a": 2, "b": "x,y"}]),
    (["--source-escape", "^"], 'a,b\n1,"^"x^^"\n', [{"a": 1, "b": '"x^'}]),
    # Detected it would be the backslash.
    (["--source-escape", "none"], 'a,b\n1,"x\\"" y"\n2,\\N\n',
     [{"a": 1, "b": 'x\\" y'}, {"a": 2, "b": "\\N"}]),
    (["--source-escape", '"'], 'a,b\n1,"x""y"\n', [{"a": 1, "b": 'x"y'}]),
    (["--source-escape", "\\", "--source-quote", "none"], "a,b\n1,x\\\ny\n2,z\n",
     [{"a": 1, "b": "x\ny"}, {"a": 2, "b": "z"}]),
    (["--source-null", "-,n/a?"], 'a,b\n1,-\n-,n/a?\n3,"-"\n4,\n',
     [{"a": 1, "b": None}, {"a": None, "b": None}, {"a": 3, "b": "-"}, {"a": 4, "b": None}]),
    # Texts that are NULL in columns of numbers stay text in columns of text, unless it is said.
    ([], "a,b\nNULL,NULL\n1,x\n", [{"a": None, "b": "NULL"}, {"a": 1, "b": "x"}]),
    (["--source-null", "NULL"], "a,b\nNULL,NULL\n1,x\n", [{"a": None, "b": None},
                                                         {"a": 1, "b": "x"}]),
])
def test_what_is_said_counts_and_not_what_the_sample_shows(load, tmp_path, words, text, rows):
    assert load(write(tmp_path / "a.csv", text), *words) == rows


@pytest.mark.parametrize("option, value", [
    ("source_delimiter", ",,"), ("source_quote", "''"), ("source_escape", "ü"),
    ("source_delimiter", "\n")])
def test_more_than_one_character_is_refused(refuse, tmp_path, option, value):
    said = refuse(write(tmp_path / "a.csv", "a,b\n1,2\n"), "--" + option.replace("_", "-"), value)
    assert f"{option}: '{value}' is not one character, tab, none or auto" in said


def test_trim(load, tmp_path):
    path = write(tmp_path / "a.csv", 'id , "the name",\tn \r\n'
                                     ' 1, "x,y" , 5\t\r\n'
                                     '2 ,  z z , \r\n'
                                     '\t3,"  kept  ",7 \r\n'
                                     ' 4 , "two\r\n "" lines", 8\r\n'
                                     ' 5 , "" ,NULL \r\n'
                                     '6, 5" pipe "x" , 9\r\n')
    assert load(path, "--trim") == [
        {"id": 1, "the name": "x,y", "n": 5}, {"id": 2, "the name": "z z", "n": None},
        {"id": 3, "the name": "  kept  ", "n": 7},
        {"id": 4, "the name": 'two\r\n " lines', "n": 8}, {"id": 5, "the name": "", "n": None},
        {"id": 6, "the name": '5" pipe "x"', "n": 9}]
    assert load(write(tmp_path / "b.csv", "a,b\n1, 'x,y' \n2, 'z'\n"), "--trim") == [
        {"a": 1, "b": "x,y"}, {"a": 2, "b": "z"}]
    assert load(write(tmp_path / "c.csv", 'a,b\n1, "x\\",y" \n2, \\N\n3, z\\,z \n'
                                           '4, \\ z\\ \\\\ \n'), "--trim", "--source-escape", "\\",
                "--source-null", "\\N") == [
        {"a": 1, "b": 'x",y'}, {"a": 2, "b": None}, {"a": 3, "b": "z,z"},
        {"a": 4, "b": " z \\"}]


def test_white_space_is_kept_unless_it_is_to_be_trimmed(load, refuse, tmp_path):
    path = write(tmp_path / "a.csv", "a, b\nx , y\n")
    assert load(path) == [{"a": "x ", " b": " y"}]
    quoted = write(tmp_path / "b.csv", 'a,b\n1, "x"\n')
    assert load(quoted) == [{"a": 1, "b": ' "x"'}]
    behind = write(tmp_path / "c.csv", 'a,b\n1,"x" \n')
    assert "text stands behind the quote that closes" in refuse(behind)
    assert load(behind, "--trim") == [{"a": 1, "b": "x"}]
    # A number in quotes is trimmed neither in the sample nor in the rows.
    spaced = write(tmp_path / "d.csv", 'a,b\n" 5 ",1\n 6 ,2\n')
    assert load(spaced, "--trim") == [{"a": " 5 ", "b": 1}, {"a": "6", "b": 2}]


def test_a_trimmed_file_in_units_has_the_rows_of_one_read(load, tmp_path):
    chance = random.Random(5)
    blank = lambda: chance.choice(["", "", " ", "\t", "  "])
    rows, lines = [], ["id,text,n"]
    for i in range(20_000):
        text = chance.choice(["plain", "with, comma", "two\nlines, \" ,", 'say "hi",\n\n', " x ", ""])
        rows.append({"id": i, "text": text, "n": i % 7})
        doubled = text.replace('"', '""')
        lines.append(",".join(blank() + value + blank()
                              for value in (str(i), f'"{doubled}"', str(i % 7))))
    path = write(tmp_path / "big.csv", "\n".join(lines))
    for words in (["--split", "none"], ["--unit-bytes", "64KiB", "--workers", "2"]):
        assert sorted(load(path, "--trim", *words), key=lambda row: row["id"]) == rows
