"""Search nodes and what stands before them fail; documents are neither lost nor doubled."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import ssl
import threading
import urllib.parse

import pytest

from support import exports, faults
from support.aws import is_signed
from support.certificates import Certificates
from support.http_proxy import HttpProxy
from support.search import SearchError, SearchNode
from support.search_jobs import NEXT_PAGE, sequence, words
from support.search_proxy import SearchProxy

DOCUMENTS = 3000
PROPERTIES = {"@timestamp": {"type": "date"}, "seq": {"type": "long"}, "note": {"type": "keyword"}}
FIRST_PAGE = "/logs/_search?scroll"


def documents(count: int = DOCUMENTS, first: int = 0) -> list[dict]:
    return [{"@timestamp": 1709251200000 + number, "seq": number, "note": f"note {number}"}
            for number in range(first, first + count)]


# $BULKHAUL_TEST_SEARCH_KINDS: further kinds, separated by commas.
KINDS = os.environ.get("BULKHAUL_TEST_SEARCH_KINDS", "opensearch-3").split(",")


# Few threads and a short queue, so that it can be overloaded; contexts that expired go at once.
SETTINGS = ("thread_pool.search.size=1", "thread_pool.search.queue_size=14",
            "search.keep_alive_interval=500ms")


@pytest.fixture(scope="module", params=KINDS)
def node(request):
    made = SearchNode(request.param, *SETTINGS)
    made.create("logs", PROPERTIES)
    made.bulk("logs", documents())
    yield made
    made.stop()


@pytest.fixture
def proxy(node):
    with SearchProxy(node.address) as made:
        yield made


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
        assert node.has_no_scroll_soon()
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
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--request-timeout", "4s",
                    "--retries", "20"))
    assert proxy.faults_done == 1
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert node.has_no_scroll_soon()


def test_search_contexts_expire(bulkhaul, node, proxy, tmp_path):
    proxy.inject(node.forget_scrolls, NEXT_PAGE, skip=2)
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


@pytest.mark.parametrize("service,token", [("es", ""), ("aoss", "a+session/token==")])
def test_requests_are_signed_for_aws(bulkhaul, node, tmp_path, service, token):
    """Every request, against an implementation of its own; odd names in paths and queries."""
    index = "aws-it's%&+=@1"
    node.create(urllib.parse.quote(index), PROPERTIES)
    node.bulk(urllib.parse.quote(index), documents())
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    def allows(method, path, headers, body):
        return headers.get("X-Amz-Security-Token", "") == token and is_signed(
            method, path, headers, body, "eu-west-1", service, "AKIDEXAMPLE", secret)

    environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": secret,
                   **({"AWS_SESSION_TOKEN": token} if token else {})}
    try:
        with SearchProxy(node.address, allows=allows) as proxy:
            uri = proxy.uri(f"aws-*,logs?aws_region=eu-west-1&aws_service={service}")
            bulkhaul(*words(uri, tmp_path / "out", "--slice", "none"), env=environment)
            assert exports.checksum(exports.table_folders(tmp_path / "out")[0]).rows == (
                2 * DOCUMENTS)
            assert 401 not in proxy.statuses
            done = bulkhaul("copy", uri, tmp_path / "no", code=None,
                            env={**environment, "AWS_SECRET_ACCESS_KEY": "other"})
            assert done.code != 0 and proxy.statuses.count(401) == 1
    finally:
        node.call("DELETE", "/" + urllib.parse.quote(index))


def test_forward_proxy(bulkhaul, node, certificates, tmp_path):
    """http with whole URIs, https through a tunnel, with a login of its own."""
    with HttpProxy("who:secr3t") as forward:
        through = f"proxy=http://who:secr3t@127.0.0.1:{forward.port}"
        done = bulkhaul(*words(node.uri(f"logs?{through}"), tmp_path / "out"))
        assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
        assert f"DELETE {node.http}/_search/scroll" in forward.lines
        assert "secr3t" not in done.err + done.out
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates["server.crt"], certificates["server.key"])
        with SearchProxy(node.address, tls) as secure:
            uri = secure.uri(f"logs?ca_file={certificates['ca.crt']}&{through}",
                             "opensearch+https")
            bulkhaul("copy", uri, tmp_path / "tls")
            assert sequence(tmp_path / "tls") == list(range(DOCUMENTS))
            assert f"CONNECT 127.0.0.1:{secure.port}" in forward.lines
        wrong = node.uri(f"logs?proxy=http://who:wr0ng@127.0.0.1:{forward.port}")
        before = len(forward.lines)
        done = bulkhaul("copy", wrong, tmp_path / "no", code=None)
        assert done.code != 0 and "407" in done.err and "wr0ng" not in done.err + done.out
        assert len(forward.lines) == before + 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"), "reader")


def fingerprint(certificate: str) -> str:
    with open(certificate, encoding="ascii") as file:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()


def test_tls(bulkhaul, node, certificates, tmp_path):
    """Authority, fingerprint, client certificate; and what does not match is refused at once."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = certificates.folder / "chain.crt"
    chain.write_text(pathlib.Path(certificates["server.crt"]).read_text() +
                     pathlib.Path(certificates["ca.crt"]).read_text())
    tls.load_cert_chain(chain, certificates["server.key"])
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
                f"fingerprint={fingerprint(certificates['ca.crt'])}",
                "verify_certificate=false"]):
            out = tmp_path / str(number)
            bulkhaul("copy", uri(trust + client), out)
            assert sequence(out) == list(range(DOCUMENTS))
        seen = len(proxy.requests)
        for wrong in ["", f"ca_file={certificates['other.crt']}",
                      f"fingerprint={fingerprint(certificates['other.crt'])}"]:
            done = bulkhaul("copy", uri(wrong + client), tmp_path / "no", code=None)
            assert done.code != 0 and "certificate" in done.err, done.err
        own = fingerprint(certificates["server.crt"])
        assert f"does not match the fingerprint that was given; its own is {own}" in done.err
        done = bulkhaul("copy", uri(f"ca_file={certificates['ca.crt']}"), tmp_path / "no",
                        code=None)
        assert done.code != 0 and "does the server want a client certificate" in done.err, done.err
        assert len(proxy.requests) == seen


