"""The program as its users meet it: verbs, flags, files, exit codes, texts."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
VERBS = ["copy", "run", "plan", "resume", "status", "jobs", "cancel", "clean", "discover",
         "verify", "stats", "schema", "version", "completion", "cache", "query", "contract"]


@pytest.fixture
def shop(tmp_path) -> pathlib.Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL, note TEXT);
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE tmp_scratch (id INTEGER PRIMARY KEY);
        """)
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)",
                               [(i, i / 4, None if i % 3 else f"note {i}") for i in range(1, 1001)])
        connection.executemany("INSERT INTO customers VALUES (?, ?)",
                               [(i, f"name {i}") for i in range(1, 11)])
    connection.close()
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_has_an_example(bulkhaul, verb):
    outcome = bulkhaul(verb, "--help")
    assert f"bulkhaul {verb}" in outcome.out
    assert "Example:" in outcome.out
    assert outcome.err == ""
    assert bulkhaul("help", verb).out == outcome.out


def test_help_lists_the_verbs(bulkhaul):
    text = bulkhaul("--help").out
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", text, re.MULTILINE), verb
    assert bulkhaul(code=2).err == text


def test_version(bulkhaul):
    version = (REPOSITORY / "VERSION").read_text().strip()
    assert bulkhaul("--version").out.startswith(f"bulkhaul {version}\n")
    described = bulkhaul("version", "--output", "json").json
    assert described["version"] == version
    assert "sqlite" in described["sources"] and "parquet" in described["sinks"]


@pytest.mark.parametrize("words, message", [
    (["cpy", "a", "b"], "there is no verb 'cpy'; did you mean 'copy'?"),
    (["copy", "a.db", "out", "--worker", "3"], "copy has no flag '--worker'; did you mean '--workers'?"),
    (["copy", "a.db", "out", "--workrs=3"], "copy has no flag '--workrs'; did you mean '--workers'?"),
    (["copy", "a.db"], "destination is required"),
    (["copy", "a.db", "out", "more"], "'more' is one argument too many"),
    (["copy", "a.db", "out", "--workers", "many"], "--workers: workers must be a whole number"),
    (["copy", "a.db", "out", "--infinity", "nul"], "did you mean 'null'?"),
    (["copy", "a.db", "out", "--unit-bytes", "1 parsec"], "--unit-bytes"),
    (["copy", "a.db", "out", "--job-id", "../x"], "job_id"),
    (["copy", "sqlit:///a.db", "out"], "did you mean 'sqlite"),
    (["run", "missing.yaml"], "missing.yaml"),
    (["run", "job.txt"], "must end in .yaml"),
    (["resume", "no-such-job"], "there is no job 'no-such-job'"),
    (["status", "no-such-job"], "there is no job 'no-such-job'"),
    (["cancel", "no-such-job"], "there is no job 'no-such-job'"),
    (["schema", "jobs"], "there is no schema 'jobs'"),
    (["stats", "--days", "0"], "--days"),
    (["clean", "--older-than", "soon"], "--older-than"),
    (["verify", "."], "there is no published export"),
    (["completion", "fish"], "there is no completion for 'fish'"),
])
def test_bad_usage(bulkhaul, tmp_path, words, message):
    outcome = bulkhaul(*words, code=None, cwd=tmp_path)
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.out == ""
    assert list(tmp_path.glob("out*")) == []
    assert outcome.code == 2


