"""The command line: one thin command a verb, no logic."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from radlens.base.errors import RadlensError, UsageError
from radlens.cli.cache_commands import cache
from radlens.cli.tables import show_audit, show_comparison, show_framing, show_result, show_stress

app = typer.Typer(
    help="A folder of labelled medical images in; a disease classifier you can trust and explain out. "
    "Research and education; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_SOURCE_HELP = "Folder, CSV, .npz in MedMNIST form, or a name: kermany, pneumoniamnist, phantom."
Source = Annotated[str, typer.Argument(help=_SOURCE_HELP)]
OptionalSource = Annotated[str | None, typer.Argument(help=f"{_SOURCE_HELP} Not needed with --config or --resume.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; must be new or empty.")]
OptionalOut = Annotated[Path | None, typer.Option(help="Folder for the results; must be new or empty.")]
Preset = Annotated[str | None, typer.Option(help="Values to start from: fast (the default), best or baseline.")]
TrainedModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="A run, a model folder, a model in the box, or owner/name of the hub.")
]
Model = Annotated[str | None, typer.Option(help="Network to train, by name.")]
Seed = Annotated[int | None, typer.Option(help="Every random choice of the run follows from it.")]
Config = Annotated[Path | None, typer.Option(help="YAML file of settings, such as an earlier run's config.yaml.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as train.epochs=20. Repeatable."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="CHECK", help="Go on in spite of this blocking finding of the audit. Repeatable."),
]
Overwrite = Annotated[bool, typer.Option(help="Replace the results of an earlier run in --out.")]
Resume = Annotated[bool, typer.Option(help="Go on with the stopped run in --out.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from radlens.base.version import __version__

        typer.echo(f"radlens {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Show the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and results only.")] = False,
) -> None:
    _show_log(logging.WARNING if quiet else logging.INFO)


@app.command()
def demo(
    out: Out = Path("demo"),
    seed: Seed = None,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole workflow on simulated chest radiographs, offline, in about a minute."""
    from radlens.workflows.run import demo as run_demo

    show_result(run_demo(out, seed=seed or 0, overwrite=overwrite))


@app.command()
def run(
    out: Out,
    source: OptionalSource = None,
    preset: Preset = None,
    model: Model = None,
    seed: Seed = None,
    config: Config = None,
    settings: Set = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    folds: Annotated[
        int | None,
        typer.Option(help="Cross-validate with so many trainings; each image is judged unseen."),
    ] = None,
) -> None:
    """Load, look, split, augment, train, evaluate, report."""
    from radlens.workflows.run import run as run_workflow

    if folds is not None:
        from radlens.workflows.cross_validate import cross_validate

        show_result(
            cross_validate(
                source,
                out,
                folds=folds,
                preset=preset,
                model=model,
                seed=seed,
                config=config,
                settings=settings or (),
                allow=allow or (),
                overwrite=overwrite,
                resume=resume,
            )
        )
        return
    show_result(
        run_workflow(
            source,
            out,
            preset=preset,
            model=model,
            seed=seed,
            config=config,
            settings=settings or (),
            allow=allow or (),
            overwrite=overwrite,
            resume=resume,
        )
    )


