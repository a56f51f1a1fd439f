from __future__ import annotations

import pytest

from fairlead.config import plan
from fairlead.config.lower import lower, names
from fairlead.config.resolve import Answer
from harness.texts import APP, WEB, load, parse, wrong


def pool(text: str) -> plan.PoolPlan:
    return load(WEB + APP + text).value.pools[0]


def listener(text: str) -> plan.ListenerPlan:
    return load(WEB + text + APP).value.listeners[0]


def test_names_become_addresses_best_first():
    made = load(WEB + '[pools.app]\nbackends = ["both:80", "10.0.0.1:1", "[::1]:2", "unix:/a"]\n')

    assert [backend.endpoints for backend in made.value.pools[0].backends] == [
        (plan.Tcp("[2001:db8::7]:80"), plan.Tcp("192.0.2.7:80")),
        (plan.Tcp("10.0.0.1:1"),),
        (plan.Tcp("[::1]:2"),),
        (plan.Unix("/a"),),
    ]
    assert made.value.pools[0].backends[0].address == "both:80"


def test_each_name_is_asked_for_once_whatever_its_case():
    backends = '[pools.app]\nbackends = ["app1:80", "APP1:81", "app2:80", "1.2.3.4:80"]\n'

    assert list(names(parse(WEB + backends).config)) == ["app1", "app2"]


def test_a_name_without_an_address_has_a_place():
    errors = wrong(
        '[listeners.web]\nbind = "gone1:80"\npool = "app"\n'
        '[pools.app]\nbackends = ["gone2:80", { address = "gone3:80" }]\n'
    )

    assert [(error.code, error.place.text) for error in errors] == [
        ("name.unresolved", '"gone1:80"'),
        ("name.unresolved", '"gone2:80"'),
        ("name.unresolved", '"gone3:80"'),
    ]
    assert "name or service not known" in errors[0].found


def test_where_to_listen():
    text = '[listeners.web]\nbind = [":80", "127.0.0.1:81", "both:82", "unix:/a"]\npool = "app"\n'

    assert load(text + APP).value.listeners[0].bind == (
        plan.AnyAddress(80),
        plan.Tcp("127.0.0.1:81"),
        plan.Tcp("[2001:db8::7]:82"),
        plan.Tcp("192.0.2.7:82"),
        plan.Unix("/a"),
    )


def test_pools_are_named_by_their_index():
    text = WEB + '[[listeners.web.routes]]\npath = "/"\npool = "other"\n' + APP
    made = load(text + APP.replace("app", "other")).value.listeners[0]

    assert (made.pool, made.routes[0].pool) == (0, 1)


def test_a_listener_of_routes_only_has_no_pool():
    text = '[listeners.web]\nbind = ":0"\n[[listeners.web.routes]]\npool = "app"\n'

    assert load(text + APP).value.listeners[0].pool is None


def test_conditions_of_routes():
    route = '[[listeners.web.routes]]\npool = "app"\n'
    made = listener(
        route
        + 'host = "A.example.com"\npath = "/v1/"\nmethod = "get"\nheader = ["A", "B: c: d", "E:"]\n'
        + route
        + 'host = "*.example.com"\npath_exact = "/v1"\n'
        + route
        + 'path_regex = "^/v[12]"\n'
        + route
    ).routes

    assert made[0] == plan.RoutePlan(
        plan.Exact("a.example.com"),
        plan.Prefix("/v1/"),
        ("GET",),
        (("a", None), ("b", "c: d"), ("e", "")),
        0,
    )
    assert (made[1].host, made[1].path) == (plan.Below("example.com"), plan.Exact("/v1"))
    assert made[2].path == plan.Regex("^/v[12]")
    assert made[3] == plan.RoutePlan(None, None, (), (), 0)


def test_durations_are_milliseconds():
    made = listener("").timeouts

    assert made == plan.ListenerTimeouts(10_000, 30_000, 60_000, 3_600_000)
    assert pool("").timeouts == plan.PoolTimeouts(1_000, 30_000, 30_000, 60_000)


def test_idle_tcp_connections_may_live_longer():
    assert listener('protocol = "tcp"\n').timeouts.idle == 3_600_000
    assert listener('protocol = "tcp"\ntimeouts = { idle = "5s" }\n').timeouts.idle == 5_000


def test_connections_are_derived_from_the_file_limit():
    config = parse(WEB + APP).config

    def connections(descriptors: int) -> int:
        made = lower(config, {}, descriptors)
        assert made.limits is not None
        assert made.listeners[0].limits.connections == made.limits.connections
        return made.limits.connections

    assert connections(1024) == 448
    assert connections(256) == 88
    assert connections(64) == 8
    assert connections(1 << 30) == 1_000_000
    assert listener("limits = { connections = 7 }\n").limits.connections == 7


def test_a_name_in_via_is_for_http_and_can_be_left_out():
    assert listener("").via == "fairlead"
    assert listener('via = "edge-1"\n').via == "edge-1"
    assert listener('via = "off"\n').via is None
    assert listener('protocol = "tcp"\n').via is None


