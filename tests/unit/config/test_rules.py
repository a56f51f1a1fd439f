from __future__ import annotations

import pytest

from harness.texts import APP, WEB, load, told, wrong

DB = '[listeners.db]\nbind = ":1"\nprotocol = "tcp"\npool = "app"\n'


def codes(text: str) -> list[str]:
    return [code for code, _ in told(text)]


def test_a_configuration_that_breaks_no_rule():
    assert load(WEB + DB + APP)


def test_there_is_at_least_one_listener():
    assert codes("listeners = {}\n" + APP) == ["list.empty"]
    assert codes("listeners = { web = 5 }\n" + APP) == ["type"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (":80", ":80"),
        (":80", "0.0.0.0:80"),
        ("[::]:80", ":80"),
        (":80", "127.0.0.1:80"),
        ("127.0.0.1:80", ":80"),
        ("[::1]:80", "[::]:80"),
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("localhost:80", "LOCALHOST:80"),
        ("unix:/a", "unix:/a"),
    ],
)
def test_an_address_is_listened_at_once(one, other):
    text = f'[listeners.a]\nbind = "{one}"\npool = "app"\n[listeners.b]\nbind = "{other}"\n'
    [error] = wrong(text + 'pool = "app"\n' + APP)

    assert error.code == "bind.duplicate"
    assert "listener `a`" in error.found
    assert (error.hint is None) == (one == other)


@pytest.mark.parametrize(
    "binds",
    [
        '[":0", ":0"]',
        '["0.0.0.0:80", "[::]:80"]',
        '["127.0.0.1:80", "127.0.0.2:80"]',
        '["127.0.0.1:80", "[::]:80"]',
        '[":80", ":81", "127.0.0.1:82"]',
    ],
)
def test_addresses_that_do_not_clash(binds):
    assert load(f'[listeners.a]\nbind = {binds}\npool = "app"\n' + APP)


def test_one_listener_may_not_clash_with_itself_nor_with_the_admin():
    assert codes('[listeners.a]\nbind = [":80", "0.0.0.0:80"]\npool = "app"\n' + APP) == [
        "bind.duplicate"
    ]
    admin = '[admin]\nlisten = "127.0.0.1:80"\n'
    web = '[listeners.a]\nbind = "127.0.0.1:80"\npool = "app"\n'
    assert codes(admin + web + APP) == ["bind.duplicate"]


def test_a_listener_sends_somewhere():
    assert codes('[listeners.web]\nbind = ":0"\n' + APP) == ["key.missing"]
    assert codes('[listeners.web]\nbind = ":0"\nprotocol = "tcp"\n' + APP) == ["key.missing"]


def test_routes_alone_are_enough():
    text = '[listeners.web]\nbind = ":0"\n[[listeners.web.routes]]\npath = "/"\npool = "app"\n'

    assert load(text + APP)


def test_a_wrong_pool_or_route_is_not_a_missing_one():
    assert codes('[listeners.web]\nbind = ":0"\npool = 3\n' + APP) == ["type"]
    assert codes('[listeners.web]\nbind = ":0"\nroutes = 3\n' + APP) == ["type"]


def test_tcp_has_no_routes():
    route = '[[listeners.db.routes]]\npath = "/"\npool = "app"\n'

    assert codes(DB + route + APP) == ["route.tcp"]


def test_pools_that_are_named_exist():
    [error] = wrong(WEB.replace('"app"', '"ap"') + APP)
    assert (error.code, error.hint) == ("pool.unknown", "did you mean `app`?")

    route = '[[listeners.web.routes]]\npath = "/"\npool = "zzz"\n'
    [error] = wrong(WEB + route + APP)
    assert (error.expected, error.hint) == ("`app`, the only pool", "add `[pools.zzz]`")


