"""What docs/source-opensearch.md tells users to do: ways to connect, recipes, a stream a shard."""

from __future__ import annotations

import base64
import csv
import datetime
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess

import pytest

from support import exports, faults
from support.certificates import Certificates
from support.search import SearchNode
from support.search_jobs import sequence
from support.search_proxy import SearchProxy
from support.socks_proxy import SocksProxy

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = REPOSITORY / "docs" / "source-opensearch.md"
README = REPOSITORY / "README.md"
DOCUMENTS = 500
MANY = 200_000  # over two shards: the fewest of which each has a stream of its own
PROPERTIES = {"@timestamp": {"type": "date"}, "seq": {"type": "long"},
              "note": {"type": "text", "index": False}}


def note(number: int) -> str:
    return f"{number:07}" * 90


@pytest.fixture(scope="module")
def node():
    made = SearchNode("opensearch-3")
    made.create("logs", PROPERTIES)
    made.bulk("logs", [{"@timestamp": 1709251200000 + n, "seq": n} for n in range(DOCUMENTS)])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def many(node):
    """120 MB of documents in an index of two shards."""
    node.create("many", PROPERTIES, number_of_shards=2, refresh_interval="-1")
    node.bulk("many", ({"@timestamp": 1709251200000 + n, "seq": n, "note": note(n)}
                       for n in range(MANY)))
    yield "many"
    node.drop("many")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"), "reader")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("scheme", ["opensearch", "elasticsearch"])
def test_login_from_the_environment(bulkhaul, node, tmp_path, scheme):
    names = {"opensearch": "OPENSEARCH", "elasticsearch": "ELASTICSEARCH"}
    with SearchProxy(node.address, authorization=basic("me", "s3cret:é")) as proxy:
        for product, name in names.items():
            done = bulkhaul("copy", proxy.uri("logs", scheme), tmp_path / product,
                            env={f"{name}_USERNAME": "me", f"{name}_PASSWORD": "s3cret:é"},
                            code=0 if product == scheme else None)
            assert (done.code == 0) == (product == scheme)
            assert "s3cret" not in done.out + done.err
    assert sequence(tmp_path / scheme) == list(range(DOCUMENTS))


def test_a_prefix_before_every_path(bulkhaul, node, tmp_path):
    with SearchProxy(node.address, prefix="/search/eu") as proxy:
        bulkhaul("copy", proxy.uri("logs?path_prefix=/search/eu&q=seq:%3E=0"), tmp_path / "out")
        assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
        assert all(line.split()[1].startswith("/search/eu/") for line in proxy.requests)
        bulkhaul("copy", proxy.uri("logs"), tmp_path / "no", code=2)


def test_socks_proxy_that_resolves_names(bulkhaul, node, tmp_path):
    with SocksProxy({"search.invalid:9200": node.address}) as socks:
        bulkhaul("copy", f"opensearch://search.invalid/logs?proxy=socks5h://127.0.0.1:{socks.port}",
                 tmp_path / "out")
        assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
        assert set(socks.asked) == {"search.invalid:9200"}


def test_folders_of_authorities_and_locked_keys(bulkhaul, node, certificates, tmp_path):
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(certificates["ca.crt"], folder / "ca.pem")
    locked = tmp_path / "locked.key"
    for words in (["rehash", folder], ["rsa", "-aes256", "-passout", "pass:ge heim", "-in",
                                       certificates["client.key"], "-out", locked]):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates["server.crt"], certificates["server.key"])
    tls.load_verify_locations(certificates["ca.crt"])
    tls.verify_mode = ssl.CERT_REQUIRED
    with SearchProxy(node.address, tls) as proxy:
        def uri(authorities, password: str) -> str:
            return proxy.uri(f"logs?ca_folder={authorities}&certificate={certificates['client.crt']}"
                             f"&certificate_key={locked}&certificate_key_password={password}",
                             "opensearch+https")

        done = bulkhaul("copy", uri(folder, "ge%20heim"), tmp_path / "out")
        assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
        assert "heim" not in done.out + done.err
        seen = len(proxy.requests)
        (tmp_path / "empty").mkdir()
        done = bulkhaul("copy", uri(tmp_path / "empty", "ge%20heim"), tmp_path / "no", code=None)
        assert done.code != 0 and "certificate" in done.err and "heim" not in done.err
        done = bulkhaul("copy", uri(folder, "falsch"), tmp_path / "no", code=None)
        assert done.code != 0 and str(locked) in done.err and "falsch" not in done.err
        assert len(proxy.requests) == seen


