"""Networks whose weights lie on several ranks, a share on each: the same numbers as of one process."""

import pickle
import shutil

import pytest
import torch
from conftest import TINY
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy

from lightning_gpt import Run, UserError, load
from lightning_gpt.commands.verify_resume import same, saved_values
from lightning_gpt.runs import read_events
from lightning_gpt.training.sharding import must_suit

NORMALISED = "--model.optimizer.second_momentum=0.95"
SPLIT = ["--trainer.strategy=model_parallel"]
# 18 rows are dealt unevenly, 4 of a convolution's to fewer ranks than there may be; and the clipping is felt
RECIPE = [
    "--data.corpus=text.txt", *TINY, "--model.network=ModernGPT", "--model.network.n_head=3",
    "--model.network.n_embd=18", "--model.network.zero_init=false", "--trainer.gradient_clip_val=0.5",
    "--trainer.log_every_n_steps=1", "--trainer.val_check_interval=20",
]  # fmt: skip
POINTED = ["--model.network.window=5", "--model.network.pointer=7"]  # its sentinel's bias is on one rank alone


def test_lightnings_own_strategy_is_refused(shell):
    (shell.folder / "split.yaml").write_text(
        "trainer: {strategy: {class_path: lightning.pytorch.strategies.ModelParallelStrategy}}\n"
    )
    err = shell("fit", *RECIPE, "--config=split.yaml", status=2).stderr
    assert err.count("\n") == 1 and "give the name model_parallel" in err, err
    assert not (shell.folder / "runs").exists()


def test_the_first_fsdp_is_refused():
    """By its name, too, see tests/launch/test_trainer_options.py; a Trainer on a CPU does not get that far."""
    with pytest.raises(UserError, match="flat pieces of matrices"):
        must_suit(FSDPStrategy())


def test_deepspeed_is_refused():
    """By its names, too; the strategy itself can't be made without its package."""
    with pytest.raises(UserError, match="take model_parallel"):
        must_suit(DeepSpeedStrategy.__new__(DeepSpeedStrategy))


def test_the_gradient_scaler_is_refused(shell, monkeypatch):
    """Each rank would scale by what its own share overflows."""
    monkeypatch.setattr("lightning_gpt.launch.preparation.on_gpu", lambda _: True)
    err = shell("fit", *RECIPE, *SPLIT, "--trainer.precision=16-mixed", status=2).stderr
    assert "model_parallel takes 32-true or bf16-mixed" in err


def test_a_folder_of_shards_is_not_unpickled(shell):
    """It is how others save: its .metadata is a pickle, which can run code."""

    class Evil:
        def __reduce__(self):
            return open, (str(shell.folder / "ran"), "w")

    (shell.folder / "shards").mkdir()
    for name in (".metadata", "meta.pt", "__0_0.distcp"):
        (shell.folder / "shards" / name).write_bytes(pickle.dumps(Evil()))
    err = shell("fit", *RECIPE, *SPLIT, "--ckpt_path=shards", status=2).stderr
    assert "no checkpoint at shards" in err and not (shell.folder / "ran").exists()


def fit(shell, name, ranks, *options):
    """Trains on 4 blocks a step, dealt to so many ranks; returns the run."""
    start = shell if ranks == 1 else shell.process
    split = [*SPLIT, f"--trainer.devices={ranks}"] if ranks > 1 else []
    done = start("fit", *RECIPE, *split, f"--data.batch_size={4 // ranks}", f"--name={name}", *options)
    assert "Traceback" not in done.stderr, done.stderr
    return Run(shell.folder / "runs" / name / "version_0")


def must_agree(one, other):
    """Compares all weights, the whole optimizer's state, every step's gradient and every loss.

    Sums are in another order: 1e-6 at most was seen after 100 steps, of which each moves a weight by up to 2e-2.
    """
    left, right = (torch.load(run.last, weights_only=True) for run in (one, other))
    assert left["global_step"] == right["global_step"] and left["state_dict"].keys() == right["state_dict"].keys()
    for name, weight in left["state_dict"].items():
        torch.testing.assert_close(right["state_dict"][name], weight, atol=1e-5, rtol=0)
    torch.testing.assert_close(right["optimizer_states"], left["optimizer_states"], atol=1e-6, rtol=0)
    curves, others = read_events(one.folder), read_events(other.folder)
    for tag in ("loss/val", "optim/grad_norm"):
        assert len(curves[tag]) > 1
        # a pointer's scores are 20 times as steep as their states: gradients of 4 differ by 1.1e-5
        torch.testing.assert_close(others[tag], curves[tag], atol=1e-5, rtol=1e-5)


def test_one_rank_alone_is_the_same_to_the_last_bit(shell):
    """All that is split, gathered, saved and restored, without another process."""
    options = [
        *POINTED,
        "--model.optimizer=Muon",
        NORMALISED,
        "--film=true",
        "--model.freeze_blocks=1",
        "--trainer.num_sanity_val_steps=1",
    ]
    options += ["--trainer.max_steps=20", "--trainer.val_check_interval=10"]
    fit(shell, "one", 1, *options)
    split = fit(shell, "split", 1, *options, *SPLIT, "--trainer.max_steps=10")
    assert split.config["trainer"]["strategy"] == "model_parallel"
    shell("fit", *RECIPE, *options, *SPLIT, "--data.batch_size=4", "--ckpt_path", split.last)
    one, other = (dict(saved_values(shell.folder / "runs" / name)) for name in ("one", "split"))
    assert one.keys() == other.keys() and not [name for name in one if not same(one[name], other[name])]
    assert load(split.best).record == load(shell.folder / "runs/one/version_0/checkpoints/best.ckpt").record


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [["Muon"], ["Muon", NORMALISED, "--model.optimizer.cautious=true"], ["AdamW"], ["Muon", *POINTED]],
    ids=["Muon", "NorMuon", "AdamW", "pointed"],
)
def test_two_and_four_processes_are_one(shell, optimizer):
    options = ["--trainer.max_steps=100", "--model.optimizer", *optimizer]
    one = fit(shell, "one", 1, *options)
    must_agree(one, fit(shell, "two", 2, *options))
    must_agree(one, fit(shell, "four", 4, *options, "--sample.max_new_tokens=0"))


@pytest.mark.slow
def test_a_run_goes_on_with_as_many_ranks_exactly_and_with_others(shell):
    options = ["--model.optimizer=Muon", NORMALISED, "--trainer.max_steps=100"]
    whole = fit(shell, "whole", 2, *options)
    half = fit(shell, "half", 2, *options, "--trainer.max_steps=60")
    for ranks in (2, 1, 4):
        shutil.copytree(half.folder.parent, shell.folder / "runs" / f"on{ranks}")
        last = shell.folder / "runs" / f"on{ranks}" / "version_0/checkpoints/last.ckpt"
        goes_on = fit(shell, f"on{ranks}", ranks, *options, f"--ckpt_path={last}")
        must_agree(whole, goes_on)
        if ranks == 2:
            left, right = (dict(saved_values(run.folder.parent)) for run in (whole, goes_on))
            assert left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    loss = shell("validate", "--ckpt_path", whole.best).stdout
    process = shell.process("validate", "--ckpt_path", whole.best, *SPLIT, "--trainer.devices=2").stdout
    assert "val/loss" in loss and loss in process
    text = shell("generate", "--ckpt_path", whole.best, "--max_new_tokens=20", "--seed=1").stdout
    assert len(text) > 10
    shell("page", "--ckpt_path", whole.best, "--out=page.html")
    assert "</html>" in (shell.folder / "page.html").read_text(encoding="utf-8")
