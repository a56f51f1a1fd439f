from __future__ import annotations

import pytest

from fairlead.config import spelling
from fairlead.errors import ConfigError
from harness.texts import place

AT = place()


def code_of(function, text) -> str:
    with pytest.raises(ConfigError) as caught:
        function(text, AT)
    return caught.value.code


@pytest.mark.parametrize(
    ("function", "text", "usual"),
    [
        (spelling.check_listen, "8080", ":8080"),
        (spelling.check_network, "::1", "::1/128"),
        (spelling.check_token, "0123456789abcdef", "0123456789abcdef"),
        (spelling.check_admin_host, "LB1.example.com", "lb1.example.com"),
        (spelling.check_file, "/etc/token", "/etc/token"),
        (spelling.check_reference, "app", "app"),
        (spelling.check_source, "10.0.0.1", "10.0.0.1"),
        (spelling.check_source, "0:0::1", "::1"),
        (spelling.check_command, "pg_isready", "pg_isready"),
        (spelling.check_host, "app.example.com:80", "app.example.com:80"),
        (spelling.check_host, "[::1]", "[::1]"),
        (spelling.check_host, "[::1]:80", "[::1]:80"),
        (spelling.check_host_pattern, "API.example.com", "api.example.com"),
        (spelling.check_host_pattern, "*.Example.com", "*.example.com"),
        (spelling.check_host_pattern, "[2001:DB8::1]", "[2001:db8::1]"),
        (spelling.check_path, "/v1/", "/v1/"),
        (spelling.check_path, "/a%20b?c=d", "/a%20b?c=d"),
        (spelling.check_method, "get", "GET"),
        (spelling.check_header, "X-Beta", "x-beta"),
        (spelling.check_header, " X-Beta :  yes\t", "x-beta: yes"),
        (spelling.check_header, "X-Beta:", "x-beta: "),
        (spelling.check_header, "X-Url: http://a", "x-url: http://a"),
        (spelling.check_hash_on, "source-ip", "source-ip"),
        (spelling.check_hash_on, "path", "path"),
        (spelling.check_hash_on, "header:X-User", "header:x-user"),
        (spelling.check_hash_on, "cookie:Id", "cookie:Id"),
    ],
)
def test_good_texts_come_back_in_their_usual_spelling(function, text, usual):
    assert function(text, AT) == usual


@pytest.mark.parametrize(
    ("function", "text", "code"),
    [
        (spelling.check_token, "short", "token.form"),
        (spelling.check_token, "0123456789abcdef ", "token.form"),
        (spelling.check_admin_host, "lb1:80", "host.form"),
        (spelling.check_file, "", "text.empty"),
        (spelling.check_source, "app1", "address.form"),
        (spelling.check_source, "10.0.0.1:80", "address.form"),
        (spelling.check_command, " ", "text.empty"),
        (spelling.check_command, "a\0b", "text.empty"),
        (spelling.check_host, "a b", "host.form"),
        (spelling.check_host, "", "host.form"),
        (spelling.check_host_pattern, "a.example.com:80", "host.form"),
        (spelling.check_host_pattern, "a.*.com", "host.form"),
        (spelling.check_host_pattern, "*", "host.form"),
        (spelling.check_host_pattern, "", "host.form"),
        (spelling.check_path, "v1", "path.form"),
        (spelling.check_path, "", "path.form"),
        (spelling.check_path, "/a b", "path.form"),
        (spelling.check_path, "/ä", "path.form"),
        (spelling.check_path, "/a#b", "path.form"),
        (spelling.check_method, "", "method.form"),
        (spelling.check_method, "GET POST", "method.form"),
        (spelling.check_header, "", "header.form"),
        (spelling.check_header, "a b: c", "header.form"),
        (spelling.check_header, "a: b\nc: d", "header.form"),
        (spelling.check_hash_on, "header:", "value.unknown"),
        (spelling.check_hash_on, "user", "value.unknown"),
        (spelling.check_hash_on, "cookie:a b", "value.unknown"),
    ],
)
def test_texts_that_could_never_match_are_refused(function, text, code):
    assert code_of(function, text) == code
