"""A loss that is not finite stops the run before bad weights replace good ones; overfitting is explained."""

import math

import pytest
import torch
from conftest import TINY

from lightning_gpt.cli import main
from lightning_gpt.training.health import Finite, Overfitting


def test_a_loss_that_is_no_number_stops_the_run(shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    fit = ["fit", "--data.corpus=text.txt", *TINY]
    assert main(fit) == 0
    last = shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt"
    good = last.read_bytes()
    capsys.readouterr()
    assert main(["fit", "--ckpt_path=last", "--trainer.max_steps=60", "--model.optimizer.lr=1e30"]) == 2
    err = capsys.readouterr().err
    assert "became nan at step 2" in err and "last.ckpt was saved before and is good" in err and "learning rate" in err
    assert last.read_bytes() == good


def test_a_spoilt_weight_is_not_saved(shell, monkeypatch, capsys):
    """The loss is still finite when the step that spoils the weights is done."""
    monkeypatch.chdir(shell.folder)
    step = torch.optim.AdamW.step

    def spoil(self, closure=None):
        loss = step(self, closure)
        if self.state and next(iter(self.state.values()))["step"] == 10:
            self.param_groups[0]["params"][0].data.fill_(math.inf)
        return loss

    monkeypatch.setattr(torch.optim.AdamW, "step", spoil)
    options = ["--save_every_n_steps=5", "--trainer.val_check_interval=20"]
    assert main(["fit", "--data.corpus=text.txt", *TINY, *options]) == 2
    assert "a weight became nan" in capsys.readouterr().err
    contents = torch.load(shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt", weights_only=True)
    assert contents["global_step"] == 5 and all(w.isfinite().all() for w in contents["state_dict"].values())


def test_overflows_of_16_mixed_are_counted():
    """The scale is halved at each; here by hand, no GPU needed."""
    logged, finite = [], Finite()

    class Stub:
        log_every_n_steps = 1
        device = torch.device("cpu")
        scales = iter([4.0, 4.0, 2.0, 2.0, 1.0])

        @property
        def precision_plugin(self):
            return self

        @property
        def scaler(self):
            return self

        def get_scale(self):
            return next(self.scales)

        def log(self, name, value):
            logged.append((name, value))

    stub = Stub()
    for i in range(5):
        finite.on_train_batch_end(stub, stub, {"loss": torch.tensor(1.0)}, None, i)
    assert logged == [("optim/overflows", n) for n in (0.0, 0.0, 1.0, 1.0, 2.0)]


def test_overfitting_is_stopped_and_explained(shell):
    """A text whose held-out part has nothing to do with what was trained on."""
    text = "to be or not to be that is the question " * 60 + "qwertyuiopasdfghjklzxcvbnm" * 10
    (shell.folder / "odd.txt").write_text(text)
    options = ["--trainer.max_steps=2000", "--trainer.val_check_interval=20", "--overfitting.patience=3"]
    out = shell("fit", "--data.corpus=odd.txt", *TINY, *options, "--model.optimizer.lr=0.01").stdout
    assert "stopped: val/loss was lowest at step" in out and "the network overfits" in out
    assert "--model.network.dropout" in out and "best.ckpt is from step" in out
    last = torch.load(shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] < 2000
    again = shell("fit", "--data.corpus=odd.txt", *TINY, *options, "--model.optimizer.lr=0.01", "--resume=auto").stdout
    assert "goes on with" not in again  # it was finished


def test_its_explanation_when_nothing_is_learned():
    stop = Overfitting(patience=2)
    stop._best = (10, 2.0, 1.9)
    assert "learning rate is too high" in stop.explanation(30, 2.1, 1.95)
    assert "overfits" in stop.explanation(30, 2.1, 1.5)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_names_what_to_lower(shell, monkeypatch, capsys, error):
    from lightning_gpt.training import LanguageModel

    def fail(*_):
        raise error

    monkeypatch.chdir(shell.folder)
    monkeypatch.setattr(LanguageModel, "training_step", fail)
    assert main(["fit", "--data.corpus=text.txt", *TINY]) == 2
    assert "--data.batch_size" in capsys.readouterr().err
