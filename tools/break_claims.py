"""Breaks the code on purpose, one rule at a time, and sees that the simulator notices.

A claim that can't fail is worse than none. For each mutation the workspace is copied into a scratch
folder, one line is changed there, and the worlds of one test are run: they have to fail, and with
the claim that is named. Prints what was changed, and by which test it was noticed.

    python3 tools/break_claims.py [NAME…] [--scratch target/broken]

Takes half a minute for each. Exits with 1 if a mutation went unnoticed, 2 if one no longer fits.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOW, BALANCE = "crates/fairlead-flow/src", "crates/fairlead-balance/src"


@dataclass(frozen=True)
class Mutation:
    """One change of one line."""

    name: str
    claim: str
    """What the failure has to say."""
    what: str
    """In words."""
    file: str
    old: str
    new: str
    test: str
    """`FILE::NAME` in crates/fairlead-sim/tests."""
    seeds: int = 0
    """Worlds, where those of every day are too few for it to show; 0 for those."""


MUTATIONS = [
    Mutation(
        "no-retry",
        "(a)",
        "nothing that was sent goes again",
        f"{BALANCE}/retry.rs",
        "!request.sent_anything || (request.idempotent && request.replayable)",
        "!request.sent_anything",
        "claims::hosts_that_fail",
    ),
    Mutation(
        "retry-all",
        "(b)",
        "POSTs go again, too",
        f"{BALANCE}/retry.rs",
        "!request.sent_anything || (request.idempotent && request.replayable)",
        "true",
        "claims::hosts_that_fail",
    ),
    Mutation(
        "stream-twice",
        "(b)",
        "a stream goes to another backend although bytes of it have gone to one",
        f"{FLOW}/tcp.rs",
        "        relay.found = None;\n        let count",
        "        let count",
        "claims::tcp_streams",
    ),
    Mutation(
        "stream-reset",
        "(a)",
        "a stream that both sides have finished is reset",
        f"{FLOW}/tcp.rs",
        "            self.relay_end(d, key, Reason::Ok, now);",
        "            self.relay_drop(d, key, Reason::Ok, now);",
        "claims::tcp_streams",
    ),
    Mutation(
        "cross",
        "instead of",
        "the slower of two connections is kept before its answer has come",
        f"{FLOW}/http/hedge.rs",
        "        if !won {\n            return self.ctx.abort_link(d, loser);",
        "        if !won {\n            return self.ctx.park(d, loser, now);",
        "claims::nothing_fails",
    ),
    Mutation(
        "as-if-whole",
        "(d)",
        "an answer that breaks off ends in order",
        f"{FLOW}/http/broken.rs",
        "        if silent_end {\n",
        "        if silent_end && now.0 == 1 {\n",
        "claims::hosts_that_fail",
    ),
    Mutation(
        "leak",
        "in flight",
        "a failed attempt isn't given back",
        f"{FLOW}/http/attempt.rs",
        "        link.backend.state.end();\n        self.ctx.abort_link(d, link_key);\n",
        "        self.ctx.abort_link(d, link_key);\n",
        "claims::hosts_that_fail",
    ),
    Mutation(
        "no-brake",
        "(f)",
        "a slow reader doesn't stop its backend from being read",
        f"{FLOW}/http/relay.rs",
        "        self.relay_paced(d, key, sent, now);\n",
        "        let _ = sent;\n        self.relay_paced(d, key, Sent::All, now);\n",
        "claims::slow_readers",
    ),
    Mutation(
        "late-is-down",
        "(g)",
        "who is late once is down",
        f"{BALANCE}/tracker.rs",
        "            Health::Unknown | Health::Healthy => Health::Suspect,\n"
        "            same => same,",
        "            Health::Unknown | Health::Healthy => Health::Down,\n            same => same,",
        "claims::nothing_fails",
    ),
    Mutation(
        "never-back",
        "(g)",
        "passes don't bring anybody back",
        f"{BALANCE}/tracker.rs",
        "            true if self.checks < rules.rise => Health::Down,",
        "            true if down => Health::Down,",
        "claims::who_is_well",
    ),
    Mutation(
        "late-back",
        "too long",
        "what a backend did is dated 80 s later",
        f"{BALANCE}/trust.rs",
        "        self.bad = now;\n",
        "        self.bad = now + Duration::from_secs(80);\n",
        "claims::who_is_well",
    ),
    Mutation(
        "dead-back",
        "said nothing and came back",
        "once it is down, a check without an answer is a pass",
        f"{FLOW}/probe/verdict.rs",
        "let evidence = Evidence { origin: Origin::Check, passed, what, detail };",
        "let down = fairlead_model::health::Health::Down;\n        "
        "let is_down = probe.watchers.iter().any(|one| one.backend.state.health() == down);\n        "
        'let passed = passed || what.starts_with("no answer") && is_down;\n'
        "        let evidence = Evidence { origin: Origin::Check, passed, what, detail };",
        "claims::hosts_that_fail",
    ),
    Mutation(
        "untold",
        "went from",
        "a doubt is not told",
        f"{BALANCE}/state/health.rs",
        "self.tell(None, now, |tracker| tracker.doubt(what, &detail, now))",
        "{ let _ = self.tell(None, now, |tracker| tracker.doubt(what, &detail, now)); None }",
        "claims::hosts_that_fail",
    ),
    Mutation(
        "hangs",
        "(h)",
        "an answer is waited for ninety times as long",
        f"{FLOW}/http/wait.rs",
        '            if waited >= limit {\n                let detail = format!("within',
        '            if waited >= limit * 90 {\n                let detail = format!("within',
        "claims::wrong_answers",
    ),
    Mutation(
        "no-budget",
        "executions each",
        "hedges cost nothing",
        f"{BALANCE}/budget.rs",
        "        if may {\n            self.tokens -= 1.0;\n        }\n        may\n",
        "        let _ = may;\n        true\n",
        "lateness::all_slow",
    ),
    Mutation(
        "no-end",
        "(j)",
        "attempts have no end",
        f"{FLOW}/seek.rs",
        "if self.attempts >= self.pool.plan().retry.attempts {",
        "if self.attempts >= 9 * self.pool.plan().retry.attempts {",
        "claims::wrong_answers",
        seeds=1500,
    ),
]


def sync(source: Path, target: Path) -> None:
    """Makes the one like the other, writing anew what differs.

    A file that is put back must look new to cargo, or what was built from the broken one would stay.
    """
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for path in wanted:
        there, text = target / path, (source / path).read_bytes()
        if not there.is_file() or there.read_bytes() != text:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(text)
    for there in [path for path in target.rglob("*") if path.is_file()]:
        if there.relative_to(target) not in wanted:
            there.unlink()


def run(mutation: Mutation, scratch: Path) -> tuple[bool, str]:
    """Whether the claim fired, and what was said. Raises LookupError if it no longer fits."""
    tree = scratch / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy2(ROOT / name, tree / name)
    sync(ROOT / "crates", tree / "crates")
    file = tree / mutation.file
    text = file.read_text()
    if mutation.old not in text:
        raise LookupError(f"{mutation.name}: {mutation.file} has no such line any more")
    file.write_text(text.replace(mutation.old, mutation.new, 1))
    test, _, name = mutation.test.partition("::")
    command = ["cargo", "test", "--package", "fairlead-sim", "--locked", "--test", test, "--", name]
    environment = os.environ | {"CARGO_TARGET_DIR": str(scratch / "target")}
    if mutation.seeds:
        environment["FAIRLEAD_SEEDS"] = str(mutation.seeds)
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if "error: could not compile" in said:
        raise LookupError(f"{mutation.name}: doesn't compile\n{said[-2000:]}")
    fired = [line.strip() for line in said.splitlines() if mutation.claim in line]
    shown = fired[0][:120] if fired else said[-1500:]
    return done.returncode != 0 and bool(fired), shown


def main() -> int:
    """Breaks what is asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="those alone")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target" / "broken")
    asked = parser.parse_args()
    worst = 0
    print("| mutation | claim | noticed by |\n| --- | --- | --- |")
    for mutation in MUTATIONS:
        if asked.names and mutation.name not in asked.names:
            continue
        try:
            fired, shown = run(mutation, asked.scratch)
        except LookupError as problem:
            print(problem, file=sys.stderr)
            worst = 2
            continue
        print(
            f"| {mutation.what} | {mutation.claim} | "
            f"{'`' + mutation.test + '`' if fired else 'NOBODY'} |",
            flush=True,
        )
        print(f"  {mutation.name}: {shown}", file=sys.stderr)
        worst = worst if fired else max(worst, 1)
    return worst


if __name__ == "__main__":
    sys.exit(main())
