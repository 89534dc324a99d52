"""The command line: one thin command a verb, no logic. The modules have the commands, by theme."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from radlens.base.errors import RadlensError
from radlens.base.optional import explained_imports
from radlens.cli import cache, data, doctor, evidence, models, training
from radlens.cli.streams import ClosedPipeError, standard_streams
from radlens.learning.allocator import keep_freed_memory

app = typer.Typer(
    help="A folder of labelled medical images in; a disease classifier you can trust and explain out. "
    "Research and education; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


# Every command with the extra that it needs (radlens.base.optional), in the order of the help.
COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (training.demo, "train"),
    (training.run, "train"),
    (training.train, "train"),
    (data.index, "train"),
    (data.audit, "train"),
    (evidence.evaluate, "train"),
    (evidence.compare, "train"),
    (evidence.stress, "train"),
    (models.predict, ""),
    (models.export, "train"),
    (models.push, "hub"),
    (cache.cache, ""),
    (doctor.doctor, ""),
)


def _help(command: Callable[..., None], extra: str) -> str:
    """The command's own docstring; the extra stands at the end of its first line, which is all the list shows."""
    first, _, rest = (inspect.getdoc(command) or "").partition("\n\n")
    needs = f" Needs the extra: {extra}." if extra else ""
    return f"{first}{needs}\n\n{rest}".strip()


for _command, _extra in COMMANDS:
    app.command(help=_help(_command, _extra))(_command)


def main() -> None:
    """Run the command line; a user's mistake gives one message and the exit code of DESIGN, never a traceback."""
    # The process is radlens's own: of a caller's process the library leaves the allocator alone.
    keep_freed_memory()
    with standard_streams() as output:
        code = _exit_code(_run)
        if not code or output.failure is None:
            # What is held back may be refused only now, and what was refused before may have been swallowed.
            code = _exit_code(output.end) or code
    sys.exit(code)


def _run() -> None:
    with explained_imports():
        app(prog_name="radlens")


def _exit_code(step: Callable[[], None]) -> str | int | None:
    """What the process ends with after this step; a mistake is said."""
    try:
        step()
    except ClosedPipeError as error:
        return error.exit_code
    except RadlensError as error:
        typer.secho(f"error: {error}", err=True, fg=typer.colors.RED)
        return error.exit_code
    except KeyboardInterrupt:
        typer.secho("Interrupted.", err=True)
        return 130
    except SystemExit as ended:
        return ended.code
    return 0


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
