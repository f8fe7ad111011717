import signal

import pytest
from conftest import TINY
from markdown import markdown
from send_signal import send_signal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
        first, *others = charts(unit, {})
        assert first == f"loss, in nats per {unit}" and "bits of held-out text" in others


@pytest.mark.parametrize(
    ("counted", "above"),
    [(["uniform", "unigram", "bigram", "5-gram"], "bigram"), (["uniform", "unigram", "5-gram"], "unigram"), ([], None)],
)
def test_the_loss_is_shown_over_what_counting_reaches(counted, above):
    """Of examples nothing is counted; of a large vocabulary no bigrams."""
    losses = next(iter(charts("token", counted).values()))
    assert ["Multiline", ["loss/train", "loss/val"]] in losses.values()
    bands = {title: tags for title, (kind, tags) in losses.items() if kind == "Margin"}
    assert list(bands.values()) == ([["loss/val", "n-gram_loss/5-gram", f"n-gram_loss/{above}"]] if above else [])
    assert all(f"{above}s (its upper edge)" in title for title in bands)


def test_a_run_without_a_loss_is_no_row_of_the_table(shell):
    shell.process("fit", "--data.corpus=text.txt", *TINY, *send_signal(signal.SIGINT, step=5), status=130)
    events = EventAccumulator(str(shell.folder / "runs/gpt/version_0")).Reload()
    assert events.PluginTagToContent("custom_scalars") and "hparams" not in events.summary_metadata
    shell("fit", "--ckpt_path=last")
    assert EventAccumulator(str(shell.folder / "runs/gpt/version_0")).Reload().PluginTagToContent("hparams")


def test_a_graph_of_a_network_that_asks_how_long_the_text_is_is_drawn_without_a_word(shell):
    network = ["--model.network=ModernGPT", "--model.network.window=4", "--model.network.pointer=4"]
    done = shell.process("fit", "--data.corpus=text.txt", *TINY, *network)
    assert done.stderr == ""
