"""The documentation as a user follows it: the fenced blocks of its pages, and what the comments before them say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[3]
COMMANDS: Final = {"sh", "python"}
TEXTS: Final = {"text", "toml", "yaml", "json", "diff"}
"""Languages of blocks that are not run. With a title they are the file that they are called as."""
FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
MARKER: Final = re.compile(r"<!-- (needs|run-by|lasts|exit): ([^\n]*?) -->\s*\Z")
TITLE: Final = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """One fenced block.

    `marker` and `value` are of the comment before it: `needs` (what no test has: hardware, docker, root, time),
    `run-by` (the test that runs it), `lasts` (runs until Ctrl-C; a regular expression says when it is ready), `exit`
    (exit codes that are all well, where they are what the command has to say).
    """

    page: str
    line: int
    language: str
    title: str
    code: str
    marker: str
    value: str

    @property
    def good(self) -> set[int | None]:
        """Exit codes that are all well."""
        return {int(code) for code in self.value.split(" or ")} if self.marker == "exit" else {0, None}

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


class Result(NamedTuple):
    """How a block ended. None: it still runs."""

    code: int | None
    output: str


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = path.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        before = text[: found.start()]
        language, _, attributes = found["info"].partition(" ")
        title = TITLE.search(attributes)
        marker, value = marked.groups() if (marked := MARKER.search(before)) else ("", "")
        yield Block(
            str(path.relative_to(ROOT)), before.count("\n") + 1, language, title[1] if title else "", found["code"],
            marker, value,
        )  # fmt: skip


def pages() -> dict[str, list[Block]]:
    """README.md and docs/, by name."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(path.relative_to(ROOT)): list(blocks(path)) for path in paths}


def copy(directory: Path) -> Path:
    """What a clone of the repository would have, with the environment that runs this as its `.venv`."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, text=True, capture_output=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    (directory / ".venv").symlink_to(Path(sys.prefix))
    return directory


class Reader:
    """Follows pages in a directory, block after block, as in one terminal each."""

    def __init__(self, directory: Path, environment: Mapping[str, str], here: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)
        self.here = here
        """What documentation says → what it is here: ports that may be taken."""
        self.lasting: dict[Block, subprocess.Popen[str]] = {}

    def follow(self, page: list[Block]) -> dict[str, Result]:
        """Runs a page up to the first block that fails."""
        results: dict[str, Result] = {}
        for block in page:
            if block.marker in {"needs", "run-by"} or (block.language not in COMMANDS and not block.title):
                continue
            results[block.name] = self._do(block)
            if results[block.name].code not in block.good:
                break
        return results

    def _do(self, block: Block) -> Result:
        code = block.code
        for documented, real in self.here.items():
            code = code.replace(documented, real)
        if block.language not in COMMANDS:
            (self.directory / block.title).write_text(code)
            return Result(0, "")
        # Variables that are exported in a terminal are there in its next command.
        kept = self.directory / ".terminals" / f"{block.page.replace('/', '-')}.sh"
        kept.parent.mkdir(exist_ok=True)
        script = f"export -p > {kept}" if block.language == "sh" else ""
        before = f"if [ -e {kept} ]; then . {kept}; fi\n"
        ran = code if block.language == "sh" else f"exec .venv/bin/python - <<'END-OF-PYTHON'\n{code}END-OF-PYTHON\n"
        if block.marker == "lasts":
            return self._start(block, before + ran)
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", f"{before}{ran}\n{script}"],
                cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            return Result(124, f"not within {late.timeout} s: {late.stdout!r}")
        return Result(done.returncode, done.stdout)

    def _start(self, block: Block, script: str) -> Result:
        """Starts what lasts until Ctrl-C, of all in the block the last, and waits until it says that it is ready."""
        log = self._log(block)
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script], cwd=self.directory, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True, process_group=0,
                # As at a terminal: what a shell runs in the background, as CI runs all of this, is deaf to Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no thread of ours
            )  # fmt: skip
        self.lasting[block] = process
        deadline = time.monotonic() + 90
        while process.poll() is None:
            if re.search(block.value, log.read_text()):
                return Result(None, log.read_text())
            if time.monotonic() > deadline:
                return Result(124, f"did not say {block.value!r} within 90 s: {log.read_text()}")
            time.sleep(0.2)
        return Result(process.returncode or 1, f"ended by itself: {log.read_text()}")

    def interrupt(self) -> dict[str, Result]:
        """Ctrl-C in each terminal where something lasts, the newest first; how it ended."""
        results = {}
        for block, process in reversed(self.lasting.items()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait(10)
            results[block.name] = Result(code, self._log(block).read_text())
        self.lasting = {}
        return results

    def _log(self, block: Block) -> Path:
        (self.directory / ".terminals").mkdir(exist_ok=True)
        return self.directory / ".terminals" / f"{block.name.replace('/', '-')}.log"
