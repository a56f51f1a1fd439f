"""The data plane: sockets, threads and health, written in Rust.

Everything here is conversion; what it does is described in `crates/fairlead-engine` and below it.
No call needs the interpreter's lock while it waits, and no worker thread ever takes it: Python may
hang for minutes without a request noticing.
"""

from typing import Literal, TypeAlias, final

__all__ = [
    "VERSION",
    "Engine",
    "EngineError",
    "Seat",
    "check_regex",
    "file_limit",
    "parse_toml",
    "simulate",
]

VERSION: str
"""The version of the native module, which is that of the package."""

_Scalar: TypeAlias = tuple[
    Literal["string", "integer", "float", "boolean", "datetime", "broken"],
    int,
    int,
    str | int | float | bool | None,
]
_Table: TypeAlias = tuple[Literal["table"], int, int, list[tuple[str, int, int, _Node]]]
_Array: TypeAlias = tuple[Literal["array"], int, int, list[_Node]]
_Node: TypeAlias = _Table | _Array | _Scalar
_Question: TypeAlias = tuple[
    list[int], list[int], str, tuple[str, int] | None, int, bytes, bytes, float
]

class EngineError(Exception):
    """A plan can't be put in force; nothing has changed.

    Its text is a JSON list of ``{"listener", "bind", "problem"}``, one for each address that can't
    be bound; or, if it is not about addresses, one sentence.
    """

