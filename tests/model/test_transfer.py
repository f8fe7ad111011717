"""A network's weights mean the same in a network for another vocabulary or block size: of every rung."""

import pytest
import torch

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import NETWORKS, Bigram, Ensemble, ModernGPT
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model.transfer import must_be_alike, transfer
from lightning_gpt.tokens import Characters

OLD, NEW = Characters("bdf"), Characters("abcdef")
POINTED = {"window": 3, "pointer": 5}
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
with_options = pytest.mark.parametrize(
    ("network", "sizes"),
    [*((network, {}) for network in NETWORKS), (ModernGPT, POINTED), (Ensemble, POINTED)],
    ids=lambda x: x.__name__ if isinstance(x, type) else "pointed" if x else "",
)


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


def test_a_pointer_copies_new_tokens_as_well():
    """Its weights know no token: what a network learned of copying holds for any."""
    gpt, other = trained(ModernGPT, **POINTED), trained(ModernGPT, tokenizer=NEW, **POINTED).network
    transfer(gpt, other, NEW)
    for mine, theirs in zip(other.pointer.parameters(), gpt.network.pointer.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    x = torch.randn(1, 8, 16)
    x[:, 4:] = x[:, :4]
    other.pointer.sentinel.bias.data.fill_(-50.0)
    other.pointer.sentinel.weight.data.zero_()
    other.pointer.key.weight.data.copy_(other.pointer.query.weight)
    logits = other.pointer(x, torch.zeros(1, 8, len(NEW)), NEW.encode("aecbaecb")[None])
    assert NEW.decode(logits[0, 4:7].argmax(dim=-1)) == "ecb"


@with_options
def test_a_shorter_block_reads_as_the_longer_one_did(network, sizes):
    gpt, other = trained(network, **sizes), trained(network, block_size=5, **sizes).network
    transfer(gpt, other, OLD)
    ids = OLD.encode("dbfbd")[None]
    torch.testing.assert_close(other(ids), gpt.network(ids))


@with_options
def test_a_longer_block_needs_weights_that_know_no_position(network, sizes):
    gpt, other = trained(network, **sizes), trained(network, block_size=9, **sizes).network
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
        (trained(ModernGPT, **POINTED), "window is 3, the checkpoint has None; pointer is 5, the checkpoint has 0"),
    ],
)
def test_another_network_is_refused(other, complaint):
    with pytest.raises(UserError, match=complaint):
        must_be_alike(trained(ModernGPT), other.network)


def test_another_dropout_is_the_same_network():
    must_be_alike(trained(ModernGPT), trained(ModernGPT, dropout=0.3).network)
