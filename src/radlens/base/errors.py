"""The errors that radlens raises for a user's mistake, each with the exit code the command line answers with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RadlensError(Exception):
    """The data or the model failed a check. The message says what, where, what was expected and what to do."""

    exit_code = 1


class DataError(RadlensError):
    """Something in the images, labels or splits makes the requested step impossible or unsafe."""


class UsageError(RadlensError):
    """A wrong setting, option or name was given."""

    exit_code = 2


class MissingPackageError(UsageError, ImportError):
    """A package is needed that is not installed or cannot be imported; the message names the extra that brings it."""


class TrainingInterruptedError(RadlensError):
    """Ctrl-C ended the training; what was reached is kept, and the message says how to go on."""

    exit_code = 130


def did_you_mean(received: str, known: Iterable[str]) -> str:
    """Name the nearest of the known values, and list them all.

    >>> did_you_mean("basline", ["baseline", "fast"])
    "Did you mean 'baseline'? Known: baseline, fast."
    """
    names = sorted(known)
    close = difflib.get_close_matches(received.lower(), names, n=1, cutoff=0.5)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}Known: {', '.join(names)}."