@final
class Engine:
    """A load balancer in this process.

    Every method may be called from any thread at any time, also while another one waits. A process
    may hold several. One that is no longer referred to ends its threads.
    """

    def __new__(cls, workers: int = 0, io: str = "auto", batch_from: int | None = None) -> Engine:
        """Make an engine that does nothing yet.

        Raises the limit of file descriptors of this process as far as it may be.

        Args:
            workers: Threads that serve; 0 is one per CPU.
            io: How they call the kernel: ``epoll``, each call by itself; ``uring``, many at once
                through an io_uring; ``auto``, as ``uring`` where that can be. Without an io_uring,
                `apply` says so where it has to be ``uring``.
            batch_from: Turns of a thread's loop with at least so many events make their calls at
                once; ``None`` for as many as pay. Tests have it at 0, so that all calls are made
                in that way.

        Raises:
            OSError: Not a single descriptor can be had.
            ValueError: There is no such ``io``.
        """

    def apply(self, plan: bytes) -> None:
        """Put a configuration in force, all of it or nothing.

        Opens what is new first. Listeners whose address stays keep their socket, connections under
        way end under the configuration that they began with, and the health and counters of
        backends carry over by pool and address. When it returns, every worker follows the new
        configuration.

        The first call starts the workers and the checks. Listeners are open from then on (their
        clients wait), but nobody is let in before `start_accepting`.

        Args:
            plan: JSON, in the form of `crates/fairlead-model/src/plan.rs`.

        Raises:
            EngineError: An address can't be bound, the access log can't be opened, it is not a
                plan, or the engine has stopped.
        """

    def inherit(self, name: str, number: int) -> str:
        """Take a listening socket that this process was started with.

        Plans that come later use it for a listener that has its address, or names it, instead of
        opening one. It stays open as long as the engine lives.

        Args:
            name: What plans may call it.
            number: Its descriptor, which is duplicated and stays the caller's.

        Returns:
            Where it listens.

        Raises:
            OSError: It is no stream socket.
        """

    def watch(self, to: str, every: float) -> None:
        """Tell a service manager again and again that all workers are alive.

        Sends ``WATCHDOG=1`` after each pause in which every worker took a turn, from a thread that
        doesn't need the interpreter.

        Args:
            to: A Unix datagram socket: its path, or ``@`` and an abstract name.
            every: Seconds of the pause.

        Raises:
            OSError: There are no workers yet (no plan was applied), or no such socket.
        """

    def heed_signals(self, timeout: float, manager: str) -> int:
        """Have a stop that a signal asks for done while Python doesn't do it.

        To be called once. If a stop isn't begun within a second after SIGTERM or SIGINT, or Python
        doesn't come back from one within a second, the engine stops and ends the process, without
        Python and with exit code 0. A SIGINT after the signal that began it ends it with 130.

        Args:
            timeout: Seconds for what is under way then.
            manager: The socket of a service manager that is told; empty for none.

        Returns:
            The descriptor for `signal.set_wakeup_fd`; open for the engine's life.

        Raises:
            OSError: There are no descriptors or threads.
        """

    def pass_signals_on(self, number: int) -> None:
        """Pass signals on from the descriptor of `heed_signals`, also those that came already.

        Args:
            number: What `signal.set_wakeup_fd` had before; duplicated.

        Raises:
            OSError: There are no descriptors, or it is none.
        """

    def heard(self) -> None:
        """Python handles a signal; see `heed_signals`."""

    def prepare_end(self, timeout: float, files: list[str]) -> None:
        """What a stop without Python goes by.

        Args:
            timeout: As for `heed_signals`.
            files: Paths to remove at its end.
        """

    def stand_in(self, number: int, about: bytes) -> int:
        """Have operators answered at a control socket while Python doesn't answer.

        Whenever somebody connects there, Python is asked to call `present`. If it hasn't for a
        second, a thread that doesn't need the interpreter accepts and answers, until it has:
        health, status, metrics, pools, and wishes for backends. To be called once.

        Args:
            number: A listening Unix socket, which is duplicated and stays the caller's.
            about: A JSON object with what Python adds to the status; not empty.

        Returns:
            A descriptor that is readable while `present` is to be called; the same for the
            engine's life. Don't read from it.

        Raises:
            OSError: There are no descriptors or threads, or no such socket.
            ValueError: It was called before.
        """

    def stand_at(self, number: int | None, hosts: list[str]) -> None:
        """Have health told at the admin address, too, while Python doesn't answer.

        As `stand_in`, but ``GET /healthz`` alone is answered; all else is refused. Nothing without
        a call of `stand_in`.

        Args:
            number: A listening socket in the place of the one before, which is duplicated and stays
                the caller's; ``None`` for none.
            hosts: Names that it goes by, lower case, beside ``localhost`` and its own address.

        Raises:
            OSError: There are no descriptors, or no such socket.
        """

    def present(self, about: bytes) -> list[tuple[str, str, str | None, int | None]]:
        """Give a sign of life, and take over what was wished while there was none.

        Args:
            about: As for `stand_in`, as it is now.

        Returns:
            Pool, backend, state and weight (``None`` where it was left open), in the order in
            which they took effect. Nothing without a call of `stand_in`.
        """

    def addresses(self) -> list[tuple[str, str]]:
        """Each listener's name with each of its addresses, as they turned out.

        ``127.0.0.1:41234`` (also where port 0 was asked for), ``[::]:8080``, ``unix:/path``.
        """

    def wait_first_checks(self, timeout: float) -> bool:
        """Wait until every backend that is checked was probed once.

        Args:
            timeout: Seconds. Signals are handled meanwhile.

        Returns:
            False if the time was over first.
        """

    def start_accepting(self) -> None:
        """Let clients in, now and at listeners that later configurations add."""

    def status(self) -> bytes:
        """Everything that is counted and believed, as JSON.

        ``time``, ``uptime_seconds``, ``workers``, ``connections_per_worker``, ``listeners`` (each
        with ``name``, ``bind``, ``protocol``, ``connections_active``, ``connections_total``,
        ``requests_total``, ``bytes_in``, ``bytes_out``, ``codes``, ``reasons``, ``rates``,
        ``duration_ms``) and ``pools`` (each as `pool_status` has it); ``memory`` (``used_bytes``,
        ``limit_bytes`` or null, ``full``); ``access_log`` (``lines``,
        ``lost``) or null; ``chaos`` (as `chaos` has it) or null. Rates are per second, over the last 1, 10 and 60 s.
        """

    def pool_status(self, name: str) -> bytes | None:
        """The same about one pool, as JSON; ``None`` if there is none of this name.

        ``name``, ``policy``, what its backends have in sum (``available``, ``active``,
        ``requests``, ``failures``, ``failures_by_reason``, ``bytes_in``, ``bytes_out``, ``rates``,
        ``latency_ms``), ``groups`` (each with its ``policy`` and the same sums),
        ``retries_by_reason``, ``steps``, ``budget_tokens`` and ``backends``: ``address``, ``group``, ``weight``, ``state``,
        ``health``, ``reason``, ``since``, ``history``, the same numbers and more.
        """

    def metrics(self, openmetrics: bool) -> bytes:  # as the native module has it
        """The same numbers as text for Prometheus.

        Args:
            openmetrics: In OpenMetrics 1.0, but without the last line ``# EOF``, so that more can
                be added; else in the Prometheus text format 0.0.4.
        """

    def set_state(self, pool: str, backend: str, state: str) -> bool:
        """Follow an operator's wish for a backend.

        Args:
            pool: Its pool's name.
            backend: Its address as configured.
            state: ``enabled``, ``draining`` or ``disabled``.

        Returns:
            Whether that changed anything.

        Raises:
            KeyError: There is no such backend.
            ValueError: There is no such state.
        """

    def set_weight(self, pool: str, backend: str, weight: int) -> bool:
        """Follow an operator's weight for a backend.

        Args:
            pool: Its pool's name.
            backend: Its address as configured.
            weight: 0 to 256; 0 is no new traffic.

        Returns:
            Whether that changed anything.

        Raises:
            KeyError: There is no such backend.
            ValueError: It is out of that range.
        """

    def forget_health(self, pool: str, backend: str) -> bool:
        """Forget what was seen of a backend's health: it is used until there is new evidence.

        For an operator who knows that the trouble is over. A check that goes on failing takes it
        down again.

        Args:
            pool: Its pool's name.
            backend: Its address as configured.

        Returns:
            Whether there was anything to forget.

        Raises:
            KeyError: There is no such backend.
        """

    def report_check(self, pool: str, backend: str, passed: bool, what: str) -> None:
        """Take the result of a check that ran outside of the engine.

        Args:
            pool: The backend's pool.
            backend: Its address as configured.
            passed: Whether it passed.
            what: What was seen, in a few words, for people: ``exit status 1``. May be empty.

        Raises:
            KeyError: There is no such backend.
        """

    def sit_down(self, pool: str, picks: bool) -> Seat:
        """Sit down at the desk of a pool's policy in Python, in the place of whoever sat there.

        Args:
            pool: A pool of the plan in force that has such a policy.
            picks: Whether the policy is to be asked about each request.

        Raises:
            KeyError: There is no such pool.
        """

    def play_chaos(
        self,
        pool: str,
        backend: str,
        *,
        fault: str,
        share: float,
        seconds: float,
        delay: float,
        checks: bool,
    ) -> None:
        """Play faults at one backend for a while. Every worker does when it returns.

        It ends by itself, in the engine: nobody has to be there for it.

        Args:
            pool: The backend's pool.
            backend: Its address as configured.
            fault: ``drop``, ``delay``, ``reset``, ``error`` or ``freeze``.
            share: How many of the attempts suffer, 0 to 1.
            seconds: For how long.
            delay: Seconds that an answer is held back; for ``delay``.
            checks: Whether checks get errors, too; for ``error``. The others hit checks always.

        Raises:
            EngineError: Refused; its two arguments are a code (``unknown_backend``,
                ``chaos_running``, ``no_healthy_other``, ``no_requests``, ``stopping``) and a text.
            ValueError: There is no such fault, or a number is out of its range.
        """

    def end_chaos(self) -> bool:
        """End what `play_chaos` began, before its time. False if nothing is played."""

    def chaos(self) -> bytes | None:
        """What is or was last played and what came of it, as JSON; ``None`` if nothing was.

        ``pool``, ``backend``, ``fault``, ``share``, ``delay_ms``, ``checks``, ``started``,
        ``seconds``, ``running``, ``seconds_left``, ``settled`` (nothing will change any more),
        ``played`` and ``played_checks`` (each ``of`` and ``suffered``), ``noticed``
        (``after_seconds``, ``health``, ``why``) or null, ``restored_after_seconds`` or null, and
        ``clients``: ``served``, ``failed``, ``errors`` by reason, ``left``, ``slow_ms``, ``slow``,
        ``slow_expected``, ``p99_ms_before``.
        """

    def reopen_log(self) -> None:
        """Open the file of the access log anew, because somebody may have moved it away.

        Never blocks. If it can't be opened, the old one stays in use, and an event says so.
        """

    def event_fd(self) -> int:
        """A descriptor that is readable while events wait; the same for the engine's life.

        Wait for it, but don't read from it: `take_events` does.
        """

    def take_events(self) -> list[bytes]:
        """Take out the events that wait, oldest first. Never blocks.

        Each is a JSON object with ``time`` (RFC 3339, UTC) and ``event`` (``health``, ``wish``,
        ``applied``, ``accepting``, ``full``, ``memory``, ``access_log``,
        ``panic``). At most 4,096 are kept; if more came, the first is
        ``{"event": "lost", "count": …}``.
        """

    def stop(self, timeout: float) -> bool:
        """Stop gracefully: let nobody in, answer who is there, close.

        Listeners are closed at once. Kept connections are served for a short grace and told to
        close. What is still open after ``timeout`` is cut.

        Args:
            timeout: Seconds.

        Returns:
            Whether everything ended by itself.
        """

