"""The LightningModule under a real Trainer, on a small text."""

import math
from functools import partial

import pytest
import torch
from conftest import TEXT
from lightning.pytorch import Callback, Trainer

from lightning_gpt import UserError
from lightning_gpt.ladder import GPT, Bigram
from lightning_gpt.text import IGNORE, HeldOutBlocks
from lightning_gpt.training import AdamW, CharDataModule, LanguageModel, SampleText, Schedule

TINY_GPT = partial(GPT, n_layer=2, n_head=2, n_embd=16, dropout=0.1)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return CharDataModule(str(tmp_path / "text.txt"), block_size=16, batch_size=4, data_dir=str(tmp_path / "data"))


def fit(data, module, steps=6, **options):
    trainer = Trainer(
        **{
            "max_steps": steps,
            "max_epochs": -1,
            "num_sanity_val_steps": 0,
            "check_val_every_n_epoch": None,
            "val_check_interval": 3,
            "log_every_n_steps": 1,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **options,
        }
    )
    trainer.fit(module, datamodule=data)
    return trainer


def test_the_loss_is_the_one_written_by_hand():
    torch.manual_seed(0)
    module = LanguageModel(Bigram)
    module.net = Bigram(5, 3)
    x, y = torch.randint(5, (2, 3)), torch.tensor([[1, 2, IGNORE], [0, IGNORE, IGNORE]])
    _, loss, tokens = module.shared_step((x, y))
    by_hand = [
        -math.log(torch.softmax(module.net.table.weight.detach()[x[b, t]], 0)[y[b, t]])
        for b, t in ((0, 0), (0, 1), (1, 0))
    ]
    assert tokens == 3
    assert loss.item() == pytest.approx(sum(by_hand) / 3, rel=1e-6)


def test_validation_is_the_mean_over_all_targets(data):
    module = LanguageModel(TINY_GPT)
    trainer = fit(data, module, steps=3)
    module.eval()
    total, count = 0.0, 0
    for x, y in HeldOutBlocks(data.val_ids, 16):
        nats = torch.nn.functional.cross_entropy(
            module(x).flatten(0, 1).double(), y.flatten(), reduction="none", ignore_index=IGNORE
        )
        total, count = total + nats.sum().item(), count + int((y != IGNORE).sum())
    assert count == len(data.val_ids) - 1
    metrics = trainer.callback_metrics
    assert metrics["val/loss"].item() == pytest.approx(total / count, abs=1e-6)
    assert metrics["val/bits_per_char"].item() == pytest.approx(total / count / math.log(2), abs=1e-6)
    assert metrics["val/bits_per_byte"].item() == metrics["val/bits_per_char"].item()  # of ASCII
    assert metrics["val/perplexity"].item() == pytest.approx(math.exp(total / count), rel=1e-5)


def test_the_last_step_is_validated_too(data, tmp_path):
    seen = []

    class Watch(Callback):
        def on_validation_end(self, trainer, pl_module):
            seen.append(trainer.global_step)

    from lightning_gpt.training import LastCheckpoint

    options = {"callbacks": [Watch(), LastCheckpoint()], "enable_checkpointing": True}
    fit(data, LanguageModel(TINY_GPT), steps=7, default_root_dir=tmp_path, **options)
    assert seen == [3, 6, 7]


def test_sampling_leaves_no_trace(data):
    """Neither the random state nor a mode is other after the samples than before them."""
    seen = []

    class Watched(SampleText):
        def on_validation_end(self, trainer, pl_module):
            pl_module.net.blocks[0].train()  # a mode that Lightning has not set and will not mend here
            before = torch.get_rng_state(), [m.training for m in pl_module.net.modules()]
            super().on_validation_end(trainer, pl_module)
            after = torch.get_rng_state(), [m.training for m in pl_module.net.modules()]
            seen.append((torch.equal(before[0], after[0]), before[1] == after[1]))

    fit(data, LanguageModel(TINY_GPT), callbacks=[Watched(max_new_tokens=20)])
    assert seen == [(True, True)] * 2


