"""A table that is replaced: what it must keep, and what a swap could not keep and is refused."""

from __future__ import annotations

import psycopg
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
    assert f"would be refused: replacing public.target would lose {named}" in \
        replace(verb="plan", code=1).out
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


@pytest.mark.parametrize("made, named", [
    ("CREATE PUBLICATION of_it FOR TABLE target", "the publication of_it"),
    ("ALTER TABLE target ENABLE ROW LEVEL SECURITY", "its row security"),
    ("CREATE POLICY of_it ON target USING (true)", "its policy of_it"),
    ("CREATE RULE of_it AS ON INSERT TO target DO ALSO NOTHING", "its rule of_it"),
    ("CREATE TABLE holder () INHERITS (target)", "its child holder"),
    ("CREATE TABLE holder (v text); ALTER TABLE target INHERIT holder",
     "its place as a partition of holder"),
    ("CREATE TABLE holder (v text) PARTITION BY LIST (v);"
     " ALTER TABLE holder ATTACH PARTITION target DEFAULT", "its place as a partition of holder"),
    ("DROP TABLE target; CREATE TABLE target (v text) PARTITION BY LIST (v);"
     " CREATE TABLE holder PARTITION OF target DEFAULT; INSERT INTO target VALUES ('old')",
     "its partitions"),
    ("ALTER TABLE target ALTER v SET NOT NULL; CREATE UNIQUE INDEX by_v ON target (v);"
     " ALTER TABLE target REPLICA IDENTITY USING INDEX by_v", "its replica identity"),
    ("ALTER TABLE target ADD PRIMARY KEY (v); CREATE TABLE holder (v text CONSTRAINT to_it"
     " REFERENCES target)", "the foreign key to_it of holder"),
    ("CREATE FUNCTION in_it() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM target; END",
     "the function in_it()"),
    # What other relations do with it.
    ("CREATE TABLE holder (v text); CREATE RULE into_it AS ON INSERT TO holder"
     " DO ALSO INSERT INTO target VALUES (NEW.v)", "rule into_it on table holder"),
    ("CREATE TABLE holder (v text); CREATE VIEW of_holder AS SELECT * FROM holder; CREATE RULE"
     " into_it AS ON INSERT TO of_holder DO INSTEAD INSERT INTO target VALUES (NEW.v)",
     "rule into_it on view of_holder"),
    ("CREATE TABLE holder (v text); CREATE POLICY by_it ON holder USING (v IN"
     " (SELECT t.v FROM target t))", "policy by_it on table holder"),
])
def test_what_a_swap_would_lose_is_refused_before_a_row_is_sent(replace, sql, made, named):
    sql(f"CREATE TABLE target (v text); INSERT INTO target VALUES ('old'); {made}")
    try:
        planned = replace(verb="plan", code=1).out
        assert "would be refused: " in planned and named in planned
        refused = replace(code=1)
        assert named in refused.err and "use truncate" in refused.err, refused.err
        assert sql("SELECT v FROM target") == [("old",)] and leftovers(sql) == []
    finally:
        sql("DROP TABLE IF EXISTS target, holder CASCADE; DROP PUBLICATION IF EXISTS of_it")


@pytest.mark.parametrize("of", ["ALL TABLES", "TABLES IN SCHEMA public"])
def test_publications_of_more_than_the_table_have_the_new_one(replace, sql, of):
    sql(f"CREATE TABLE target (v text); CREATE PUBLICATION of_more FOR {of}")
    try:
        replace()
        assert sql("SELECT attnames::text FROM pg_publication_tables WHERE tablename = 'target'") \
            == [("{v}",)]
    finally:
        sql("DROP PUBLICATION of_more")


