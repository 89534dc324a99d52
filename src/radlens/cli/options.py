"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SOURCE_HELP = "Folder, CSV, .npz in MedMNIST form, or a name: kermany, pneumoniamnist, phantom."
Source = Annotated[str, typer.Argument(help=SOURCE_HELP)]
OptionalSource = Annotated[str | None, typer.Argument(help=f"{SOURCE_HELP} Not needed with --config or --resume.")]
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


def run_options(
    *,
    preset: Preset = None,
    model: Model = None,
    seed: Seed = None,
    config: Config = None,
    settings: Set = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """The options of a run (:class:`radlens.workflows.options.RunOptions`), in the order of the help."""
