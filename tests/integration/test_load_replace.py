"""A table that is replaced: what it must keep, and what a swap could not keep and is refused."""

from __future__ import annotations

import pytest

from support.loading import leftovers, loads_into

ROLES = ("replace_reader", "replace_other")


@pytest.fixture(scope="module")
def server(postgres):
    postgres.sql("CREATE DATABASE load_replace")
    for role in ROLES:
        postgres.sql(f"CREATE ROLE {role} LOGIN")
    yield postgres
    postgres.sql("DROP DATABASE load_replace WITH (FORCE)")
    for role in ROLES:
        postgres.sql(f"DROP ROLE {role}")


@pytest.fixture
def sql(server):
    with loads_into(server, "load_replace", "holder", "target") as run:
        yield run


@pytest.fixture
def replace(bulkhaul, server, tmp_path):
    """Replaces public.target by 30 rows with one column v."""
    def run(*words, code: int = 0, verb: str = "copy"):
        path = tmp_path / "rows.csv"
        path.write_text("v\n" + "".join(f"x{i}\n" for i in range(30)))
        return bulkhaul(verb, path, server.uri_of("load_replace"), "--target-table",
                        "public.target", "--if-exists", "replace", "--progress", "none", *words,
                        code=code)
    return run


@pytest.mark.parametrize("kind", ["ALWAYS", "BY DEFAULT"])
def test_identity_goes_on_behind_the_new_rows(replace, sql, kind):
    sql(f"CREATE TABLE target (id int GENERATED {kind} AS IDENTITY PRIMARY KEY, v text);"
        " INSERT INTO target (v) VALUES ('a')")
    replace()
    assert sql("INSERT INTO target (v) VALUES ('new') RETURNING id") == [(31,)]
    assert sql("SELECT count(*), count(DISTINCT id) FROM target") == [(31, 31)]


def test_identity_does_not_go_back(replace, sql):
    sql("CREATE TABLE target (id int GENERATED ALWAYS AS IDENTITY, down int GENERATED ALWAYS AS"
        " IDENTITY (INCREMENT -1), new int GENERATED ALWAYS AS IDENTITY, v text);"
        " ALTER TABLE target ALTER id RESTART 500, ALTER new RESTART 20;"
        " INSERT INTO target (v) VALUES ('a'); ALTER TABLE target ALTER id RESTART 700")
    replace()
    assert sql("INSERT INTO target (v) VALUES ('b') RETURNING id, down, new") == [(700, -31, 31)]


def test_grants_are_those_of_the_replaced_table(replace, sql):
    sql("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO replace_reader;"
        " CREATE TABLE target (v text); REVOKE ALL ON target FROM replace_reader;"
        " GRANT INSERT ON target TO replace_other")
    try:
        replace()
        may = "SELECT has_table_privilege('{}', 'target', '{}')"
        assert sql(may.format("replace_reader", "SELECT")) == [(False,)]
        assert sql(may.format("replace_other", "INSERT")) == [(True,)]
        sql("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM replace_reader;"
            " DROP TABLE target; CREATE TABLE target (v text);"
            " ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO replace_reader")
        assert sql("SELECT relacl FROM pg_class WHERE oid = 'target'::regclass") == [(None,)]
        replace()
        assert sql(may.format("replace_reader", "SELECT")) == [(False,)]
        assert sql("SELECT has_table_privilege(relowner, oid, 'TRUNCATE') FROM pg_class"
                   " WHERE oid = 'target'::regclass") == [(True,)]
    finally:
        sql("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM replace_reader;"
            " DROP TABLE target")


@pytest.mark.parametrize("made, named", [
    ("CREATE FUNCTION all_of() RETURNS SETOF target LANGUAGE sql AS 'SELECT * FROM target'",
     "function all_of()"),
    ("CREATE FUNCTION of_one(target) RETURNS int LANGUAGE sql AS 'SELECT 1'",
     "function of_one(target)"),
    ("CREATE TABLE holder (one target)", "column one of table holder"),
    ("CREATE TABLE holder (many target[])", "column many of table holder"),
])
def test_what_uses_the_row_type_is_refused_before_a_row_is_sent(replace, sql, made, named):
    sql(f"CREATE TABLE target (v text); INSERT INTO target VALUES ('old'); {made}")
    assert f"would be refused: replacing public.target would lose {named}" in replace(verb="plan").out
    refused = replace(code=1)
    assert named in refused.err and "use truncate" in refused.err, refused.err
    assert sql("SELECT v FROM target") == [("old",)] and leftovers(sql) == []
    sql("DROP TABLE target CASCADE; DROP TABLE IF EXISTS holder")


def test_an_unlogged_table_and_its_statistics(replace, sql):
    sql("CREATE UNLOGGED TABLE target (v text, w int);"
        " CREATE STATISTICS of_both (dependencies) ON v, w FROM target;"
        " COMMENT ON STATISTICS of_both IS 'both'; ALTER STATISTICS of_both SET STATISTICS 50;"
        " CREATE VIEW shown AS SELECT v FROM target")
    replace()
    assert sql("SELECT relpersistence::text FROM pg_class WHERE oid = 'target'::regclass") == [("u",)]
    assert sql("SELECT stxname, stxkind::text, stxstattarget, obj_description(oid, 'pg_statistic_ext')"
               " FROM pg_statistic_ext WHERE stxrelid = 'target'::regclass") == [
        ("of_both", "{f}", 50, "both")]
    assert sql("SELECT count(*) FROM shown") == [(30,)]
