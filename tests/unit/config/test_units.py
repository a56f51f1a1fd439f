from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config import units
from fairlead.errors import ConfigError
from harness.texts import place

AT = place()


def refused(function, text, **options) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        function(text, at=AT, **options)
    assert caught.value.place is AT
    return caught.value


@given(st.integers(1, 24 * 3_600_000))
def test_a_written_duration_reads_back(ms):
    value = timedelta(milliseconds=ms)

    assert units.parse_duration(units.format_duration(value), at=AT) == value


@given(st.integers(0, 2**50))
def test_a_written_size_reads_back(size):
    if len(units.format_size(size)) < 12:
        assert units.parse_size(units.format_size(size), at=AT) == size


@given(st.integers(0, 10_000))
def test_a_written_share_reads_back(hundredths):
    assert units.parse_share(units.format_share(hundredths / 10_000), at=AT) == hundredths / 10_000


@pytest.mark.parametrize("text", ["0ms", "0s", "25h", "999999999h"])
def test_durations_have_bounds(text):
    assert refused(units.parse_duration, text).code == "duration.range"


def test_zero_is_a_duration_where_it_makes_sense():
    assert units.parse_duration("0ms", at=AT, zero=True) == timedelta(0)
    assert refused(units.parse_duration, "25h", zero=True).expected == "at least 0 and at most 24h"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("5", 'write "5s" for seconds or "5ms" for milliseconds'),
        ("1.5s", 'write "1500ms"'),
        ("5 s", 'write "5s"'),
        ("2 minutes", 'write "2m"'),
        ("1 hour", 'write "1h"'),
        ("250msec", 'write "250ms"'),
        ("0.0001s", None),
        ("3 days", None),
        ("soon", None),
        ("", None),
        ("-1s", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}s", None),
    ],
)
def test_what_is_no_duration_gets_a_hint_where_one_is_sure(text, hint):
    error = refused(units.parse_duration, text)

    assert (error.code, error.hint) == ("duration.form", hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("64KB", 'write "64KiB" (1,024 bytes each)'),
        ("1 m", 'write "1MiB" (1,048,576 bytes each)'),
        ("64", 'write "64B"'),
        ("much", None),
        ("1.5MiB", None),
    ],
)
def test_what_is_no_size_gets_a_hint_where_one_is_sure(text, hint):
    error = refused(units.parse_size, text)

    assert (error.code, error.hint) == ("size.form", hint)


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), ("0.5%", 0.005), ("100%", 1.0)])
def test_shares(text, share):
    assert units.parse_share(text, at=AT) == share


def test_what_is_no_share():
    assert refused(units.parse_share, "2").hint == 'write "2%"'
    assert refused(units.parse_share, "two%").hint is None
    assert refused(units.parse_share, "101%").code == "share.range"


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("200", ((200, 200),)),
        ("200-399", ((200, 399),)),
        ("200, 204 ,300 - 399", ((200, 200), (204, 204), (300, 399))),
    ],
)
def test_statuses(text, ranges):
    assert units.parse_statuses(text, at=AT) == ranges


@pytest.mark.parametrize("text", ["", "20", "2000", "200-", "abc", "200;204", "200,"])
def test_what_is_no_status(text):
    assert refused(units.parse_statuses, text).code == "status.form"


@pytest.mark.parametrize("text", ["099", "600", "399-200"])
def test_statuses_have_bounds(text):
    assert refused(units.parse_statuses, text).code == "status.range"


