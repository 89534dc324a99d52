"""Which images a command line speaks of: files, folders, patterns, and paths on standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from radlens.base.errors import UsageError
from radlens.imaging.scan import LeftOut, is_litter, is_own_file, walk

STANDARD_INPUT = "-"


def find_images(arguments: Sequence[str], left_out: LeftOut, standard_input: int = 0) -> Iterator[str]:
    """The paths of the images, one by one, in a fixed order.

    A file is taken whatever its name. Of a folder the images below it are, told by content where the name does not;
    hidden files and files of other kinds are counted in ``left_out``, what operating systems leave behind is not.
    Pictures that radlens made of others, such as overlays, are left out everywhere, however they are given. A pattern
    (``*``, ``?``, ``[...]``, and ``**`` for any folders) stands for what it matches, as in a shell, but never for
    hidden names; with ``**`` for files alone. What does not exist is given back as it is, so that its answer says so.

    Args:
        arguments: as the user gave them; ``-``: one path a line, of a file or a folder, from standard input.
        left_out: told what is left out along the way.
        standard_input: file descriptor to read from.

    Raises:
        UsageError: standard input is named twice.
    """
    if list(arguments).count(STANDARD_INPUT) > 1:
        raise UsageError("Standard input (-) was named twice; it can be read once.")
    return _find(arguments, left_out, standard_input)


def describe(left_out: LeftOut) -> list[str]:
    """What was left out, in sentences; none where it is nothing."""
    said = list(left_out.notes())
    if left_out.hidden:
        said.append(f"{left_out.hidden:,} hidden file(s) or folder(s) are left out.")
    if left_out.others:
        count, kinds = left_out.others.total(), left_out.named_others()
        said.append(f"{count:,} file(s) that are not images are left out: {kinds}.")
    return said


def _find(arguments: Sequence[str], left_out: LeftOut, standard_input: int) -> Iterator[str]:
    for argument in arguments:
        if argument == STANDARD_INPUT:
            for line in _lines(standard_input):
                yield from _named(line, left_out)
        elif not os.path.lexists(argument) and glob.has_magic(argument):
            yield from _matching(argument, left_out)
        else:
            yield from _named(argument, left_out)


def _matching(pattern: str, left_out: LeftOut) -> Iterator[str]:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if "**" in pattern:
        matches = [path for path in matches if not Path(path).is_dir()]
    matches = [path for path in matches if not any(map(is_litter, Path(path).parts))] or [pattern]
    for path in matches:
        yield from _named(path, left_out)


def _named(path: str, left_out: LeftOut) -> Iterator[str]:
    if Path(path).is_dir():
        yield from walk(Path(path), path.rstrip("/"), left_out)
    elif Path(path).is_file() and is_own_file(path):
        left_out.own.append(path)
    else:
        yield path


def _lines(descriptor: int) -> Iterator[str]:
    """Lines as they come; read from the descriptor, since a stream's lock could hang the end of the program."""
    rest = b""
    while piece := os.read(descriptor, 65536):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (os.fsdecode(line.rstrip(b"\r")) for line in whole if line.strip())
    if rest.strip():
        yield os.fsdecode(rest.rstrip(b"\r"))
