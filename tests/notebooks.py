"""Executes the lecture's notebooks; as a program, stores what they print: make notebooks-run.

What is stored changes only where an output does: no times, no versions, no progress bars.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).parent.parent
MIRROR = "LIGHTNING_GPT_MIRROR"
LONGEST = 600  # seconds that a cell may take


def executed(path, folder):
    """Runs a notebook in a kernel that stands in `folder`; returns it with what its cells print to stdout and show.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if MIRROR in environment and "://" not in environment[MIRROR]:
        environment[MIRROR] = str(Path(environment[MIRROR]).absolute())  # the kernel stands elsewhere
    options = {"timeout": LONGEST, "kernel_name": "python3", "record_timing": False, "coalesce_streams": True}
    nbclient.NotebookClient(notebook, **options).execute(cwd=str(folder), env=environment)
    for cell in code_cells(notebook):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]  # progress bars
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def code_cells(notebook):
    """Lists a notebook's cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    """Joins the texts that a cell printed; pictures are left out."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def main():
    """Runs the notebooks that are named, and writes into each what it prints."""
    for path in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(path, folder), path)
        print(path.name, flush=True)


if __name__ == "__main__":
    main()
