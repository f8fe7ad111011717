"""Refuses strategies that split a network in a way in which this project's training would be silently wrong."""

from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, Strategy

from lightning_gpt.errors import UserError

FLAT = (
    "trainer.strategy fsdp would train wrongly without a word: its ranks hold flat pieces of matrices, so none decays, "
    "Muon moves none, and each rank clips by a norm of its own: take ddp"
)


def must_suit(strategy: Strategy) -> None:
    """Refuses what would be wrong.

    Raises:
        UserError: the strategy is FSDP, the first or the second.
    """
    if isinstance(strategy, FSDPStrategy):
        raise UserError(FLAT)
    if isinstance(strategy, ModelParallelStrategy):
        raise UserError("trainer.strategy: no network here is split by ModelParallelStrategy: take ddp")
