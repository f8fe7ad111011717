"""From Python a fit is the command's own: same checks, folder, files and weights; a notebook can hold it."""

import gc
import os
import re
import shutil
import signal
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import TEXT, TINY
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor

import lightning_gpt
from lightning_gpt import GPT, CharDataModule, LanguageModel, Run, UserError
from lightning_gpt.cli import main
from lightning_gpt.launch.python import full_name

SMALL = {
    "network": "GPT", "n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 4, "max_steps": 20,
    "val_check_interval": 10, "accelerator": "cpu", "precision": "32-true", "max_new_tokens": 20,
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def same(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_is_the_commands_own_fit(here):
    run = lightning_gpt.fit(corpus="text.txt", **SMALL)
    assert main(["fit", "--data.corpus=text.txt", *TINY]) == 0
    other = Run("runs/gpt/version_1")
    assert run.folder == Path("runs/gpt/version_0") and run.config == other.config
    assert same(run.last, other.last) and same(run.best, other.best)
    assert {path.name.partition(".out")[0] for path in run.folder.iterdir()} == {
        path.name.partition(".out")[0] for path in other.folder.iterdir()
    }
    assert [v.nats_per_token for v in run.result.validations] == [v.nats_per_token for v in other.result.validations]


def test_what_a_run_knows(here):
    run = lightning_gpt.fit(corpus="text.txt", **SMALL)
    result = run.result
    assert result.finished and (result.steps, result.max_steps) == (20, 20) and result.chars_per_s > 0
    assert result.best.bits_per_char == pytest.approx(result.best.nats_per_token / 0.6931471805599453)
    assert result.best.bits_per_byte == result.best.bits_per_char  # ASCII
    assert [step for step, _ in run.curves["val/loss"]] == [10, 20]
    assert run.curves["val/loss"][-1][1] == pytest.approx(result.last.nats_per_token)
    assert run.best.is_file() and run.last.is_file() and run.config["data"]["corpus"] == "text.txt"
    assert dict(result.card)["network"].startswith("GPT: ") and "lightning_gpt.fit(" in dict(result.card)["command"]
    (texts,) = run.texts.values()
    assert [step for step, _ in texts] == [10, 20] and all(len(text) == 21 for _, text in texts)
    gpt = run.load()
    assert run.generate("Rough", max_new_tokens=9, seed=3) == gpt.generate("Rough", max_new_tokens=9, seed=3)
    assert Run.newest().folder == run.folder.resolve() or Run.newest().folder == run.folder


def test_a_recipe_and_keywords(here):
    (here / "recipe.yaml").write_text(yaml.safe_dump({"name": "mine", "trainer": {"max_steps": 50}}))
    run = lightning_gpt.fit("recipe.yaml", corpus="text.txt", options={"trainer.log_every_n_steps": 5}, **SMALL)
    assert run.folder == Path("runs/mine/version_0") and run.config["trainer"]["max_steps"] == 20
    assert run.config["trainer"]["log_every_n_steps"] == 5


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("corpus", "data.corpus"), ("max_steps", "trainer.max_steps"), ("seed", "seed_everything"), ("name", "name"),
        ("lr", "model.optimizer.lr"), ("n_layer", "model.network.n_layer"), ("network", "model.network"),
        ("patience", "overfitting.patience"), ("prompts", "sample.prompts"), ("compile", "model.compile"),
        ("softcap", "model.network.softcap"), ("data.corpus", "data.corpus"), ("decay", "model.schedule.decay"),
    ],
)  # fmt: skip
def test_short_names(short, full):
    assert full_name(short) == full


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"corpsu": "x"}, "there is no option corpsu; did you mean corpus?"),
        ({"network": "GTP"}, "there is no network GTP; did you mean GPT?"),
        ({"max_steps": "many", "batch_size": "x"}, "2 problems:"),
        ({"temperature": -1, "noise": 2, "dropout": 3, "fast_dev_run": True}, "4 problems:"),
        ({"corpus": "none.txt"}, "no corpus 'none.txt'"),
    ],
)
def test_mistakes_are_one_error_with_all_of_them(here, keywords, says):
    with pytest.raises(UserError) as error:
        lightning_gpt.fit(**{"corpus": "text.txt", **SMALL, **keywords})
    assert str(error.value).startswith(says) and not (here / "runs").exists()