@pytest.mark.parametrize(
    ("written", "overall", "of_listener"),
    [
        ("", 448, 448),
        ("[limits]\nconnections = 100\n", 100, 100),
        # A listener that asks for more than half of the descriptors gets it; what there is no
        # descriptor for nobody gets.
        ("[listeners.web.limits]\nconnections = 600\n", 600, 600),
        ("[listeners.web.limits]\nconnections = 10000\n", 896, 10000),
        ("[limits]\nconnections = 10000\n", 896, 896),
    ],
)
def test_no_more_clients_are_let_in_than_there_are_descriptors_for(written, overall, of_listener):
    made = lower(parse(WEB + APP + written).config, {}, 1024)

    assert made.limits == plan.OverallLimits(overall)
    assert made.listeners[0].limits.connections == of_listener


def test_half_of_the_memory_is_for_this_process():
    def memory(text: str, of_machine: int | None) -> int | None:
        made = lower(parse(WEB + APP + text).config, {}, 1024, memory=of_machine)
        assert made.limits is not None
        return made.limits.memory

    assert memory("", 8 << 30) == 4 << 30
    assert memory("", 32 << 20) == 64 << 20
    assert memory("", None) is None
    assert memory('[limits]\nmemory = "1GiB"\n', 8 << 30) == 1 << 30


def test_no_limit_is_none():
    made = listener(
        'limits = { connections_per_client = "none", requests = 5, min_rate = "none" }\n'
    ).limits

    assert (made.connections_per_client, made.requests, made.min_rate) == (None, 5, None)
    assert listener("").limits.min_rate == 240


def test_limits_of_chunks_go_to_the_engine():
    made = listener(
        'limits = { trailers = 0, trailer_bytes = "1KiB", chunk_line = "32B", '
        'chunk_excess = "0B" }\n'
    ).limits
    usual = listener("").limits

    assert (made.trailers, made.trailer_bytes) == (0, 1024)
    assert (made.chunk_line, made.chunk_excess) == (32, 0)
    assert (usual.trailers, usual.trailer_bytes) == (32, 8192)
    assert (usual.chunk_line, usual.chunk_excess) == (256, 16_384)


def test_networks_have_one_spelling():
    made = listener('trusted_proxies = ["10.0.0.0/8", "FD00:0::/16", "::1"]\n')

    assert made.trusted_proxies == (
        plan.Network("10.0.0.0", 8),
        plan.Network("fd00::", 16),
        plan.Network("::1", 128),
    )


def test_what_is_hashed():
    assert pool("").hash_on == "source_ip"
    for text, value in [
        ("path", "path"),
        ("header:X-User", plan.Header("x-user")),
        ("cookie:id", plan.Cookie("id")),
    ]:
        assert pool(f'policy = "hash"\nhash_on = "{text}"\n').hash_on == value


def test_checks():
    assert pool("").check == plan.CheckPlan("tcp", 2_000, 500, 1_000, 2, 3)
    assert pool('check = { type = "none" }\n').check.kind == "none"
    assert pool('check = { type = "command", command = "true" }\n').check.kind == "external"
    assert pool('check = { type = "http", host = "a" }\n').check.kind == plan.Http(
        plan.HttpCheck("GET", "/", "a", ((200, 399),))
    )


def test_retries():
    assert pool("").retry == plan.Retry(3, 1, 0, True, 200, 0)
    assert pool(
        'retry = { hedge = "off", budget = "0.05%", delay = "10ms", hold = "2s" }\n'
    ).retry == (plan.Retry(3, 1, 10, False, 5, 2000))


def test_backends_keep_what_was_said_of_them():
    text = WEB + (
        '[pools.app]\nsource = "10.0.0.9"\nbackends = [{ address = "10.0.0.1:1", weight = 0, '
        'group = 2, max_connections = 5, state = "disabled" }]\n'
    )
    made = load(text).value.pools[0]

    assert made.source == "10.0.0.9"
    assert made.backends[0] == plan.BackendPlan(
        "10.0.0.1:1", (plan.Tcp("10.0.0.1:1"),), 0, 2, 5, "disabled"
    )


def test_the_access_log():
    assert load(WEB + APP).value.access_log is None
    assert load('access_log = "-"\n' + WEB + APP).value.access_log == plan.AccessLog("-", "json")


def test_link_local_addresses_keep_their_interface():
    config = parse(WEB + '[pools.app]\nbackends = ["near:80"]\n').config
    made = lower(config, {"near": Answer(("fe80::1%2",))}, 1024)

    assert made.pools[0].backends[0].endpoints == (plan.Tcp("[fe80::1%2]:80"),)


def test_how_keys_are_placed_and_which_groups_do_otherwise():
    assert (pool("").hash_table, pool("").groups) == ("maglev", ())
    made = pool(
        'policy = "hash"\nhash_table = "fixed"\n'
        '[[pools.app.groups]]\ngroup = 0\npolicy = "random"\n'
    )

    assert made.hash_table == "fixed"
    assert made.groups == (plan.GroupPlan(0, "random"),)