SHARD = re.compile(r"/many/_search\?.*preference=_shards(?::|%3A)(\d)")


def shards_asked(proxy) -> list[str]:
    return sorted(match[1] for line in proxy.requests if (match := SHARD.search(line)))


def test_a_stream_for_each_shard_killed_and_resumed(bulkhaul, node, many, tmp_path):
    out, report = tmp_path / "out", tmp_path / "report.json"
    with SearchProxy(node.address) as proxy:
        words = ["copy", proxy.uri("many"), out, "--job-id", "job", "--workers", "1", "--progress",
                 "none", "--fields", "seq", "--metadata-columns", "_id", "--unit-rows", "150000"]
        bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "ledger.unit_done"}, code=faults.SIGKILLED)
        before = shards_asked(proxy)
        assert len(before) in (1, 2) and exports.visible(out) == []
        proxy.requests.clear()
        bulkhaul("resume", "job", "--report", report)
        assert shards_asked(proxy) == ["1"], "the other shard is not read again"
    node.forget_scrolls()
    assert json.loads(report.read_text())["totals"]["units"] == 1
    assert exports.query(exports.table_folders(out)[0], """
        SELECT count(*), count(DISTINCT _id), count(DISTINCT seq), min(seq), max(seq)
        FROM {rows}""") == [(MANY, MANY, MANY, 0, MANY - 1)]


def test_streams_of_shards_are_cut_along_the_time(bulkhaul, node, many, tmp_path):
    """Each part of the time from each shard, and those without a time."""
    report = tmp_path / "report.json"
    with SearchProxy(node.address) as proxy:
        bulkhaul("copy", proxy.uri("many"), tmp_path / "out", "--unit-rows", "50000", "--fields",
                 "seq", "--report", report)
        assert shards_asked(proxy) == ["0"] * 3 + ["1"] * 3
    assert json.loads(report.read_text())["totals"]["units"] == 6
    assert sequence(tmp_path / "out") == list(range(MANY))


def test_one_csv_file_larger_than_the_memory(bulkhaul, node, many, tmp_path):
    limit = 96 << 20
    report = tmp_path / "report.json"
    bulkhaul("copy", node.uri("many"), tmp_path / "csv", "--format", "csv", "--single-file",
             "--memory-limit", "96MiB", "--workers", "4", "--unit-rows", "25000", "--report", report)
    assert exports.visible(tmp_path / "csv" / "many") == ["_export_metadata.json", "part_0001.csv"]
    file = tmp_path / "csv" / "many" / "part_0001.csv"
    assert file.stat().st_size > 1.2 * limit
    assert json.loads(report.read_text())["memory"]["peak_rss_bytes"] <= limit
    seen = set()
    with open(file, newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            number = int(row["seq"])
            assert row["note"] == note(number)
            seen.add(number)
    assert len(seen) == MANY and max(seen) == MANY - 1
    bulkhaul("verify", tmp_path / "csv" / "many")


def code_of(heading: str, page: pathlib.Path = PAGE) -> str:
    """The first block of code after that text of the page."""
    return re.search(r"```\w*\n(.*?)```", page.read_text().split(heading, 1)[1], re.DOTALL)[1]


def test_the_first_commands_of_readme(bulkhaul, node, tmp_path):
    node.create("logs-2024.03.01", {**PROPERTIES, "level": {"type": "keyword"}})
    node.bulk("logs-2024.03.01", [
        {"@timestamp": f"2024-0{2 + n % 3}-01T00:00:00Z", "seq": n,
         "level": ("ERROR", "INFO")[n % 2]} for n in range(300)])
    text = code_of("## Documents out of OpenSearch", README)
    assert text.count("opensearch://host:9200/") == 2
    text = text.replace("opensearch://host:9200/", node.uri("")).replace("bulkhaul ", f"{bulkhaul.binary} ")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, text=True,
                          env=bulkhaul.environment, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=300)
    node.drop("logs-2024.03.01")
    assert done.returncode == 0, done.stderr
    assert sequence(tmp_path / "exports") == list(range(1, 300, 3))
    with open(tmp_path / "errors.csv", newline="") as lines:
        assert sorted(int(row["seq"]) for row in csv.DictReader(lines)) == list(range(0, 300, 2))