@app.command()
def train(
    out: Out,
    source: OptionalSource = None,
    preset: Preset = None,
    model: Model = None,
    seed: Seed = None,
    config: Config = None,
    settings: Set = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Train only: like run, without looking at the test images."""
    from radlens.runtime.model_folder import open_model_folder
    from radlens.workflows.run import train as train_model

    train_model(
        source,
        out,
        preset=preset,
        model=model,
        seed=seed,
        config=config,
        settings=settings or (),
        allow=allow or (),
        overwrite=overwrite,
        resume=resume,
    )
    framing = open_model_folder(out).config.framing
    if framing is not None:
        show_framing(framing)
    typer.echo(f"Model: {out / 'model'}")


@app.command()
def index(source: Source, out: Out, config: Config = None, settings: Set = None, overwrite: Overwrite = False) -> None:
    """Read a source and write its manifest: which images, whose, labelled what."""
    from radlens.workflows.audit import index as index_source

    manifest = index_source(source, out, config=config, settings=settings or (), overwrite=overwrite)
    typer.echo(manifest.class_counts().to_string())
    typer.echo(f"Patients: {manifest.table['patient'].nunique()}")
    typer.echo(f"Manifest: {out / 'manifest.csv'}")


@app.command()
def audit(
    source: Source,
    out: OptionalOut = None,
    seed: Seed = None,
    config: Config = None,
    settings: Set = None,
    overwrite: Overwrite = False,
) -> None:
    """Find what would fool a classifier or its judges: leaks, duplicates, wrong labels, shortcuts, drift.

    Ends with exit code 1 when something blocks.
    """
    from radlens.workflows.audit import audit as audit_source

    found = audit_source(source, out, seed=seed, config=config, settings=settings or (), overwrite=overwrite)
    show_audit(found)
    if out is not None:
        typer.echo(f"Page: {out / 'audit.html'}")
    if found.blocks:
        raise typer.Exit(1)


@app.command()
def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A run or model folder, a model in the box, or a CSV of predictions."),
    ],
    out: Out,
    source: Annotated[
        str | None, typer.Argument(help=f"{_SOURCE_HELP} Not needed with a CSV that holds the labels.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test or all; default: test, else all.")] = None,
    config: Config = None,
    settings: Set = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
) -> None:
    """Score a trained model, or what any other program predicted, on labelled images it has never seen."""
    from radlens.workflows.evaluate import evaluate as evaluate_model

    show_result(
        evaluate_model(
            model,
            source,
            out,
            split=split,
            config=config,
            settings=settings or (),
            allow=allow or (),
            overwrite=overwrite,
        )
    )


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs or evaluations, two or more.")],
    out: OptionalOut = None,
    split: Annotated[str | None, typer.Option(help="train, val or test; default: test where all have it.")] = None,
    margin: Annotated[float, typer.Option(help="The largest loss that would not matter, decided beforehand.")] = 0.02,
    seed: Annotated[int, typer.Option(help="Of the bootstrap's draws.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Compare models on the same images, each with the first: differences, tests, and one verdict."""
    from radlens.assessment.comparison_verdict import verdict
    from radlens.workflows.compare import compare as compare_runs

    found = compare_runs(runs, out, split=split, margin=margin, seed=seed, overwrite=overwrite)
    show_comparison(found)
    typer.echo(verdict(found))
    if out is not None:
        typer.echo(f"Page: {out / 'comparison.html'}")


@app.command()
def stress(
    out: Out,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A run or model folder, a model in the box, owner/name of the hub, or a CSV of another program's "
            "answers.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Argument(
            help=f"{_SOURCE_HELP} Not needed for a run: its own test images. For a CSV: the folder of the pictures."
        ),
    ] = None,
    write_images: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Write these images out, unchanged and changed, for another program."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test or all; default: test, else all.")] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Most images to take; default: 400, and 200 with --write-images.")
    ] = None,
    longest: Annotated[
        int | None, typer.Option(min=16, help="With --write-images: longest side in pixels; default: 1024.")
    ] = None,
    seed: Seed = None,
    config: Config = None,
    settings: Set = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option(help="With --write-images: go on with what was stopped.")] = False,
) -> None:
    """Find what changes a model's mind and must not: framing, exposure, quality.

    Exit code 0: no change takes more than 5 points of balanced accuracy for certain; 1: one does.
    """
    from radlens.workflows.stress import stress as stress_model
    from radlens.workflows.stress_pictures import write_stress_images

    common: dict[str, Any] = {
        "split": split,
        **({} if images is None else {"images": images}),
        "seed": seed,
        "config": config,
        "settings": settings or (),
        "overwrite": overwrite,
    }
    if write_images is not None:
        if model is not None or allow:
            raise UsageError("--write-images SOURCE takes neither MODEL nor --allow: no model is asked.")
        size: dict[str, Any] = {} if longest is None else {"longest": longest}
        written = write_stress_images(write_images, out, **common, **size, resume=resume)
        typer.echo(f"Pictures: {written.pictures:,} ({written.size / 1e6:,.1f} MB) in {written.folder}")
        typer.echo(f"Table: {written.folder / 'stress_images.csv'}")
        return
    if model is None:
        raise UsageError("A MODEL is needed, or --write-images SOURCE.")
    if longest is not None or resume:
        raise UsageError("--longest and --resume belong to --write-images SOURCE.")
    result = stress_model(model, source, out, **common, allow=allow or ())
    show_stress(result)
    if result.failed:
        raise typer.Exit(1)