def test_plain_http_where_https_is_spoken_and_the_reverse(bulkhaul, node, certificates, tmp_path):
    done = bulkhaul("copy", node.uri("logs", "opensearch+https"), tmp_path / "out", code=None)
    assert done.code != 0 and "speaks http there, not https" in done.err


def test_failover_to_the_next_host(bulkhaul, node, proxy, tmp_path):
    """The first host refuses; of the second nothing is needed but that it is there."""
    with socket.socket() as bound:  # and does not listen: nobody else can meanwhile
        bound.bind(("127.0.0.1", 0))
        dead = bound.getsockname()[1]
        uri = f"opensearch://127.0.0.1:{dead},127.0.0.1:{proxy.port}/logs"
        bulkhaul(*words(uri, tmp_path / "out"))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    # Some servers answer it by 405: the test node of Elasticsearch, for one.
    assert proxy.requests and "GET /" not in proxy.requests


def test_compression(bulkhaul, node, proxy, tmp_path):
    bulkhaul(*words(proxy.uri("logs?compress=true"), tmp_path / "asked"))
    assert all("gzip" in headers["Accept-Encoding"] for headers in proxy.headers)
    bulkhaul("copy", node.uri("logs?compress=true"), tmp_path / "out")
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_scroll_limit_reached(bulkhaul, node, tmp_path):
    """Other clients hold every context: a transient error that names the limit."""
    with node.cluster_settings({"search.max_open_scroll_context": 1}):
        node.call("POST", "/logs/_search?scroll=1m", {"size": 1})
        done = bulkhaul(*words(node.uri("logs"), tmp_path / "out", "--retries", "1"), code=None)
        assert done.code != 0 and "max_open_scroll_context" in done.err
        node.forget_scrolls()
        bulkhaul("resume", "job")
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_fewer_contexts_than_workers(bulkhaul, node, proxy, tmp_path):
    """Units wait for each other's contexts."""
    with node.cluster_settings({"search.max_open_scroll_context": 2}):
        bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--unit-rows", "300", "--workers",
                        "6", "--retries", "100", "--retry-delay-max", "50ms"))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert node.has_no_scroll_soon()


# Every request but this setting's own is answered by 429.
BREAKERS = {"indices.breaker.total.limit": "1b", "indices.breaker.request.limit": "1b",
            "network.breaker.inflight_requests.limit": "1b"}


