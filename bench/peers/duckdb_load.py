"""DuckDB with its postgres extension into a new table: duckdb_load.py URI TABLE SELECT."""

import json
import pathlib
import resource
import sys
import time

import duckdb
import duckdb_extension_postgres_scanner as scanner


def main() -> None:
    uri, table, select = sys.argv[1:]
    (extension,) = pathlib.Path(scanner.__file__).parent.rglob("postgres_scanner.duckdb_extension")
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"ATTACH '{uri}' AS db (TYPE postgres)")
    connection.execute(f"CREATE TABLE db.{table} AS {select}")
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }))


main()
