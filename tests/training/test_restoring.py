"""A checkpoint that a fit can't go on with is refused before the first step, and its run stays as it was."""

import math
import shutil

import pytest
import torch
from conftest import TINY

from lightning_gpt.ladder import NETWORKS
from lightning_gpt.training import AdamW, Muon
from lightning_gpt.training.restoring import fitted, state_after_a_step

ON = ["--trainer.max_steps=22", "--trainer.val_check_interval=1", "--sample.max_new_tokens=0"]
FIT_LOOP = ("loops", "fit_loop")
PROGRESS = (*FIT_LOOP, "epoch_loop.batch_progress")


def callback(checkpoint, name):
    return ("callbacks", next(key for key in checkpoint["callbacks"] if key.startswith(name)))


DAMAGE = {
    "no loops": (("loops",), None, "loops"),
    "loops of another kind": (("loops",), "x", "loops"),
    "no progress": (PROGRESS, None, "loops"),
    "a counter that is a text": ((*PROGRESS, "total", "processed"), "x", "loops"),
    "a huge counter": ((*PROGRESS, "total", "processed"), 10**30, "loops"),
    "a run that is over": ((*PROGRESS, "is_last_batch"), True, "loops"),
    "other steps": ((*FIT_LOOP, "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total",
                     "completed"), 7, "loops"),
    "no callbacks": (("callbacks",), None, "callbacks"),
    "a list of callbacks": (("callbacks",), [1], "callbacks"),
    "a speed that is a text": ("Speed", {"training_seconds": "fast"}, "callbacks"),
    "a speed of NaN": ("Speed", {"training_seconds": math.nan}, "callbacks"),
    "no training time": ("Speed", {"other": 1.0}, "callbacks"),
    "validations that are none": ("ResultFile", {"validations": [1]}, "callbacks"),
    "a best loss of NaN": ("Page", {"best": math.nan}, "callbacks"),
    "a stop without patience": ("Overfitting", {"best": None}, "callbacks"),
    "a score that is sparse": ("ModelCheckpoint", {"best_model_score": torch.zeros(2).to_sparse()}, "callbacks"),
    "moments of another shape": (("optimizer_states", 0, "state", 0, "exp_avg"), torch.zeros(3), "optimizer"),
    "moments of NaN": (("optimizer_states", 0, "state", 4, "exp_avg"), torch.full((16, 64), math.nan), "optimizer"),
    "no moments": (("optimizer_states", 0, "state"), {}, "optimizer"),
    "moments of no parameter": (("optimizer_states", 0, "state", 99), {}, "optimizer"),
    "no numbers of parameters": (("optimizer_states", 0, "param_groups", 0, "params"), [torch.zeros(2)] * 10,
                                 "optimizer"),
    "a huge schedule": (("lr_schedulers", 0, "last_epoch"), 10**400, "schedule"),
    "rates that are texts": (("lr_schedulers", 0, "_last_lr"), ["a", "b"], "schedule"),
}  # fmt: skip


def damaged(path, where, value):
    checkpoint = torch.load(path, weights_only=True)
    where = callback(checkpoint, where) if isinstance(where, str) else where
    holder = checkpoint
    for key in where[:-1]:
        holder = holder[key]
    if value is None:
        del holder[where[-1]]
    else:
        holder[where[-1]] = value
    torch.save(checkpoint, path)


@pytest.fixture
def run(shell, trained):
    shutil.copytree(trained.folder / "runs", shell.folder / "runs")
    shell.last = shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt"
    return shell


@pytest.mark.parametrize("name", DAMAGE)
def test_it_is_refused_in_a_line(run, name):
    where, value, part = DAMAGE[name]
    damaged(run.last, where, value)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    err = run("fit", f"--ckpt_path={run.last}", *ON, status=2).stderr
    assert err == f"lightning-gpt: {run.last} is damaged: its state of the {part} can't be restored\n"
    after = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and "data" not in path.parts}
    assert after == before


def test_what_nothing_here_expects_is_dropped(run):
    """Neither a callback that is not here nor a counter of another Lightning stops a run."""
    damaged(run.last, ("callbacks", "Stranger"), {"a": 1})
    damaged(run.last, (*PROGRESS, "later"), {"a": 1})
    damaged(run.last, ("hyper_parameters",), {"_instantiator": "os.system"})
    done = run("fit", f"--ckpt_path={run.last}", *ON)
    assert "step     22" in done.stdout and done.stderr.count("\n") <= 1


@pytest.mark.parametrize("command", ["validate", "fit"])
@pytest.mark.parametrize("version", [None, 3, "x"])
def test_the_version_of_lightning_is_not_needed(run, command, version):
    damaged(run.last, ("pytorch-lightning_version",), version)
    assert "val/loss" in run(command, f"--ckpt_path={run.last}", *(ON if command == "fit" else [])).stdout


@pytest.mark.parametrize(
    "weight",
    [torch.zeros(16, 64).to_sparse(), torch.zeros(16, 64, dtype=torch.complex64), torch.zeros(16, 64, device="meta"),
     torch.zeros(0), torch.zeros(1).expand(16, 64), torch.full((16, 64), math.nan), "net", None],
    ids=["sparse", "complex", "meta", "empty", "repeated", "NaN", "a text", "gone"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["validate", "generate", "report", "fit"])
def test_weights_that_are_none(run, command, weight):
    damaged(run.last, ("state_dict", "net.blocks.0.mlp.projection.weight"), weight)
    err = run(command, f"--ckpt_path={run.last}", *(ON if command == "fit" else []), status=2).stderr
    assert err.startswith("lightning-gpt: ") and err.count("\n") == 1


@pytest.mark.parametrize("recipe", [AdamW, Muon])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_the_state_that_is_expected_is_the_one_that_an_optimizer_has(network, recipe):
    with torch.device("meta"):
        expected = state_after_a_step(recipe().build(network(5, 4), fused=False))
    there = state_after_a_step(recipe().build(network(5, 4)))
    assert expected.keys() == there.keys()
    for i, values in there.items():
        assert {name: x.shape for name, x in values.items()} == {name: x.shape for name, x in expected[i].items()}


def test_only_what_has_the_form_is_taken():
    assert fitted({"a": 1, "b": {"c": True}, "more": 2}, {"a": 0, "b": {"c": False}}) == {"a": 1, "b": {"c": True}}
    for found in ({"a": True}, {"a": -1}, {"a": 0.0}, {"a": 2**53}, {"a": None}):
        with pytest.raises(ValueError, match="is no int"):
            fitted(found, {"a": 0})
    with pytest.raises(KeyError):
        fitted({}, {"a": 0})


def test_a_second_checkpoint_callback_is_refused(shell):
    saver = "{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {monitor: val/loss, mode: min}}"
    err = shell("fit", "--data.corpus=text.txt", *TINY, f"--trainer.callbacks=[{saver}]", status=2).stderr
    assert "trainer.callbacks: the run has a ModelCheckpoint like this one already" in err and err.count("\n") == 1
