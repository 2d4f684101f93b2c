"""Files of four tables that refer to one another: lines to orders and products, those to customers."""

from __future__ import annotations

import pathlib

TABLES_SQL = """
DROP TABLE IF EXISTS lines, orders, products, customers, notes CASCADE;
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers);
CREATE TABLE products (id int PRIMARY KEY, maker int REFERENCES customers);
CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders,
  product int NOT NULL REFERENCES products, follows int REFERENCES lines);
"""
NAMES = ["lines", "orders", "products", "customers"]
PARENTS_LARGE = {"lines": 300, "orders": 2000, "products": 1000, "customers": 12_000}
CHILDREN_LARGE = {"lines": 12_000, "orders": 2000, "products": 40, "customers": 300}


def rows_of(rows: dict[str, int]) -> dict[str, list[tuple]]:
    return {
        "customers": [(i, f"customer {i}") for i in range(rows["customers"])],
        "orders": [(i, i * 7 % rows["customers"]) for i in range(rows["orders"])],
        "products": [(i, i * 5 % rows["customers"]) for i in range(rows["products"])],
        "lines": [(i, i * 3 % rows["orders"], i * 11 % rows["products"], i)
                  for i in range(rows["lines"])],
    }


HEADERS = {"customers": "id,name", "orders": "id,customer", "products": "id,maker",
           "lines": "id,order_id,product,follows"}


def write_files(folder: pathlib.Path, rows: dict[str, int]) -> dict[str, list[tuple]]:
    """Gives the rows as the database should have them, by table."""
    folder.mkdir(exist_ok=True)
    tables = rows_of(rows)
    for name, content in tables.items():
        lines = [HEADERS[name], *(",".join(map(str, row)) for row in content)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return tables


def write_job(path: pathlib.Path, source: pathlib.Path, destination: str, settings: str,
              tables: str = "lines, orders, products, customers") -> pathlib.Path:
    path.write_text(f"source: {source}\ndestination: {destination}\nunit_bytes: 8KiB\n"
                    f"{settings}\ntables: [{tables}]\n")
    return path


def content(sql) -> dict[str, list[tuple]]:
    return {name: sql(f"SELECT * FROM {name} ORDER BY id") for name in NAMES}
