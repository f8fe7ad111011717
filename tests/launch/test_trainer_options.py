"""Every option of Lightning's Trainer works or is refused in one line; found by its signature, so none is forgotten."""

import inspect

import pytest
from conftest import TINY
from lightning.pytorch import Trainer

from lightning_gpt.launch.checks import FIXED, RANGES, trainer_problems
from lightning_gpt.runs import Run

FIT = ["fit", "--data.corpus=text.txt", *TINY, "--trainer.max_steps=4", "--trainer.val_check_interval=2"]

# values that work, and values that are refused with these words
TRIED = {
    "accelerator": (
        ["auto", "cpu"],
        {
            "abacus": "there are auto, gpu, cpu, cuda, mps, tpu",
            "cup": "did you mean cpu?",
            "gpu": "No supported gpu backend found",
            "tpu": "trainer: ",
        },
    ),
    "strategy": (
        ["auto", "model_parallel"],
        {
            "abacus": "there are auto, ddp, xla, model_parallel",
            "dpp": "did you mean ddp?",
            "": "there are auto",
            "fsdp": "flat pieces of matrices",
            "fsdp_cpu_offload": "flat pieces of matrices",
            "deepspeed": "take model_parallel",
            "deepspeed_stage_3_offload": "take model_parallel",
        },
    ),
    "devices": (
        ["1", "auto"],
        {"[0]": "devices", "abc": "auto, a number of devices", "-5": "auto, a number", "0": "auto, a number"},
    ),
    "num_nodes": (["1"], {"0": "from 1 to 9,999", "99999999999999999999": "from 1 to 9,999", "x": "a whole number"}),
    "precision": (["32-true", "bf16-mixed", "64-true"], {"17": "bf16-mixed", "16-mixed": "needs a GPU"}),
    "logger": (["false", "true"], {"nonsense": "trainer.logger"}),
    "callbacks": (
        ["lightning.pytorch.callbacks.LearningRateMonitor"],
        {"lightning.pytorch.callbacks.Timer": "give its init_args", "nonsense": "trainer.callbacks"},
    ),
    "fast_dev_run": (["false"], {"true": "--trainer.max_steps 5", "3": "--trainer.max_steps 5"}),
    "max_epochs": (["-1"], {"3": "set --trainer.max_steps"}),
    "min_epochs": (["null"], {"2": "set --trainer.min_steps"}),
    "max_steps": (["2"], {"0": "at least 1, or -1", "-7": "at least 1, or -1", "x": "a whole number"}),
    "min_steps": (["2"], {"-1": "at least 0"}),
    "max_time": (["00:01:00:00"], {"soon": "DD:HH:MM:SS"}),
    "limit_train_batches": (["1.0"], {"5": "set --trainer.max_steps", "0": "set --trainer.max_steps"}),
    "limit_val_batches": (
        ["1", "2"],
        {"0.5": "limit_val_batches", "0": "at least 1", "-1": "at least 1", "1.5": "at least 1"},
    ),
    "limit_test_batches": (["1"], {"0": "at least 1"}),
    "limit_predict_batches": (["1"], {"0": "at least 1"}),
    "overfit_batches": (["0"], {"2": "a little --data.corpus", "0.5": "a little --data.corpus"}),
    "val_check_interval": (
        ["2"],
        {"0": "at least 1", "0.5": "a whole number of batches", "x": "a whole number of batches"},
    ),
    "check_val_every_n_epoch": (["null"], {"1": "set --trainer.val_check_interval"}),
    "num_sanity_val_steps": (["0", "1", "-1"], {"-2": "at least 0"}),
    "log_every_n_steps": (["0", "3"], {"-1": "at least 0"}),
    "enable_checkpointing": (["true", "false"], {"maybe": "true or false"}),
    "enable_progress_bar": (["true", "false"], {"maybe": "true or false"}),
    "enable_model_summary": (["true"], {"maybe": "true or false"}),
    "accumulate_grad_batches": (["2"], {"0": "at least 1", "-1": "at least 1", "3": "must be a multiple"}),
    "gradient_clip_val": (
        ["0", "0.5"],
        {"-1": "0 (off) or above", ".nan": "0 (off) or above", ".inf": "0 (off) or above"},
    ),
    "gradient_clip_algorithm": (["norm", "value"], {"sideways": "norm or value"}),
    "deterministic": (["true", "warn"], {"maybe": "true or false"}),
    "benchmark": (["true"], {"maybe": "true or false"}),
    "inference_mode": (["false"], {"maybe": "true or false"}),
    "use_distributed_sampler": (["false"], {"true": "know their rank"}),
    "profiler": (["simple"], {"nonsense": "profiler"}),
    "detect_anomaly": (["true"], {"maybe": "true or false"}),
    "barebones": (["false"], {"true": "bench --measure step"}),
    "plugins": (["null"], {"nonsense": "trainer.plugins"}),
    "sync_batchnorm": (["false"], {"true": "no network here has a batch norm"}),
    "reload_dataloaders_every_n_epochs": (["0"], {"1": "no epochs"}),
    "default_root_dir": (["null"], {"elsewhere": "--runs_dir"}),
    "enable_autolog_hparams": (["false"], {"maybe": "true or false"}),
    "model_registry": (["null"], {"mine": "the run's folder"}),
}
# all first values that work in one fit, all second ones in another, and so on; those that leave no folder by themselves
ALONE = [("logger", "false"), ("enable_checkpointing", "false")]
TOGETHER = [
    {name: works[i] for name, (works, _) in TRIED.items() if i < len(works) and (name, works[i]) not in ALONE}
    for i in range(max(len(works) for works, _ in TRIED.values()))
]
REFUSED = [(name, value, says) for name, (_, refused) in TRIED.items() for value, says in refused.items()]


