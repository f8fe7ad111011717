"""The lecture's notebooks are whole, clean and small, and print what the lecture printed."""

import ast
import importlib
import re

import nbformat
import pytest
from conftest import ROOT
from notebooks import code_cells, executed, printed

import lightning_gpt
from lightning_gpt import UserError
from lightning_gpt.text import find_corpus

NOTEBOOKS = sorted((ROOT / "docs" / "lecture").glob("*.ipynb"))
LARGEST = 600_000  # bytes, of all of them: a clone pays for every version
ALIKE = "# prints what the lecture prints\n"
VARIES = "varies"  # tag of a cell whose digits depend on the processor or on the time

# what the lecture's own notebook and scripts print, by name of the notebook that prints it again
PRINTED = {
    "0-text-and-batches": [
        "length of dataset in characters: 1115394\n",
        "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\n65\n",
        "[46, 47, 47, 1, 58, 46, 43, 56, 43]\nhii there\n",
        "torch.Size([1115394]) torch.int64\ntensor([18, 47, 56, 57, 58,  1, 15, 47, 58,",
        "when input is tensor([18, 47, 56, 57, 58,  1, 15, 47]) the target: 58\n",
        "tensor([[24, 43, 58,  5, 57,  1, 46, 43],\n        [44, 53, 56,  1, 58, 46, 39, 58],\n",
        "when input is [24] the target: 43\nwhen input is [24, 43] the target: 58\n",
        "when input is [25, 17, 27, 10, 0, 21, 1, 54] the target: 39\n",
    ],
    "1-bigram": [
        "torch.Size([32, 65])\ntensor(4.8786, grad_fn=<NllLossBackward0>)\n",
        "\nSKIcLT;AcELMoTbvZv C?nq-QE33:CJqkOKH-q;:la!oiywkHjgChzbQ?u!3bLIgwevmyFJGUGp\nwnYWmnxKWWev-tDqXErVKLgJ",
        "4.65630578994751\n\noTo.JUZ!!zqe!\nxBP qbs$Gy'AcOmrLwwt\np$x;Seh-onQb",
        "step 0: train loss 4.7305, val loss 4.7241\nstep 300: train loss 2.8110, val loss 2.8249\n",
        "step 2700: train loss 2.4738, val loss 2.4911\n",
    ],
    "2-averaging": [
        "a=\ntensor([[1.0000, 0.0000, 0.0000],\n        [0.5000, 0.5000, 0.0000],\n        [0.3333, 0.3333, 0.3333]])",
        "b=\ntensor([[2., 7.],\n        [6., 4.],\n        [6., 5.]])\n",
        "c=\ntensor([[2.0000, 7.0000],\n        [4.0000, 5.5000],\n        [4.6667, 5.3333]])\n",
        "tensor([[ 0.1808, -0.0700],\n        [-0.3596, -0.9152],\n        [ 0.6258,  0.0255],\n",
        "tensor([[ 0.1808, -0.0700],\n        [-0.0894, -0.4926],\n        [ 0.1490, -0.3199],\n",
    ],
    "3-head": [
        "[0.1574, 0.8426, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],\n",
        "[0.0210, 0.0843, 0.0555, 0.2297, 0.0573, 0.0709, 0.2423, 0.2391]],\n",
        "torch.Size([4, 8, 16])\n",
        "tensor([-1.7629, -1.3011,  0.5652,  2.1616, -1.0674,  1.9632,  1.0765, -0.4530],\n",
        "tensor(1.0449) tensor(1.0700)\ntensor(17.4690) not scaled",
        "tensor(1.0918) scaled\n",
        "tensor([0.1925, 0.1426, 0.2351, 0.1426, 0.2872])\ntensor([0.0326, 0.0030, 0.1615, 0.0030, 0.8000])\n",
    ],
    "4-to-7-layer-norm": [
        "torch.Size([32, 100])\ntensor(0.1469) tensor(0.8803)\n",
        "tensor(-9.5367e-09) tensor(1.0000)\n",
    ],
    "8-gpt": [
        "0.209729 M parameters\n",
        "step 0: train loss 4.4116, val loss 4.4022\nstep 100: train loss 2.6568, val loss 2.6670\n",
    ],
}

