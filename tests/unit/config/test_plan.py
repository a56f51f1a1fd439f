from __future__ import annotations

import re

import msgspec
import pytest

from fairlead.config import plan
from harness.sources import text

RUST = "".join(
    text(f"crates/fairlead-model/src/{name}.rs")
    for name in ("plan", "plan/listener", "plan/pool", "backend")
)

# Ours by theirs, where the names differ.
MIRRORED = {
    "Plan": plan.Plan,
    "PlanLimits": plan.OverallLimits,
    "AccessLogPlan": plan.AccessLog,
    "ListenerPlan": plan.ListenerPlan,
    "RoutePlan": plan.RoutePlan,
    "ListenerTimeouts": plan.ListenerTimeouts,
    "ListenerLimits": plan.Limits,
    "Network": plan.Network,
    "PoolPlan": plan.PoolPlan,
    "GroupPlan": plan.GroupPlan,
    "Keepalive": plan.Keepalive,
    "PythonPlan": plan.Python,
    "BackendPlan": plan.BackendPlan,
    "CheckPlan": plan.CheckPlan,
    "PoolTimeouts": plan.PoolTimeouts,
    "RetryPlan": plan.Retry,
    "OutlierPlan": plan.Outlier,
}


@pytest.mark.parametrize("name", MIRRORED)
def test_structures_have_the_engines_fields(name):
    body = re.search(rf"pub struct {name} \{{(.*?)\n\}}", RUST, re.DOTALL)
    assert body is not None
    fields = re.findall(r"^    pub (\w+):", body[1], re.MULTILINE)

    assert list(MIRRORED[name].__struct_fields__) == fields


def test_every_structure_of_the_engine_is_mirrored():
    assert set(re.findall(r"pub struct (\w+) \{", RUST)) == set(MIRRORED)


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (plan.AnyAddress(80), b'{"any":80}'),
        (plan.Tcp("[::1]:80"), b'{"tcp":"[::1]:80"}'),
        (plan.Unix("/a"), b'{"unix":"/a"}'),
        (plan.Exact("a"), b'{"exact":"a"}'),
        (plan.Below("a"), b'{"below":"a"}'),
        (plan.Prefix("/"), b'{"prefix":"/"}'),
        (plan.Regex("/"), b'{"regex":"/"}'),
        (plan.Header("x"), b'{"header":"x"}'),
        (plan.Cookie("x"), b'{"cookie":"x"}'),
        (
            plan.Http(plan.HttpCheck("GET", "/", None, ((200, 399),))),
            b'{"http":{"method":"GET","path":"/","host":null,"expect_status":[[200,399]]}}',
        ),
    ],
)
def test_variants_are_written_as_the_engine_reads_them(value, json):
    assert msgspec.json.encode(value) == json


def test_plans_are_values():
    empty = plan.Plan((), (), 30_000)

    assert empty == plan.Plan((), (), 30_000)
    assert hash(empty) == hash(plan.Plan((), (), 30_000))
    assert empty.encode() == b'{"listeners":[],"pools":[],"shutdown_timeout":30000}'
