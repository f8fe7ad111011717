"""When passes are replayed, and when not: without a CUDA device, by a recorder that computes. On one: test_gpu.py."""

import copy

import pytest
import torch
from conftest import OPEN, TEXT
from lightning.pytorch import Trainer

from lightning_gpt.ladder import GPT, ModernGPT
from lightning_gpt.training import CharDataModule, LanguageModel, module
from lightning_gpt.training.replay import Replay, replayable

V, T = 11, 8


@pytest.fixture
def recordings(monkeypatch):
    """Lists the networks that are recorded, and how often each recording was replayed."""
    found = []

    def recorder(run, args, allow_unused_input):
        original, entry = run.forward, [run.net, 0]
        assert run.training and not torch.is_autocast_enabled("cuda") and allow_unused_input
        found.append(entry)
        torch.rand(3)  # as dropout draws in what is recorded

        def replayed(ids):
            assert ids.shape == args[0].shape
            entry[1] += 1
            return original(ids)

        run.forward = replayed

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", recorder)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: torch.set_rng_state(state))
    return found


def test_passes_like_the_first_are_replayed(recordings):
    net = ModernGPT(V, T, n_embd=32).train()
    run, ids = Replay(net), torch.zeros(4, T, dtype=torch.long)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    run(ids)
    assert torch.equal(torch.rand(3), expected)  # recording uses up no random number
    run(ids)
    assert recordings == [[net, 2]]
    run(ids[:2])
    with torch.no_grad():
        run(ids)
    net.eval()
    run(ids)
    net.train()
    net.freeze(1)
    run(ids)
    assert recordings == [[net, 2]]
    for weight in net.parameters():
        weight.requires_grad = True
    with torch.autograd.set_detect_anomaly(True):
        run(ids)
    run(ids)
    assert recordings == [[net, 3]]


def model_and_data(folder):
    (folder / "text.txt").write_text(TEXT)
    data = CharDataModule(corpus=str(folder / "text.txt"), block_size=8, batch_size=4, data_dir=str(folder))
    return LanguageModel(lambda *sizes: GPT(*sizes, n_layer=1, n_head=1, n_embd=16)), data


def trainer(folder, **options):
    return Trainer(
        accelerator="cpu", max_steps=4, limit_val_batches=0, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder, **options,
    )  # fmt: skip


def test_each_fit_records_anew(tmp_path, monkeypatch, recordings):
    """A module's weights lie elsewhere after a fit, on the CPU: an old recording would read what is there no more."""
    monkeypatch.setattr(module, "replayable", lambda net, trainer: True)
    model, data = model_and_data(tmp_path)
    trainer(tmp_path).fit(model, data)
    assert [count for _, count in recordings] == [4]
    twin = copy.deepcopy(model)
    trainer(tmp_path).fit(model, data)
    trainer(tmp_path).fit(twin, data)
    assert [count for _, count in recordings] == [4, 4, 4]
    assert recordings[0][0] is recordings[1][0] is model.net and recordings[2][0] is twin.net


def test_accumulated_and_compiled_passes_are_not_replayed(tmp_path, monkeypatch, recordings):
    monkeypatch.setattr(module, "replayable", lambda net, trainer: True)
    model, data = model_and_data(tmp_path)
    trainer(tmp_path, accumulate_grad_batches=2).fit(model, data)
    assert recordings == []
    model.compile_network = True
    trainer(tmp_path).fit(model, data)
    assert recordings == []


def test_only_the_ladders_networks_on_a_cuda_device_are_replayable(tmp_path, monkeypatch):
    class Own(GPT):
        pass

    on_cpu = trainer(tmp_path)
    assert not replayable(GPT(V, T), on_cpu)
    monkeypatch.setattr(type(on_cpu.strategy), "root_device", torch.device("cuda"))
    assert replayable(GPT(V, T), on_cpu) and not replayable(Own(V, T), on_cpu)


def test_a_fit_on_a_cpu_replays_nothing(shell, recordings):
    steps = ["--trainer.max_steps=2", "--trainer.val_check_interval=2"]
    shell("fit", "--data.corpus=text.txt", *OPEN, *steps)
    assert recordings == []
