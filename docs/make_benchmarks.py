"""Write ``docs/benchmarks.md`` from the data files of the benchmarks and the folder of the model in the box.

Run it with ``python docs/make_benchmarks.py`` after a change of results or of the model in the box.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
from benchmark_cells import first_paragraph, machines_named, markdown_table, seeds_named, with_interval, with_spread

HERE = Path(__file__).parent
SCRIPTS = HERE.parent / "benchmarks"
RESULTS = SCRIPTS / "results"
BOX = HERE.parent / "src" / "radlens" / "models" / "pneumonia-cxr"

INTRO = """\
<!-- Written by docs/make_benchmarks.py: run a benchmark and this script again, change no figure here. -->
# Benchmarks

Every figure on this page was read from a file: the results of a script in [benchmarks](../benchmarks), which anyone can
run again, or the folder of the [model in the box](../src/radlens/models/pneumonia-cxr/README.md). A test fails when the
page differs from these files. Speeds hold for the machine named and for no other.
"""

# Which page shows the whole of a data file.
IN_FULL = {
    "ablation": ("The recipe", "explanation/recipe.md#the-shift-tests"),
    "abstention_rate": ("When the model does not answer", "explanation/abstention.md"),
    "conformal_folds": ("When the model does not answer", "explanation/abstention.md"),
    "out_of_distribution": ("When the model does not answer", "explanation/abstention.md"),
    "framing_recipe": ("The recipe", "explanation/recipe.md#the-framing-suite-comes-first"),
    "interval_coverage": ("How intervals are made", "explanation/intervals.md#shown-by-simulation"),
    "saliency": ("Where the model looks", "explanation/saliency.md"),
    "shifted_answers": ("When the model does not answer", "explanation/abstention.md"),
}
METRICS = ("auroc", "accuracy", "sensitivity", "specificity", "precision", "f1", "brier", "ece")
OUT_OF_DISTRIBUTION = ("rsna_normal", "bimcv_covid", "photographs, drawings, microscopy", "pages of text", "noise")


def pages() -> dict[Path, str]:
    """The text of the page by its place."""
    parts = [
        INTRO,
        sources(),
        model_in_the_box(),
        presets(),
        abstention(),
        changed_images(),
        recipes(),
        coverage(),
        maps(),
    ]
    return {HERE / "benchmarks.md": "\n".join([*parts, prediction(), others()])}


def sources() -> str:
    """Which script left which data file, with the seeds and machines that it names."""
    rows = []
    for path in sorted(RESULTS.glob("*.csv")):
        data = pd.read_csv(path)
        title, link = IN_FULL.get(path.stem, ("this page", ""))
        shown = f"[{title}]({link})" if link else title
        script = f"`benchmarks/{path.stem}.py`"
        rows.append([script, f"{len(data):,}", seeds_named(data), machines_named(data), shown])
    table = markdown_table(["script", "rows", "seeds or repeats", "machine", "in full"], rows)
    return f"## Where the figures come from\n\nA dash means that the data file does not tell.\n\n{table}"


def model_in_the_box() -> str:
    """How it was made, its figures with their intervals, and the framing suite."""
    config = _config()
    training, metrics, framing = config["training_data"], config["metrics"], config["framing"]
    made = _sentence(r"Trained by `benchmarks/boxed_model\.py` in [^.]+\.")
    images, patients = training["images"], training["patients"]
    counts = ", ".join(
        f"{name} {images[split]:,} images of {patients[split]:,} patients"
        for split, name in (("train", "training"), ("val", "validation"), ("test", "internal test"))
    )
    rows = [
        [name, f"{metrics[split]['n']:,}", *(with_interval(metrics[split]["metrics"][metric]) for metric in METRICS)]
        for split, name in (("val", "validation"), ("test", "internal test"))
    ]
    worst = with_interval(framing["worst_balanced_accuracy"])
    parity = config["onnx"]["parity"]
    return f"""\