def test_many_pools_are_not_all_listed():
    pools = "".join(f'[pools.p{n}]\nbackends = ["127.0.0.1:{n + 1}"]\n' for n in range(7))
    [error] = wrong(WEB + pools)

    assert error.expected == "one of `p0`, `p1`, `p2`, `p3`, `p4` and 2 more"


def test_without_any_pool_none_is_listed():
    assert [error.expected for error in wrong("pools = {}\n" + WEB)] == ["the name of a pool"]


def test_without_pools_it_is_not_told_that_each_is_missing():
    assert codes(WEB) == ["key.missing"]


def test_a_pool_that_is_wrong_is_there_all_the_same():
    assert codes(WEB + '[pools.app]\nbackends = ["x"]\n') == ["address.form"]


def test_a_route_has_one_condition_on_the_path():
    route = '[[listeners.web.routes]]\npath = "/"\npath_regex = "^/"\npool = "app"\n'

    assert codes(WEB + route + APP) == ["route.paths"]


@pytest.mark.parametrize(
    "backends",
    ['["a:1", "a:1"]', '["a:1", "A:1"]', '["a:80", "http://a"]', '["unix:/a", "unix:/a"]'],
)
def test_a_backend_is_in_a_pool_once(backends):
    [error] = wrong(WEB + f"[pools.app]\nbackends = {backends}\n")

    assert error.code == "backend.duplicate"


def test_the_same_backend_may_be_in_two_pools():
    assert load(WEB + APP + APP.replace("app", "other"))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ('path = "/"', ["check.key"]),
        ('type = "none"\nhost = "a"\nmethod = "GET"', ["check.key", "check.key"]),
        ('type = "http"\ncommand = "true"', ["check.key"]),
        ('type = "command"', ["key.missing"]),
        ('type = "grpc"\npath = "/"', ["unavailable"]),
    ],
)
def test_keys_of_a_check_fit_its_type(check, expected):
    assert codes(WEB + APP + "[pools.app.check]\n" + check + "\n") == expected


def test_a_command_check_has_a_command():
    assert load(WEB + APP + '[pools.app.check]\ntype = "command"\ncommand = "true"\n')


def test_the_default_of_another_type_is_no_mistake():
    defaults = '[defaults.check]\ntype = "http"\npath = "/up"\n'

    assert load(WEB + APP + '[pools.app.check]\ntype = "tcp"\n' + defaults)


def test_a_command_that_defaults_ask_for_is_missed():
    assert codes(WEB + APP + '[defaults.check]\ntype = "command"\n') == ["key.missing"]


def test_what_is_hashed_is_said_beside_the_policy():
    assert codes(WEB + APP + 'hash_on = "path"\n') == ["policy.key"]
    assert codes(WEB + APP + 'hash_on = "path"\npolicy = "hsah"\n') == ["value.unknown"]
    assert load(WEB + APP + 'hash_on = "path"\npolicy = "hash"\n')
    assert load(WEB + APP + '[defaults]\nhash_on = "path"\n')


def test_tcp_has_only_addresses_to_hash():
    assert codes(DB + APP + 'hash_on = "path"\npolicy = "hash"\n') == ["policy.key"]
    assert load(DB + APP + 'hash_on = "source-ip"\npolicy = "hash"\n')


def test_a_groups_policy_makes_the_keys_of_hashing_mean_something():
    group = '[[pools.app.groups]]\ngroup = 0\npolicy = "hash"\n'

    assert codes(WEB + APP + 'hash_table = "modulo"\n') == ["policy.key"]
    assert load(WEB + APP + 'hash_table = "modulo"\n' + group)
    assert codes(DB + APP + 'hash_on = "path"\n' + group) == ["policy.key"]


def test_groups_with_a_policy_of_their_own_exist_and_come_once():
    group = '[[pools.app.groups]]\ngroup = %d\npolicy = "first"\n'

    assert load(WEB + APP + group % 0)
    assert codes(WEB + APP + group % 1) == ["group.unknown"]
    assert codes(WEB + APP + group % 0 + group % 0) == ["group.duplicate"]
