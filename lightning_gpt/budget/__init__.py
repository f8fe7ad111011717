"""What to train in a given time: plans of growing size, and the loss that each can be expected to reach.

Knows numbers only: no torch, no Lightning. What a step takes on this machine is measured elsewhere, see
`lightning_gpt.launch.trial`.
"""

from lightning_gpt.budget.duration import duration
from lightning_gpt.budget.law import law
from lightning_gpt.budget.plans import MEMBERS, MEMORISING, PLANS, Plan

__all__ = ["MEMBERS", "MEMORISING", "PLANS", "Plan", "duration", "law"]
