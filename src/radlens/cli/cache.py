"""The command ``cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from radlens.workflows.cache import CacheContents


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all decoded images. Phantoms and downloads stay.")
    ] = False,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Remove the contracts not used for longest until the rest fits, such as '5 GB'."
        ),
    ] = None,
) -> None:
    """Show what is kept of decoded images, or remove it."""
    from radlens.workflows.cache import cache as look_at_cache

    _show(look_at_cache(clear=clear, limit=limit))


def _show(contents: CacheContents) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    folders = ", ".join(f"{name} {_size(size)}" for name, size in contents.folders.items()) or "empty"
    console.print(f"{contents.folder}: {folders}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"Limit of decoded images: {_size(contents.limit)} (RADLENS_CACHE_LIMIT)", highlight=False)
    if contents.contracts:
        table = Table()
        for name in ("contract", "images", "unreadable", "size", "last used"):
            table.add_column(name, justify="left" if name == "contract" else "right")
        for each in contents.contracts:
            counts = f"{each.images:,}", f"{each.rejected:,}"
            table.add_row(each.contract, *counts, _size(each.bytes), f"{each.last_used:%Y-%m-%d %H:%M}")
        console.print(table)


def _size(number: int) -> str:
    return f"{number / 10**9:,.1f} GB" if number >= 10**9 else f"{number / 10**6:,.1f} MB"
