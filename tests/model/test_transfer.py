"""A network's weights mean the same in a network for another vocabulary or block size: of every rung."""

import pytest
import torch

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import NETWORKS, Bigram, ModernGPT
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model.transfer import must_be_alike, transfer
from lightning_gpt.tokens import Characters

OLD, NEW = Characters("bdf"), Characters("abcdef")
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)


def trained(network, block_size=8, tokenizer=OLD, **sizes):
    sizes = {**({} if network is Bigram else {"n_embd": 16}), **sizes}
    net = network(len(tokenizer), block_size, **sizes).eval()
    with torch.no_grad():
        for p in net.parameters():  # norms' ones and zeros, too
            p.add_(torch.randn_like(p))
    return TrainedGPT(net, tokenizer)


@every_network
def test_known_tokens_keep_their_logits_among_new_ones(network):
    gpt, other = trained(network), trained(network, tokenizer=NEW).network
    before = {name: weight.clone() for name, weight in other.named_parameters()}
    transfer(gpt, other, NEW)
    text = "dbfbdfbf"
    known = torch.tensor([NEW.encode(c).item() for c in OLD.characters])
    # an ensemble's probabilities are averages over all tokens, so its members are looked at
    pairs = zip(getattr(gpt.network, "members", [gpt.network]), getattr(other, "members", [other]), strict=True)
    for old, new in pairs:
        found = new(NEW.encode(text)[None])[..., known]
        torch.testing.assert_close(found, old(OLD.encode(text)[None]), atol=1e-4, rtol=1e-4)
    rows = NEW.encode("ace")
    table = next(n for n, p in other.named_parameters() if p is other.embedding().weight)
    assert torch.equal(other.embedding().weight[rows][:, rows[:1]], before[table][rows][:, rows[:1]])


@every_network
def test_a_shorter_block_reads_as_the_longer_one_did(network):
    gpt, other = trained(network), trained(network, block_size=5).network
    transfer(gpt, other, OLD)
    ids = OLD.encode("dbfbd")[None]
    torch.testing.assert_close(other(ids), gpt.network(ids))


@every_network
def test_a_longer_block_needs_weights_that_know_no_position(network):
    gpt, other = trained(network), trained(network, block_size=9).network
    if any("position" in name for name, _ in other.named_parameters()):
        with pytest.raises(
            UserError, match=r"vector for each of 8 positions: data\.block_size can be at most 8, not 9"
        ):
            must_be_alike(gpt, other)
    else:
        must_be_alike(gpt, other)
        transfer(gpt, other, OLD)
        ids = OLD.encode("dbfbdfbf")[None]
        torch.testing.assert_close(other(ids), gpt.network(ids))


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (trained(Bigram), "has a ModernGPT, not a Bigram"),
        (trained(ModernGPT, n_head=2, n_embd=16), "n_head is 2, the checkpoint has 4"),
    ],
)
def test_another_network_is_refused(other, complaint):
    with pytest.raises(UserError, match=complaint):
        must_be_alike(trained(ModernGPT), other.network)


def test_another_dropout_is_the_same_network():
    must_be_alike(trained(ModernGPT), trained(ModernGPT, dropout=0.3).network)
