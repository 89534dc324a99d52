"""One list of options for several functions, which still show them one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


def spelled_out(options: Callable[..., object]) -> Callable[[Function], Function]:
    """Show the parameters of ``options`` in the signature of a function that takes them as ``**options``.

    What reads signatures (``help``, notebooks, typer) then sees each of them with its type and its default. They stand
    behind the function's positional parameters and before its own keyword-only ones.

    >>> def paint(*, colour: str = "grey", width: int = 1) -> None: ...
    >>> @spelled_out(paint)
    ... def draw(path: str, *, closed: bool = False, **options: object) -> None: ...
    >>> list(inspect.signature(draw).parameters)
    ['path', 'colour', 'width', 'closed']
    """

    def show(function: Function) -> Function:
        signature = inspect.signature(function, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        positional = [each for each in own if each.kind is not inspect.Parameter.KEYWORD_ONLY]
        shared = inspect.signature(options, eval_str=True).parameters.values()
        parameters = [*positional, *shared, *(each for each in own if each not in positional)]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return show