@final
class Seat:
    """A thread of Python at the desk of one pool's policy, until somebody else sits down there.

    Calls by a thread whose seat is gone do nothing.
    """

    def take(self, timeout: float) -> list[_Question] | None:
        """Wait for questions, without the interpreter's lock, and take some.

        From the return until the next call the thread counts as busy; one that is busy for a
        second is told of as stuck. What it hasn't answered by then is not answered at all.

        Args:
            timeout: Seconds; it may return after half a second already.

        Returns:
            At most 64 questions, or none if the time is over; ``None`` once the seat is gone, or
            for a thread that has computed for so long that another one is to sit there. Each
            is ``(candidates, active, listener, client, attempts, head, body, left)``: indices of
            backends in the plan's order, how many are in flight to each of them, the listener's
            name, the client's address and port (``None`` on a Unix socket), backends tried before,
            the request's head (empty on tcp), the beginning of its body, and how many seconds the
            answer is waited for.
        """

    def answer(self, answers: list[tuple[int, int]]) -> None:
        """Answer questions that were taken last.

        Args:
            answers: The place of each among them, and the index of the backend chosen, or -1 for
                no preference, -2 for a failure.
        """

    def fail_pick(self, why: str) -> None:
        """Say that the policy failed at a question, and why: told now and then."""

    def backends(self) -> bytes:
        """The pool's backends as in `Engine.status`: a JSON list, in the plan's order."""

    def asked_about(self) -> bytes:
        """The backends that the questions taken last are about, in the same form."""

    def configuration(self) -> int:
        """A number that is another when those questions came under another configuration."""

    def set_scores(self, scores: list[int]) -> None:
        """Put scores in force, in the place of the weights; they lapse after two seconds.

        Args:
            scores: 0 to 256 for each backend in the plan's order. Another number of them does
                nothing: a reload came in between.
        """

    def fail_scores(self, why: str) -> None:
        """Say that no scores could be made, and why: counted, and told now and then."""

    def leave(self) -> None:
        """Give the seat up; the configured weights count again."""

