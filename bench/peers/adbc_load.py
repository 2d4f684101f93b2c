"""ADBC's ingest of a Parquet file into a new table: adbc_load.py URI TABLE FILE."""

import json
import resource
import sys
import time

import adbc_driver_postgresql.dbapi
import pyarrow.dataset


def main() -> None:
    uri, table, path = sys.argv[1:]
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        reader = pyarrow.dataset.dataset(path, format="parquet").scanner().to_reader()
        cursor.adbc_ingest(table, reader, mode="create")
        connection.commit()
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }))


main()