def test_circuit_breakers_answer_everything(bulkhaul, node, proxy, tmp_path):
    """From the second page on: the error says which breaker, and resume brings it to its end."""
    proxy.inject(lambda: node.change_settings(BREAKERS), NEXT_PAGE, skip=1)
    try:
        done = bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--retries", "2"), code=None)
        assert done.code not in (0, 2)
        assert "HTTP 429, circuit_breaking_exception" in done.err and "limit of" in done.err
        assert exports.visible(tmp_path / "out") == []
        assert sum(FIRST_PAGE in line for line in proxy.requests) == 3
        again = bulkhaul("resume", "job", code=None)
        assert again.code not in (0, 2) and "circuit_breaking_exception" in again.err
        started = bulkhaul("copy", node.uri("logs"), tmp_path / "other", "--retries", "1",
                           "--retry-delay", "1ms", code=None)
        assert started.code not in (0, 2) and "circuit_breaking_exception" in started.err
    finally:
        node.change_settings(dict.fromkeys(BREAKERS))
    node.forget_scrolls()  # the node refused to be asked for that too
    bulkhaul("resume", "job")
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_circuit_breakers_come_back(bulkhaul, node, proxy, tmp_path):
    """After ten answers of 429 the node has room again, and the run goes on by itself."""
    def recover():
        faults.wait_until(lambda: proxy.statuses.count(429) >= 10, what="answers of 429")
        node.change_settings(dict.fromkeys(BREAKERS))

    proxy.inject(lambda: node.change_settings(BREAKERS), NEXT_PAGE, skip=2)
    with faults.in_background(recover):
        bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--unit-rows", "1000", "--retries",
                        "1000", "--retry-delay-max", "50ms"))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    node.forget_scrolls()  # of searches that it rejected half way


# Keeps the node's one search thread busy for some hundred milliseconds.
SLOW_SEARCH = {"size": 0, "query": {"script": {"script": """
    double sum = 0; for (int turn = 0; turn < 2000; turn++) { sum += Math.sqrt(turn) }
    return sum > 0"""}}}


@contextlib.contextmanager
def searches_of_others(node):
    """More at a time than the queue holds, from when the node begins to reject."""
    ended = threading.Event()
    rejected = threading.Event()

    def search():
        while not ended.is_set():
            try:
                node.call("POST", "/logs/_search", SLOW_SEARCH)
            except SearchError as error:
                assert error.status == 429
                rejected.set()

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        running = [pool.submit(search) for _ in range(24)]
        try:
            assert rejected.wait(timeout=60)
            yield
        finally:
            ended.set()
    for one in running:
        one.result()


def test_search_queue_is_full(bulkhaul, node, proxy, tmp_path):
    """One thread and a queue of 14, filled by others when the copy has begun."""
    if node.kind != "opensearch-3":
        return  # comes without Painless here, which the slow searches need
    report = tmp_path / "report.json"
    with contextlib.ExitStack() as others:
        def recover():
            faults.wait_until(lambda: proxy.statuses.count(429) >= 10, what="answers of 429")
            others.close()

        proxy.inject(lambda: others.enter_context(searches_of_others(node)), NEXT_PAGE, skip=2)
        with faults.in_background(recover):
            bulkhaul("copy", proxy.uri("logs"), tmp_path / "out", "--unit-rows", "60", "--workers",
                     "32", "--page-documents", "20", "--retries", "1000", "--retry-delay", "10ms",
                     "--retry-delay-max", "200ms", "--report", report)
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert json.loads(report.read_text())["totals"]["retries"] > 0
    # Of a search that it rejects half way the server keeps the context, and tells nobody its id.
    assert proxy.contexts_open == set()
    node.forget_scrolls()


