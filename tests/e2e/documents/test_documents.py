"""The commands of README.md and docs/, as a user follows them: the tutorial, then other pages beside its pipeline."""

from __future__ import annotations

import collections
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rackstream.local import ports
from tests.e2e.support import pages
from tests.e2e.support.parts import until
from tests.e2e.support.receiver import Receiver

pytest.importorskip("libvirt", reason="the tutorial's VM is of libvirt's test driver")
pytestmark = [pytest.mark.kafka, pytest.mark.libvirt, pytest.mark.timeout(900)]

PAGES = pages.pages()
TUTORIAL = "docs/tutorial.md"
ALONE = ["docs/operations.md", "docs/replay.md"]
"""They stop targets, add records and delete files that other pages look at."""
BESIDE = [page for page in PAGES if page not in {TUTORIAL, *ALONE}]
RUN = [
    block
    for page in PAGES.values()
    for block in page
    if block.language in pages.COMMANDS and block.marker not in {"needs", "run-by"}
]
DATASETS = ("alert", "health", "power", "redfish_temperature", "vm_devices", "vm_totals", "vm_features")
"""What must be stored before there is something to ask."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pages.Result]:
    """Every block that is run → how it ended; those that last were interrupted at the end."""
    directory = pages.copy(tmp_path_factory.mktemp("clone"))
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    console = ports.free_port()
    here = {
        "127.0.0.1:8000": f"127.0.0.1:{console}",
        "8010": str(ports.free_port()),
        "127.0.0.1:9093": f"127.0.0.1:{receiver.server_port}",
        "127.0.0.1:9094": f"127.0.0.1:{receiver.server_port}",
    }
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RACKSTREAM_", "INFLUX_"))
    }
    path = f"{directory / '.venv' / 'bin'}{os.pathsep}{clean['PATH']}"
    reader = pages.Reader(
        directory,
        clean | {"PATH": path, "PYTHONPATH": str(directory), "COLUMNS": "120", "RACKSTREAM_CONSOLE_PORT": str(console),
                 "RACKSTREAM_PARTITIONS": "3", "RACKSTREAM_FILES_MAX_SEC": "2", "RACKSTREAM_ARCHIVE_MAX_SEC": "1"},
        here,
    )  # fmt: skip
    found: dict[str, pages.Result] = {}
    try:
        if _tutorial(reader, found):
            with ThreadPoolExecutor(4) as readers:
                for each in readers.map(reader.follow, [PAGES[page] for page in BESIDE]):
                    found |= each
            for page in ALONE:
                found |= reader.follow(PAGES[page])
    finally:
        interrupted = reader.interrupt()
        receiver.shutdown()
        receiver.server_close()
    return found | interrupted


def _tutorial(reader: pages.Reader, found: dict[str, pages.Result]) -> bool:
    """Follows it to its `up`, waits until something of every kind is stored, and goes on; whether `up` runs."""
    blocks = PAGES[TUTORIAL]
    up = next(number for number, block in enumerate(blocks) if block.code.endswith("rackstream up\n"))
    found |= reader.follow(blocks[: up + 1])
    if any(result.code for result in found.values()):
        return False
    files = reader.directory / ".rackstream" / "files"
    until(lambda: all(list(files.glob(f"{dataset}/**/*.parquet")) for dataset in DATASETS), timeout_s=120)
    found |= reader.follow(blocks[up + 1 :])
    return True


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_block_of_commands_does_what_its_page_says(block, results):
    assert block.name in results, f"a block before it failed: {[name for name, it in results.items() if it.code]}"
    good = block.good - {None}
    if block.marker == "lasts" and "rackstream" not in block.code:
        good = {0, 130, -signal.SIGINT}  # Ctrl-C is the end of curl
    assert results[block.name].code in good, results[block.name].output


def test_what_no_test_runs_is_marked_and_is_little():
    marked = collections.Counter(
        (block.page, block.value) for page in PAGES.values() for block in page if block.marker == "needs"
    )

    assert {
        (TUTORIAL, "hardware"): 1, (TUTORIAL, "time"): 1, ("README.md", "hardware"): 1,
        ("docs/shared-targets.md", "hardware"): 1,
    } == marked  # fmt: skip


def test_a_block_that_another_test_runs_names_that_test():
    elsewhere = [block for page in PAGES.values() for block in page if block.marker == "run-by"]

    assert [] == [block.name for block in elsewhere if not (pages.ROOT / block.value).is_file()]
    for block in elsewhere:
        if block.language == "python":
            assert Path(block.page).name in (pages.ROOT / block.value).read_text()