## The model in the box

`pneumonia-cxr`: {config["network"]} at {config["preprocessing"]["height"]} x {config["preprocessing"]["width"]} pixels.
{made} One training; the seed also decides the split, by patient: {counts}.
In brackets, 95 % intervals over patients; the operating point is {config["threshold"]:.3f}.

{markdown_table(["split", "images", *METRICS], rows)}
These are not the official test images of the set, and an internal test says little: images of the same hospital, series
and framing lie on both sides of the split. The [framing suite](explanation/framing.md) was put to
{framing["images"]} of the internal test images, of {framing["patients"]} patients: the balanced accuracy is
{framing["balanced_accuracy"]:.3f} unchanged and {worst} under the worst counted change
({framing["worst"]}); verdict: {framing["verdict"]}.
Every change, and corruptions at three strengths, are on the [card](../src/radlens/models/pneumonia-cxr/README.md).

`model.onnx` and PyTorch were compared on {parity["images"]} images: the largest difference of a probability is
{parity["largest_difference"]:.1e}, and {parity["decisions_flipped"]} decisions differ.
"""


def presets() -> str:
    """What whole runs on the real images came to, by preset and split, over their seeds."""
    data = pd.read_csv(RESULTS / "real_runs.csv")
    shown = ("auroc", "accuracy", "sensitivity", "specificity", "ece")
    rows = []
    for (preset, split), part in data.groupby(["preset", "split"], sort=False):
        worst = part["framing_worst_balanced_accuracy"].dropna()
        cells = [with_spread(part[name], 3) for name in shown]
        rows.append(
            [f"`{preset}`, {split}", str(part["n"].iloc[0]), *cells, with_spread(worst, 3) if len(worst) else "–"]
        )
    verdicts = data.dropna(subset="framing_verdict").groupby("preset")["framing_verdict"].agg(", ".join)
    said = "; ".join(f"`{preset}`: {listed}" for preset, listed in verdicts.items())
    machines = ", ".join(sorted(set(data["machine"])))
    return f"""\
## Whole runs by preset

By `benchmarks/real_runs.py` on {machines}; seeds {seeds_named(data)}. Every seed trains on a split
of its own, by patient. Means over the seeds, with the smallest and the largest in brackets. Last, the worst balanced
accuracy of the framing suite, on a sample of the internal test that is bounded by the time of training.

{markdown_table(["run and split", "images", *shown, "worst under framing"], rows)}
Verdicts of the framing suite, by seed: {said}.
"""


def abstention() -> str:
    """What the model in the box answers, refers and refuses; the stated rate of error on halved patients."""
    answers = _sentence(r"Of the \d+ internal test images it answers [^.]+\.")
    data = pd.read_csv(RESULTS / "out_of_distribution.csv")
    (used,) = [way for way in data["way"].unique() if way.endswith("(radlens)")]
    (rate,) = [name for name in data if str(name).startswith("refused at") and _stated_rate() in str(name)]
    kinds = data[data["way"] == used].set_index("kind")
    rows = [[kind, f"{kinds['images'][kind]:,}", f"{kinds[rate][kind]:.1%}"] for kind in OUT_OF_DISTRIBUTION]
    for group, name in (("framed: ", "validation, framed otherwise"), ("corrupted: ", "validation, corrupted")):
        own = kinds[kinds.index.str.startswith(group)]
        share = f"mean {own[rate].mean():.1%} [{own[rate].min():.1%}, {own[rate].max():.1%}]"
        rows.append([f"{name}, {len(own)} changes", f"{own['images'].sum():,}", share])
    folds = pd.read_csv(RESULTS / "conformal_folds.csv")
    shares = ["left out of the set", "answered wrongly", "referred"]
    halves = []
    for (stated, label), part in folds.groupby(["rate", "class"]):
        low, high = part[shares].quantile(0.05), part[shares].quantile(0.95)
        cells = [f"{part[share].mean():.1%} [{low[share]:.1%}, {high[share]:.1%}]" for share in shares]
        halves.append([f"{stated:g}", str(label), *cells])
    return f"""\