def test_unknown_key_is_named_with_its_place(bulkhaul, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("source: shop.db\ndestination: out\nunit_byte: 1MiB\n")
    outcome = bulkhaul("run", job, code=2)
    assert f"{job}:3:1: unknown key 'unit_byte'; did you mean 'unit_bytes'?" in outcome.err


def test_misspelt_table_is_named(bulkhaul, shop, tmp_path):
    outcome = bulkhaul("copy", shop, tmp_path / "out", "--table", "ordrs", code=2)
    assert "did you mean 'orders'?" in outcome.err
    assert "hint: bulkhaul discover" in outcome.err
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []
    assert bulkhaul("jobs").out == "no jobs\n"


def test_jobs_are_a_screen_of_the_newest(bulkhaul, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    for number in range(22):
        bulkhaul("copy", tmp_path / "a.csv", tmp_path / f"out{number}", "--job-id", f"j{number}")
    lines = bulkhaul("jobs").out.splitlines()
    assert [line.split()[0] for line in lines[1:21]] == [f"j{n}" for n in range(21, 1, -1)]
    assert lines[21].startswith("and 2 older: 'bulkhaul jobs --all'") and len(lines) == 22
    lines = bulkhaul("jobs", "--all").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f"j{n}" for n in range(21, -1, -1)]
    assert len(bulkhaul("jobs", "--output", "json").json) == 22


def test_copy_and_everything_after_it(bulkhaul, shop, tmp_path):
    report = tmp_path / "report.json"
    outcome = bulkhaul("copy", shop, tmp_path / "out", "--all", "--exclude", "tmp_*",
                       "--job-id", "first", "--report", report)
    assert "1,010" in outcome.out
    written = json.loads(report.read_text())
    assert written["job_id"] == "first"

    verified = bulkhaul("verify", tmp_path / "out", "--output", "json").json
    assert verified["whole"] and sum(one["rows"] for one in verified["exports"]) == 1010
    assert "all as their metadata says" in bulkhaul("verify", tmp_path / "out").out

    listed = bulkhaul("jobs", "--output", "json").json
    assert [job["job_id"] for job in listed] == ["first"]
    assert listed[0]["state"] == "done"
    assert "first" in bulkhaul("jobs").out
    assert "first" in bulkhaul("status").out
    assert "is done" in bulkhaul("resume", "first", code=2).err
    assert "not running" in bulkhaul("cancel", "first", code=2).err

    statistics = bulkhaul("stats", "--days", "1", "--output", "json").json
    assert statistics["jobs"] == 1 and statistics["rows"] == 1010

    would = bulkhaul("clean", "--older-than", "0", "--dry-run", "--output", "json").json
    assert would["jobs"] == ["first"] and would["dry_run"]
    assert bulkhaul("clean", "--older-than", "30d", "--output", "json").json["jobs"] == []
    assert bulkhaul("clean", "--older-than", "0", "--output", "json").json["jobs"] == ["first"]
    assert bulkhaul("jobs").out == "no jobs\n"
    assert (tmp_path / "out" / "orders" / "_export_metadata.json").exists()


def test_report_as_json(bulkhaul, shop, tmp_path):
    outcome = bulkhaul("copy", shop, tmp_path / "out", "--table", "orders", "--output", "json",
                       "--progress", "json")
    assert outcome.json["state"] == "done" and outcome.json["totals"]["rows"] == 1000
    for line in outcome.err.splitlines():
        json.loads(line)


def test_job_file_and_precedence(bulkhaul, shop, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(f"""
source = "${{SHOP}}"
destination = "{tmp_path}/out"
limit = 5
retries = 1
[[tables]]
pattern = "orders"
limit = 7
[[tables]]
pattern = "customers"
""")
    environment = {"SHOP": str(shop)}

    def rows(*words, **more):
        return bulkhaul("run", job, "--output", "json", *words,
                        env={**environment, **more}).json["totals"]["rows"]

    assert rows() == 12
    assert rows(BULKHAUL_LIMIT="3") == 6
    assert rows("--limit", "2", BULKHAUL_LIMIT="3") == 4
    assert rows("--table", "orders") == 7
    missing = bulkhaul("run", job, code=2)
    assert "the environment variable SHOP is not set" in missing.err
    warned = bulkhaul("run", job, env={**environment, "BULKHAUL_LIMTI": "3"})
    assert "BULKHAUL_LIMTI is not a setting; did you mean BULKHAUL_LIMIT?" in warned.err


@pytest.mark.parametrize("flags", [
    ["--table", "orders"], ["--unit-rows", "100"], ["--columns", "id"], ["--exclude", "tmp_*"],
    ["--validate"], ["--format", "csv"],
])
def test_flags_may_stand_anywhere(bulkhaul, shop, tmp_path, flags):
    """Between source and destination, before and after them, with another flag behind."""
    words = [shop, tmp_path / "out", *flags, "--exclude", "customers", "--job-id", "one"]
    for order in ([0, 2, 1, 3], [2, 0, 1, 3], [0, 2, 3, 1], [0, 1, 2, 3]):
        groups = [words[0:1], words[1:2], words[2:-2], words[-2:]]
        plan = bulkhaul("plan", *[word for number in order for word in groups[number]], "--output",
                        "json").json
        assert plan["tables"] and plan["destination"].endswith("out")


def test_plan_touches_no_destination(bulkhaul, shop, tmp_path):
    out = tmp_path / "out"
    text = bulkhaul("plan", shop, out).out
    assert "orders" in text and "customers" in text
    plan = bulkhaul("plan", shop, out, "--table", "orders", "--output", "json").json
    assert [table["dataset"]["name"] if "dataset" in table else table["name"]
            for table in plan["tables"]] == ["orders"]
    assert plan["workers"] >= 1
    assert not out.exists()
    assert not (bulkhaul.state / "bulkhaul" / "jobs").exists()


def test_discover(bulkhaul, shop):
    found = bulkhaul("discover", shop, "--output", "json").json
    orders = {table["name"]: table for table in found["tables"]}["orders"]
    assert orders["primary_key"] == ["id"]
    assert [column["name"] for column in orders["columns"]] == ["id", "total", "note"]
    text = bulkhaul("discover", shop).out
    assert "customers" in text and "not null" in text
    brief = bulkhaul("discover", shop, "--brief").out
    assert len(brief.splitlines()) == 4
    only = bulkhaul("discover", shop, "--table", "ord*", "--output", "json").json
    assert [table["name"] for table in only["tables"]] == ["orders"]


def test_verify_finds_what_is_wrong(bulkhaul, shop, tmp_path):
    bulkhaul("copy", shop, tmp_path / "out", "--table", "orders", "--format", "csv")
    folder = tmp_path / "out" / "orders"
    (part,) = folder.glob("part_*.csv")
    (folder / "part_0002.csv").write_text("1,2,3\n")
    assert "part_0002.csv: it is not in the metadata" in bulkhaul("verify", folder, code=1).out
    (folder / "part_0002.csv").unlink()
    bulkhaul("verify", folder)
    text = part.read_text()
    part.write_text(text.replace("note 3", "NOTE 3", 1))
    assert "checksum" in bulkhaul("verify", folder, code=1).out
    part.unlink()
    damaged = bulkhaul("verify", folder, "--output", "json", code=1).json
    assert part.name in damaged["exports"][0]["problems"][0]


def test_schema_is_the_published_one(bulkhaul):
    published = (REPOSITORY / "docs" / "schemas" / "job.schema.json").read_text()
    assert bulkhaul("schema", "job").out == published
    for what, name in (("report", "report"), ("metadata", "export_metadata")):
        text = (REPOSITORY / "docs" / "schemas" / f"{name}.schema.json").read_text()
        assert bulkhaul("schema", what).out == text
    assert bulkhaul("schema", "job-reference").out == (REPOSITORY / "docs" / "job-file.md").read_text()


def test_completion_script_is_valid_bash(bulkhaul, tmp_path):
    script = tmp_path / "completion.bash"
    script.write_text(bulkhaul("completion", "bash").out)
    done = subprocess.run(
        ["bash", "-c", f"source {script}; COMP_WORDS=(bulkhaul co); COMP_CWORD=1; _bulkhaul; "
         "echo ${COMPREPLY[*]}; COMP_WORDS=(bulkhaul copy --infinity c); COMP_CWORD=3; _bulkhaul; "
         "echo ${COMPREPLY[*]}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["copy contract completion", "clamp"]


SLOW = "generator:preset=orders&rows=500000000"


def started(bulkhaul, *words):
    """The running program, once it has begun to read."""
    process = bulkhaul.start(*words)
    staging = pathlib.Path(words[2]) / ".bulkhaul" / "slow"
    deadline = time.monotonic() + 60
    while not list(staging.rglob("*.part")):
        assert time.monotonic() < deadline and process.poll() is None, bulkhaul.finish(process).err
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_cancel_and_leave_a_resumable_job(bulkhaul, tmp_path, number):
    process = started(bulkhaul, "copy", SLOW, tmp_path / "out", "--job-id", "slow",
                      "--unit-rows", "100000")
    begun = time.monotonic()
    process.send_signal(number)
    outcome = bulkhaul.finish(process).check(130)
    assert time.monotonic() - begun < 60  # of the minutes that the whole takes
    assert "bulkhaul resume slow" in outcome.err
    assert [name for name in os.listdir(tmp_path / "out") if not name.startswith(".")] == []
    assert bulkhaul("status", "slow", "--output", "json").json["state"] == "cancelled"


def test_cancel_verb(bulkhaul, tmp_path):
    process = started(bulkhaul, "copy", SLOW, tmp_path / "out", "--job-id", "slow",
                      "--unit-rows", "100000")
    text = bulkhaul("cancel", "slow").out
    assert "cancelled" in text and "bulkhaul resume slow" in text
    bulkhaul.finish(process).check(130)


def test_password_is_in_no_text_and_not_in_the_process_title(bulkhaul, tmp_path):
    uri = "postgres://reader:hunter2secret@127.0.0.1:1/db"
    outcome = bulkhaul("copy", uri, tmp_path / "out", "--retries", "0", code=None)
    assert outcome.code != 0
    assert "hunter2secret" not in outcome.out + outcome.err
    stored = "".join(path.read_text(errors="replace") for path in bulkhaul.state.rglob("*")
                     if path.is_file())
    assert "hunter2secret" not in stored
    process = started(bulkhaul, "copy", SLOW, tmp_path / "out", "--job-id", "slow",
                      "--on-drift", "tell,password=hunter2secret", "--unit-rows", "100000")
    title = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"generator:" in title and b"hunter2secret" not in title
    process.send_signal(signal.SIGINT)
    bulkhaul.finish(process)
