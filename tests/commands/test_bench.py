"""bench: what it measures has to be asked for by name; its table goes into a document's own block and nowhere else."""

import pytest

from lightning_gpt import UserError
from lightning_gpt.commands.bench import Row, shown, with_block

PAGE = "# Results\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nThe end.\n"


def test_only_the_block_is_replaced(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    assert with_block(tmp_path / "page.md", "new\n") == PAGE.replace("old", "new")


@pytest.mark.parametrize("page", [None, "# Results\n", "<!-- bench -->\nno end\n"])
def test_a_document_without_the_block(tmp_path, page):
    if page is not None:
        (tmp_path / "page.md").write_text(page)
    with pytest.raises(UserError, match=r"can't read|has no lines <!-- bench -->"):
        with_block(tmp_path / "page.md", "new\n")


def test_medians_ranges_and_ratios():
    assert shown([3.0, 1.0, 2.0]) == "2 (1 to 3)" and shown([1.23456]) == "1.235" and shown([]) == ""
    assert str(Row("what", "s", [2.0], [1.0, 1.0])) == "| what | s | 2 | 1 (1 to 1) | 0.5 |"
    assert str(Row("what", "s", [], [1.0])) == "| what | s |  | 1 |  |"