def test_the_daily_script(bulkhaul, node, tmp_path):
    """A failed run is finished by the next, and a day that is done is replaced."""
    for day in (1, 2):
        node.create(f"logs-2024.03.0{day}", PROPERTIES)
        node.bulk(f"logs-2024.03.0{day}", [
            {"@timestamp": f"2024-03-0{day}T{n % 24:02}:00:00Z", "seq": 1000 * day + n}
            for n in range(300)])
    password = re.search(r"OPENSEARCH_PASSWORD=(\S+)", code_of("**Every day"))[1]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bulkhaul").symlink_to(bulkhaul.binary)
    script = tmp_path / "daily"
    data = tmp_path / "data"
    data.mkdir()
    environment = {**bulkhaul.environment, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    def run(day: str, **more) -> subprocess.CompletedProcess:
        return subprocess.run([script, day], env={**environment, **more}, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=300)

    def days() -> dict:
        return {folder.name: len(sequence_of(folder))
                for folder in exports.table_folders(data / "logs")}

    def sequence_of(folder) -> list:
        return exports.query(folder, "SELECT DISTINCT seq FROM {rows}")

    with SearchProxy(node.address, authorization=basic("exporter", password)) as proxy:
        text = code_of("**Every day")
        for there, here in (("opensearch+https://search.example:9200", proxy.uri("")[:-1]),
                            ("/data/", f"{data}/")):
            assert there in text
            text = text.replace(there, here)
        script.write_text(text)
        script.chmod(0o755)
        assert run("2024-03-01").returncode == 0
        killed = run("2024-03-02", BULKHAUL_CRASH_AT="ledger.unit_done")
        assert killed.returncode != 0 and days() == {"logs-2024-03-01": 300}
        done = run("2024-03-02")
        assert done.returncode == 0, done.stderr
        assert days() == {"logs-2024-03-01": 300, "logs-2024-03-02": 300}
        node.bulk("logs-2024.03.02", [{"@timestamp": "2024-03-02T10:00:00Z", "seq": 1}])
        assert run("2024-03-02").returncode == 0
        assert days() == {"logs-2024-03-01": 300, "logs-2024-03-02": 301}
        assert json.loads((data / "logs-2024-03-02.json").read_text())["totals"]["rows"] == 301
        # A day without an index: an empty table.
        done = run("2024-03-03")
        assert done.returncode == 0, done.stderr
        assert days()["logs-2024-03-03"] == 0
    node.drop("logs-2024*")


def months(now: datetime.datetime) -> list[datetime.datetime]:
    """The middle of this month and of the three before it."""
    found = [now.replace(day=15, hour=0, minute=0, second=0, microsecond=0)]
    while len(found) < 4:
        found.append((found[-1].replace(day=1) - datetime.timedelta(days=1)).replace(day=15))
    return found


def last_month() -> str:
    return months(datetime.datetime.now(datetime.timezone.utc))[1].strftime("%Y-%m")


def test_the_example_of_last_month(bulkhaul, node, tmp_path):
    node.create("logs-month", {"@timestamp": {"type": "date"}, "level": {"type": "keyword"},
                               "message": {"type": "text"}, "other": {"type": "long"},
                               "http": {"properties": {"path": {"type": "keyword"}}}})
    middles = months(datetime.datetime.now(datetime.timezone.utc))
    node.bulk("logs-month", [
        {"@timestamp": middle.isoformat(), "level": level, "message": f"{middle:%Y-%m}",
         "http": {"path": "/x"}, "other": 1} for middle in middles for level in ("ERROR", "INFO")])
    text = (REPOSITORY / "examples" / "search-month.yaml").read_text()
    for there, here in (("opensearch://127.0.0.1:9200/logs-*", node.uri("logs-mon*")),
                        ("./exports", str(tmp_path / "out"))):
        assert text.count(there) == 1
        text = text.replace(there, here)
    job = tmp_path / "search-month.yaml"
    job.write_text(text)
    around = [last_month()]
    bulkhaul("run", job)
    around.append(last_month())  # another one, when a month ended meanwhile
    node.drop("logs-month")
    folder = exports.table_folders(tmp_path / "out")[0]
    found = exports.read(folder)
    assert sorted(found.column_names) == ["@timestamp", "http.path", "level", "message"]
    assert found.num_rows == 1 and found["message"][0].as_py() in around
    assert found["level"][0].as_py() == "ERROR" and len(exports.parts(folder)) == 1
