"""Every type that the server has goes out through the export and back in through the loader."""

from __future__ import annotations

from support.loading import database_fixture, sql_fixture

# Type: texts of values. Each type is tested with its array too.
VALUES = {
    "bool": ["t", "f"], "int2": ["-32768", "32767"], "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"], "float4": ["-0", "1e-45", "NaN"],
    "float8": ["5e-324", "-Infinity", "0.1"], "numeric": ["1.230", "-0.00001", "1e30"],
    "numeric(20,3)": ["12345678901234567.891", "-0.001"], "money": ["$1,234.50", "-$0.01"],
    "text": ["", "a\\b,{}\"'", "äöü 世界"], "varchar(9)": ["a b  ", ""], "bpchar": ["x  "],
    "char(4)": ["ab", ""], '"char"': ["x", "("], "name": ["a name"], "bytea": ["\\x00ff5c", "\\x"],
    "date": ["0044-03-15 BC", "2024-02-29", "9999-12-31"], "time": ["23:59:59.999999", "00:00"],
    "timetz": ["12:34:56.789-15:59", "00:00+15:59"],
    "timestamp": ["0001-01-01 00:00:00", "2024-02-29 12:34:56.789012"],
    "timestamptz": ["1969-12-31 23:59:59.999999+00", "2024-02-29 12:00:00+00"],
    "interval": ["-1 years 3 days -04:05:06.789", "00:00:00"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "json": ['{"a":  [1, null]}', "null"],
    "jsonb": ['{"a": [1.50, null]}', '"text"'], "jsonpath": ['$."a"[*]?(@ > 1)'],
    "xml": ["<a b='1'>x &amp; y</a>"], "inet": ["10.1.2.3/24", "::ffff:1.2.3.4"],
    "cidr": ["10.0.0.0/8", "fe80::/10"], "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"], "bit(5)": ["10101"], '"bit"': ["1011"], "varbit": ["1011", ""],
    "pg_lsn": ["16/B374D848", "FFFFFFFF/FFFFFFFF"], "tid": ["(4294967295,65535)"],
    "oid": ["4294967295"], "xid": ["4294967295"], "cid": ["7"], "xid8": ["18446744073709551615"],
    "int2vector": ["1 2 3"], "oidvector": ["1 4294967295"],
    "point": ["(1.5,-2)", "(1e+300,0.1)"], "line": ["{1,-1,0.1}"], "lseg": ["[(1,2),(3,4)]"],
    "box": ["(3,4),(1,2)"], "path": ["[(1,2),(3,4)]", "((1,2),(3,4),(5,6))"],
    "polygon": ["((0,0),(1,0),(1,1))"], "circle": ["<(1,2),0.1>"],
    "tsvector": ["'a':1A,2 'fat':3B 'it''s'"], "tsquery": ["'fat' & ( 'rat':AB | !'cat':* )",
                                                           "'a' <-> 'b'"],
    "refcursor": ["a cursor"], "gtsvector": [], "aclitem": ["postgres=arwdDxt/postgres"],
    "pg_snapshot": ["10:20:10,14,15"], "txid_snapshot": ["10:20:10,14,15"],
    "regclass": ["pg_class", "target"], "regcollation": ['"C"'], "regconfig": ["english"],
    "regdictionary": ["simple"], "regnamespace": ["public"], "regoper": ["||/"],
    "regoperator": ["+(integer,integer)"], "regproc": ["now"], "regprocedure": ["abs(integer)"],
    "regrole": ["postgres"], "regtype": ["integer", "timestamp(3)[]"],
    "int4range": ["[1,5)", "empty"], "int8range": ["[-9223372036854775808,5)", "(,)"],
    "numrange": ["[1.50,2.5]", "(,0)"], "tsrange": ['["2024-01-01 00:00:00",)', "empty"],
    "tstzrange": ['["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")'],
    "daterange": ["[2024-01-01,2024-02-01)"], "int4multirange": ["{[1,3),[5,7)}", "{}"],
    "int8multirange": ["{(,5)}"], "nummultirange": ["{[1.5,2],(3,)}"],
    "tsmultirange": ['{["2024-01-01 00:00:00","2024-01-02 00:00:00")}'],
    "tstzmultirange": ['{["2024-01-01 00:00:00+00",)}'],
    "datemultirange": ["{[2024-01-01,2024-02-01)}"],
}
# Types of the server's own, of which it takes no value from outside.
INTERNAL = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list",
            "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "gtsvector"}


database = database_fixture("load_types", "CREATE SCHEMA there; CREATE TABLE target (x int)",
                            settings="timezone = 'UTC'")
sql = sql_fixture("load_types")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_the_list_has_every_type_of_the_server(sql):
    listed = sql("SELECT oid FROM (SELECT unnest(ARRAY[" + ",".join(
        quoted(name) for name in VALUES) + "])::regtype) t(oid)")
    known = sql("SELECT t.oid::regtype, t.typname FROM pg_type t WHERE typtype IN ('b', 'r', 'm')"
                " AND typnamespace = 'pg_catalog'::regnamespace"
                " AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)")
    missing = {name for oid, name in known if (oid,) not in listed}
    assert missing - INTERNAL - {"unknown"} == set()


def test_every_type_and_its_array_go_out_and_come_back_unchanged(bulkhaul, database, sql):
    columns, rows = ["id int PRIMARY KEY"], [["1"], ["2"], ["3"], ["4"]]
    for number, (name, values) in enumerate(VALUES.items()):
        if not values:
            continue
        # An array of vectors becomes one of two dimensions.
        array = "text" if name in ("int2vector", "oidvector") else name
        columns += [f"c{number} {name}", f"a{number} {array}[]", f"d{number} dom{number}"]
        sql(f"CREATE DOMAIN dom{number} AS {name}")
        literals = [f"{quoted(value)}::{name}" for value in values]
        for row, which in zip(rows, (0, 1, 2, None)):
            if which is None or which >= len(literals):
                row += ["NULL", "'{}'" if which else "NULL", "NULL"]
            else:
                row += [literals[which], f"ARRAY[{', '.join(literals)}, NULL]::{array}[]",
                        literals[which]]
    made = ", ".join(columns)
    sql(f"CREATE TABLE types ({made}); INSERT INTO types VALUES "
        + ", ".join(f"({', '.join(row)})" for row in rows))
    words = ["copy", database, database, "--table", "public.types", "--target-schema", "there"]
    shape = ("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
             " WHERE attrelid = '{}.types'::regclass AND attnum > 0 ORDER BY attnum")
    names = [column.split()[0] for column in columns]
    shown = "SELECT " + ", ".join(f"{name}::text" for name in names) + " FROM {}.types ORDER BY id"
    for mode in ("fail", "truncate", "append", "replace", "upsert"):
        if mode == "append":
            sql("TRUNCATE there.types")
        bulkhaul(*words, "--if-exists", mode)
        assert set(sql(shape.format("there"))) ^ set(sql(shape.format("public"))) == set(), mode
        for found, wanted in zip(sql(shown.format("there")), sql(shown.format("public")),
                                 strict=True):
            wrong = [(columns[at], value, wanted[at]) for at, value in enumerate(found)
                     if value != wanted[at]]
            assert wrong == [], mode