def test_program_sleeps_longer_than_contexts_live(bulkhaul, node, proxy, tmp_path):
    """The node forgets them meanwhile; their units start again."""
    node.forget_scrolls()
    asks, goes_on = threading.Event(), threading.Event()

    def hold():
        asks.set()
        goes_on.wait()

    proxy.inject(hold, NEXT_PAGE, skip=2)
    process = bulkhaul.start(*words(proxy.uri("logs"), tmp_path / "out", "--scroll-keep-alive",
                                    "2s", "--slice", "none", "--retries", "50"))
    try:
        assert asks.wait(60 * faults.slowness()), process.poll()
        process.send_signal(signal.SIGSTOP)
        faults.wait_until(lambda: node.open_scrolls() == 0, what="the contexts' end")
        process.send_signal(signal.SIGCONT)
    finally:
        goes_on.set()
    bulkhaul.finish(process).check(0)
    assert sum(FIRST_PAGE in line for line in proxy.requests) >= 2
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_contexts_that_expired_name_the_setting(bulkhaul, node, proxy, tmp_path):
    """The second page is asked for when the node has ended the context."""
    node.forget_scrolls()
    proxy.inject(node.has_no_scroll_soon, NEXT_PAGE)
    done = bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--scroll-keep-alive", "1s",
                           "--retries", "0"), code=None)
    assert proxy.faults_done == 1
    assert done.code not in (0, 2)
    assert "scroll_keep_alive" in done.err
    assert exports.visible(tmp_path / "out") == []


def test_index_deleted_and_made_again(bulkhaul, node, proxy, tmp_path):
    """In the middle of the first one: the two indices are not put together."""
    node.create("twice", PROPERTIES)
    node.bulk("twice", documents())

    def make_again():
        node.call("DELETE", "/twice")
        node.create("twice", PROPERTIES)
        node.bulk("twice", documents(100, first=10_000))

    proxy.inject(make_again, NEXT_PAGE, skip=1)
    outcome = bulkhaul(*words(proxy.uri("twice"), tmp_path / "out", "--retries", "0", "--slice",
                              "none"), code=None)
    assert proxy.faults_done == 1
    assert outcome.code not in (0, 2)
    assert exports.visible(tmp_path / "out") == []


def test_hosts_of_two_clusters_are_not_put_together(bulkhaul, node, tmp_path):
    """They have an index of the same name; the first host plans the job."""
    other = SearchNode(node.kind)
    try:
        for one, first in ((node, 0), (other, 10_000)):
            one.create("mixed", PROPERTIES)
            one.bulk("mixed", documents(first=first))
        uri = f"opensearch://{node.address},{other.address}/mixed"
        outcome = bulkhaul(*words(uri, tmp_path / "out", "--workers", "2", "--unit-rows", "500"),
                           code=None)
        assert outcome.code not in (0, 2)
        assert "the source's hosts are of different clusters" in outcome.err
        assert exports.visible(tmp_path / "out") == []
    finally:
        other.stop()
        node.call("DELETE", "/mixed")


@pytest.fixture
def pair(node):
    """Two indices of their own; gives their URI's path."""
    for name, first in (("pair-a", 0), ("pair-b", DOCUMENTS)):
        node.create(name, PROPERTIES)
        node.bulk(name, documents(first=first))
    yield "pair-*"
    node.drop("pair-*")


def test_index_closed_mid_run(bulkhaul, node, proxy, pair, tmp_path):
    """Opened again, it is read by a resume, and the other one is not read twice."""
    proxy.inject(lambda: node.call("POST", "/pair-b/_close"), "/pair-b/_search?scroll")
    done = bulkhaul(*words(proxy.uri(pair), tmp_path / "out", "--workers", "1"), code=None)
    assert done.code not in (0, 2)
    assert "pair-b" in done.err and "closed" in done.err
    assert exports.visible(tmp_path / "out") == []
    node.call("POST", "/pair-b/_open?wait_for_active_shards=1")
    node.call("GET", "/_cluster/health/pair-b?wait_for_status=green")
    report = tmp_path / "report.json"
    bulkhaul("resume", "job", "--report", report)
    assert sequence(tmp_path / "out") == list(range(2 * DOCUMENTS))
    assert json.loads(report.read_text())["totals"]["units"] == 1


@pytest.mark.parametrize("verb,path", [("POST", "/pair-b/_close"), ("DELETE", "/pair-b")],
                         ids=["closed", "deleted"])
def test_other_tables_are_published_with_continue(bulkhaul, node, proxy, pair, tmp_path, verb,
                                                  path):
    """The index goes between its first page and its second."""
    job = tmp_path / "job.yaml"
    job.write_text(f"""
source: {proxy.uri("")}
destination: {tmp_path / "out"}
on_error: continue
retry_delay: 10ms
page_documents: 500
documents_per_second: 100000
workers: 1
tables: [pair-a, pair-b]
""")
    def go():
        node.call(verb, path)

    proxy.inject(lambda: proxy.inject(go, NEXT_PAGE), "/pair-b/_search?scroll")
    done = bulkhaul("run", job, code=3)
    assert proxy.faults_done == 2
    names = exports.visible(tmp_path / "out")
    assert "pair-b" in done.err and [name for name in names if "pair" in name] == ["pair-a"]
    assert exports.checksum(tmp_path / "out" / "pair-a").rows == DOCUMENTS


