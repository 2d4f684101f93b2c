"""The ADBC PostgreSQL driver, batch by batch to Parquet: adbc_export.py URI TABLE FILE."""

import json
import resource
import sys
import time

import adbc_driver_postgresql.dbapi
import pyarrow.parquet


def main() -> None:
    uri, table, output = sys.argv[1:]
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        reader = cursor.fetch_record_batch()
        with pyarrow.parquet.ParquetWriter(output, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }))


main()
