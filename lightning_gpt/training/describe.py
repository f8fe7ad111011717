"""Describes a run before its first step: its card, its hyperparameters, its work. Trains nothing."""

import torch
from lightning.pytorch import Trainer
from torch.utils.flop_counter import FlopCounterMode

from lightning_gpt import machine
from lightning_gpt.text import Tokens
from lightning_gpt.training.module import LanguageModel
from lightning_gpt.training.sharding import network_class

Card = tuple[tuple[str, str], ...]


def card(trainer: Trainer, module: LanguageModel) -> Card:
    """Lists the run's card as rows of (head, text); a row without a head continues the one above."""
    assert module.net is not None
    data, tokens, net = module.data, module.data.tokens, module.net
    # the text's line says vocab_size, config.yaml the options
    sizes = ", ".join(f"{name} {size}" for name, size in net.config.main().items() if name != "vocab_size")
    parameters = sum(p.numel() for p in net.parameters())
    device = trainer.strategy.root_device
    where = f"{trainer.world_size} x {device.type}" if trainer.world_size > 1 else device.type
    slower = "bf16" in str(trainer.precision) and not machine.gains_by_bf16(device.type)
    remark = " (32-true is faster here)" if slower else ""
    return (
        ("text", str(tokens)),
        ("", f"SHA-256 {tokens.sha256}"),
        *(("", done) for done in tokens.remarks),
        *(("warning", said) for said in tokens.warnings),
        ("", f"{len(data.train_ids):,} {tokens.tokenizer.unit}s to train on, {len(data.val_ids):,} held out"),
        *_examples(tokens),
        ("network", f"{network_class(net).__name__}: {parameters:,} parameters ({sizes})"),
        (
            "run",
            f"steps {trainer.global_step:,} to {trainer.max_steps:,}, {data.batch_size} blocks each, "
            f"on {where} in {trainer.precision}{remark}",
        ),
        ("folder", str(trainer.log_dir)),
    )


def _examples(tokens: Tokens) -> Card:
    if tokens.train_examples is None or tokens.val_examples is None:
        return ()
    lines = f"{len(tokens.train_examples):,} of them to train on, {len(tokens.val_examples):,} held out"
    return (("", f"each line an example, {lines}; the loss is over what follows {tokens.answer_after!r}"),)


def provenance(command: str, version: str) -> Card:
    """Lists further rows for a card that is saved: the machine, the command line, the code's version."""
    return (("machine", str(machine.describe())), ("command", command), ("code", version))


def hyperparameters(trainer: Trainer, module: LanguageModel) -> dict[str, int | float | str]:
    """Lists everything that was chosen for the run, in single values by which runs can be compared."""
    data, recipe = module.data, module.optimizer_recipe
    net = module.blueprint(*data.sizes)
    chosen = {
        "network": type(net).__name__,
        # the main sizes come first in a table that is sorted by name: the options' names have a prefix
        **{x if x in net.config.main() else f"network.{x}": size for x, size in net.sizes.items()},
        "parameters": sum(p.numel() for p in net.parameters()),
        "optimizer": type(recipe).__name__,
        **{f"optimizer.{name}": value for name, value in vars(recipe).items()},
        **{f"schedule.{name}": value for name, value in vars(module.schedule).items()},
        "corpus": data.tokens.corpus,
        "tokenizer": data.tokenizer,
        "train_fraction": data.train_fraction,
        "split": data.split,
        "noise": data.noise,
        "answer_after": data.answer_after,
        "batch_size": data.batch_size * trainer.world_size * trainer.accumulate_grad_batches,
        "max_steps": trainer.max_steps,
        "trainer.gradient_clip_val": trainer.gradient_clip_val,
        "precision": trainer.precision,
        "seed": data.seed,
    }
    return {name: x if isinstance(x, int | float) else str(x) for name, x in chosen.items()}


def flops_per_token(module: LanguageModel) -> float:
    """Counts floating-point operations of the network's matrix products, forward and backward, per token.

    As on a GPU: in fp32 on a CPU a pointer adds up its votes without one of these, a twentieth of a small network's.
    """
    net = module.blueprint(*module.data.sizes)
    with torch.device("meta"):
        ids = torch.zeros(net.n_member, net.block_size, dtype=torch.long)
    # anomaly detection looks at values, and there are none on the meta device
    with torch.autograd.set_detect_anomaly(False), FlopCounterMode(display=False) as counter:
        net(ids).sum().backward()
    return counter.get_total_flops() / ids.numel()
