"""Seconds until the validation AUROC first reaches .99, from a cold start, next to the notebook's pipeline in Keras.

radlens: the command that a user types, ``radlens run FOLDER --preset fast``, with an empty cache, so that reading,
audit, split and decoding count. Keras: the same training and validation images, the notebook's network, augmentation
and learning rate, until it is there or its 15 epochs are over. Both clocks run from the start of the process to the end
of the epoch; a process that is there is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from common import KERMANY, describe_machine, keras_python, print_table, spread

EPOCHS = 15


@dataclass(frozen=True)
class Reached:
    """What a training came to: seconds to the end of the epoch that was there (of the last one, if none was)."""

    seconds: float
    epochs: int
    auroc: float
    wanted: float

    @property
    def there(self) -> bool:
        """Whether the AUROC was reached."""
        return self.auroc >= self.wanted

    @property
    def words(self) -> str:
        """For the table."""
        return f"{'reached' if self.there else 'not reached'}: {self.auroc:.3f} after {self.epochs} epochs"


def radlens(folder: Path, seed: int, wanted: float) -> Reached:
    """Start the command and watch the history that it writes at the end of each epoch."""
    command = [str(Path(sys.executable).parent / "radlens"), "run", str(KERMANY), "--out", str(folder / "run")]
    command += ["--preset", "fast", "--seed", str(seed)]
    history, log = folder / "run" / "history.csv", folder / "log"
    started = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env={**os.environ, "RADLENS_CACHE": str(folder / "cache")}, stdout=file, stderr=file
        )
        while True:
            ended = process.poll() is not None
            seconds = time.perf_counter() - started
            table = pd.read_csv(history) if history.is_file() else pd.DataFrame({"val_auroc": []})
            if (table["val_auroc"] >= wanted).any() or ended:
                break
            time.sleep(0.1)
    process.terminate()
    code = process.wait()
    if ended and code:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return Reached(seconds, len(table), table["val_auroc"].max(), wanted)


def keras(folder: Path, wanted: float, epochs: int) -> Reached:
    """The notebook's training on the images that the run of radlens in ``folder`` trained on and validated with."""
    manifest = pd.read_csv(folder / "run" / "manifest.csv")
    images = folder / "images"
    for row in manifest[manifest["split"].isin(("train", "val"))].itertuples():
        link = images / str(row.split) / str(row.label) / Path(str(row.path)).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(KERMANY / str(row.path))
    script = str(Path(__file__).with_name("keras_reference.py"))
    started = time.perf_counter()
    process = subprocess.Popen(
        [keras_python(), script, "reach", str(images), str(epochs), str(wanted)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    best, count = 0.0, 0
    for line in process.stdout:
        if line.startswith("{"):
            auroc, count = float(json.loads(line)["auroc"]), count + 1
            seconds, best = time.perf_counter() - started, max(best, auroc)
            print(f"Keras, epoch {count}: AUROC {auroc:.4f} after {seconds:.0f} s", file=sys.stderr)
    if process.wait() or not count:
        raise SystemExit("The Keras reference failed; what it said stands above.")
    return Reached(seconds, count, best, wanted)


def main() -> None:
    """Print a table of both, with the smallest and largest of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--auroc", type=float, default=0.99)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of radlens; Keras trains once")
    parser.add_argument("--keras-epochs", type=int, default=EPOCHS, help="at most so many")
    options = parser.parse_args()
    print(describe_machine())
    ours = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as name:
            ours.append(radlens(Path(name), seed, options.auroc))
            if seed == 0:
                theirs = keras(Path(name), options.auroc, options.keras_epochs)
    ratios = [theirs.seconds / one.seconds for one in ours]
    rows = [
        ["radlens, preset fast (s)", spread([one.seconds for one in ours], 0), "; ".join(one.words for one in ours)],
        ["the notebook in Keras (s)", f"{theirs.seconds:.0f}", theirs.words],
        ["Keras / radlens", spread(ratios, 1), "" if theirs.there else "and more: Keras was not there"],
    ]
    print_table([f"validation AUROC {options.auroc} from a cold start", "median [min, max]", "outcome"], rows)


if __name__ == "__main__":
    main()
