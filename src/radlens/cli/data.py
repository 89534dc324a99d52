"""The commands on data alone: index, audit."""

from __future__ import annotations

import typer

from radlens.cli.options import Config, OptionalOut, Out, Overwrite, Seed, Set, Source
from radlens.cli.tables import show_audit


def index(source: Source, out: Out, config: Config = None, settings: Set = None, overwrite: Overwrite = False) -> None:
    """Read a source and write its manifest: which images, whose, labelled what."""
    from radlens.workflows.audit import index as index_source

    manifest = index_source(source, out, config=config, settings=settings or (), overwrite=overwrite)
    typer.echo(manifest.class_counts().to_string())
    typer.echo(f"Patients: {manifest.table['patient'].nunique()}")
    typer.echo(f"Manifest: {out / 'manifest.csv'}")


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

    report = audit_source(source, out, seed=seed, config=config, settings=settings or (), overwrite=overwrite)
    show_audit(report)
    if out is not None:
        typer.echo(f"Page, with what to do about each: {out / 'audit.html'}")
    elif report.findings:
        typer.echo("For what to do about each, write the page: --out DIR")
    if report.blocks:
        raise typer.Exit(1)
