"""Checks the environment in which torchrun, SLURM and LSF number the processes of a run. Knows no launcher itself."""

import re
from collections.abc import Mapping

from lightning_gpt.errors import UserError

RANKS = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK",
    "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
    "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_LOCAL_RANK",
)  # fmt: skip
COUNTS = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "SLURM_NTASKS", "JSM_NAMESPACE_SIZE")
PORTS = ("MASTER_PORT", "STANDALONE_PORT")


def must_be_numbered(environment: Mapping[str, str]) -> None:
    """Checks the numbers that Lightning and torch read, some of them while they are imported.

    Raises:
        UserError: all that are none, or out of range.
    """
    ranges = {
        **dict.fromkeys(RANKS, (0, 10**6, "from 0")),
        **dict.fromkeys(COUNTS, (1, 10**6, "from 1")),
        **dict.fromkeys(PORTS, (0, 65535, "from 0 to 65535")),
    }
    problems = [
        f"the environment variable {name} must be a whole number {said}, not {environment[name]!r}: unset it"
        for name, (least, most, said) in ranges.items()
        if name in environment
        and not (re.fullmatch(r"[0-9]{1,9}", environment[name]) and least <= int(environment[name]) <= most)
    ]
    if problems:
        raise UserError.of(problems)
