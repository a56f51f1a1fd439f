"""Seed the fuzzers: the bytes that the wire tests send, and the configurations of the docs.

Writes into fuzz/corpus/TARGET; what a fuzzer finds on its own is added there by libFuzzer, and is
not committed.
"""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "fuzz" / "corpus"


def _constants(folder: str) -> set[bytes]:
    """All string and bytes literals of the tests below a folder."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                value = node.value
                found.add(value.encode("utf-8") if isinstance(value, str) else value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
                found.add("".join(map(str, parts)).encode())
    return found


def _write(target: str, seeds: set[bytes]) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    print(f"{target}: {len(seeds)} seeds")


def main() -> None:
    """Write all seeds."""
    wire = _constants("tests/wire")
    requests = {seed for seed in wire if re.match(rb"[A-Z]+ ", seed)}
    chunks = {seed for seed in wire if re.match(rb"[0-9A-Fa-f]+[;\r]", seed)}
    # The targets read how to cut from the first bytes.
    _write("request_head", {b"\x00\x10" + seed for seed in requests})
    _write("response_head", {b"\x00\x10\x01" + s for s in wire if s.startswith(b"HTTP/1")})
    _write("chunked_body", {b"\x03\x07" + seed for seed in chunks})
    blocks = {
        block.encode()
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    }
    configs = blocks | {seed for seed in wire if b"[listeners" in seed}
    _write("config_text", configs)
    # Its first byte chooses TOML.
    _write("config_loading", {b"\0" + seed for seed in configs})
    _write("proxy_header", {seed for seed in wire if seed.startswith((b"PROXY ", b"\r\n\r\n\0"))})


if __name__ == "__main__":
    main()
