"""Search nodes and what stands before them fail; documents are neither lost nor doubled."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import ssl

import pytest

from support import exports, faults
from support.certificates import Certificates
from support.search import SearchNode
from support.search_proxy import SearchProxy

DOCUMENTS = 3000
PROPERTIES = {"@timestamp": {"type": "date"}, "seq": {"type": "long"}, "note": {"type": "keyword"}}
FIRST_PAGE = "/logs/_search?scroll"
NEXT_PAGE = "POST /_search/scroll"


def documents(count: int = DOCUMENTS, first: int = 0) -> list[dict]:
    return [{"@timestamp": 1709251200000 + number, "seq": number, "note": f"note {number}"}
            for number in range(first, first + count)]


# $BULKHAUL_TEST_SEARCH_KINDS: further kinds, separated by commas.
KINDS = os.environ.get("BULKHAUL_TEST_SEARCH_KINDS", "opensearch-3").split(",")


@pytest.fixture(scope="module", params=KINDS)
def node(request):
    made = SearchNode(request.param)
    made.create("logs", PROPERTIES)
    made.bulk("logs", documents())
    yield made
    made.stop()


@pytest.fixture
def proxy(node):
    with SearchProxy(node.address) as made:
        yield made


def words(uri, out, *more) -> list:
    return ["copy", uri, out, "--job-id", "job", "--retry-delay", "10ms", "--page-documents", "500",
            "--progress", "none", *more]


def sequence(out) -> list[int]:
    found = exports.query(exports.table_folders(out)[0], "SELECT seq FROM {rows} ORDER BY seq")
    return [row[0] for row in found]


@pytest.mark.parametrize("part", [FIRST_PAGE, NEXT_PAGE], ids=["first page", "later page"])
@pytest.mark.parametrize("kind", ["html", "cut", "drop", "reset", "lose", 429, 502, 503, 504])
def test_a_page_is_lost(bulkhaul, node, proxy, tmp_path, kind, part):
    """The unit starts again, and no page is asked for twice."""
    proxy.inject(kind, part, skip=0 if part == FIRST_PAGE else 2)
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out"))
    assert proxy.faults_done == 1
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert sum(FIRST_PAGE in line for line in proxy.requests) == 2
    if (kind, part) != ("lose", FIRST_PAGE) and part != FIRST_PAGE:
        assert node.open_scrolls() == 0
    node.forget_scrolls()


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_cluster_gets_fewer_workers(bulkhaul, proxy, tmp_path, status):
    proxy.inject(status, FIRST_PAGE, times=3)
    report = tmp_path / "report.json"
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--unit-rows", "300", "--workers", "auto",
                    "--report", report))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    found = json.loads(report.read_text())
    assert found["concurrency"].startswith("workers 4, lowered to 2 by ")
    assert "rejected_execution_exception" in found["concurrency"]
    assert any("workers lowered to 2" in line for line in found["warnings"])


def test_workers_that_are_asked_for_stay(bulkhaul, proxy, tmp_path):
    proxy.inject(429, FIRST_PAGE, times=3)
    report = tmp_path / "report.json"
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--unit-rows", "300", "--workers", "4",
                    "--report", report))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    found = json.loads(report.read_text())
    assert (found["workers"], found["concurrency"]) == (4, "")


def test_an_answer_that_stalls_ends_in_time(bulkhaul, node, proxy, tmp_path):
    proxy.inject("stall", NEXT_PAGE, skip=1)
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--request-timeout", "2s"), timeout=40)
    assert proxy.faults_done == 1
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert node.open_scrolls() == 0


def test_search_contexts_expire(bulkhaul, node, proxy, tmp_path):
    proxy.inject("expire", NEXT_PAGE, skip=2)
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out"))
    assert proxy.faults_done == 1
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_a_login_page_is_named(bulkhaul, proxy, tmp_path):
    proxy.inject("html", NEXT_PAGE, times=1000)
    done = bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--retries", "2"), code=None)
    assert done.code != 0
    assert "text/html in place of JSON" in done.err
    assert exports.visible(tmp_path / "out") == []
    assert sum(FIRST_PAGE in line for line in proxy.requests) == 3  # the first try and two more


def test_wrong_credentials_are_said_once(bulkhaul, node, tmp_path):
    right = "Basic " + base64.b64encode(b"reader:s3cret").decode()
    with SearchProxy(node.address, authorization=right) as proxy:
        done = bulkhaul(*words(proxy.uri("logs", login="reader:wr0ng@"), tmp_path / "out"),
                        code=None)
        assert done.code != 0
        assert len(proxy.requests) == 1
        assert done.err.count("missing or wrong credentials") == 1
        assert "wr0ng" not in done.err + done.out
        done = bulkhaul(*words(proxy.uri("logs", login="reader:s3cret@"), tmp_path / "out"))
        assert "s3cret" not in done.err + done.out
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


@pytest.mark.parametrize("parameter, header", [("api_key=aWQ6a2V5", "ApiKey aWQ6a2V5"),
                                               ("bearer_token=abc.def", "Bearer abc.def")])
def test_keys_and_tokens(bulkhaul, node, tmp_path, parameter, header):
    with SearchProxy(node.address, authorization=header) as proxy:
        bulkhaul(*words(proxy.uri("logs?" + parameter), tmp_path / "out"))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"), "reader")


def fingerprint(certificate: str) -> str:
    with open(certificate, encoding="ascii") as file:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()


def test_tls(bulkhaul, node, certificates, tmp_path):
    """Authority, fingerprint, client certificate; and what does not match is refused at once."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates["server.crt"], certificates["server.key"])
    tls.load_verify_locations(certificates["ca.crt"])
    tls.verify_mode = ssl.CERT_REQUIRED
    client = (f"&certificate={certificates['client.crt']}"
              f"&certificate_key={certificates['client.key']}")
    with SearchProxy(node.address, tls) as proxy:
        def uri(parameters: str) -> str:
            return proxy.uri("logs?" + parameters, "opensearch+https")

        for number, trust in enumerate([
                f"ca_file={certificates['ca.crt']}",
                f"fingerprint={fingerprint(certificates['server.crt'])}",
                "verify_certificate=false"]):
            out = tmp_path / str(number)
            bulkhaul("copy", uri(trust + client), out)
            assert sequence(out) == list(range(DOCUMENTS))
        seen = len(proxy.requests)
        for wrong in ["", f"ca_file={certificates['other.crt']}",
                      f"fingerprint={fingerprint(certificates['other.crt'])}"]:
            done = bulkhaul("copy", uri(wrong + client), tmp_path / "no", code=None)
            assert done.code != 0 and "certificate" in done.err, done.err
        done = bulkhaul("copy", uri(f"ca_file={certificates['ca.crt']}"), tmp_path / "no",
                        code=None)
        assert done.code != 0
        assert len(proxy.requests) == seen


