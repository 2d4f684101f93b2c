"""All tables of a job show one moment."""

import threading

import psycopg

from support import exports, faults

MAKE = """CREATE TABLE orders (id int PRIMARY KEY, pad text);
    CREATE TABLE lines (order_id int, line int, pad text);
    INSERT INTO orders SELECT i, repeat('x', 100) FROM generate_series(1, 3000) AS i;
    INSERT INTO lines SELECT i, l, repeat('y', 100) FROM generate_series(1, 3000) AS i,
      generate_series(1, 3) AS l"""


def test_orders_and_lines_agree_under_writes(bulkhaul, postgres, database, tmp_path):
    """Each transaction adds an order with three lines, and takes one away."""
    postgres.sql(MAKE, database)
    stop = threading.Event()
    done = []

    def write():
        with postgres.connect(database) as connection:
            number = 3000
            while not stop.is_set():
                number += 1
                with connection.transaction():
                    connection.execute("INSERT INTO orders VALUES (%s, 'new')", (number,))
                    connection.execute("INSERT INTO lines SELECT %s, l, 'new' "
                                       "FROM generate_series(1, 3) AS l", (number,))
                    connection.execute("DELETE FROM lines WHERE order_id = %s", (number - 2500,))
                    connection.execute("DELETE FROM orders WHERE id = %s", (number - 2500,))
                done.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(3):
            destination = tmp_path / f"out{turn}"
            bulkhaul("copy", postgres.uri_of(database), destination, "--all", "--unit-bytes",
                     "32KiB", "--workers", "3")
            orders = exports.read(destination / "public_orders")["id"].to_pylist()
            lines = exports.read(destination / "public_lines")["order_id"].to_pylist()
            assert len(orders) == len(set(orders)) == 3000
            assert sorted(lines) == sorted(orders * 3)
            snapshots = {exports.metadata(destination / name)["snapshot"]["id"]
                         for name in ("public_orders", "public_lines")}
            assert len(snapshots) == 1
        faults.wait_until(lambda: len(done) > 3, what="the writer")
    finally:
        stop.set()
        writer.join()


def test_without_a_snapshot_only_when_asked(bulkhaul, postgres, database, tmp_path):
    postgres.sql(MAKE, database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all", "--consistency", "none")
    assert exports.metadata(tmp_path / "out" / "public_orders")["snapshot"]["consistent"] is False
    assert exports.checksum(tmp_path / "out" / "public_lines").rows == 9000


def test_uncommitted_rows_are_not_seen(bulkhaul, postgres, database, tmp_path):
    postgres.sql(MAKE, database)
    with psycopg.connect(postgres.uri_of(database)) as other:
        other.execute("INSERT INTO orders VALUES (9999, 'open'); DELETE FROM orders WHERE id = 1")
        bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "orders")
        other.rollback()
    ids = exports.read(tmp_path / "out" / "public_orders")["id"].to_pylist()
    assert sorted(ids) == list(range(1, 3001))