@pytest.mark.parametrize("stream", [True, False], ids=["data stream", "alias"])
def test_rollover_mid_run(bulkhaul, node, proxy, tmp_path, stream):
    """What was there when the job was planned is there, whole; what came later is not."""
    name = "rolling-stream" if stream else "rolling-alias"
    node.call("PUT", f"/_index_template/{name}", {
        "index_patterns": [f"{name}*"], "priority": 500, **({"data_stream": {}} if stream else {}),
        "template": {"settings": {"number_of_replicas": 0},
                     "mappings": {"properties": PROPERTIES}}})
    if not stream:
        node.call("PUT", f"/{name}-000001", {"aliases": {name: {"is_write_index": True}}})
    node.bulk(name, documents())

    def roll_over():
        node.call("POST", f"/{name}/_rollover")
        node.bulk(name, documents(100, first=DOCUMENTS))

    proxy.inject(roll_over, NEXT_PAGE, skip=2)
    bulkhaul(*words(proxy.uri(name), tmp_path / "out"))
    assert proxy.faults_done == 1
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    bulkhaul("copy", node.uri(name), tmp_path / "later")
    assert sequence(tmp_path / "later") == list(range(DOCUMENTS + 100))


def test_mapping_gains_a_field_mid_run(bulkhaul, node, proxy, pair, tmp_path):
    """Units that began are as they were; what a later one holds of the new field is reported."""
    later = [{**document, "fresh": "x"} for document in documents(100, first=2 * DOCUMENTS)]
    proxy.inject(lambda: node.bulk("pair-b", later), NEXT_PAGE, skip=2)
    done = bulkhaul(*words(proxy.uri(pair), tmp_path / "out", "--workers", "1"))
    table = exports.read(tmp_path / "out" / "pair")
    assert sorted(table["seq"].to_pylist()) == list(range(2 * DOCUMENTS + 100))
    assert "fresh" not in table.column_names
    assert "unmapped_values" in done.err + done.out
    bulkhaul("copy", node.uri(pair), tmp_path / "new")
    table = exports.read(tmp_path / "new" / "pair")
    assert [value for value in table["fresh"].to_pylist() if value is not None] == ["x"] * 100


def test_script_of_a_field_throws_in_one_index(bulkhaul, node, pair, tmp_path):
    """OpenSearch's derived fields; the servers of the other kinds come without Painless here."""
    if node.kind != "opensearch-3":
        return
    for index, wrong in (("pair-a", -1), ("pair-b", DOCUMENTS + 1700)):
        node.call("PUT", f"/{index}/_mapping", {"derived": {"twice": {
            "type": "long", "script": {"source": f"""
                if (doc['seq'].value == {wrong}L) throw new IllegalArgumentException('no luck');
                emit(doc['seq'].value * 2)"""}}}})
    done = bulkhaul(*words(node.uri(pair), tmp_path / "out", "--workers", "1"), code=None)
    assert done.code not in (0, 2)
    assert "pair-b" in done.err and "script_exception" in done.err and "no luck" in done.err
    assert done.err.count("retry") == 0
    assert exports.visible(tmp_path / "out") == []
    assert node.has_no_scroll_soon()
    bulkhaul("copy", node.uri("pair-a"), tmp_path / "one")
    found = exports.query(tmp_path / "one" / "pair-a", 
                          "SELECT count(*) FROM {rows} WHERE twice = 2 * seq")
    assert found == [(DOCUMENTS,)]


def test_first_host_dies_mid_run(bulkhaul, node, proxy, tmp_path):
    """Its context is still known to the cluster; the unit starts again over the other host."""
    dying = SearchProxy(node.address)
    dying.inject(dying.die, NEXT_PAGE, skip=2)
    uri = f"opensearch://127.0.0.1:{dying.port},127.0.0.1:{proxy.port}/logs"
    bulkhaul(*words(uri, tmp_path / "out", "--workers", "1"))
    assert dying.faults_done == 1 and proxy.requests
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert node.has_no_scroll_soon()