# What hangs off the table public.target, of which names and meaning are to stay.
HANGING = """
  SELECT c.relowner::regrole::text, c.relacl::text, c.relreplident::text, c.reloptions,
    (SELECT array_agg(format('%s %s %s', attname, attacl, attoptions) ORDER BY attnum)
      FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
    (SELECT array_agg(format('%s %s', pg_get_indexdef(indexrelid), indisclustered)
      ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = c.oid),
    (SELECT array_agg(format('%s %s %s', conname, pg_get_constraintdef(oid),
      obj_description(oid, 'pg_constraint')) ORDER BY conname) FROM pg_constraint
      WHERE conrelid = c.oid),
    (SELECT array_agg(format('%s %s %s', pg_get_triggerdef(oid), tgenabled,
      obj_description(oid, 'pg_trigger')) ORDER BY tgname) FROM pg_trigger
      WHERE tgrelid = c.oid AND NOT tgisinternal),
    (SELECT array_agg(format('%s %s %s %s of %s', s.oid::regclass, s.relowner::regrole, s.relacl,
      d.deptype, d.refobjsubid) ORDER BY s.relname) FROM pg_depend d JOIN pg_class s
      ON s.oid = d.objid AND s.relkind = 'S' WHERE d.refobjid = c.oid AND d.refobjsubid > 0)
  FROM pg_class c WHERE c.oid = 'target'::regclass"""


@pytest.mark.parametrize("owner", ["postgres", "replace_other"])
@pytest.mark.parametrize("identity", ["DEFAULT", "FULL", "NOTHING"])
def test_all_that_is_kept(replace, sql, owner, identity):
    sql(f"""
      GRANT CREATE ON SCHEMA public TO replace_other;
      CREATE TABLE holder (id int PRIMARY KEY); INSERT INTO holder VALUES (1);
      CREATE TABLE target (id serial PRIMARY KEY, v text, n int GENERATED ALWAYS AS IDENTITY,
        ref int DEFAULT 1 CONSTRAINT to_holder REFERENCES holder ON DELETE CASCADE,
        self int CONSTRAINT to_itself REFERENCES target DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT above CHECK (id > 0), CONSTRAINT apart EXCLUDE (n WITH =));
      COMMENT ON CONSTRAINT to_holder ON target IS 'a key';
      CREATE INDEX by_v ON target (lower(v)) INCLUDE (ref) WITH (fillfactor = 70);
      ALTER TABLE target CLUSTER ON target_pkey;
      ALTER TABLE target ALTER v SET (n_distinct = 7);
      ALTER TABLE target REPLICA IDENTITY {identity};
      CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''it fired''; END';
      CREATE TRIGGER t_off BEFORE DELETE ON target FOR EACH ROW EXECUTE FUNCTION fails();
      CREATE TRIGGER t_replica BEFORE DELETE ON target FOR EACH ROW EXECUTE FUNCTION fails();
      CREATE TRIGGER t_always BEFORE UPDATE OF v ON target FOR EACH ROW WHEN (NEW.v = 'no')
        EXECUTE FUNCTION fails();
      ALTER TABLE target DISABLE TRIGGER t_off; ALTER TABLE target ENABLE REPLICA TRIGGER t_replica;
      ALTER TABLE target ENABLE ALWAYS TRIGGER t_always;
      COMMENT ON TRIGGER t_off ON target IS 'off';
      GRANT SELECT (id, v), UPDATE (v) ON target TO replace_reader;
      GRANT INSERT ON target TO replace_reader WITH GRANT OPTION;
      GRANT USAGE ON target_id_seq TO replace_reader; GRANT SELECT ON target_n_seq TO PUBLIC;
      ALTER TABLE target OWNER TO {owner};
      INSERT INTO target (v) SELECT 'old' FROM generate_series(1, 50)""")
    before, oid = sql(HANGING), sql("SELECT 'target'::regclass::oid")
    replace()
    assert sql("SELECT 'target'::regclass::oid") != oid
    assert sql(HANGING) == before
    # They also do what they say.
    assert sql("INSERT INTO target (v) VALUES ('new') RETURNING id, n") == [(81, 51)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        sql("INSERT INTO target (ref) VALUES (2)")
    with pytest.raises(psycopg.errors.RaiseException):
        sql("UPDATE target SET v = 'no'")
    sql("DELETE FROM target WHERE v = 'new'; DELETE FROM holder")
    assert sql("SELECT count(*) FROM target") == [(0,)]
    sql("DROP TABLE target")
    assert sql("SELECT to_regclass('target_id_seq')") == [(None,)]
    sql("REVOKE CREATE ON SCHEMA public FROM replace_other")