of_notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def stored(output):
    """All that an output would show, as text."""
    return str(output.get("text", "")) + "".join(map(str, output.get("data", {}).values()))


@of_notebooks
def test_it_is_stored_as_one_run_from_top_to_bottom(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert set(cell.metadata) <= {"tags"} and set(cell.metadata.get("tags", [])) <= {VARIES}
        lines = [ast.unparse(statement) for statement in ast.parse(cell.source).body]
        assert printed(cell) or not any(line.startswith(("print(", "Image(")) for line in lines), cell.source
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"


@of_notebooks
def test_nothing_in_it_is_of_one_machine(path):
    notebook = read(path)
    assert notebook.metadata.language_info == {"name": "python"}  # no version
    shown = [stored(output) for cell in code_cells(notebook) for output in cell.outputs]
    for text in [*shown, *(cell.source for cell in notebook.cells)]:
        assert not re.search(r"(?<![\w./~])/(home|root|tmp|usr|opt|work|Users|mnt|var|private)\b|\b[A-Z]:\\", text)
        assert "ipykernel_" not in text


def test_together_they_are_small():
    assert sum(path.stat().st_size for path in NOTEBOOKS) < LARGEST


@of_notebooks
def test_its_cells_are_python_with_public_names(path):
    for cell in code_cells(read(path)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "lightning_gpt":
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name) and not alias.name.startswith("_")
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lightning_gpt":
                assert node.attr in lightning_gpt.__all__


@of_notebooks
def test_it_asks_and_tries(path):
    text = prose(read(path))
    assert "Question" in text and re.search(r"^## (Experiment|Solution)", text, re.M)


@of_notebooks
def test_it_credits_the_lecture_and_names_the_right_second(path):
    text = prose(read(path))
    assert "Andrej Karpathy" in text and "](https://www.youtube.com/watch?v=kCc8FmEb1nY)" in text
    for time, seconds in re.findall(r"\[([\d:]+)\]\(https://youtu\.be/kCc8FmEb1nY\?t=(\d+)\)", text):
        *hours, minutes, rest = map(int, time.split(":"))
        assert int(seconds) == 3600 * sum(hours) + 60 * minutes + rest
    assert not re.search(r"(?<![\[:])\b\d+:\d\d", text)  # a time is always a link


@of_notebooks
def test_every_link_leads_to_a_file(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(read(path))):
        assert re.match(r"https://", target) or (path.parent / target).exists(), target


def test_the_index_has_a_row_for_each():
    index = (ROOT / "docs" / "lecture" / "README.md").read_text()
    rows = re.findall(r"^\| \[[^\]]+\]\(([\w-]+)\.ipynb\) \|", index, re.M)
    assert rows == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("name", PRINTED)
def test_it_prints_what_the_lecture_printed(name):
    cells = code_cells(read(next(path for path in NOTEBOOKS if path.stem == name)))
    alike = [printed(cell) for cell in cells if cell.source.startswith(ALIKE)]
    for text in alike:
        assert any(value in text for value in PRINTED[name]), f"no value of the lecture in {text!r}"
    for value in PRINTED[name]:
        assert any(value in text for text in alike), value


@pytest.mark.slow
@of_notebooks
def test_it_prints_that_again_when_it_is_run(path, tmp_path):
    try:
        find_corpus("tinyshakespeare", tmp_path / "data", offline=None)
    except UserError as error:
        pytest.skip(f"Tiny Shakespeare is out of reach: {error}")
    before, after = code_cells(read(path)), code_cells(executed(path, tmp_path))
    for old, new in zip(before, after, strict=True):
        if VARIES not in old.metadata.get("tags", []):
            assert printed(new) == printed(old)
        assert {kind for output in new.outputs for kind in output.get("data", {})} == {
            kind for output in old.outputs for kind in output.get("data", {})
        }
