"""Networks whose weights lie on several ranks, a share on each."""

import pytest
from conftest import TINY
from lightning.pytorch.strategies import FSDPStrategy

from lightning_gpt import UserError
from lightning_gpt.training.sharding import must_suit

FIT = ["fit", "--data.corpus=text.txt", *TINY]


def test_lightnings_own_strategy_is_refused(shell):
    (shell.folder / "split.yaml").write_text(
        "trainer: {strategy: {class_path: lightning.pytorch.strategies.ModelParallelStrategy}}\n"
    )
    err = shell(*FIT, "--config=split.yaml", status=2).stderr
    assert err.count("\n") == 1 and "trainer.strategy" in err, err
    assert not (shell.folder / "runs").exists()


def test_the_first_fsdp_is_refused():
    """By its name, too, see tests/launch/test_trainer_options.py; a Trainer on a CPU does not get that far."""
    with pytest.raises(UserError, match="flat pieces of matrices"):
        must_suit(FSDPStrategy())
