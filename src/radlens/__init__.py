"""radlens: a folder of labelled medical images in; a disease classifier you can trust and explain out.

The verbs are functions: :func:`run`, :func:`index`, :func:`audit`, :func:`train`, :func:`evaluate`, :func:`compare`,
:func:`cross_validate`, :func:`stress`, :func:`write_stress_images`, :func:`export`, :func:`load`, :func:`push`. What
they give is a :class:`Result`, :class:`Manifest`, :class:`Audit` or :class:`Predictor`; what they raise is a
:class:`RadlensError`. Where the install lacks what a verb needs, that is a :class:`MissingPackageError`, an
:class:`ImportError` too; it names the extra to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from radlens.base.optional import explained_imports
from radlens.base.version import __version__

if TYPE_CHECKING:
    from radlens.base.errors import DataError, MissingPackageError, RadlensError, TrainingInterruptedError, UsageError
    from radlens.dataset.audit import Audit
    from radlens.dataset.manifest import Manifest
    from radlens.runtime.predictor import Predictor
    from radlens.workflows.audit import audit, index
    from radlens.workflows.compare import compare
    from radlens.workflows.cross_validate import cross_validate
    from radlens.workflows.evaluate import evaluate
    from radlens.workflows.export import export, push
    from radlens.workflows.load import load
    from radlens.workflows.result import Result
    from radlens.workflows.run import run, train
    from radlens.workflows.stress import stress
    from radlens.workflows.stress_pictures import write_stress_images

_ELSEWHERE = {
    "Audit": "radlens.dataset.audit",
    "DataError": "radlens.base.errors",
    "Manifest": "radlens.dataset.manifest",
    "MissingPackageError": "radlens.base.errors",
    "Predictor": "radlens.runtime.predictor",
    "RadlensError": "radlens.base.errors",
    "Result": "radlens.workflows.result",
    "TrainingInterruptedError": "radlens.base.errors",
    "UsageError": "radlens.base.errors",
    "audit": "radlens.workflows.audit",
    "compare": "radlens.workflows.compare",
    "cross_validate": "radlens.workflows.cross_validate",
    "evaluate": "radlens.workflows.evaluate",
    "export": "radlens.workflows.export",
    "index": "radlens.workflows.audit",
    "load": "radlens.workflows.load",
    "push": "radlens.workflows.export",
    "run": "radlens.workflows.run",
    "stress": "radlens.workflows.stress",
    "train": "radlens.workflows.run",
    "write_stress_images": "radlens.workflows.stress_pictures",
}
__all__ = [
    "Audit",
    "DataError",
    "Manifest",
    "MissingPackageError",
    "Predictor",
    "RadlensError",
    "Result",
    "TrainingInterruptedError",
    "UsageError",
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


def __getattr__(name: str) -> object:
    """Import a verb when it is used: with training comes torch, with loading a model does not."""
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with explained_imports():
        return getattr(import_module(_ELSEWHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
