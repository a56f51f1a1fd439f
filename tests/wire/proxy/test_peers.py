"""Real programs on the other side of a PROXY header: HAProxy and nginx, each as sender and as receiver."""

from __future__ import annotations

import pytest

from harness import programs
from harness.backend import free_port
from harness.balancer import dial, loopback, wait_for
from harness.config import site

TRUSTING = 'trusted_proxies = ["127.0.0.0/8"]\nproxy_protocol = true\n'
WHO = '"%[src] %[src_port] %[dst] %[dst_port]"'


@pytest.mark.parametrize(
    "how",
    ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"],
)
def test_haproxys_headers_are_read(fairlead, backend, tmp_path, how: str) -> None:
    one = backend()
    listen, port = loopback(), free_port()
    config = f"""
frontend in
  bind 127.0.0.1:{port}
  mode tcp
  default_backend out
backend out
  mode tcp
  server one {listen} {how} check inter 200ms
"""
    balancer = fairlead(config=site(listen, one, listener=TRUSTING))
    with programs.haproxy(tmp_path, port, config) as address:
        line = dial(address, source="127.0.0.7")
        assert line.get().status == 200
        assert line.get().status == 200
        # Its checks (LOCAL, and nothing behind it) are no mistakes.
        wait_for(lambda: balancer.listener()["connections_total"] >= 4)

    assert [request.value("X-Forwarded-For") for request in one.requests] == ["127.0.0.7"] * 2
    assert "bad_proxy_header" not in balancer.listener()["reasons"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_reads_our_headers(fairlead, tmp_path, version: str) -> None:
    listen, port = loopback(), free_port()
    config = f"""
frontend in
  bind 127.0.0.1:{port} accept-proxy
  http-request return status 200 content-type text/plain lf-string {WHO}
"""
    with programs.haproxy(tmp_path, port, config) as address:
        check = 'type = "http", path = "/"'
        balancer = fairlead(
            config=site(listen, address, pool=f'proxy_protocol = "{version}"', check=check)
        )
        balancer.wait_for_health(address, "healthy")
        for client in ("127.0.0.8", "127.0.0.9", "127.0.0.8"):
            line = dial(listen, source=client)
            own = line.socket.getsockname()[1]
            expected = f"{client} {own} 127.0.0.1 {listen.rpartition(':')[2]}"
            assert line.get().body.decode() == expected
            assert line.get().body.decode() == expected


def test_nginxs_headers_are_read(fairlead, backend, tmp_path) -> None:
    """nginx sends version 1, and one header for each of its client's connections."""
    one = backend()
    listen, port = loopback(), free_port()
    balancer = fairlead(config=site(listen, one, listener=TRUSTING))
    place = f"server {{ listen 127.0.0.1:{port}; proxy_pass {listen}; proxy_protocol on; }}"
    with programs.nginx_stream(tmp_path, port, place) as address:
        for client in ("127.0.0.7", "127.0.0.8"):
            line = dial(address, source=client)
            assert [line.get().status for _ in range(2)] == [200, 200]

    seen = [request.value("X-Forwarded-For") for request in one.requests]
    assert seen == ["127.0.0.7", "127.0.0.7", "127.0.0.8", "127.0.0.8"]
    # That it accepts was tried before, by a connection that says nothing.
    assert "bad_proxy_header" not in balancer.listener()["reasons"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_reads_our_headers(fairlead, tmp_path, version: str) -> None:
    listen, port = loopback(), free_port()
    who = "$proxy_protocol_addr $proxy_protocol_port"
    place = f"""
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        location / {{ return 200 "{who}"; }}
    }}"""
    with programs.nginx_of(tmp_path, port, place) as address:
        fairlead(config=site(listen, address, pool=f'proxy_protocol = "{version}"'))
        for client in ("127.0.0.8", "127.0.0.9"):
            line = dial(listen, source=client)
            assert line.get().body.decode() == f"{client} {line.socket.getsockname()[1]}"
