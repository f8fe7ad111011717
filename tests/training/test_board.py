import pytest
from markdown import markdown

from lightning_gpt import UserError
from lightning_gpt.training import SampleText
from lightning_gpt.training.board import as_markdown, charts


@pytest.mark.parametrize(
    "text", ["one\ntwo\n\nthree", "*bold* `code` # head", "</pre><script>alert(1)</script>", "  a\n\tb"]
)
def test_tensorboard_shows_the_text_as_it_is(text):
    page = markdown(as_markdown(text))
    assert page.startswith("<pre><code>") and page.count("<") == 4  # two tags opened and closed, nothing of the text
    shown = page.removeprefix("<pre><code>").removesuffix("</code></pre>")
    for entity, character in {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}.items():
        shown = shown.replace(entity, character)
    assert shown.rstrip("\n") == text.replace("\t", "    ")


def test_bad_options_are_refused_at_once():
    with pytest.raises(UserError, match="temperature"):
        SampleText(temperature=-1)


def test_the_loss_comes_first_and_names_its_unit():
    for unit in ("character", "token"):
        first, *others = charts(unit)
        assert first == f"loss, in nats per {unit}" and "bits of held-out text" in others
