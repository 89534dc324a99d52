"""A planted framing shortcut: does a network go by it, does the framing suite say so, and does the remedy help?

Phantoms are framed tightly where there is a finding and loosely where there is none
(``data.phantom.shortcut=framing``). The preset ``fast`` is trained on them twice: with the augmentation of the preset,
and without what changes the framing (no stretch, narrower crops, no black margins). Both are judged on test phantoms
framed like those of training, by the framing suite, and on phantoms that were all framed alike. Rows are kept in
``results/framing_phantoms.csv``; those that are there are not computed again.

    python benchmarks/framing_phantoms.py [--seeds N ...] [--out FOLDER]
    python benchmarks/framing_phantoms.py --report
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from common import HERE, describe_machine, markdown_table, write_between

import radlens
from radlens.runtime.metrics_record import read_metrics

DATA = HERE / "results" / "framing_phantoms.csv"
PAGE = HERE.parent / "docs" / "explanation" / "framing.md"
PHANTOMS = ("data.phantom.images=1200", "data.phantom.size=160")
REMEDIES = {
    "with the preset's framings": (),
    "without them": ("augment.stretch=0", "augment.margin=0", "augment.crop=[0.9,1.1]"),
}


def measure(remedy: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train on phantoms with the shortcut, and judge there and on phantoms without it."""
    settings = (*PHANTOMS, *REMEDIES[remedy], f"data.phantom.seed={seed}")
    run = folder / f"{list(REMEDIES).index(remedy)}-{seed}"
    radlens.run("phantom", run, preset="fast", seed=seed, settings=(*settings, "data.phantom.shortcut=framing"))
    alike = (*PHANTOMS, f"data.phantom.seed={1000 + seed}")
    radlens.evaluate(run, "phantom", f"{run}-alike", split="all", settings=alike)
    own, other = (read_metrics(place / "metrics.json")["test"] for place in (run, Path(f"{run}-alike")))
    framing = own.framing
    if framing is None:
        raise SystemExit("The run was made without the framing suite (evaluate.framing_images=0).")
    return {
        "remedy": remedy,
        "seed": seed,
        "auroc": own.auroc.value,
        "balanced_accuracy": framing.unchanged.balanced_accuracy,
        "worst": framing.worst,
        "worst_balanced_accuracy": framing.worst_balanced_accuracy.value,
        "verdict": framing.verdict,
        "auroc_alike": other.auroc.value,
        "sensitivity_alike": other.sensitivity.value,
        "specificity_alike": other.specificity.value,
    }


def report() -> None:
    """Print the table from the data file and put it into the documentation."""
    rows = [
        [
            str(row["remedy"]),
            str(row["seed"]),
            f"{row['auroc']:.3f}",
            f"{row['balanced_accuracy']:.3f}",
            f"{row['worst_balanced_accuracy']:.3f} ({row['worst']})",
            f"**{row['verdict']}**",
            f"{row['auroc_alike']:.3f}",
            f"{row['sensitivity_alike']:.3f}",
            f"{row['specificity_alike']:.3f}",
        ]
        for row in pd.read_csv(DATA).sort_values(["remedy", "seed"]).to_dict("records")
    ]
    header = ["trained", "seed", "AUROC", "balanced accuracy", "worst of the suite", "verdict"]
    alike = [f"{name}, all framed alike" for name in ("AUROC", "sensitivity", "specificity")]
    text = markdown_table([*header, *alike], rows)
    print(text)
    write_between(PAGE, "phantoms", text)


def main() -> None:
    """Compute the rows that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/framing-phantoms"))
    parser.add_argument("--report", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if not options.report:
        print(describe_machine())
        table = pd.read_csv(DATA) if DATA.exists() else pd.DataFrame({"remedy": [], "seed": []})
        there = set(table[["remedy", "seed"]].itertuples(index=False, name=None))
        for seed in options.seeds:
            for remedy in REMEDIES:
                if (remedy, seed) not in there:
                    table = pd.concat([table, pd.DataFrame([measure(remedy, seed, options.out)])])
                    table.to_csv(DATA, index=False)
    report()


if __name__ == "__main__":
    main()
