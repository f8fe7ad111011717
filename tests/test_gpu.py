"""What only a CUDA device shows: recorded passes, exact resume, mixed precisions, compiling."""

import copy
import re

import pytest
import torch
from conftest import TINY
from ladder.test_contract import SMALL, T, V
from torch.nn import functional as F

from lightning_gpt.ladder import NETWORKS, Ensemble, ModernGPT
from lightning_gpt.model import Sampling, decode
from lightning_gpt.model.checkpoint import read
from lightning_gpt.runs.curves import read_events
from lightning_gpt.training.replay import Replay

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]

ON_GPU = [
    *TINY, "--data.corpus=text.txt", "--trainer.accelerator=gpu", "--trainer.deterministic=true",
    "--model.network.dropout=0.2",
]  # fmt: skip
MODES = {
    **{network.__name__: (network, SMALL[network]) for network in NETWORKS},
    "dropout": (ModernGPT, {"n_embd": 32, "dropout": 0.5}),
    "dropout of attention": (ModernGPT, {"n_embd": 32, "dropout": 0.5, "variational_dropout": False}),
    "pointer and window": (ModernGPT, {"n_embd": 32, "pointer": 4, "window": 3}),
    "ensemble of these": (Ensemble, {"n_embd": 32, "pointer": 4, "window": 3, "dropout": 0.5}),
}
POINTER = ["--model.network=ModernGPT", "--model.network.pointer=4", "--model.network.window=8"]


def fit(shell, *options, name="a"):
    shell("fit", *ON_GPU, f"--name={name}", *options, CUDA_VISIBLE_DEVICES="0")
    return read(shell.folder / "runs" / name / "version_0" / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(("network", "sizes"), MODES.values(), ids=MODES)
@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_a_replayed_step_is_the_step_itself(network, sizes, dtype):
    torch.manual_seed(0)
    net = network(V, T, **sizes).cuda().train()
    twin = copy.deepcopy(net)
    replay = Replay(net)
    for step in range(3):
        ids, targets = torch.randint(V, (2, 4, T), device="cuda")
        results = []
        for run, its in ((replay, net), (twin, twin)):
            torch.cuda.manual_seed(step)  # as before each step of a fit
            its.zero_grad()
            with torch.autocast("cuda", dtype, enabled=dtype is not None):
                logits = run(ids).float()
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            (1024 * loss).backward()  # scaled, for fp16
            results.append([logits, *(p.grad / 1024 for p in its.parameters())])
        for replayed, computed in zip(*results, strict=True):
            near = {"rtol": 1e-4, "atol": 1e-6} if dtype is None else {"rtol": 2e-2, "atol": 1e-4}  # atomic additions
            torch.testing.assert_close(replayed, computed, **near)
        with torch.no_grad():  # weights that change are seen
            for p, q in zip(net.parameters(), twin.parameters(), strict=True):
                p.add_(torch.randn_like(p), alpha=0.1)
                q.copy_(p)


def test_other_shapes_and_reading_are_not_replayed():
    net = ModernGPT(V, T, n_embd=32, dropout=0.5).cuda().train()
    replay = Replay(net)
    replay(torch.zeros(4, T, dtype=torch.long, device="cuda"))
    assert replay(torch.zeros(2, T - 1, dtype=torch.long, device="cuda")).shape == (2, T - 1, V)
    net.eval()
    ids = torch.randint(V, (4, T), device="cuda")
    torch.testing.assert_close(replay(ids), net(ids))


@pytest.mark.parametrize("network", [[], POINTER], ids=["GPT", "ModernGPT"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_resumed_run_is_the_same_bit_for_bit(shell, precision, network):
    chosen = [*network, f"--trainer.precision={precision}"]
    whole = fit(shell, *chosen, name="whole")
    fit(shell, *chosen, "--trainer.max_steps=10", name="part")
    first = shell.folder / "runs/part/version_0/checkpoints/last.ckpt"
    resumed = fit(shell, *chosen, f"--ckpt_path={first}", name="resumed")
    assert resumed["global_step"] == whole["global_step"] == 20
    overflows = read_events(shell.folder / "runs/whole/version_0").get("optim/overflows", [(0, 0.0)])
    assert overflows[-1][1] <= 1  # of 16-mixed, whose first scale may be too large
    for name, weight in whole["state_dict"].items():
        assert torch.equal(weight, resumed["state_dict"][name]), name


@pytest.mark.parametrize(
    "option", ["--model.freeze_blocks=1", "--trainer.accumulate_grad_batches=2", "--model.compile=true"]
)
@pytest.mark.parametrize("network", [[], POINTER], ids=["GPT", "ModernGPT"])
def test_a_gpu_computes_the_gradients_of_a_cpu(shell, network, option):
    """Accumulated ones are the hard case: a replayed pass would write the second over the first."""
    exact = [*network, option, "--model.network.dropout=0", "--trainer.precision=32-true"]
    short = ["--trainer.val_check_interval=2", "--trainer.log_every_n_steps=1"]
    on_cpu = ["--trainer.accelerator=cpu", "--model.compile=false"]
    fit(shell, *exact, *short, *on_cpu, "--trainer.max_steps=2", name="first")  # a GPU's first weights are others
    begun = f"--ckpt_path={shell.folder / 'runs/first/version_0/checkpoints/last.ckpt'}"
    logged = {}
    for where, more in {"gpu": [], "cpu": on_cpu}.items():
        fit(shell, *exact, *short, *more, begun, "--trainer.max_steps=4", name=where)
        logged[where] = read_events(shell.folder / "runs" / where / "version_0")
    for name in ("optim/grad_norm", "loss/train"):
        gpu, cpu = ([value for _, value in logged[where][name]] for where in ("gpu", "cpu"))
        assert len(gpu) == 2 and gpu == pytest.approx(cpu, rel=1e-3)


@pytest.mark.parametrize("rows", [1, 3])
def test_writing_with_a_cache_is_writing_without(rows):
    torch.manual_seed(0)
    net = ModernGPT(V, 64, n_embd=32, pointer=4, window=3).cuda().eval()
    begin = torch.zeros(rows, 1, dtype=torch.long, device="cuda")
    cached, plain = (
        torch.cat(list(decode(net, begin, Sampling(30, cached=cached), torch.Generator().manual_seed(1))), dim=1)
        for cached in (True, False)
    )
    assert torch.equal(cached, plain)


def test_a_checkpoint_validates_on_a_cpu_as_on_the_gpu(shell):
    fit(shell, "--trainer.precision=bf16-mixed")
    losses = []
    for where in ("gpu", "cpu"):
        options = [f"--trainer.accelerator={where}", "--trainer.precision=32-true", "--ckpt_path=best"]
        shown = shell("validate", *options, CUDA_VISIBLE_DEVICES="0").stdout
        losses.append(float(re.search(r"val/loss\W+([\d.]+)", shown)[1]))
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)
