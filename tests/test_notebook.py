"""The notebook runs from its first cell to its last, on few phantoms."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"

SMALL = (
    "data.phantom.images=64",
    "data.phantom.size=64",
    "preprocessing.height=64",
    "preprocessing.width=64",
    "train.network=small_resnet",
    "train.progressive_resizing=1",
    "train.epochs=2",
    "evaluate.resamples=100",
)


@pytest.fixture
def notebook() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-any-return, no-untyped-call]


def test_runs_without_an_error(notebook: NotebookNode, tmp_path: Path) -> None:
    place = next(number for number, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(f"SETTINGS = {list(SMALL)}"))  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert "1,995,649 parameters" in printed
    # Balance, sizes, grey values, samples, augmentation, learning curves, confusion matrix, ROC curve, errors.
    assert len(pictures) == 9
    assert (tmp_path / "runs" / "quickstart" / "report.html").is_file()


def test_is_committed_without_outputs(notebook: NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_one_line_chooses_the_source(notebook: NotebookNode) -> None:
    lines = [line for cell in notebook.cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    chosen = [line for line in lines if line.startswith("SOURCE =")]
    assert len(chosen) == 1
    assert chosen[0].startswith('SOURCE = "phantom"')
    assert '"kermany"' in chosen[0]
