"""Several processes are one: the same losses, one voice, one stop; and a node that dies takes nothing with it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from conftest import TINY
from send_signal import ask_to_stop_at, send_signal

from lightning_gpt.commands.verify_resume import same, saved_values

RECIPE = ["--data.corpus=text.txt", *TINY, "--trainer.max_steps=200", "--trainer.val_check_interval=100"]
TWO = ["--trainer.strategy=ddp", "--trainer.devices=2", "--data.batch_size=2"]


def losses(out):
    return [float(loss) for loss in re.findall(r"^step .* val (\d+\.\d+) nats", out, re.M)]


def test_two_processes_are_one_with_twice_the_batch(shell):
    """Started by torchrun, which calls a job failed of which one rank ends badly."""
    short = [*RECIPE, "--trainer.max_steps=40", "--trainer.val_check_interval=20"]
    one = shell("fit", *short, "--name=one").stdout
    command = ["--standalone", "--nproc-per-node=2", "-m", "lightning_gpt", "fit", *short, *TWO, "--name=two"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *command],
        cwd=shell.folder, env=shell.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    two = done.stdout
    assert done.returncode == 0, done.stderr
    assert "lightning-gpt:" not in done.stderr and "recommended" not in done.stderr
    assert losses(two) == pytest.approx(losses(one), abs=2e-4) and len(losses(one)) == 2  # fp32 sums in another order
    assert two.count("best val/loss") == two.count("text     text.txt") == two.count("step     20") == 1
    assert [path.name for path in (shell.folder / "runs/two").iterdir()] == ["version_0"]
    left, right = (shell.folder / f"runs/{name}/version_0/checkpoints/last.ckpt" for name in ("one", "two"))
    left, right = (torch.load(path, weights_only=True)["state_dict"] for path in (left, right))
    for name, weight in left.items():
        torch.testing.assert_close(right[name], weight, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [True, False], ids=["as Ctrl-C, to all", "to the first alone"])
def test_both_stop_at_the_same_step(shell, to_all):
    recipe = [*RECIPE, *TWO, "--name=two", *send_signal(signal.SIGINT, step=40, to_all=to_all)]
    err = shell.process("fit", *recipe, status=130, start_new_session=True).stderr
    assert "stopped by SIGINT after step 48," in err and "Traceback" not in err, err  # they agree every 16 steps
    last = torch.load(shell.folder / "runs/two/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 48
    if to_all:  # once: nothing that was saved says which rank got the signal
        again = shell.process("fit", "--ckpt_path=last", "--trainer.max_steps=58", *TWO)  # ranks that Lightning starts
        assert again.stdout.count("best val/loss") == 1 and "lightning-gpt:" not in again.stderr, again.stderr


@pytest.mark.slow
def test_a_request_stops_both_at_the_same_step(shell):
    """The first rank alone looks for it, by the clock; they agree every 16 steps."""
    recipe = [*RECIPE, *TWO, "--trainer.max_steps=20000", "--trainer.val_check_interval=20000", *ask_to_stop_at(40)]
    err = shell.process("fit", *recipe, status=130).stderr
    step = int(re.search(r"stopped by a request after step (\d+),", err)[1])
    assert step >= 48 and step % 16 == 0 and "Traceback" not in err, err
    last = torch.load(shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == step


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others_in_one_line(shell):
    """As by a system that is out of memory; gloo has 113 lines to say about it."""
    recipe = [*RECIPE, *TWO, "--save_every_n_steps=32", *send_signal(signal.SIGKILL, step=40)]
    err = shell.process("fit", *recipe, status=-signal.SIGKILL).stderr
    assert err.count("lightning-gpt: another process of this run has ended") == 1 and "Traceback" not in err, err
    last = torch.load(shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 32


@pytest.mark.slow
def test_two_nodes_one_of_which_dies(shell):
    """torchrun restarts the group, which goes on from the last checkpoint and ends as an undisturbed run does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    recipe = [*RECIPE, "--data.batch_size=2", "--trainer.num_nodes=2", "--trainer.devices=1", "--trainer.strategy=ddp"]
    recipe += ["--trainer.max_steps=3000", "--trainer.val_check_interval=1000", "--save_every_n_steps=100"]

    def node(name):
        rendezvous = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", f"--rdzv-id={name}"]
        run = ["--nnodes=2", "--nproc-per-node=1", "--max-restarts=3", *rendezvous, "-m", "lightning_gpt"]
        return subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *run, "fit", *recipe, f"--name={name}", "--resume=auto"],
            cwd=shell.folder, env=shell.environment(TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1"), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    for name in ("whole", "broken"):
        nodes = [node(name), node(name)]
        if name == "broken":
            checkpoint = shell.folder / "runs/broken/version_0/checkpoints/last.ckpt"
            while not checkpoint.is_file() and all(n.poll() is None for n in nodes):
                time.sleep(0.05)
            children = subprocess.run(["pgrep", "-P", str(nodes[1].pid)], capture_output=True, text=True, check=True)
            os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        for n in nodes:
            out, _ = n.communicate(timeout=170)
            assert n.returncode == 0, out
    whole, broken = (dict(saved_values(shell.folder / "runs" / name)) for name in ("whole", "broken"))
    assert whole.keys() == broken.keys() and all(same(whole[name], broken[name]) for name in whole)


@pytest.mark.slow
def test_slurm_preemption_saves_and_requeues(shell):
    """SIGUSR1 at a whole step; the job started again goes on exactly."""
    (shell.folder / "bin").mkdir()
    scontrol = shell.folder / "bin" / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {shell.folder}/requeued\n')
    scontrol.chmod(0o755)
    slurm = {
        "SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "localhost", "PATH": f"{scontrol.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    recipe = [*RECIPE, "--trainer.val_check_interval=50", "--resume=auto"]
    again = [*recipe, *send_signal(signal.SIGUSR1, step=110)]
    err = shell.process("fit", *again, status=128 + signal.SIGUSR1, **slurm).stderr
    assert "stopped by SIGUSR1 after step 110," in err
    assert (shell.folder / "requeued").read_text() == "requeue 77\n"
    assert not list(shell.folder.rglob("hpc_ckpt*"))
    assert "goes on with" in shell.process("fit", *again, **slurm).stdout
    shell("fit", *recipe, "--name=whole")
    whole, broken = (dict(saved_values(shell.folder / "runs" / name)) for name in ("whole", "gpt"))
    assert all(same(whole[name], broken[name]) for name in whole)