class Interrupt(Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Own(torch.nn.Module):
    """A user's own network of a name that the ladder has, too."""


Own.__name__ = "GPT"


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"network": Own}, "goes into a LanguageModel and a Trainer of yours"),
        ({"network": partial(GPT, n_layer=1)}, "model.network takes Bigram"),
        ({"optimizer": lightning_gpt.AdamW()}, "model.optimizer takes AdamW, Muon by name, its options beside it"),
        ({"prompts": {"Once"}}, "sample.prompts takes numbers, texts and lists of them, not an object of type set"),
        ({"callbacks": [Interrupt]}, "callbacks takes Lightning callbacks"),
        ({"recipe": {"trainer": {"max_steps": 3}}}, "a recipe is the path of a YAML file"),
        ({"options": {"print_config": ""}}, "print_config is for the command line"),
        ({"lr": float("nan")}, "model.optimizer.lr must be a number of at least 0, not nan"),
        ({"lr": float("inf")}, "model.optimizer.lr must be a number of at least 0, not inf"),
        ({"logger": False}, "a run without a logger has no folder"),
    ],
)
def test_what_nobody_could_type_is_refused_before_a_step(here, keywords, says):
    with pytest.raises(UserError, match=re.escape(says)):
        lightning_gpt.fit(**{"corpus": "text.txt", **SMALL, **keywords})
    assert not (here / "runs").exists()


def test_numbers_of_arrays_and_one_callback(here):
    own = {
        "max_steps": np.int64(2),
        "lr": torch.tensor(0.5),
        "callbacks": LearningRateMonitor(),
        "log_every_n_steps": 1,
    }
    run = lightning_gpt.fit(corpus="text.txt", **{**SMALL, **own})
    assert run.result.steps == 2 and run.config["model"]["optimizer"]["init_args"]["lr"] == 0.5
    assert "lr-AdamW" in str(list(run.curves))


def test_ctrl_c_saves_and_returns_and_the_run_goes_on_exactly(here, capsys):
    whole = lightning_gpt.fit(corpus="text.txt", name="whole", dropout=0.2, **SMALL)
    broken = lightning_gpt.fit(corpus="text.txt", name="broken", dropout=0.2, callbacks=[Interrupt(7)], **SMALL)
    assert "lightning_gpt.fit(ckpt_path=" in capsys.readouterr().err
    assert not broken.result.finished and torch.load(broken.last, weights_only=True)["global_step"] in (7, 8)
    again = lightning_gpt.fit(ckpt_path=broken.last)
    assert again.folder.resolve() == broken.folder.resolve() and again.result.finished
    assert same(whole.last, again.last)
    assert again.curves["val/loss"] == whole.curves["val/loss"]


def test_a_stopped_fit_leaves_no_bar(here, capsys):
    lightning_gpt.fit(corpus="text.txt", callbacks=[Interrupt(7)], enable_progress_bar=True, **SMALL)
    assert "training" in capsys.readouterr().out
    gc.collect()
    assert capsys.readouterr() == ("", "")  # nor is one drawn later


def test_resume_from_python(here):
    broken = lightning_gpt.fit(corpus="text.txt", callbacks=[Interrupt(12)], **SMALL)
    again = lightning_gpt.fit(corpus="text.txt", resume="auto", **SMALL)
    assert again.folder == broken.folder and again.result.steps == 20


@pytest.mark.parametrize("ends", ["well", "stopped", "refused"])
def test_every_signal_handler_is_as_it_was(here, ends):
    def mine(*_):
        raise AssertionError("never sent")

    signal.signal(signal.SIGTERM, mine)
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    options = {"well": [], "stopped": [], "refused": ["--data.noise=2"]}[ends]
    if ends == "stopped":
        lightning_gpt.fit(corpus="text.txt", callbacks=[Interrupt(3)], **SMALL)
    else:
        assert main(["fit", "--data.corpus=text.txt", *TINY, *options]) == (0 if ends == "well" else 2)
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before


# ------------------------------------------------------------------------------------------- a Trainer of one's own


def test_plain_lightning(here):
    data = CharDataModule("text.txt", block_size=16, batch_size=4)
    model = LanguageModel(partial(GPT, n_layer=2, n_head=2, n_embd=16))
    options = {**lightning_gpt.TRAINER_DEFAULTS, "max_steps": 7, "val_check_interval": 3, "accelerator": "cpu"}
    trainer = Trainer(**options, callbacks=lightning_gpt.callbacks(), enable_progress_bar=False)
    trainer.fit(model, data)
    run = Run(trainer.log_dir)
    assert [v.step for v in run.result.validations] == [3, 6, 7] and run.result.finished
    loaded = LanguageModel.load_from_checkpoint(run.last)
    ids = torch.arange(16)[None]
    torch.testing.assert_close(loaded.eval()(ids), model.eval()(ids))
    alone = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    (metrics,) = Trainer(**alone).validate(loaded, data, verbose=False)
    assert metrics["val/loss"] == pytest.approx(run.result.last.nats_per_token, abs=1e-6)