## What it does not answer

{answers}

Out-of-distribution detection: the share refused where {_stated_rate()} of images like those of validation may be; in
brackets, the smallest and the largest over the changes. The adults served to choose the distance, which flatters it.

{markdown_table(["images", "number", "refused"], rows)}
The conformal promise on real patients: validation and internal test images were halved by patient
{folds["repeat"].nunique()} times, limits taken from one half and answers given for the other. Mean, and the
central 90 % of the halvings:

{markdown_table(["stated rate of error", "class", *shares], halves)}"""


def changed_images() -> str:
    """The model in the box on changed images: mean over the changes, smallest and largest."""
    data = pd.read_csv(RESULTS / "shifted_answers.csv")
    group = data["change"].str.partition(":")[0]
    shares = ["wrong", "answered wrongly", "referred", "refused"]
    rows = []
    for name in ("unchanged", "framing", "corruption"):
        part = data[group == name]
        cells = [f"{part[share].mean():.1%}" for share in shares]
        if len(part) > 1:
            cells = [f"{part[s].mean():.1%} [{part[s].min():.1%}, {part[s].max():.1%}]" for s in shares]
        rows.append([name if len(part) == 1 else f"{name}, {len(part)} changes", *cells])
    return f"""\
## On changed images

{data["images"].iloc[0]:.0f} internal test images. *Wrong* is at the operating point, if all were answered; in brackets,
the smallest and the largest over the changes.

{markdown_table(["images", *shares], rows)}"""


def recipes() -> str:
    """The framing suite by recipe; the ingredients on what was left out of training."""
    framing = pd.read_csv(RESULTS / "framing_recipe.csv")
    figures = ["worst_balanced", "worst_specificity", "worst_sensitivity", "auroc", "auroc_corrupted"]
    rows = [
        [str(variant), str(len(part)), *(with_spread(part[figure], 3) for figure in figures)]
        for variant, part in framing.groupby("variant", sort=False)
    ]
    header = ["variant", "trainings", *(figure.replace("_", " ") for figure in figures)]
    data = pd.read_csv(RESULTS / "ablation.csv")
    ablation = []
    for recipe, part in data.groupby("recipe", sort=False):
        own = part[part["variant"] == "recipe"]
        cells = [
            with_spread(own[figure], 3) for figure in ("auroc", "auroc_shifted", "auroc_corrupted", "balanced_shifted")
        ]
        names = [f"`{recipe}`", f"{len(part)}", f"{part['variant'].nunique()}", ", ".join(part["device"].unique())]
        ablation.append([*names, *cells])
    columns = ["recipe", "trainings", "variants", "machines", "AUROC, like training", "AUROC, left out"]
    return f"""\
## Recipes

By the framing suite, on internal test images at the threshold of validation images and their changed copies:

{markdown_table(header, rows)}
By the shift tests, on series of images left out of training. Both recipes, named by a hash of their settings and the
earlier one first, are older than the framing suite. The figures are those of the recipe itself, with the smallest and
the largest of its trainings; [The recipe](explanation/recipe.md) shows each ingredient taken away in turn.

{markdown_table([*columns, "AUROC, corrupted", "balanced accuracy, left out"], ablation)}"""


def coverage() -> str:
    """How often the intervals in use hold the truth."""
    data = pd.read_csv(RESULTS / "interval_coverage.csv")
    used = data[data["headline"]]
    scenarios = list(used["scenario"].unique())
    rows = []
    for (metric, method), part in used.groupby(["metric", "method"], sort=False):
        shares = part.set_index("scenario")["covered"]
        rows.append([str(metric), str(method), *(f"{100 * shares[name]:.1f}" for name in scenarios)])
    few, many = used["datasets"].min(), used["datasets"].max()
    return f"""\
## Intervals

