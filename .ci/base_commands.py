"""Every command of the help in an install without extras: it works, or one line names the extra that it needs.

Run by .ci/base-install.sh with the Python of that install, in a folder that holds the picture a.png.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from radlens.cli.commands import COMMANDS

MODEL = "pneumonia-cxr"
# What a newcomer would type first, by command.
ARGUMENTS = {
    "demo": ["--out", "out"],
    "run": [".", "--out", "out"],
    "train": [".", "--out", "out"],
    "index": [".", "--out", "out"],
    "audit": ["."],
    "evaluate": [MODEL, ".", "--out", "out"],
    "compare": ["a", "b"],
    "stress": [MODEL, ".", "--out", "out"],
    "predict": [MODEL, "a.png"],
    "export": [MODEL, "--out", "out"],
    "push": [MODEL, "owner/name"],
    "cache": [],
    "doctor": [],
}


def faults(name: str, extra: str) -> list[str]:
    """What is wrong with how the command ends here."""
    done = run(name, *ARGUMENTS[name])
    lines = done.stderr.splitlines()
    if not extra:
        fits = done.returncode == 0
    else:
        install = f'pip install "radlens[{extra}]"'
        fits = done.returncode == 2 and len(lines) == 1 and install in lines[0] and not done.stdout
    if "Traceback" in done.stderr or not fits:
        return [f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}"]
    return []


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of this Python's radlens."""
    command = [str(Path(sys.executable).with_name("radlens")), *arguments]
    wide = {**os.environ, "COLUMNS": "300"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=wide)


def main() -> None:
    """Exits with what is wrong, if anything."""
    told = run("--help").stdout
    unmarked = [
        f"The help of {command.__name__} does not say that it needs the extra {extra}: {told}"
        for command, extra in COMMANDS
        if extra and not re.search(rf" {command.__name__} .* Needs the extra: {extra}\.", told)
    ]
    wrong = unmarked + [fault for command, extra in COMMANDS for fault in faults(command.__name__, extra)]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
