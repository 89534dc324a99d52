"""How long ``radlens --help`` and ``import radlens`` take, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from common import describe_machine, print_table, spread


def seconds(command: list[str], repeats: int = 15) -> list[float]:
    """Wall time of each repeat, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return times[1:]


def main() -> None:
    """Print the table."""
    print(describe_machine())
    radlens = str(Path(sys.executable).parent / "radlens")
    rows = [
        ["radlens --help", spread(seconds([radlens, "--help"]), 3)],
        ["python -c 'import radlens'", spread(seconds([sys.executable, "-c", "import radlens"]), 3)],
        ["python -c 'pass'", spread(seconds([sys.executable, "-c", "pass"]), 3)],
    ]
    print_table(["command", "s, median [min, max] of 15"], rows)


if __name__ == "__main__":
    main()