def test_all_of_them_are_tried():
    assert TRIED.keys() == inspect.signature(Trainer).parameters.keys()
    assert FIXED.keys() | RANGES.keys() <= TRIED.keys()


@pytest.mark.parametrize("options", TOGETHER, ids=range(len(TOGETHER)))
def test_they_work(shell, options):
    done = shell(*FIT, *(f"--trainer.{name}={value}" for name, value in options.items()))
    assert "Traceback" not in done.stderr and "best val/loss" in done.stdout
    run = Run(shell.folder / "runs/gpt/version_0")
    assert run.last.is_file() and run.result.finished
    saved = run.config["trainer"]
    for name, value in options.items():
        assert str(saved[name]).lower() in (value, {"null": "none"}.get(value, value)) or not value.isalpha(), name


@pytest.mark.parametrize(("name", "value"), ALONE, ids=[name for name, _ in ALONE])
def test_a_fit_that_keeps_no_checkpoint(shell, name, value):
    assert "Traceback" not in shell(*FIT, f"--trainer.{name}={value}").stderr
    assert not list(shell.folder.rglob("*.ckpt"))


@pytest.mark.parametrize(("name", "value", "says"), REFUSED, ids=[f"{name}={value}" for name, value, _ in REFUSED])
def test_it_is_refused_in_one_line(shell, name, value, says):
    err = shell(*FIT, f"--trainer.{name}={value}", status=2).stderr
    assert err.count("\n") == 1 and says in err, err
    assert not (shell.folder / "runs").exists()


def test_all_problems_are_found_at_once():
    found = trainer_problems({"max_steps": 0, "fast_dev_run": True, "num_nodes": 0, "devices": -5})
    assert len(found) == 4


def test_torchrun_with_a_trainer_of_one_process_is_refused(shell):
    err = shell("fit", *FIT[1:], status=2, TORCHELASTIC_RUN_ID="x", WORLD_SIZE="2").stderr
    assert "torchrun started 2 processes, the Trainer has 1: give --trainer.strategy ddp" in err
