"""Optional packages: the table agrees with pyproject.toml and the code, and every way to lack one gives one error."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from radlens.base.errors import MissingPackageError, UsageError
from radlens.base.optional import DISTRIBUTIONS, EXTRAS, explained_imports, import_optional, require_installed

ROOT = Path(__file__).parents[2]
# What jinja2 and lightning bring, which the extra names.
INDIRECT = {"markupsafe", "torchmetrics"}
VERBS = ("index", "audit", "run", "train", "evaluate", "compare", "stress", "write_stress_images", "cross_validate")


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=;\[ ]", each)[0].lower().replace("-", "_") for each in requirements}


def radlens_imports(package: str) -> None:
    """Import it as a module of radlens does, at its top."""
    code = compile(f"import {package}", "<made>", "exec")
    with explained_imports():
        exec(code, {"__name__": "radlens.made"})


def test_the_table_has_what_pyproject_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    for extra, packages in EXTRAS.items():
        names = {DISTRIBUTIONS.get(package, package).replace("-", "_") for package in packages}
        assert names - INDIRECT == declared(asked[extra]), extra


def test_the_table_has_every_package_that_the_code_imports() -> None:
    known = {*sys.stdlib_module_names, "radlens", *(package for packages in EXTRAS.values() for package in packages)}
    imported: dict[str, str] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.partition(".")[0]: path.name for name in names}
    assert {name: file for name, file in imported.items() if name not in known} == {}
    assert "torch" in imported


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ("sklearn", 'needs scikit-learn, which is not installed. The extra "train" brings it: pip install "radlens'),
        ("imagecodecs.numcodecs", 'imagecodecs, which is not installed. .*: pip install "radlens\\[dicom\\]"'),
        ("onnxruntime", "needs onnxruntime, which is not installed. It belongs to every install: pip install radlens"),
    ],
)
def test_an_absent_package_is_named_with_its_extra(package: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package.partition(".")[0], None)
    with pytest.raises(MissingPackageError, match=told):
        import_optional(package, "This test")
    with pytest.raises(MissingPackageError, match=told):
        require_installed("os", package.partition(".")[0])


def test_the_error_is_an_import_error_and_a_mistake_of_use() -> None:
    assert issubclass(MissingPackageError, ImportError)
    assert issubclass(MissingPackageError, UsageError)
    assert MissingPackageError.exit_code == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise OSError('libcudart.so.12: cannot open shared object file')", "OSError: libcudart.so.12: cannot open"),
        ("raise ImportError('\\n\\nIMPORTANT: PLEASE READ THIS\\nmore')", "ImportError: IMPORTANT: PLEASE READ THIS)"),
        ("import no_such_part", "ModuleNotFoundError: No module named 'no_such_part'"),
        ("raise ValueError('numpy.dtype size changed')", "ValueError: numpy.dtype size changed"),
        ("from pooch import nothing", "ImportError: cannot import name 'nothing' from"),
        ("raise AttributeError", "(AttributeError)"),
    ],
)
def test_a_broken_package_is_told_from_an_absent_one(
    body: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pooch").mkdir()
    (tmp_path / "pooch" / "__init__.py").write_text("from pooch import inner\n", encoding="utf-8")
    (tmp_path / "pooch" / "inner.py").write_text(f"{body}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pooch", raising=False)
    expected = f"needs pooch, which is installed but cannot be imported .*{re.escape(reason)}.*force-reinstall pooch;"
    with pytest.raises(MissingPackageError, match=expected) as raised:
        import_optional("pooch")
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(MissingPackageError, match=expected):
        radlens_imports("pooch")


def test_of_packages_that_import_each_other_the_broken_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in {"lightning": "import torch", "torch": "raise OSError('libgomp.so.1 is missing')"}.items():
        (tmp_path / f"{name}.py").write_text(body, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    for load in (lambda: import_optional("lightning"), lambda: radlens_imports("lightning")):
        with pytest.raises(MissingPackageError, match=r"needs torch, .*libgomp.so.1.*force-reinstall torch;"):
            load()


def test_other_errors_pass() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as raised, explained_imports():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert not isinstance(raised.value, MissingPackageError)
    with pytest.raises(OSError, match="disk"), explained_imports():
        raise OSError("disk")
    with pytest.raises(UsageError, match="^own$"), explained_imports():
        raise UsageError("own")


def test_every_verb_of_python_names_the_extra() -> None:
    """Without any package of the extras, as after ``pip install radlens``."""
    absent = [package for extra, packages in EXTRAS.items() if extra for package in packages]
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import radlens\n"
        f"for verb in {VERBS!r}:\n"
        "    try: getattr(radlens, verb)\n"
        "    except radlens.MissingPackageError as error: print(verb, error)\n"
        "try: radlens.export('pneumonia-cxr')\n"
        "except ImportError as error: print('export', error)\n"
        "print(len(radlens.push('pneumonia-cxr', 'a/b', dry_run=True)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    *lines, sent = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*VERBS, "export"], done.stderr
    assert all('not installed. The extra "train" brings it: pip install "radlens[train]"' in line for line in lines)
    assert int(sent) > 3
