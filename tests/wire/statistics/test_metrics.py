"""`/metrics`: what Prometheus' own parsers make of it."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator

import pytest

from fairlead.testing import FakeBackend
from harness.backend import free_port
from harness.balancer import Balancer, loopback, wait_for
from harness.config import site, table
from harness.sources import text

parser = pytest.importorskip("prometheus_client.parser", reason="misses prometheus-client")
openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def one() -> Iterator[FakeBackend]:
    with FakeBackend("one") as backend:
        yield backend


def _scrape(port: int, accept: str = "*/*") -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": accept})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, body
    return body, answer.headers["Content-Type"]


def _samples(families) -> Samples:
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} comes twice"
            found[key] = sample.value
    return found


@pytest.fixture
def site_with_traffic(fairlead, one) -> tuple[Balancer, int, str]:
    listen, port = loopback(), free_port()
    more = f'[admin]\nlisten = "127.0.0.1:{port}"'
    check = 'type = "tcp", interval = "100ms"'
    balancer = fairlead(config=site(listen, one.address, check=check, more=more))
    balancer.wait_for_health(one.address, "healthy")
    line = balancer.connect(listen)
    assert [line.get().status for _ in range(10)] == [200] * 10
    wait_for(lambda: balancer.listener()["requests_total"] == 10)
    return balancer, port, one.address


def test_prometheus_reads_it(site_with_traffic) -> None:
    _, port, address = site_with_traffic
    body, content_type = _scrape(port)
    samples = _samples(parser.text_string_to_metric_families(body))

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    backend = {"pool": "app", "backend": address}
    assert value("fairlead_requests_total", listener="web", code="200") == 10
    assert value("fairlead_connections_total", listener="web") >= 1
    assert value("fairlead_connections_active", listener="web") <= 1
    assert value("fairlead_backend_up", **backend) == 1
    assert value("fairlead_backend_requests_total", **backend) == 10
    assert value("fairlead_backend_checks_total", **backend, result="passed") >= 1
    assert value("fairlead_request_duration_seconds_count", listener="web") == 10
    assert value("fairlead_request_duration_seconds_bucket", listener="web", le="+Inf") == 10
    assert 0 < value("fairlead_request_duration_seconds_sum", listener="web") < 10
    assert value("fairlead_backend_health_changes_total", **backend, to="healthy") == 1
    assert value("fairlead_hedges_total", pool="app", result="sent") == 0
    assert value("fairlead_access_log_lines_total", result="lost") == 0
    assert value("fairlead_panics_total") == 0
    assert value("fairlead_events_total", event="applied") == 1
    assert value("process_open_fds") > 0


def test_openmetrics_reads_it_and_says_the_same(site_with_traffic) -> None:
    _, port, _ = site_with_traffic
    plain = _samples(parser.text_string_to_metric_families(_scrape(port)[0]))
    body, content_type = _scrape(port, "application/openmetrics-text; version=1.0.0")
    strict = _samples(openmetrics.text_string_to_metric_families(body))

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith("\n# EOF\n")
    assert set(strict) == set(plain)


def test_failures_are_told_by_reason(fairlead) -> None:
    listen, port = loopback(), free_port()
    gone = f"127.0.0.1:{free_port()}"
    more = f'[admin]\nlisten = "127.0.0.1:{port}"'
    balancer = fairlead(config=site(listen, gone, more=more))
    assert balancer.connect(listen).get().status == 503
    wait_for(lambda: balancer.listener()["requests_total"] == 1)
    samples = _samples(parser.text_string_to_metric_families(_scrape(port)[0]))

    reason = ("reason", "connect_refused")
    errors = ("fairlead_errors_total", frozenset([("listener", "web"), reason]))
    failures = frozenset([("pool", "app"), ("backend", gone), reason])
    assert samples[errors] == 1
    assert samples["fairlead_backend_failures_total", failures] >= 1


def test_groups_are_told_apart(fairlead, one) -> None:
    listen, port = loopback(), free_port()
    gone = f"127.0.0.1:{free_port()}"
    more = f'[admin]\nlisten = "127.0.0.1:{port}"'
    check = 'type = "tcp", interval = "100ms", fall = 1'
    balancer = fairlead(
        config=site(listen, gone, table(one.address, group=1), check=check, more=more)
    )
    balancer.wait_for_health(gone, "down")
    samples = _samples(parser.text_string_to_metric_families(_scrape(port)[0]))

    def of(name: str, **labels: str) -> float:
        return samples[name, frozenset({"pool": "app", **labels}.items())]

    assert of("fairlead_group_backends_available", group="0") == 0
    assert of("fairlead_group_backends_available", group="1") == 1
    assert of("fairlead_backend_info", backend=gone, group="0") == 1
    assert of("fairlead_backend_info", backend=one.address, group="1") == 1


def test_the_page_of_metrics_lists_them_all(site_with_traffic) -> None:
    _, port, _ = site_with_traffic
    page = text("docs/reference/metrics.md")
    told = set(re.findall(r"^# TYPE (\w+)", _scrape(port)[0], re.MULTILINE))
    listed = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))

    assert told == listed


@pytest.mark.alone
@pytest.mark.slow
def test_a_thousand_pools_are_told_without_holding_anybody_up(fairlead) -> None:
    """1,000 pools of 4 backends: another answer of the API comes while the text is made."""
    port = free_port()
    pools = "".join(
        f"[pools.p{pool}]\ncheck = {{ type = 'none' }}\nbackends = ["
        + ", ".join(f'"127.0.0.1:{1 + pool * 4 + index}"' for index in range(4))
        + "]\n"
        for pool in range(1000)
    )
    listen = loopback()
    balancer = fairlead(
        config=f'[listeners.web]\nbind = "{listen}"\npool = "p0"\n{pools}'
        f'[admin]\nlisten = "127.0.0.1:{port}"'
    )
    assert balancer.api("GET", "/healthz")[0] == 200
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asking.request("GET", "/metrics")
    begin = time.monotonic()
    assert balancer.api("GET", "/healthz")[0] == 200
    waited = time.monotonic() - begin
    body = asking.getresponse().read().decode()
    took = time.monotonic() - begin
    asking.close()

    families = list(parser.text_string_to_metric_families(body))
    up = next(family for family in families if family.name == "fairlead_backend_up")
    assert len(up.samples) == 4000
    # By far the shorter part: the loop answers while a thread of its own makes the text.
    assert waited < max(took / 2, 0.25), (waited, took)