def test_a_count_that_cannot_be_held_to_is_in_the_report(bulkhaul, node, pair, tmp_path):
    """Documents came between the last page and the count, or who reads may not see _stats."""
    report = tmp_path / "report.json"
    for turn, (may_see, why) in enumerate([
            (True, "it was written to meanwhile"), (False, "does not say whether it was written")]):
        first = (2 + turn) * DOCUMENTS
        with SearchProxy(node.address,
                         allows=lambda _, path, *__: may_see or "_stats" not in path) as proxy:
            proxy.inject(lambda: node.bulk("pair-b", documents(100, first=first)), "/pair-b/_count")
            done = bulkhaul(*words(proxy.uri(pair), tmp_path / f"out{turn}", "--job-id",
                                   f"job{turn}", "--report", report))
        told = [line for line in json.loads(report.read_text())["warnings"] if "held to" in line]
        read = DOCUMENTS + 100 * turn
        assert len(told) == 1 and why in told[0], told
        assert f"{read:,} documents of index pair-b were read, the server counts {read + 100:,} now" in (
            told[0])
        assert f"warning: {told[0]}" in done.out


class ClosedDoor:
    """Accepts connections, counts and closes them."""

    def __init__(self):
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize("place", [0, 1])
def test_a_dead_host_is_tried_for_all_workers_once(bulkhaul, node, proxy, tmp_path, place):
    with ClosedDoor() as dead:
        ports = [dead.port, proxy.port] if place == 0 else [proxy.port, dead.port]
        uri = "opensearch://" + ",".join(f"127.0.0.1:{port}" for port in ports) + "/logs"
        bulkhaul(*words(uri, tmp_path / "out", "--workers", "16", "--unit-rows", "100"))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    # Once more after half a minute, and twice as long each time after that.
    assert 1 <= dead.connections <= 3


def test_one_request_of_the_planning_is_asked_again(bulkhaul, proxy):
    """And none of the others."""
    plan = ["plan", proxy.uri("logs"), "--q", "seq:>=0", "--unit-rows", "700", "--retry-delay", "1ms"]
    bulkhaul(*plan)
    clean = list(proxy.requests)
    assert len(clean) >= 7 and any("_validate" in line for line in clean)
    for number in range(len(clean)):
        proxy.requests.clear()
        proxy.inject((503, 429, "cut", "lose")[number % 4], "", skip=number)
        bulkhaul(*plan)
        assert proxy.requests == [*clean[:number + 1], *clean[number:]]


def test_a_request_of_the_planning_has_the_tries_of_retries(bulkhaul, proxy, tmp_path):
    proxy.inject(503, "_mapping", times=100)
    done = bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--retries", "2"), code=1)
    assert "HTTP 503" in done.err
    assert sum("_mapping" in line for line in proxy.requests) == 3
    assert sum("_resolve" in line for line in proxy.requests) == 1


def test_the_last_count_is_asked_again(bulkhaul, proxy, tmp_path):
    report = tmp_path / "report.json"
    proxy.inject(503, "/logs/_count")
    bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--report", report))
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))
    assert json.loads(report.read_text())["totals"]["retries"] == 1
    assert sum("_count" in line for line in proxy.requests) == 2
    assert sum(FIRST_PAGE in line for line in proxy.requests) == 1


def test_the_last_count_has_the_tries_of_retries(bulkhaul, proxy, tmp_path):
    proxy.inject(503, "/logs/_count", times=100)
    done = bulkhaul(*words(proxy.uri("logs"), tmp_path / "out", "--retries", "2"), code=1)
    assert "HTTP 503" in done.err
    assert sum("_count" in line for line in proxy.requests) == 3


def test_node_killed_and_restarted(bulkhaul, tmp_path):
    """Mid-run; what was not read yet is read after a resume."""
    node = SearchNode()
    try:
        for name, first in (("a", 0), ("b", DOCUMENTS)):
            node.create(f"logs-{name}", PROPERTIES)
            node.bulk(f"logs-{name}", documents(first=first))
            node.call("POST", f"/logs-{name}/_flush")
        with SearchProxy(node.address) as proxy:
            proxy.inject(node.crash, NEXT_PAGE, skip=6)  # of the second index; each has six pages
            uri = f"opensearch://127.0.0.1:{proxy.port},{node.address}/logs-*"
            outcome = bulkhaul(*words(uri, tmp_path / "out", "--retries", "0", "--slice", "none",
                                      "--workers", "1"), code=None)
            assert proxy.faults_done == 1
        assert outcome.code not in (0, 2)
        assert exports.visible(tmp_path / "out") == []
        node.start()
        bulkhaul("resume", "job")
        assert sequence(tmp_path / "out") == list(range(2 * DOCUMENTS))
    finally:
        node.stop()


