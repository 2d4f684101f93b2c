"""The rules that no compiler checks: who may include whom, what public headers may show, names, sizes,
words that say a thing is unfinished, and that every option is documented."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "src"

# A room may include itself and the rooms listed.
MAY_INCLUDE = {
    "base": set(),
    "wire": {"base"},
    "store": {"base"},
    "client": {"base", "wire"},
    "plan": {"base", "wire", "store"},
    "duckdb": {"base", "wire", "store", "plan"},
    "source": {"base", "wire", "store", "client", "plan", "duckdb"},
    "transform": {"base", "wire", "store", "plan"},
    "sink": {"base", "wire", "store", "client", "plan"},
    "commit": {"base", "wire", "store", "plan", "source", "transform", "sink"},
    "run": {"base", "wire", "store", "plan", "source", "transform", "sink", "commit"},
    "app": {"base", "wire", "store", "plan", "duckdb", "source", "transform", "sink", "commit", "run"},
}
# What commit and run may know of rooms 2 to 4: the doors, not the implementations.
DOORS = {"source/source.h", "transform/transform.h", "sink/sink.h"}
LINES_MAX = 600
TEST_LINES_MAX = 800
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|TBD)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def includes(path: pathlib.Path) -> list[tuple[int, str, str]]:
    """(line number, "quoted include", "bracketed include")."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := INCLUDE.match(line):
            found.append((number, match[1] or "", match[2] or ""))
    return found


def breach(file: str, included: str) -> str | None:
    """Why `file` may not include `included` (both relative to src/), or None."""
    is_test = re.search(r"_(test|bench)\.cc$|_testing\.h$", file)
    if is_test and included.startswith("tests/support/"):
        return None
    room, target = file.split("/")[0], included.split("/")[0]
    if target not in MAY_INCLUDE or room not in MAY_INCLUDE:
        return f"{included} is in no room"
    if target != room and target not in MAY_INCLUDE[room]:
        return f"{room} may not include {target}"
    if room in ("commit", "run") and target in ("source", "transform", "sink"):
        if included not in DOORS and not is_test:
            return f"{room} may include only {', '.join(sorted(DOORS))}"
    # One source or sink never includes another.
    if room in ("source", "sink") and target == room and included.count("/") > 1:
        if file.count("/") < 2 or file.split("/")[1] != included.split("/")[1]:
            return f"{file.rsplit('/', 1)[0]} may not include {included.rsplit('/', 1)[0]}"
    if room == "app" and not is_test and included.count("/") > 1 and target in ("source", "sink"):
        if file != "app/registry.cc":
            return "only app/registry.cc names a source or sink"
    return None


def source_files(*suffixes: str) -> list[pathlib.Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.suffix in suffixes)


def tracked_files() -> list[pathlib.Path]:
    try:
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={REPOSITORY}", "ls-files", "-z"], cwd=REPOSITORY,
            capture_output=True, text=True, check=True).stdout.split("\0")
        files = [REPOSITORY / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):  # a release archive has no git
        files = [path for path in REPOSITORY.rglob("*")
                 if "build" not in path.relative_to(REPOSITORY).parts]
    return [path for path in files if path.is_file()]


def test_rooms_include_only_what_they_may():
    problems = []
    for path in source_files(".h", ".cc"):
        file = path.relative_to(SOURCES).as_posix()
        for line, quoted, _ in includes(path):
            if quoted and (reason := breach(file, quoted)):
                problems.append(f"src/{file}:{line}: {reason}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("file, included", [
    ("base/a.h", "wire/b.h"), ("wire/a.h", "store/b.h"), ("plan/a.h", "source/source.h"),
    ("source/postgres/a.cc", "sink/sink.h"), ("source/postgres/a.cc", "source/sqlite/b.h"),
    ("source/source.cc", "source/sqlite/b.h"), ("transform/a.cc", "source/source.h"),
    ("sink/csv/a.cc", "transform/transform.h"), ("commit/a.cc", "run/b.h"),
    ("client/postgres/a.h", "plan/values.h"), ("run/a.cc", "client/postgres/b.h"),
    ("run/a.cc", "sink/parquet/b.h"), ("run/a.cc", "app/registry.h"),
    ("app/cli/a.cc", "source/postgres/b.h"), ("base/a.h", "utils/b.h"),
    ("base/a.cc", "tests/support/b.h"),
])
def test_the_layer_rule_sees_breaches(file, included):
    assert breach(file, included)


@pytest.mark.parametrize("file, included", [
    ("source/postgres/a.cc", "source/postgres/b.h"), ("source/postgres/a.cc", "source/source.h"),
    ("source/postgres/a.cc", "wire/pg_copy/b.h"),
    ("sink/postgres/a.cc", "client/postgres/b.h"), ("run/a.cc", "source/source.h"),
    ("app/registry.cc", "source/postgres/b.h"), ("app/cli/a.cc", "run/runner.h"),
    ("source/postgres/a_test.cc", "tests/support/b.h"),
])
def test_the_layer_rule_lets_the_rest_through(file, included):
    assert breach(file, included) is None


