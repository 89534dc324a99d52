"""radlens: a folder of labelled medical images in; a disease classifier you can trust and explain out.

The verbs are functions: :func:`run`, :func:`index`, :func:`audit`, :func:`train`, :func:`evaluate`, :func:`compare`,
:func:`cross_validate`, :func:`stress`, :func:`write_stress_images`, :func:`export`, :func:`load`, :func:`push`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from radlens.version import __version__

if TYPE_CHECKING:
    from radlens.comparing import compare
    from radlens.cross_validation import cross_validate
    from radlens.evaluation import evaluate
    from radlens.loading import load
    from radlens.workflow import audit, export, index, push, run, train
    from radlens.workflows.stress import stress
    from radlens.workflows.stress_pictures import write_stress_images

__all__ = [
    "__version__",
    "audit",
    "compare",
    "cross_validate",
    "evaluate",
    "export",
    "index",
    "load",
    "push",
    "run",
    "stress",
    "train",
    "write_stress_images",
]
_ELSEWHERE = {
    "compare": "radlens.comparing",
    "cross_validate": "radlens.cross_validation",
    "evaluate": "radlens.evaluation",
    "load": "radlens.loading",
    "stress": "radlens.workflows.stress",
    "write_stress_images": "radlens.workflows.stress_pictures",
}


def __getattr__(name: str) -> object:
    """Import a verb when it is used: with the workflow comes torch, with loading a model does not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "radlens.workflow")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