def file_limit() -> int:
    """How many descriptors this process may have, after raising the limit as far as it may be."""

def parse_toml(text: str) -> tuple[_Table, list[tuple[int, int, str]]]:
    """Read TOML into a tree whose every part knows its place.

    Never raises: all syntax errors are collected, and what can be understood is in the tree.

    Args:
        text: The whole text.

    Returns:
        The root table, and the errors as (start, end, message) in the order of the text. A node is
        ``(kind, start, end, value)``. The value of a ``table`` is a list of ``(key, key_start,
        key_end, node)``, of an ``array`` a list of nodes; ``broken`` (value ``None``) stands for
        what could not be read, which is among the errors. All places are bytes of the UTF-8 text.
        Nesting is at most 64 levels.
    """

def check_regex(pattern: str) -> str | None:
    """What is wrong with a regular expression of a route, or ``None``.

    It is the dialect of Rust's ``regex`` crate: no look-around, no back-references, and in return
    time that grows with the length of the path and nothing else.
    """

def simulate(
    plan: bytes,
    pool: int,
    backend: int | None,
    fault: str | None,
    *,
    seconds: float,
    rate: int,
    latency: float,
    seeds: int,
    seed: int,
) -> bytes:
    """Play one fault on one backend of a pool, in virtual time.

    Args:
        plan: As `Engine.apply` takes it. Nothing of it is opened or resolved.
        pool: Which of its pools.
        backend: Which of the pool's backends the fault befalls; ``None`` for all of them.
        fault: ``killed``, ``blackhole``, ``flapping``, ``no-way-in``, ``no-way-out``,
            ``power-loss``, ``frozen``, ``unreachable``, ``slow``, ``check-fails``, ``loss30``,
            ``large-lost``, ``half-lost``, ``closes``, ``errors``, ``lags`` or ``cuts``;
            ``None`` for none.
        seconds: How long the fault lasts, 0 to 3,600.
        rate: Requests per second.
        latency: What answers take on average, in seconds.
        seeds: So many worlds, from `seed` on; equal seeds make equal worlds.
        seed: The first.

    Returns:
        JSON: ``requests``, ``failed``, ``failed_posts``, ``late``, ``slowest_seconds``,
        ``trouble_seconds``, ``back_seconds`` (until it had a request again), ``restored_seconds``
        (until it was healthy for good; of all three the worst of all worlds, or ``null``),
        ``reasons``.

    Raises:
        ValueError: It can't be played.
    """