@app.command()
def predict(
    model: TrainedModelName,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Files, folders, patterns as 'in/**/*.dcm'; -: paths from standard input."
        ),
    ],
    form: Annotated[
        str | None, typer.Option("--format", help="table, csv, json or jsonl; default: as --out is called, else table.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the answers, in place of standard output.")] = None,
    resume: Annotated[bool, typer.Option(help="Answer only for images that --out has no answer for.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the answers in --out.")] = False,
    operating_point: Annotated[
        str | None, typer.Option(help="By name, such as 'sensitivity 0.95'; default: the model's own threshold.")
    ] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="Share of positive images where the model is used, to tell probabilities for.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(help="Folder for pictures of what speaks for and against the answer.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option(help="Stop at the first image that cannot be read.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Most images that the network takes at once.")] = 4,
    workers: Annotated[int, typer.Option(min=0, help="Threads that read and answer; 0: one a core.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Cores that one thread's network uses.")] = 1,
) -> None:
    """Answer for images: the class at the model's operating point, calibrated probabilities, and what is odd.

    Exit code 0: all images were answered; 1: some could not be, and their rows say why; 2: wrong usage.
    """
    from radlens.runtime.predict_files import predict_files
    from radlens.workflows.load import load

    if form not in (None, "table") and isinstance(sys.stdout, io.TextIOWrapper):
        # The same bytes on every system.
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    tally = predict_files(
        load(model, operating_point=operating_point, prevalence=prevalence, threads=threads),
        images,
        sys.stdout,
        form=form,
        out=out,
        resume=resume,
        overwrite=overwrite,
        explain=explain,
        fail_fast=fail_fast,
        batch_size=batch_size,
        workers=workers,
    )
    if tally.failed:
        raise typer.Exit(1)


@app.command()
def export(
    model: TrainedModelName,
    out: Annotated[Path | None, typer.Option(help="New folder for the model; without it, where it lies.")] = None,
    float16: Annotated[
        bool, typer.Option("--float16", help="Store weights in half precision, if that does no harm.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Store the graph's weights in 8 bits, if that does no harm.")
    ] = False,
) -> None:
    """Write a model's folder anew, with an ONNX graph that was found to answer as PyTorch does.

    Smaller weights are used only if, on the validation images of the run, AUROC changes by at most .002 and at most
    0.2 % of the decisions change, and the file is smaller or faster; what was measured is in config.json.
    """
    from radlens.workflows.export import export as export_model

    typer.echo(f"Model: {export_model(model, out, float16=float16, int8=int8)}")


@app.command()
def push(
    model: TrainedModelName,
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="What the model is to be called on the hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a repository that only its owners see.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be sent.")] = False,
) -> None:
    """Send a model's folder to the Hugging Face hub."""
    from radlens.workflows.export import push as push_model

    for file in push_model(model, name, private=private, dry_run=dry_run):
        typer.echo(f"{'Would send' if dry_run else 'Sent'} {file} ({file.stat().st_size:,} bytes)")


app.command()(cache)


def main() -> None:
    """Run the command line; a user's mistake gives one message and the exit code of DESIGN, never a traceback."""
    try:
        app(prog_name="radlens")
    except RadlensError as error:
        typer.secho(f"error: {error}", err=True, fg=typer.colors.RED)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.secho("Interrupted.", err=True)
        sys.exit(130)


def _show_log(level: int) -> None:
    """Messages of radlens go to standard error; on a terminal above the progress bar, else one line each."""
    from rich.console import Console
    from rich.logging import RichHandler

    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_time=False, show_path=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("radlens")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
