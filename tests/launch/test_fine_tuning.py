"""--init_from: a new run with the weights and the tokenizer of another one, on another text."""

import re

import pytest
import torch
import yaml
from conftest import TEXT, TINY

import lightning_gpt
from lightning_gpt import UserError
from lightning_gpt.cli import main

FIRST = "runs/first/version_0/checkpoints/best.ckpt"
SECOND = "runs/second/version_0/checkpoints/last.ckpt"
OTHER = ("Nor shall Death brag thou wander'st in his shade,\n" * 40).replace(",", ".")  # a subset of TEXT's characters


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a network trained on text.txt."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "text.txt").write_text(TEXT + "BDNb")
    (folder / "subset.txt").write_text(OTHER)
    (folder / "new.txt").write_text(OTHER + "Füßling 7\n" * 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", "--data.corpus=text.txt", "--name=first", *TINY]) == 0
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("text.txt", "subset.txt", "new.txt", "runs"):
        (tmp_path / path).symlink_to(trained / path) if path != "runs" else None
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "first").symlink_to(trained / "runs" / "first")
    return tmp_path


def begin(*options, corpus="subset.txt"):
    return main(["fit", f"--init_from={FIRST}", f"--data.corpus={corpus}", "--name=second", *options])


def test_a_subset_of_the_characters_begins_with_the_weights(here, capsys):
    assert begin("--trainer.max_steps=10", "--model.optimizer.lr=0") == 0
    first, second = lightning_gpt.load(FIRST), lightning_gpt.load(SECOND)
    assert second.tokenizer == first.tokenizer
    for name, weight in first.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], weight), name
    assert [(o.how, o.corpus, o.steps) for o in second.record.provenance] == [
        ("trained", "text.txt", 20), ("fine-tuned", "subset.txt", 10),
    ]  # fmt: skip
    assert torch.load(SECOND, weights_only=True)["global_step"] == 10


def test_its_loss_begins_where_the_first_network_is_and_falls(here, capsys):
    assert main(["validate", f"--ckpt_path={FIRST}", "--data.corpus=subset.txt"]) == 0
    before = float(re.findall(r"val/loss\W+([\d.]+)", capsys.readouterr().out)[0])
    assert begin("--trainer.max_steps=30", "--model.optimizer.lr=0.01") == 0
    run = lightning_gpt.Run("runs/second/version_0")
    assert run.result.best.nats_per_token < before
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["init_from"] == FIRST


def test_new_characters_are_named_with_their_counts(here, capsys):
    assert begin(corpus="new.txt") == 2
    said = capsys.readouterr().err
    assert (
        "4 characters that are not among the" in said and "'ü' 20 times" in said and "--data.new_characters add" in said
    )
    assert not (here / "runs" / "second").exists()


def test_new_characters_get_rows_of_their_own(here, capsys):
    assert begin("--data.new_characters=add", "--trainer.max_steps=10", corpus="new.txt") == 0
    assert "new to the network: 4 characters, '7' 20 times, " in capsys.readouterr().out
    gpt = lightning_gpt.load(SECOND)
    assert set("Füß7") < set(gpt.tokenizer.characters) and gpt.network.vocab_size == len(gpt.tokenizer)
    assert main(["fit", f"--ckpt_path={SECOND}", "--trainer.max_steps=20"]) == 0  # goes on without being asked again
    assert main(["validate", f"--ckpt_path={SECOND}", "--data.corpus=text.txt"]) == 0
    assert main(["compare", SECOND, SECOND]) == 0


def test_the_run_goes_on_bit_for_bit(here):
    options = ("--data.new_characters=add", "--data.rehearsal=0.3", "--model.freeze_blocks=1")
    assert begin(*options, "--trainer.max_steps=20", corpus="new.txt") == 0
    whole = torch.load(SECOND, weights_only=True)
    assert begin(*options, "--trainer.max_steps=10", "--runs_dir=parts", corpus="new.txt") == 0
    last = SECOND.replace("runs", "parts")
    assert main(["fit", f"--ckpt_path={last}", "--trainer.max_steps=20"]) == 0
    parts = torch.load(last, weights_only=True)
    for name, weight in whole["state_dict"].items():
        assert torch.equal(parts["state_dict"][name], weight), name


