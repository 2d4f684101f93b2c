"""The files that the scenarios of bench/load.py load: load_data.py KIND PATH, or files(KIND).

lineitem_1, lineitem_01: TPC-H lineitem as Parquet; narrow: 20 M rows of 5 columns as Parquet;
mixed: 1 M rows of 8 columns as CSV; wide: 1 M rows of 26 columns as Parquet; huge: 8 GB of CSV.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

from data import FOLDER, VENV, say, tpch_csv

FILES = FOLDER / "load"
NARROW_ROWS = 20_000_000
MILLION = 1_000_000
HUGE_BYTES = 8_000_000_000
SUFFIX = {"mixed": "csv", "huge": "csv"}


def made(kind: str) -> pathlib.Path:
    """In a process of its own: what this one holds counts in the peak of what it starts."""
    path = FILES / f"{kind}.{SUFFIX.get(kind, 'parquet')}"
    if not path.exists():
        say(f"making {path.name}")
        FILES.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name("new." + path.name)
        subprocess.run([sys.executable, __file__, kind, str(scratch)], check=True)
        scratch.rename(path)
    return path


def lineitem(scale: str, path: pathlib.Path) -> None:
    folder = path.with_name("scratch")
    subprocess.run([str(VENV / "tpchgen-cli"), "parquet", "-s", scale, "-T", "lineitem", "-o",
                    str(folder), "--overwrite"], check=True, stdout=subprocess.DEVNULL)
    (folder / "lineitem.parquet").rename(path)
    shutil.rmtree(folder)


def narrow(path: pathlib.Path) -> None:
    import numpy
    import pyarrow
    import pyarrow.parquet
    random = numpy.random.default_rng(1)
    schema = pyarrow.schema([("id", "int64"), ("station", "int32"), ("day", pyarrow.date32()),
                             ("value", "float64"), ("quality", "int16")])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="snappy") as writer:
        for first in range(0, NARROW_ROWS, MILLION):
            writer.write_table(pyarrow.table([
                numpy.arange(first, first + MILLION),
                random.integers(0, 5000, MILLION, "int32"),
                pyarrow.array(random.integers(10_000, 20_000, MILLION, "int32")).cast("date32"),
                random.normal(15, 8, MILLION).round(2),
                random.integers(0, 9, MILLION, "int16")], schema=schema))


def mixed(path: pathlib.Path) -> None:
    import numpy
    random = numpy.random.default_rng(2)
    with open(path, "w") as file:
        file.write("id,customer,name,amount,rate,active,day,at\n")
        for first in range(0, MILLION, 100_000):
            numbers = random.integers(0, 100_000_000, (5, 100_000)).tolist()
            file.writelines(
                f"{first + i},{a},customer number {b % 90_000},{c / 100:.2f},{d / 1000},"
                f"{'true' if e % 3 else 'false'},20{e % 20 + 10}-{a % 12 + 1:02d}-{b % 28 + 1:02d},"
                f"2024-{c % 12 + 1:02d}-{d % 28 + 1:02d} {e % 24:02d}:{a % 60:02d}:{b % 60:02d}\n"
                for i, (a, b, c, d, e) in enumerate(zip(*numbers)))


def wide(path: pathlib.Path) -> None:
    import numpy
    import pyarrow
    import pyarrow.parquet
    random = numpy.random.default_rng(3)
    columns = {"id": pyarrow.array(numpy.arange(MILLION))}
    for i in range(1, 26):
        whole = random.integers(0, 1_000_000, MILLION)
        columns[f"c{i}"] = (
            pyarrow.array(whole) if i % 5 == 0 else
            pyarrow.array(whole / 100) if i % 5 == 1 else
            pyarrow.array(numpy.char.add("text ", (whole % 10_000).astype(str))) if i % 5 == 2 else
            pyarrow.array(1_600_000_000_000_000 + whole * 50_000_000).cast(
                pyarrow.timestamp("us")) if i % 5 == 3 else
            pyarrow.array((whole % 20_000).astype("int32")))
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=100_000)


def huge(path: pathlib.Path) -> None:
    lines = tpch_csv("lineitem", "1").read_bytes()
    head = lines.index(b"\n") + 1
    with open(path, "wb") as file:
        file.write(lines[:head])
        while file.tell() < HUGE_BYTES:
            file.write(memoryview(lines)[head:])


MAKERS = {"lineitem_1": lambda path: lineitem("1", path),
          "lineitem_01": lambda path: lineitem("0.1", path),
          "narrow": narrow, "mixed": mixed, "wide": wide, "huge": huge}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](pathlib.Path(sys.argv[2]))