def test_public_headers_show_only_arrow_and_the_standard_library():
    problems = []
    for path in source_files(".h"):
        if path.name.endswith("testing.h"):  # shared by tests only
            continue
        for line, _, bracketed in includes(path):
            third_party = ("/" in bracketed or bracketed.endswith((".h", ".hpp")))
            allowed = bracketed.startswith(("arrow/", "sys/")) or bracketed in POSIX_HEADERS
            if third_party and not allowed:
                problems.append(f"{path.relative_to(REPOSITORY)}:{line}: <{bracketed}>")
    assert not problems, "third-party headers belong in .cc files:\n" + "\n".join(problems)


POSIX_HEADERS = {"unistd.h", "fcntl.h", "signal.h", "pthread.h", "poll.h", "time.h"}


def test_headers_are_guarded():
    bare = [str(path.relative_to(REPOSITORY)) for path in source_files(".h")
            if "#pragma once" not in path.read_text()]
    assert not bare, f"no #pragma once: {bare}"


def test_test_files_have_different_names():
    """pytest imports them by name alone, whichever folder they are in."""
    names = [path.name for path in tracked_files()
             if path.name.startswith("test_") and path.suffix == ".py"]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"in several folders: {twice}"


def test_the_verdict_of_every_property_is_looked_at():
    """rc::check() prints what is false and returns it; GoogleTest hears of it by EXPECT_TRUE alone."""
    unheard = [
        f"{path.relative_to(REPOSITORY)}:{number}" for path in tracked_files()
        if path.suffix == ".cc"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if "rc::check(" in line and not re.search(r"(EXPECT|ASSERT)_TRUE\(rc::check\(", line)
    ]
    assert not unheard, f"EXPECT_TRUE(rc::check(…)): {unheard}"


def test_no_file_is_too_long():
    long = []
    for path in tracked_files():
        if path.suffix in (".cc", ".h", ".py", ".cmake") or path.parent.name == "scripts":
            count = len(path.read_text(errors="replace").splitlines())
            is_test = path.name.endswith("_test.cc") or path.name.startswith("test_")
            if count > (TEST_LINES_MAX if is_test else LINES_MAX):
                long.append(f"{path.relative_to(REPOSITORY)}: {count} lines")
    assert not long, f"more than {LINES_MAX} lines ({TEST_LINES_MAX} for tests):\n" + "\n".join(long)


def test_nothing_says_that_it_is_unfinished():
    problems = []
    for path in tracked_files():
        if path == pathlib.Path(__file__) or path.suffix in (".png", ".svg", ".json", ".bin"):
            continue
        if "corpus" in path.parts:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := UNFINISHED.search(line):
                problems.append(f"{path.relative_to(REPOSITORY)}:{number}: {match[0]}")
    assert not problems, "\n".join(problems)


def option_names() -> list[str]:
    table = (SOURCES / "plan" / "option_table.cc").read_text()
    return re.findall(r'^\s*\{"([a-z_]+)",\s*k\w+', table, re.MULTILINE)


def test_every_option_is_documented():
    names = option_names()
    assert len(names) > 40, "the option table is not where this test looks"
    page = (REPOSITORY / "docs" / "job-file.md").read_text()
    missing = [name for name in names if f"`{name}`" not in page]
    assert not missing, f"not in docs/job-file.md (run `make docs`): {missing}"


def test_documentation_links_lead_somewhere():
    broken = []
    for page in [path for path in tracked_files() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(REPOSITORY)}: {target}")
    assert not broken, "\n".join(broken)


def test_promises_name_tests_that_exist():
    page = (REPOSITORY / "docs" / "promises.md").read_text()
    tests = set()
    for path in [*SOURCES.rglob("*_test.cc"), *(REPOSITORY / "tests").rglob("*.cc")]:
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)",
                                      path.read_text(), re.MULTILINE):
            tests.add(f"{suite}.{name}")
    named = re.findall(r"`([A-Z]\w+\.\w+)`", page)
    files = re.findall(r"`((?:pains|faults|integration)/\w+\.py)(?:::(\w+))?`", page)
    assert len(named) > 20 and len(files) > 40
    missing = [name for name in named if name not in tests and name != "Suite.Name"]
    for file, test in files:
        path = REPOSITORY / "tests" / file
        if not path.exists() or (test and f"\ndef {test}(" not in path.read_text()):
            missing.append(f"{file}::{test}")
    assert not missing, f"docs/promises.md names what is not there: {missing}"