def same_query_job(proxy, out, tmp_path, *, shrink: bool = False) -> list:
    job = tmp_path / "job.json"
    job.write_text(json.dumps({
        "source": proxy.uri("logs"), "destination": str(out), "queries": [
            {"name": "first", "sql": "seq:<2000"}, {"name": "second", "sql": "seq:<2000"},
            {"name": "other", "sql": "seq:>=2000"}],
        "shrink": shrink, "unit_rows": 700, "page_documents": 500}))
    return ["run", job, "--job-id", "job", "--report", tmp_path / "report.json"]


def check_same_query(out) -> None:
    expected = {"first": list(range(2000)), "second": list(range(2000)),
                "other": list(range(2000, DOCUMENTS))}
    for name, numbers in expected.items():
        assert exports.query(out / name, "SELECT seq FROM {rows} ORDER BY seq") == [
            (number,) for number in numbers], name


@pytest.mark.parametrize("shrink", [False, True])
def test_the_same_query_twice_is_read_once(bulkhaul, proxy, tmp_path, shrink):
    out = tmp_path / "out"
    bulkhaul(*same_query_job(proxy, out, tmp_path, shrink=shrink))
    check_same_query(out)
    bulkhaul("verify", out / "second")
    asked = [body for line, body in zip(proxy.requests, proxy.bodies) if FIRST_PAGE in line]
    assert len(asked) == len(set(asked)) > 3
    tables = {table["name"]: table for table in
              json.loads((tmp_path / "report.json").read_text())["tables"]}
    assert (tables["first"]["source_bytes"] > 0) != (tables["second"]["source_bytes"] > 0)
    assert any("read once" in line for name in ("first", "second")
               for line in tables[name]["explanations"])


@pytest.mark.parametrize("point", ["run.unit_duplicated", "run.unit_duplicated#2",
                                   "ledger.dataset_staged"])
def test_killed_while_a_twin_gets_its_rows(bulkhaul, proxy, tmp_path, point):
    out = tmp_path / "out"
    bulkhaul(*same_query_job(proxy, out, tmp_path), env={"BULKHAUL_CRASH_AT": point},
             code=faults.SIGKILLED)
    bulkhaul("resume", "job")
    check_same_query(out)


def test_when_the_one_fails_its_twin_fails_too(bulkhaul, node, proxy, tmp_path):
    out = tmp_path / "out"
    proxy.inject(500, FIRST_PAGE, times=100)
    done = bulkhaul(*same_query_job(proxy, out, tmp_path), "--on-error", "continue", "--retries",
                    "0", code=None)
    assert done.code not in (0, 2)
    assert exports.visible(out) == []
    proxy.forget_faults()
    bulkhaul("resume", "job")
    check_same_query(out)


@pytest.mark.parametrize("compress", ["auto", "", "false"])
def test_a_slow_network_is_asked_for_gzip(bulkhaul, node, proxy, tmp_path, compress):
    """From the page on that follows one that showed the speed."""
    node.create("wide", {"seq": {"type": "long"}, "text": {"type": "text", "index": False}})
    node.bulk("wide", [{"seq": number, "text": "word " * 1000} for number in range(600)])
    for page in (FIRST_PAGE.replace("logs", "wide"), NEXT_PAGE):
        proxy.inject("slow", page, times=100)
    wish = f"?compress={compress}" if compress else ""
    bulkhaul(*words(proxy.uri("wide") + wish, tmp_path / "out",
                    "--page-documents", "100", "--slice", "none"))
    node.drop("wide")
    asked = [headers.get("Accept-Encoding") for line, headers in
             zip(proxy.requests, proxy.headers) if line.startswith(NEXT_PAGE)]
    assert asked
    assert (asked[-1] == "gzip") == (compress != "false")
    assert sequence(tmp_path / "out") == list(range(600))