def test_weights_do_not_depend_on_the_global_random_state_after_the_start(data):
    class Disturb(Callback):
        def on_train_batch_end(self, *_):
            torch.rand(7)

    results = []
    for callbacks in ([], [Disturb()]):
        torch.manual_seed(0)
        module = LanguageModel(TINY_GPT)
        fit(data, module, callbacks=callbacks)
        results.append(module.net.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_is_lightnings_and_the_norm_is_logged(data, algorithm):
    norms = []

    class Watch(Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            grads = [p.grad for p in pl_module.net.parameters() if p.grad is not None]
            if grads:
                norms.append((torch.nn.utils.get_total_norm(grads).item(), max(g.abs().max().item() for g in grads)))

    trainer = fit(
        data,
        LanguageModel(TINY_GPT),
        callbacks=[Watch()],
        gradient_clip_val=0.01,
        gradient_clip_algorithm=algorithm,
    )
    assert trainer.callback_metrics["grad_norm"] > 0.01
    assert norms
    for norm, largest in norms:
        assert (norm if algorithm == "norm" else largest) <= 0.01 * 1.001


def test_accumulated_batches_are_one_large_batch(data, tmp_path):
    def weights(batch_size, accumulate):
        torch.manual_seed(0)
        module = LanguageModel(partial(GPT, n_layer=2, n_head=2, n_embd=16), AdamW(lr=1e-2))
        data.batch_size = batch_size
        trainer = fit(data, module, steps=1, accumulate_grad_batches=accumulate, val_check_interval=accumulate)
        assert trainer.global_step == 1
        return module.net.state_dict()

    small = weights(4, 2)
    # the second batch has its own draw, so it is not the same rows: what is proved is that two batches are averaged
    module = LanguageModel(partial(GPT, n_layer=2, n_head=2, n_embd=16), AdamW(lr=1e-2))
    torch.manual_seed(0)
    module.net = GPT(len(data.tokens.tokenizer), 16, n_layer=2, n_head=2, n_embd=16)
    from lightning_gpt.text import TrainingBlocks

    blocks = TrainingBlocks(data.train_ids, 16, 4)
    x, y = (torch.cat(parts) for parts in zip(blocks[0], blocks[1], strict=True))
    optimizer = AdamW(lr=1e-2).build(module.net)
    module.shared_step((x, y))[1].backward()
    optimizer.step()
    for name, weight in module.net.state_dict().items():
        torch.testing.assert_close(small[name], weight, atol=1e-5, rtol=1e-4)


def test_compiling_changes_no_name_and_no_step(data):
    """Names are those of the plain network; the steps are, too, with the compiler standing aside."""
    results = []
    for compile in (False, True):
        torch.manual_seed(0)
        module = LanguageModel(TINY_GPT, compile=compile)
        with torch.compiler.set_stance("force_eager"):
            fit(data, module)
        assert (module.net._compiled_call_impl is not None) == compile
        results.append(module.state_dict())
    assert results[0].keys() == results[1].keys()
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_clipping_at_zero_is_off(data):
    largest = []

    class Watch(Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            largest.extend(p.grad.abs().max().item() for p in pl_module.net.parameters() if p.grad is not None)

    fit(data, LanguageModel(TINY_GPT), callbacks=[Watch()], gradient_clip_val=0.0)
    assert largest and min(largest) > 0


def test_a_loss_that_is_no_number_is_not_left_out_of_the_mean():
    module = LanguageModel(Bigram)
    module.net = Bigram(5, 3)
    module.net.table.weight.data[2] = float("nan")
    module.held_out.token_lengths = torch.ones(5, 2, dtype=torch.long)
    for x in ([[0, 1, 0]], [[0, 2, 0]]):
        module.validation_step((torch.tensor(x), torch.tensor([[1, 1, 1]])), 0)
    assert module.held_out.compute()["loss"].isnan()


def test_logging_can_be_off(data):
    assert fit(data, LanguageModel(TINY_GPT), log_every_n_steps=0).global_step == 6


def test_the_rate_follows_the_schedule_step_by_step(data):
    rates = []

    class Watch(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            rates.append(optimizer.param_groups[0]["lr"])

    schedule = Schedule(warmup_steps=2, decay="cosine")
    fit(data, LanguageModel(TINY_GPT, AdamW(lr=0.01), schedule), callbacks=[Watch()])
    assert rates == pytest.approx([0.01 * schedule(step, 6) for step in range(6)])


def test_sizes_that_do_not_go_together_are_a_users_mistake(data):
    with pytest.raises(UserError, match=r"model.network: n_embd 30 is not divisible by n_head 4"):
        fit(data, LanguageModel(partial(GPT, n_embd=30, n_head=4)))


def test_a_decay_needs_an_end(data):
    with pytest.raises(UserError, match="needs --trainer"):
        fit(data, LanguageModel(TINY_GPT, schedule=Schedule(decay="cosine")), steps=-1, max_time="00:00:00:05")


@pytest.mark.parametrize("part", ["training", "held-out"])
def test_a_text_too_short_for_a_block_is_refused(data, part):
    data.block_size = 10_000 if part == "training" else 800
    with pytest.raises(UserError, match=rf"its {part} part has \d+ characters, a block needs"):
        data.setup("fit")