def test_a_class_of_statuses_is_explained():
    assert refused(units.parse_statuses, "2xx").hint == 'write "200-299"'


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("8080", ":8080"),
        (":8080", ":8080"),
        ("0", ":0"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("[::1]:8080", "[::1]:8080"),
        ("localhost:80", "localhost:80"),
        ("unix:/run/a b,c.sock", "unix:/run/a b,c.sock"),
    ],
)
def test_where_to_listen(text, canonical):
    assert units.parse_listen(text, at=AT) == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "address.form"),
        ("[::1]", "address.form"),
        ("web", "address.form"),
        ("web:", "address.form"),
        (":http", "address.form"),
        ("*:80", "address.form"),
        ("http://:80", "address.form"),
        ("::1:80", "address.form"),
        ("[::g]:80", "address.form"),
        ("1.2.3:80", "address.form"),
        ("999.1.1.1:80", "address.form"),
        ("a b:80", "address.form"),
        ("bücher:80", "address.form"),
        (":65536", "address.range"),
        ("unix:", "address.form"),
        ("unix:run/web", "address.form"),
        ("unix:/" + "x" * 107, "address.range"),
        ("unix:/a\0b", "address.form"),
    ],
)
def test_where_nobody_can_listen(text, code):
    assert refused(units.parse_listen, text).code == code


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("app1:8000", "app1:8000"),
        ("App1:8000", "App1:8000"),
        ("http://app1:8000", "app1:8000"),
        ("http://app1:8000/", "app1:8000"),
        ("HTTP://app1", "app1:80"),
        ("http://[::1]", "[::1]:80"),
        ("[::1]:80", "[::1]:80"),
        ("my_app.internal.:80", "my_app.internal.:80"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_backends(text, canonical):
    assert units.parse_backend(text, at=AT) == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "address.form"),
        ("app1", "address.form"),
        ("app1:", "address.form"),
        (":80", "address.form"),
        ("app1:0", "address.range"),
        ("app1:99999", "address.range"),
        ("[::1]", "address.form"),
        ("https://app1:443", "address.scheme"),
        ("ftp://app1", "address.scheme"),
        ("http://app1/path", "address.form"),
        ("http://me@app1", "address.form"),
        ("a..b:80", "address.form"),
        ("-a:80", "address.form"),
        ("x" * 64 + ":80", "address.form"),
    ],
)
def test_what_is_no_backend(text, code):
    assert refused(units.parse_backend, text).code == code


@given(st.text(max_size=30))
def test_no_text_does_anything_but_read_or_be_refused(text):
    for function in (
        units.parse_duration,
        units.parse_size,
        units.parse_share,
        units.parse_statuses,
        units.parse_listen,
        units.parse_backend,
        units.parse_weighted,
        units.parse_network,
    ):
        with contextlib.suppress(ConfigError):
            value = function(text, at=AT)
            if function in (units.parse_listen, units.parse_backend):
                assert str(units.split_address(value)) == value


def test_weights():
    assert units.parse_weighted("a:1*256", at=AT) == ("a:1", 256)
    assert units.parse_weighted("a:1*0", at=AT) == ("a:1", 0)
    assert units.parse_weighted("unix:/a*b", at=AT) == ("unix:/a*b", None)
    assert refused(units.parse_weighted, "a:1*257").code == "weight.range"
    assert refused(units.parse_weighted, "a:1*").code == "weight.range"


@pytest.mark.parametrize("text", ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "1.2.3.4/32"])
def test_networks(text):
    assert units.parse_network(text, at=AT) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("10.0.0.1/8", "network.form"),
        ("10.0.0.0/33", "network.range"),
        ("::/129", "network.range"),
        ("10.0.0.0/", "network.range"),
        ("10.0.0.0/x", "network.range"),
        ("home", "network.form"),
        ("", "network.form"),
    ],
)
def test_what_is_no_network(text, code):
    assert refused(units.parse_network, text).code == code


def test_a_network_with_bits_beyond_its_prefix_is_named():
    assert refused(units.parse_network, "10.1.2.3/8").hint == (
        "the network with this address is `10.0.0.0/8`"
    )


def test_addresses_are_written_as_they_were_read():
    for text in (":80", "a:1", "[::1]:1", "unix:/a"):
        assert str(units.split_address(text)) == text
