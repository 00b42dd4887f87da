"""Every notebook runs from top to bottom, and asserts a number of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


LARGEST = 4e6  # bytes, all of them with their figures


def test_notebooks_are_kept_with_their_outputs_and_small():
    assert NOTEBOOKS and sum(path.stat().st_size for path in NOTEBOOKS) < LARGEST
    for path in NOTEBOOKS:
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in code), "python analysis/run_notebooks.py"
        outputs = [output for cell in code for output in cell.outputs]
        assert outputs and not any(output.output_type == "error" for output in outputs)


DEAR = {"08_lines"}


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=pytest.mark.exhaustive if p.stem in DEAR else ()) for p in NOTEBOOKS]
)
def test_notebook_runs_and_asserts(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(line.startswith("assert ") for cell in code for line in cell.source.splitlines())
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