def test_a_loaded_module_learns_on(here):
    run = lightning_gpt.fit(corpus="text.txt", **SMALL)
    model = LanguageModel.load_from_checkpoint(run.best, optimizer=lightning_gpt.AdamW(lr=1e-2))
    options = {**lightning_gpt.TRAINER_DEFAULTS, "max_steps": 5, "accelerator": "cpu", "logger": False}
    trainer = Trainer(**options, enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(model, CharDataModule("text.txt", block_size=16, batch_size=4))
    assert not all(torch.equal(old, model.state_dict()[name]) for name, old in weights(run.best).items())


def test_a_loaded_module_refuses_another_text(here):
    run = lightning_gpt.fit(corpus="text.txt", **SMALL)
    (here / "other.txt").write_text("0123456789\n" * 300)
    model = LanguageModel.load_from_checkpoint(run.best)
    alone = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    with pytest.raises(UserError, match=r"knows 35 characters of text\.txt, not the 11 of other\.txt"):
        Trainer(**alone).validate(model, CharDataModule("other.txt", block_size=16), verbose=False)


def test_a_module_that_learned_one_text_refuses_another(here):
    (here / "other.txt").write_text("0123456789\n" * 300)
    model = LanguageModel(partial(GPT, n_layer=1, n_head=1, n_embd=8))
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "max_steps": 1}
    options |= {"enable_progress_bar": False, "enable_model_summary": False}
    Trainer(**options).fit(model, CharDataModule("text.txt", block_size=8))
    with pytest.raises(UserError, match=r"knows 35 characters of text\.txt, not the 11 of other\.txt"):
        Trainer(**options).fit(model, CharDataModule("other.txt", block_size=8))
    with pytest.raises(UserError, match=r"reads at most 8 tokens, not data\.block_size 9"):
        Trainer(**options).validate(model, CharDataModule("text.txt", block_size=9), verbose=False)
    with pytest.raises(UserError, match=r"give one, as trainer\.validate"):
        Trainer(**options).validate(model, torch.utils.data.DataLoader([0]), verbose=False)


def test_what_is_no_checkpoint(here):
    with pytest.raises(UserError, match=r"no checkpoint at none\.ckpt"):
        LanguageModel.load_from_checkpoint("none.ckpt")


# -------------------------------------------------------------------------------------------------------- a notebook


@pytest.mark.slow
def test_in_a_notebook(here):
    """Progress bar, samples and errors as a notebook shows them; Interrupt saves, returns, and the kernel lives on."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    small = ", ".join(f"{name}={value!r}" for name, value in SMALL.items())
    cells = [
        "import os, signal, lightning_gpt\nhandler = signal.getsignal(signal.SIGINT)",
        f"run = lightning_gpt.fit(corpus='text.txt', {small})",
        "run.result.best.bits_per_char",
        "print(run.generate('Rough', max_new_tokens=5, seed=1))",
        "class Interrupt(lightning_gpt.callbacks()[0].__class__.__mro__[1]):\n"
        "    def on_train_batch_end(self, trainer, *_):\n"
        "        if trainer.global_step == 5: os.kill(os.getpid(), signal.SIGINT)",
        f"stopped = lightning_gpt.fit(corpus='text.txt', callbacks=[Interrupt()], {small})",
        "print(stopped.last.is_file(), stopped.result.finished, signal.getsignal(signal.SIGINT) == handler)",
        f"lightning_gpt.fit(corpsu='text.txt', {small})",
        "print('alive')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, allow_errors=True, kernel_name="python3").execute(cwd=str(here))
    said = [
        "".join(str(out.get("text", out.get("data", out.get("evalue")))) for out in cell.outputs)
        for cell in notebook.cells
    ]
    assert "best val/loss" in said[1] and "training" in said[1] and "    |" in said[1], said[1]
    assert float(said[2].split("'")[3]) > 0 and len(said[3].strip("\n")) >= 4
    assert "stopped by SIGINT after step" in said[5] and "lightning_gpt.fit(ckpt_path=" in said[5]
    assert said[6] == "True False True\n"
    assert said[7] == "there is no option corpsu; did you mean corpus?" and said[8] == "alive\n"


def test_one_fit_at_a_time(here):
    """Two in two threads would draw from the same random numbers; the one that is going on is not disturbed."""
    refused = []

    class Another(Callback):
        def on_train_start(self, *_):
            thread = threading.Thread(target=self.fit)
            thread.start()
            thread.join()

        def fit(self):
            with pytest.raises(UserError, match="another fit is going on in this process") as error:
                lightning_gpt.fit(corpus="text.txt", **SMALL)
            refused.append(error)

    disturbed = lightning_gpt.fit(corpus="text.txt", **SMALL, callbacks=[Another()])
    alone = lightning_gpt.fit(corpus="text.txt", **SMALL)
    assert refused and same(disturbed.last, alone.last)


def test_a_folder_that_is_removed_ends_the_run_in_one_line(here, capfd):
    class Remove(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 15:
                shutil.rmtree("runs")

    with pytest.raises(UserError, match="its folder was removed"):
        lightning_gpt.fit(corpus="text.txt", **SMALL, callbacks=[Remove()])
    assert "Exception" not in capfd.readouterr().err
