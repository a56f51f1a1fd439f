from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.config.compare import compare
from harness.texts import load

BASE = """
shutdown_timeout = "30s"
[listeners.web]
bind = ":80"
pool = "app"
[[listeners.web.routes]]
path = "/api"
pool = "api"
[pools.app]
backends = ["app1:80", "app2:80"]
[pools.api]
backends = ["app3:80"]
"""


def steps(text: str, base: str = BASE) -> list[str]:
    return [str(step) for step in compare(load(base).value, load(text).value)]


def test_equal_plans_have_no_steps_between_them():
    assert steps(BASE) == []
    assert steps(BASE.replace("[pools.app]", "# words\n[pools.app]")) == []


def test_backends_come_go_and_change():
    text = BASE.replace('"app1:80", "app2:80"', '"app2:80*3", "app4:80"')

    assert steps(text) == [
        "remove backend app/app1:80",
        "change backend app/app2:80: weight",
        "add backend app/app4:80",
    ]


def test_pools_and_listeners_come_and_go():
    text = BASE + '[listeners.db]\nbind = ":81"\nprotocol = "tcp"\npool = "db"\n'
    text += '[pools.db]\nbackends = ["app5:80"]\n'

    assert steps(text) == ["add pool db", "add listener db"]
    assert steps(BASE, text) == ["remove pool db", "remove listener db"]


def test_keys_that_change_are_named():
    text = BASE.replace('pool = "app"', 'pool = "app"\ntimeouts = { head = "1s" }')
    text = text.replace('shutdown_timeout = "30s"', 'shutdown_timeout = "9s"')
    text = text.replace("[pools.api]", '[pools.api]\npolicy = "random"\ncheck = { fall = 9 }')

    assert steps(text) == [
        "change shutdown_timeout",
        "change pool api: policy, check",
        "change listener web: timeouts",
    ]


def test_the_access_log_may_change():
    assert steps('access_log = "-"\n' + BASE) == ["change access_log"]


def test_a_name_that_resolves_elsewhere_is_a_change():
    old = load(BASE.replace('"app1:80"', '"app1:80"'))
    moved = old.value.encode().replace(b"192.0.2.1:80", b"192.0.2.77:80")

    assert moved != old.plan


def test_order_counts_for_backends_and_means_nothing_for_pools_of_listeners():
    text = BASE.replace('"app1:80", "app2:80"', '"app2:80", "app1:80"')
    assert steps(text) == ["reorder backends of app"]

    app, api = '[pools.app]\nbackends = ["app1:80", "app2:80"]\n', BASE.partition("[pools.api]")[2]
    swapped = BASE.partition("[pools.app]")[0] + "[pools.api]" + api + app
    assert steps(swapped) == ["reorder pools"]


def test_a_listener_that_loses_its_pool():
    text = BASE.replace('bind = ":80"\npool = "app"', 'bind = ":80"')

    assert steps(text) == ["change listener web: pool"]


VARIANTS = st.fixed_dictionaries(
    {
        "backends": st.permutations(["app1:80", "app2:80*2", "app3:80"]).map(lambda all_: all_[:2]),
        "policy": st.sampled_from(["first", "random"]),
        "head": st.sampled_from(["1s", "2s"]),
        "pools": st.permutations(["app", "api"]),
    }
)


def text_of(variant: dict) -> str:
    backends = ", ".join(f'"{each}"' for each in variant["backends"])
    body = "".join(
        f'[pools.{name}]\npolicy = "{variant["policy"]}"\nbackends = [{backends}]\n'
        for name in variant["pools"]
    )
    return (
        f'[listeners.web]\nbind = ":80"\npool = "app"\ntimeouts.head = "{variant["head"]}"\n' + body
    )


@settings(deadline=None)
@given(VARIANTS, VARIANTS)
def test_there_are_steps_if_and_only_if_plans_differ(one, other):
    old, new = load(text_of(one)).value, load(text_of(other)).value

    assert bool(compare(old, new)) == (old != new)
