"""Estimates the memory that a run takes at least, before anything of it is made. Refuses what no machine could hold.

Lower bounds: what is refused could not have been trained here, and what is let through may still turn out too large.

Legend: B batch, T time (block_size), C channels (n_embd), V vocabulary.
"""

from collections.abc import Mapping
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Network
from lightning_gpt.ladder.count import count_parameters
from lightning_gpt.machine import too_much

STATE = {"AdamW": 2, "Muon": 1}  # numbers that an optimizer keeps of each parameter, at least
MOST_SHARES = 10_000  # that a strategy other than ddp may split a network into
OBJECTS = 5_000, 1_000  # bytes of Python's own for each layer, and for each of its heads


def must_fit_the_memory(
    network: type[Network], sizes: Mapping[str, Any], batch_size: int, trainer: Any, optimizer: str | None
) -> None:
    """Refuses a network, or a batch, that this machine has no memory for.

    Args:
        network: of the ladder.
        sizes: all of its sizes, which go together.
        batch_size: B.
        trainer: the Trainer's options `accelerator` and `strategy`.
        optimizer: a fit's, by its class name; None: nothing is trained.

    Raises:
        UserError: with the memory that it would need.
    """
    shares = 1 if str(trainer.strategy).startswith(("auto", "ddp", "single", "None")) else MOST_SHARES
    state = weights_and_state(network, sizes, optimizer) // shares
    if said := too_much(state, trainer.accelerator):
        what = "weights, gradients and optimizer state" if optimizer else "weights"
        names = [name for name in ("n_embd", "n_layer", "n_member", "block_size", "pointer") if name in sizes]
        largest = max(names, key=lambda name: sizes[name])
        raise UserError(f"model.network: its {what} would take {said}: lower {largest} {sizes[largest]}")
    if optimizer and (said := too_much(state + activations(sizes, batch_size), trainer.accelerator)):
        raise UserError(
            f"a step would take {said}: lower data.batch_size {batch_size} (and raise trainer.accumulate_grad_batches "
            f"as much) or data.block_size {sizes['block_size']}"
        )


def weights_and_state(network: type[Network], sizes: Mapping[str, Any], optimizer: str | None) -> int:
    """Computes bytes of weights, and of a fit's gradients and optimizer state, in fp32."""
    layers = sizes.get("n_layer", 1) * sizes.get("n_member", 1)
    numbers = 2 + STATE.get(optimizer, 0) if optimizer else 1
    per_layer, per_head = OBJECTS
    return 4 * numbers * count_parameters(network, sizes) + layers * (per_layer + per_head * sizes.get("n_head", 1))


def activations(sizes: Mapping[str, Any], batch_size: int) -> int:
    """Computes bytes that a training step of B blocks saves for its backward pass, in bf16 where that is possible."""
    ids, logits = 2 * 8, 4 * sizes["vocab_size"]
    blocks = 12 * 2 * sizes["n_embd"] * sizes["n_layer"] if "n_layer" in sizes else 0
    # each position's weights of all others, and what they are worth to each token
    pointer = 2 * (sizes["block_size"] + sizes["vocab_size"]) if sizes.get("pointer") else 0
    return batch_size * sizes["block_size"] * (ids + logits + blocks + pointer)
