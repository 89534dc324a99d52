"""The command ``doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radlens.workflows.doctor import Diagnosis, Extra


def doctor() -> None:
    """Say what is installed, what is missing for what, and what of this machine may be used.

    Ends with 1 where a package is installed that cannot be imported, or the cache cannot be read.
    """
    from radlens.workflows.doctor import doctor as examine

    diagnosis = examine()
    for line in _lines(diagnosis):
        typer.echo(line)
    if diagnosis.broken or diagnosis.cache_error:
        raise typer.Exit(1)


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"radlens {diagnosis.radlens}, Python {diagnosis.python}, {diagnosis.system}"
    yield f"Processor: {diagnosis.cpu}, {diagnosis.cores} of {diagnosis.machine_cores} core(s) usable"
    yield f"Memory: {_size(diagnosis.memory)} of {_size(diagnosis.machine_memory)} usable"
    yield f"GPU: {', '.join(diagnosis.gpus) or 'none that PyTorch can use; none is needed'}"
    if diagnosis.cache is None:
        yield f"Cache: {diagnosis.cache_error}"
    else:
        held = sum(diagnosis.cache.folders.values())
        yield (
            f"Cache: {diagnosis.cache.folder}, {_size(held)} (decoded images: at most {_size(diagnosis.cache.limit)}), "
            f"{_size(diagnosis.cache_free)} free on its drive"
        )
    yield "Installed:"
    for extra in diagnosis.extras:
        yield from _extra(extra)


def _extra(extra: Extra) -> Iterator[str]:
    state = "broken" if extra.broken else "missing" if extra.missing else "ready"
    yield f"  {extra.name or 'base':<10} {state:<8} {extra.purpose}"
    if extra.missing:
        yield f"{'':21}lacks {', '.join(extra.missing)}: {extra.install}"
    for message in extra.broken:
        yield f"{'':21}{message}"


def _size(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 10**9:,.1f} GB"