The percentage of simulated data sets ({few:,} to {many:,} of each kind) whose 95 % interval holds the truth, by the
method in use for each figure:

{markdown_table(["figure", "method", *scenarios], rows)}"""


def maps() -> str:
    """Whether the maps point at known lesions."""
    data = pd.read_csv(RESULTS / "saliency.csv")
    own = data[data["check"] == "pointing game, phantoms"]
    rows = [[str(of), f"{value:.3f}", f"{images:,}"] for of, value, images in own[["of", "value", "images"]].values]
    return f"""\
## Maps of where the model looks

The pointing game on simulated radiographs, whose lesions are known; the recipe is the one before the framing suite, as
[Where the model looks](explanation/saliency.md) says.

{markdown_table(["preset and place", "share that points at the lesion", "images"], rows)}"""


def prediction() -> str:
    """Speed and memory of answering."""
    data = pd.read_csv(RESULTS / "inference_speed.csv")
    value = "median [min, max]"
    whole = data[data["part"].isin(["start", "files", "memory", "map", "openvino"])]
    rows = [[str(row["what"]), str(row["measure"]), str(row[value])] for _, row in whole.iterrows()]
    network = data[data["part"] == "network"].copy()
    network[["model", "engine", "threads", "batch"]] = network["what"].str.extract(
        r"^(.*), ([^,]+), (\d+) thread\(s\), batch (\d+)$"
    )
    places = list(dict.fromkeys(zip(network["threads"], network["batch"], strict=True)))
    header = [
        "model",
        "engine",
        *(f"{threads} thread{'s' * (threads != '1')}, batch {batch}" for threads, batch in places),
    ]
    tables = []
    for measure, chosen in (
        ("images/s", network),
        ("time / onnxruntime's", network[network["engine"] != "onnxruntime"]),
    ):
        own = chosen[chosen["measure"] == measure].set_index(["model", "engine", "threads", "batch"])[value]
        pairs = list(dict.fromkeys(key[:2] for key in own.index))
        tables.append(
            markdown_table(header, [[*pair, *(str(own[(*pair, *place)]) for place in places)] for pair in pairs])
        )
    commits = ", ".join(dict.fromkeys(str(name).rpartition(" ")[2] for name in data["machine"]))
    return f"""\
## Prediction

By `benchmarks/inference_speed.py` on {machines_named(data)}; radlens at {commits}.
Medians, with the smallest and the largest round in brackets. All engines compute the same: the probabilities, and for
`pneumonia-cxr` the distance from the training images. radlens answers by onnxruntime in 32 bit; OpenVINO is not
built in.

{markdown_table(["what", "measure", "value"], rows)}
Images a second of the network alone, without reading files:

{tables[0]}
The same as time, with that of onnxruntime as 1:

{tables[1]}"""


def others() -> str:
    """What is measured by a script and has no data file here."""
    kept = {path.stem for path in RESULTS.glob("*.csv")}
    rows = []
    for path in sorted(SCRIPTS.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem not in kept and 'if __name__ == "__main__"' in text:
            rows.append([f"`benchmarks/{path.name}`", first_paragraph(text)])
    return f"""\
## Measured on demand

These scripts print their figures and keep none here: run them on your machine. Where a page of the documentation gives
one of their figures, it names the script.

{markdown_table(["script", "what it measures"], rows)}"""


def _config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((BOX / "config.json").read_text(encoding="utf-8"))
    return config


def _stated_rate() -> str:
    return f"{_config()['abstention']['ood_rate']:g}"


def _sentence(pattern: str) -> str:
    """A sentence of the model's card.

    Raises:
        SystemExit: the card has no such sentence.
    """
    card = " ".join((BOX / "README.md").read_text(encoding="utf-8").split())
    match = re.search(pattern, card)
    if match is None:
        raise SystemExit(f"{BOX / 'README.md'} has no sentence of the form {pattern!r}: change it here or there.")
    return match.group()


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
