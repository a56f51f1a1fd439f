"""Configurations at random, right by construction, for laws that hold for all of them.

Made from a seed and not by hypothesis: a configuration has a hundred values, and drawing each as a
strategy takes longer than what is tested.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from fairlead.config import schema, schema_keepalive, schema_limits, schema_pool

T = TypeVar("T")

_NAME = "abcz019_.-"
_TEXT = 'abc XYZ019"\\#[]{}=,.;:$%äß日\N{GRINNING FACE}'
_NETWORKS = ("10.0.0.0/8", "::1/128", "fd00::/8", "192.168.1.7/32")
_ADMINS = ("127.0.0.1:9", "unix:/run/admin", "localhost:9")


def config(seed: int) -> schema.Config:
    """The configuration of this seed."""
    return _Maker(random.Random(seed)).config()


class _Maker:
    def __init__(self, source: random.Random) -> None:
        self._source = source

    def config(self) -> schema.Config:
        number, maybe = self._source.randint, self._maybe
        pools = self._names()
        return schema.Config(
            workers=number(0, 9),
            io=self._one(("epoll", "uring", "auto")),
            shutdown_timeout=self._duration(0),
            user=maybe(lambda: self._one(("fairlead", "www-data:adm"))),
            access_log=maybe(
                lambda: schema.AccessLog(
                    to=self._one(("-", "/var/log/a b")), format=self._one(("json", "combined"))
                )
            ),
            admin=maybe(self._admin),
            limits=schema_limits.OverallLimits(
                connections=maybe(lambda: number(1, 10_000)),
                memory=maybe(lambda: number(64 << 20, 1 << 40)),
            ),
            chaos=schema.Chaos(enabled=self._one((False, True))),
            listeners={
                name: self._listener(list(pools), place) for place, name in enumerate(self._names())
            },
            pools={name: self._pool() for name in pools},
        )

    def _admin(self) -> schema.Admin:
        secret = self._one(("", "token", "token_file"))
        shown = {"token": "0123456789abcdef", "token_file": "/run/secret"}
        more = {secret: shown[secret]} if secret else {}
        hosts = self._many(lambda: self._one(("lb1.example.com", "lb2")))
        return schema.Admin(listen=self._one(_ADMINS), hosts=tuple(dict.fromkeys(hosts)), **more)

    def _keepalive(self) -> schema_keepalive.Keepalive:
        number = self._source.randint
        idle, interval = timedelta(seconds=number(1, 99)), timedelta(seconds=number(1, 99))
        return schema_keepalive.Keepalive(idle=idle, interval=interval, probes=number(1, 127))

    def _listener(self, pools: list[str], place: int) -> schema.Listener:
        number = self._source.randint
        is_http = self._source.random() < 0.7
        ports = self._source.sample(range(1000), number(1, 3))
        trusted = self._many(lambda: self._one(_NETWORKS))
        return schema.Listener(
            bind=tuple(f":{1000 + 1000 * place + port}" for port in ports),
            protocol="http" if is_http else "tcp",
            pool=self._one(pools),
            routes=self._many(lambda: self._route(pools)) if is_http else (),
            timeouts=schema.ListenerTimeouts(
                head=self._duration(),
                body=self._duration(),
                idle=self._maybe(self._duration),
                tunnel=self._duration(),
            ),
            limits=schema.Limits(
                head=number(256, 1 << 20),
                headers=number(1, 1024),
                target=self._maybe(lambda: number(16, 1 << 20)),
                pipelined=number(1024, 1 << 20),
                body=self._maybe(lambda: number(0, 1 << 40)),
                connections=self._maybe(lambda: number(1, 10_000)),
                connections_per_client=self._maybe(lambda: number(1, 10_000)),
                requests=self._maybe(lambda: number(1, 10_000)),
                min_rate=self._maybe(lambda: number(1, 10_000)),
                trailers=number(0, 1024),
                trailer_bytes=number(16, 1 << 20),
                chunk_line=number(32, 1 << 16),
                chunk_excess=number(0, 1 << 24),
            ),
            tcp_keepalive=self._maybe(self._keepalive),
            via=self._one(("fairlead", "off", "edge-1")),
            trusted_proxies=trusted,
            proxy_protocol=bool(trusted) and self._one((True, False)),
        )

    def _route(self, pools: list[str]) -> schema.Route:
        kind = self._one(("path", "path_exact", "path_regex", ""))
        path = {kind: self._path()} if kind else {}
        if kind == "path_regex":
            path = {kind: "^/[a-z]+$"}
        return schema.Route(
            host=self._maybe(lambda: self._one(("a.example.com", "*.example.com", "[::1]"))),
            method=self._many(lambda: self._one(("GET", "POST", "PURGE"))),
            header=self._many(lambda: self._one(("x-a", "x-b: 1", "x-c: d: e", "x-f: "))),
            pool=self._one(pools),
            **path,
        )

    def _pool(self) -> schema.Pool:
        number = self._source.randint
        policy = self._one((*schema.POLICIES, "my.policies:Cheapest"))
        ports = self._source.sample(range(1, 65_536), number(1, 5))
        backends = tuple(map(self._backend, ports))
        present = sorted({backend.group for backend in backends})
        chosen = self._source.sample(present, number(0, len(present)))
        groups = tuple(
            schema_pool.Group(group=group, policy=self._one(schema.POLICIES)) for group in chosen
        )
        more: dict[str, object] = {}
        if ":" in policy:
            more = {"policy_timeout": self._duration(), "body_prefix": number(0, 32 * 1024)}
        if "hash" in (policy, *(group.policy for group in groups)):
            more["hash_table"] = self._one(("maglev", "modulo", "fixed"))
        return schema.Pool(
            policy=policy,
            # A pool that a tcp listener may use.
            hash_on="source-ip",
            groups=groups,
            backends=backends,
            **more,
            check=self._check(),
            timeouts=schema.PoolTimeouts(
                connect=self._duration(),
                response=self._duration(),
                idle=self._duration(),
                keepalive=self._duration(),
            ),
            retry=schema.Retry(
                attempts=number(1, 64),
                same_backend=number(1, 64),
                delay=self._duration(0),
                hedge=self._one(("auto", "off")),
                budget=number(0, 10_000) / 10_000,
                hold=self._duration(0),
            ),
            outlier=schema.Outlier(
                max_ejected=number(0, 10_000) / 10_000, latency=self._one(("auto", "off"))
            ),
            slow_start=self._duration(0),
            source=self._maybe(lambda: self._one(("10.0.0.1", "::1"))),
            tcp_keepalive=self._maybe(self._keepalive),
            proxy_protocol=self._maybe(lambda: self._one(("v1", "v2"))),
        )

    def _backend(self, port: int) -> schema.Backend:
        number = self._source.randint
        hosts = ("10.0.0.1", "[::1]", "app-1.example.com", "unix:")
        host = self._one(hosts)
        return schema.Backend(
            f"unix:/run/{port},x*3" if host == "unix:" else f"{host}:{port}",
            weight=number(0, 3),
            group=number(0, 2),
            max_connections=self._maybe(lambda: number(1, 100)),
            state=self._one(("enabled", "enabled", "draining", "disabled")),
        )

    def _check(self) -> schema.Check:
        kind = self._one(("tcp", "none", "http", "command", "python"))
        more: dict[str, object] = {}
        if kind == "command":
            more = {"command": "x" + self._text(_TEXT)}
        if kind == "python":
            more = {"function": "my.checks:look"}
        if kind == "http":
            more = {
                "path": self._path(),
                "method": self._one(("GET", "HEAD")),
                "host": self._maybe(lambda: "a.example.com:80"),
                "expect_status": self._one((((200, 299), (404, 404)), ((200, 399),))),
            }
        return schema.Check(
            type=kind,
            interval=self._duration(),
            fast_interval=self._maybe(self._duration),
            timeout=self._duration(),
            rise=self._source.randint(1, 9),
            fall=self._source.randint(1, 9),
            **more,
        )

    def _names(self) -> dict[str, None]:
        return dict.fromkeys(f"n{self._text(_NAME)}" for _ in range(self._source.randint(1, 4)))

    def _text(self, alphabet: str) -> str:
        return "".join(self._source.choices(alphabet, k=self._source.randint(0, 8)))

    def _path(self) -> str:
        return "/" + self._text("abcXYZ019._~%/-?=&")

    def _duration(self, least: int = 1) -> timedelta:
        unit = self._one((1, 1_000, 60_000, 3_600_000))
        return timedelta(milliseconds=unit * self._source.randint(least, 24))

    def _one(self, values: tuple[T, ...] | list[T]) -> T:
        return self._source.choice(values)

    def _maybe(self, make: Callable[[], T]) -> T | None:
        return make() if self._source.random() < 0.5 else None

    def _many(self, make: Callable[[], T]) -> tuple[T, ...]:
        return tuple(make() for _ in range(self._source.randint(0, 3)))
