"""The commands that judge models: evaluate, compare, stress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from radlens.base.errors import UsageError
from radlens.cli.options import SOURCE_HELP, Allow, Config, OptionalOut, Out, Overwrite, Seed, Set
from radlens.cli.tables import show_comparison, show_result, show_stress


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A run or model folder, a model in the box, or a CSV of predictions."),
    ],
    out: Out,
    source: Annotated[
        str | None, typer.Argument(help=f"{SOURCE_HELP} Not needed with a CSV that holds the labels.")
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

    comparisons = compare_runs(runs, out, split=split, margin=margin, seed=seed, overwrite=overwrite)
    show_comparison(comparisons)
    typer.echo(verdict(comparisons))
    if out is not None:
        typer.echo(f"Page: {out / 'comparison.html'}")


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
            help=f"{SOURCE_HELP} Not needed for a run: its own test images. For a CSV: the folder of the pictures."
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
