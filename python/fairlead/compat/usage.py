"""What balance says about its own command line, and the exit codes that scripts know it by.

The codes are those of sysexits.h, as in balance; the text says what each letter does here.
"""

from __future__ import annotations

__all__ = [
    "DATA_ERROR",
    "NO_INPUT",
    "OS_ERROR",
    "SOFTWARE",
    "UNAVAILABLE",
    "USAGE",
    "USAGE_TEXT",
    "ExitError",
    "NobodyError",
    "UsageError",
]

USAGE, DATA_ERROR, NO_INPUT, UNAVAILABLE, SOFTWARE, OS_ERROR = 64, 65, 66, 69, 70, 71


class ExitError(Exception):
    """The program ends now.

    Attributes:
        code: With this exit code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NobodyError(ExitError):
    """No instance is there to be asked."""

    def __init__(self) -> None:
        super().__init__(UNAVAILABLE, "no master process, exiting.")


class UsageError(ExitError):
    """The command line is wrong: the usage is shown, too."""

    def __init__(self, message: str = "") -> None:
        super().__init__(USAGE, message)


USAGE_TEXT = """\
usage:
  balance [-b addr] [-B addr] [-t sec] [-T sec] [-k t,i,p] [-K t,i,p] \\
          [-m spec] [-adfpHM6] port [h1[:p1[:maxc1]] [!|%] [ ... hN[:pN[:maxcN]]]]
  balance [-b addr] -i [-d] [-M] port
  balance [-b addr] -c cmd [-d] [-M] port

  -a        autodisable: a channel whose connect fails is out until it answers again
  -b addr   listen on this address; it tells instances of one port apart
  -B addr   source address of connections to channels
  -c cmd    run commands on the running instance (`;` between them) and exit
  -d        debugging on (with -f)
  -f        stay in foreground
  -H        failover even if hash type is used
  -i        interactive control of the running instance
  -k t,i,p  TCP keepalive toward clients (idle, interval, number of probes)
  -K t,i,p  TCP keepalive toward channels
  -m spec   monitor channels
  -M        accepted, without effect
  -p        packetdump on standard output (with -f)
  -t sec    connect timeout in seconds (default=5)
  -T sec    idle timeout of established connections in seconds (default=0, never)
  -6        listen on IPv6 addresses (without -b: on all, IPv4 included, as always here)
   !        separates channel groups (declaring the previous to be round robin)
   %        as !, but declaring the previous group to be a hash type
  --compat=strict
            what -a has disabled stays so until it is enabled by hand, as in balance 3.54

monitoring spec examples:
  connect:interval=5:nodisable
  connect:timeout=0.5:interval=0.5:rise=2:fall=3
  command="/usr/bin/checksvc -s %H -p %P":pass=0,2:interval=30

examples:
  balance smtp mailhost1:smtp mailhost2:25 mailhost3
  balance -i smtp
  balance -b 2001:db8::1 -6 80 10.1.1.1 10.1.1.2
  balance 5432 db1:5432:100 db2:5432:100 ! spare:5432
"""
