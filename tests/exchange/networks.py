"""Small networks with weights that are not those of a beginning, and what is asked of every format."""

import torch

from lightning_gpt.ladder import NETWORKS
from lightning_gpt.model import TrainedGPT
from lightning_gpt.tokens import Characters

CHARACTERS = Characters("\n\r\t abcdefgh!éß\u0301😀")
BLOCK = 8
POINTED = {"window": 3, "pointer": 6}  # options of rung 9 that change what its cache holds, or how it is read
BY_NAME = {network.__name__: network for network in NETWORKS}


def trained_gpt(network, tokenizer=CHARACTERS, block_size=BLOCK, **sizes):
    """A rung with all its options as they are by default, and every weight moved."""
    torch.manual_seed(0)
    known = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_member": 2, "dropout": 0.1}
    own = {name: size for name, size in known.items() if name in BY_NAME[network].size_names()}
    net = BY_NAME[network](len(tokenizer), block_size, **{**own, **sizes})
    for p in net.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return TrainedGPT(net.eval(), tokenizer)


IDS = torch.randint(len(CHARACTERS), (3, BLOCK), generator=torch.Generator().manual_seed(1))
EXTRA = "make setup-export installs it"
