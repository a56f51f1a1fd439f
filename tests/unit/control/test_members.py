"""Backends added and removed at run time: what holds beside which configuration."""

from fairlead.config.schema import Backend, Config, Listener, Pool
from fairlead.control.members import Members


def config(*backends, **pools):
    rows = tuple(row if isinstance(row, Backend) else Backend(row) for row in backends)
    more = {name: Pool(backends=(Backend(row),)) for name, row in pools.items()}
    return Config(
        listeners={"web": Listener(bind=(":80",), pool="app")},
        pools={"app": Pool(backends=rows), **more},
    )


def addresses(config):
    return [row.address for row in config.pools["app"].backends]


def test_added_ones_stand_behind_those_that_are_configured():
    members = Members().add("app", Backend("c:1", 3))

    assert addresses(members.apply(config("a:1", "b:1"))) == ["a:1", "b:1", "c:1"]
    assert not Members()
    assert Members().apply(config("a:1")) == config("a:1")


def test_what_was_added_and_removed_again_leaves_no_trace():
    members = Members().add("app", Backend("c:1")).remove("app", "c:1", config("a:1"))

    assert not members


def test_removed_ones_stay_out_until_their_row_changes():
    members = Members().remove("app", "a:1", config("a:1", "b:1"))

    assert addresses(members.apply(config("a:1", "b:1"))) == ["b:1"]
    assert members.fit(config("a:1", "b:1")) == (members, [])
    kept, told = members.fit(config(Backend("a:1", 5), "b:1"))
    assert (bool(kept), told) == (
        False,
        ["app/a:1 was changed in the configuration: it is back"],
    )
    assert members.fit(config("b:1")) == (Members(), [])


def test_a_configuration_that_has_an_added_one_takes_it_over():
    members = Members().add("app", Backend("c:1", 3))
    kept, told = members.fit(config("a:1", "c:1"))

    assert not kept
    assert told == ["app/c:1 was added at run time and is in the configuration now"]


def test_a_pool_that_goes_takes_its_added_ones_with_it():
    members = Members().add("other", Backend("c:1")).add("app", Backend("d:1"))
    kept, told = members.fit(config("a:1"))

    assert list(kept.added) == [("app", "d:1")]
    assert told == ["other/c:1 is gone with its pool: it was added at run time"]


def test_one_that_is_configured_can_be_put_back_or_replaced():
    removed = Members().remove("app", "a:1", config("a:1", "b:1"))

    assert not removed.add("app", Backend("a:1"))
    replaced = removed.add("app", Backend("a:1", 7))
    rows = replaced.apply(config("a:1", "b:1")).pools["app"].backends
    assert [(row.address, row.weight) for row in rows] == [("b:1", 1), ("a:1", 7)]
    assert replaced.fit(config("a:1", "b:1")) == (replaced, [])
    kept, _ = replaced.fit(config(Backend("a:1", 2), "b:1"))
    assert not kept
