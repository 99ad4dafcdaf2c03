"""Times blocks and functions (app SDK), and counts commands with their success (execution API)."""

from producers.app import TelemetryCollector
from producers.execution import TelemetryCollector as ExecutionCollector

collector = TelemetryCollector()
commands = ExecutionCollector()


def resize(images: list[str]) -> int:
    """A block, timed."""
    with collector.timed("resize", {"images": len(images)}):
        return sum(len(name) for name in images)


@collector.timed("checksum")
def checksum(data: bytes) -> int:
    """A function, timed at each call."""
    return sum(data) % 256


@collector.timed("fetch")
async def fetch(name: str) -> str:
    """An async function: its waiting counts."""
    return name.upper()


@commands.recorded
def command(number: int) -> float:
    """A command: counted, timed, and failed when it raises."""
    return 1 / number


def batch(numbers: list[int]) -> float:
    """A block as one command."""
    with commands.recording():
        return sum(1 / number for number in numbers)
