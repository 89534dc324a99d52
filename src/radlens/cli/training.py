"""The commands that train: demo, run, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from radlens.base.signatures import spelled_out
from radlens.cli.options import OptionalSource, Out, Overwrite, Seed, run_options
from radlens.cli.tables import show_framing, show_result


def demo(
    out: Out = Path("demo"),
    seed: Seed = None,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole workflow on simulated chest radiographs, offline, in about a minute."""
    from radlens.workflows.run import demo as run_demo

    show_result(run_demo(out, seed=seed or 0, overwrite=overwrite))


@spelled_out(run_options)
def run(
    out: Out,
    source: OptionalSource = None,
    *,
    folds: Annotated[
        int | None,
        typer.Option(help="Cross-validate with so many trainings; each image is judged unseen."),
    ] = None,
    **options: Any,
) -> None:
    """Load, look, split, augment, train, evaluate, report."""
    from radlens.workflows.cross_validate import cross_validate
    from radlens.workflows.run import run as run_workflow

    if folds is not None:
        show_result(cross_validate(source, out, folds=folds, **_given(options)))
    else:
        show_result(run_workflow(source, out, **_given(options)))


@spelled_out(run_options)
def train(out: Out, source: OptionalSource = None, **options: Any) -> None:
    """Train only: like run, without looking at the test images."""
    from radlens.runtime.model_folder import open_model_folder
    from radlens.workflows.run import train as train_model

    train_model(source, out, **_given(options))
    framing = open_model_folder(out).config.framing
    if framing is not None:
        show_framing(framing)
    typer.echo(f"Model: {out / 'model'}")


def _given(options: dict[str, Any]) -> Any:
    """The options without those that were left out, which typer gives as None."""
    return {name: value for name, value in options.items() if value is not None}