def test_frozen_blocks_stay_and_others_move(here):
    assert begin("--model.freeze_blocks=1", "--trainer.max_steps=5") == 0
    before, after = (lightning_gpt.load(path).network.state_dict() for path in (FIRST, SECOND))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and not any(name.startswith("blocks.0.") for name in moved)
    assert any(name.startswith("blocks.1.") for name in moved)


def test_rehearsal_keeps_the_first_text_in_the_batches(here, monkeypatch):
    from lightning_gpt.text.blocks import MixedBlocks

    shares = []
    monkeypatch.setattr(MixedBlocks, "__init__", lambda self, first, second, share, make=MixedBlocks.__init__: (
        shares.append((share, len(second.ids))), make(self, first, second, share))[1])  # fmt: skip
    assert begin("--data.rehearsal=0.25", "--trainer.max_steps=5") == 0
    assert shares == [(0.25, int(0.9 * len(TEXT + "BDNb")))]


def test_a_longer_block_is_refused_and_a_shorter_one_works(here, capsys):
    assert begin("--data.block_size=17") == 2
    assert "data.block_size can be at most 16, not 17" in capsys.readouterr().err
    assert begin("--data.block_size=7", "--trainer.max_steps=5") == 0
    assert lightning_gpt.load(SECOND).network.block_size == 7


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([f"--ckpt_path={FIRST}"], "give one of them"),
        (["--model.network=Bigram"], "--init_from has a GPT, not a Bigram"),
        (["--model.network.n_head=4"], "n_head is 4, the checkpoint has 2"),
        (["--model.freeze_blocks=3"], "must be from 0 to the 2 blocks that there are, not 3"),
        (["--model.freeze_blocks=-1"], "must be from 0 to the 2 blocks that there are, not -1"),
        (["--data.rehearsal=1"], r"data.rehearsal must be in \[0, 1\)"),
        (["--data.new_characters=maybe"], "data.new_characters takes"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(here, capsys, options, complaint):
    assert begin(*options) == 2
    said = capsys.readouterr().err
    assert re.search(complaint, said) and len(said.splitlines()) == 1
    assert not (here / "runs" / "second").exists()


def test_a_configuration_of_ones_own_holds_beside_it(here, tmp_path):
    (tmp_path / "mine.yaml").write_text("trainer: {max_steps: 4, val_check_interval: 2}\ndata: {batch_size: 3}\n")
    assert begin("--config=mine.yaml") == 0
    run = lightning_gpt.Run("runs/second/version_0")
    assert run.result.steps == 4 and run.config["data"]["batch_size"] == 3
    assert lightning_gpt.load(SECOND).network.sizes == lightning_gpt.load(FIRST).network.sizes


def test_resume_auto_goes_on_with_an_interrupted_fine_tuning(here, capsys, monkeypatch):
    assert begin("--trainer.max_steps=10", "--resume=auto") == 0
    result = here / "runs/second/version_0/result.json"
    result.write_text(result.read_text().replace('"finished": true', '"finished": false'))  # as a kill leaves it
    assert begin("--trainer.max_steps=10", "--resume=auto") == 0
    assert "goes on with runs/second/version_0 after step 10" in capsys.readouterr().out
    assert not (here / "runs/second/version_1").exists()


def test_it_works_from_python(here):
    run = lightning_gpt.fit(init_from=FIRST, corpus="subset.txt", name="second", max_steps=5)
    assert run.load().record.provenance[-1].how == "fine-tuned"


def test_a_checkpoint_is_validated_on_any_text_that_it_can_spell(here, capsys):
    assert main(["validate", f"--ckpt_path={FIRST}", "--data.corpus=subset.txt"]) == 0
    assert main(["validate", f"--ckpt_path={FIRST}", "--data.corpus=new.txt"]) == 2
    assert "leave them out of it" in capsys.readouterr().err


def test_a_first_text_that_the_network_never_read_is_not_rehearsed_unasked(here, capsys):
    contents = torch.load(FIRST, weights_only=True)
    contents["lightning_gpt"]["corpus"]["source"] = "subset.txt"  # as somebody may have sent it
    torch.save(contents, "sent.ckpt")
    assert main(["fit", "--init_from=sent.ckpt", "--data.corpus=text.txt", "--data.rehearsal=0.5"]) == 2
    assert "name a text by --data.rehearsal_corpus" in capsys.readouterr().err
    with pytest.raises(UserError):
        lightning_gpt.fit(init_from="sent.ckpt", corpus="text.txt", rehearsal=0.5)