def test_plain_http_where_https_is_spoken_and_the_reverse(bulkhaul, node, certificates, tmp_path):
    done = bulkhaul("copy", node.uri("logs", "opensearch+https"), tmp_path / "out", code=None)
    assert done.code != 0 and "speaks http there, not https" in done.err


def test_failover_to_the_next_host(bulkhaul, node, proxy, tmp_path):
    """The first host refuses; of the second nothing is needed but that it is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()[1]
    uri = f"opensearch://127.0.0.1:{dead},127.0.0.1:{proxy.port}/logs"
    bulkhaul(*words(uri, tmp_path / "out"))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert proxy.requests


def test_compression(bulkhaul, node, proxy, tmp_path):
    bulkhaul(*words(proxy.uri("logs?compress=true"), tmp_path / "asked"))
    assert all("gzip" in headers["Accept-Encoding"] for headers in proxy.headers)
    bulkhaul("copy", node.uri("logs?compress=true"), tmp_path / "out")
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_scroll_limit_reached(bulkhaul, node, tmp_path):
    """Other clients hold every context: a transient error that names the limit."""
    node.call("PUT", "/_cluster/settings", {"transient": {"search.max_open_scroll_context": 1}})
    try:
        node.call("POST", "/logs/_search?scroll=1m", {"size": 1})
        done = bulkhaul(*words(node.uri("logs"), tmp_path / "out", "--retries", "1"), code=None)
        assert done.code != 0 and "max_open_scroll_context" in done.err
        node.forget_scrolls()
        bulkhaul("resume", "job")
    finally:
        node.call("PUT", "/_cluster/settings",
                  {"transient": {"search.max_open_scroll_context": None}})
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def slow_run(bulkhaul, node, out, index):
    """A copy that has read a part; gives the process."""
    process = bulkhaul.start(*words(node.uri(index), out, "--documents-per-second", "1000",
                                    "--retries", "0", "--slice", "none"))
    faults.wait_until(lambda: node.open_scrolls() > 0, what="the scroll")
    return process


def test_index_deleted_and_made_again(bulkhaul, node, tmp_path):
    """Resume does not put the two indices together."""
    node.create("twice", PROPERTIES)
    node.bulk("twice", documents())
    process = slow_run(bulkhaul, node, tmp_path / "out", "twice")
    node.call("DELETE", "/twice")
    node.create("twice", PROPERTIES)
    node.bulk("twice", documents(100, first=10_000))
    outcome = bulkhaul.finish(process)
    assert outcome.code != 0
    assert exports.visible(tmp_path / "out") == []


def test_node_killed_and_restarted(bulkhaul, tmp_path):
    """Mid-run; what was not read yet is read after a resume."""
    node = SearchNode()
    try:
        for name, first in (("a", 0), ("b", DOCUMENTS)):
            node.create(f"logs-{name}", PROPERTIES)
            node.bulk(f"logs-{name}", documents(first=first))
            node.call("POST", f"/logs-{name}/_flush")
        process = slow_run(bulkhaul, node, tmp_path / "out", "logs-*")
        node.crash()
        outcome = bulkhaul.finish(process)
        assert outcome.code != 0
        assert exports.visible(tmp_path / "out") == []
        node.start()
        bulkhaul("resume", "job")
        assert sequence(tmp_path / "out") == list(range(2 * DOCUMENTS))
    finally:
        node.stop()
