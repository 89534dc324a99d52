"""The commands that use a trained model or pass it on: predict, export, push."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from radlens.cli.options import TrainedModelName
from radlens.cli.streams import write_same_bytes


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
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another bound on files than in training, such as data.limits.max_pixels=200000000. Repeatable.",
        ),
    ] = None,
) -> None:
    """Answer for images: the class at the model's operating point, calibrated probabilities, and what is odd.

    Exit code 0: all images were answered; 1: some could not be, and their rows say why; 2: wrong usage.
    """
    from radlens.runtime.predict_files import predict_files
    from radlens.workflows.load import load

    if form not in (None, "table"):
        write_same_bytes()
    tally = predict_files(
        load(model, operating_point=operating_point, prevalence=prevalence, threads=threads, settings=settings or ()),
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
    """Write a model's folder again, with an ONNX graph that was found to answer as PyTorch does.

    Smaller weights are used only if, on the validation images of the run, AUROC changes by at most .002 and at most
    0.2 % of the decisions change, and the file is smaller or faster; what was measured is in config.json.
    """
    from radlens.workflows.export import export as export_model

    typer.echo(f"Model: {export_model(model, out, float16=float16, int8=int8)}")


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
