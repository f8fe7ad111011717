"""compare: measures two checkpoints on the same held-out text, character by character. Trains nothing.

Losses are per character of text, whatever the checkpoints' tokens are: two tokenizers compare.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from lightning_gpt.errors import UserError
from lightning_gpt.model import TrainedGPT, load
from lightning_gpt.model.trained import MOST_READ
from lightning_gpt.runs import find_checkpoint
from lightning_gpt.runs.text import text_of
from lightning_gpt.text import Tokens
from lightning_gpt.text.classes import CLASSES, classes_of
from lightning_gpt.text.units import NATS_PER_BIT, ByCharacter, Length, by_character

FEW = 20  # blocks: with fewer, an interval means little
INDEPENDENT = 1000  # characters at least that a block must have: neighbouring words are surprising together


@dataclass(frozen=True)
class Difference:
    """B's loss less A's, in nats per character, over the same characters.

    Attributes:
        characters: how many they are.
        a: A's mean loss.
        b: B's.
        margin: half the width of the 95% confidence interval of their difference.
        blocks: how many hold any of these characters.
    """

    characters: int
    a: float
    b: float
    margin: float
    blocks: int

    @property
    def mean(self) -> float:
        """B less A: below 0, B is better."""
        return self.b - self.a

    @property
    def real(self) -> bool:
        """True if the interval leaves out 0, and is one to trust."""
        return abs(self.mean) > self.margin and self.blocks >= FEW

    def __str__(self) -> str:
        return f"{self.mean:+.4f}, 95% between {self.mean - self.margin:+.4f} and {self.mean + self.margin:+.4f}"


def difference(a: np.ndarray, b: np.ndarray, block: int, chosen: np.ndarray | None = None) -> Difference:
    """Computes the paired difference of losses a and b (N,), over the characters that `chosen` (N,) marks, or all.

    Neighbouring characters are surprising together, so not characters but blocks are taken for independent; as blocks
    hold different numbers of chosen characters, the difference is a ratio of sums, with its usual variance (Cochran,
    "Sampling Techniques", 1977, chapter 6).
    """
    weights = np.ones(len(a)) if chosen is None else chosen.astype(float)
    starts = np.arange(0, len(a), block)
    n = np.add.reduceat(weights, starts)
    d = np.add.reduceat((b - a) * weights, starts)
    total = n.sum()
    blocks = int((n > 0).sum())
    rest = d - d.sum() / total * n  # what a block's difference is beyond its share
    error = np.sqrt((rest**2).sum() * blocks / max(blocks - 1, 1)) / total
    mean_a, mean_b = float(a @ weights / total), float(b @ weights / total)
    return Difference(int(total), mean_a, mean_b, float(quantile(blocks - 1) * error), blocks)


def quantile(degrees: int) -> float:
    """Computes Student's t at 97.5% for these degrees of freedom by Cornish and Fisher's series: to 0.004 from 5 on."""
    z = NormalDist().inv_cdf(0.975)
    v = max(degrees, 1)
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return float(z + sum(term / v ** (i + 1) for i, term in enumerate(terms)))


def compare(a: str, b: str, device: str = "cpu", runs_dir: str = "runs", data_dir: str = "data") -> None:
    """Say which of two checkpoints knows the held-out text better, and whether the difference is real.

    Each reads the held-out text (its first two million tokens) in blocks of its own size, as in validation. Their
    tokenizers may differ: what is compared is each character of the text that both had to predict.

    Args:
        a: A checkpoint: a path, or best or last of the newest run.
        b: The one to compare it with.
        device: Where to compute: cpu, cuda, mps.
        runs_dir: The folder of all runs.
        data_dir: The folder that fetched and prepared texts are saved in.
    """
    paths = [find_checkpoint(path, runs_dir) for path in (a, b)]
    gpts = [load(path, device) for path in paths]
    corpora = [gpt.record.corpus for gpt in gpts]
    names, prints = ([getattr(corpus, name, None) for corpus in corpora] for name in ("name", "sha256"))
    if prints[0] != prints[1]:
        raise UserError(
            f"A was trained on {names[0]!r} and B on {names[1]!r}, and these are not the same text: "
            "there is nothing that was held out from both"
        )
    texts = [text_of(path, gpt.record, data_dir) for path, gpt in zip(paths, gpts, strict=True)]
    encodings = [text.encoding or "utf-8" for text in texts]
    if encodings[0] != encodings[1]:
        raise UserError(f"A read the text as {encodings[0]} and B as {encodings[1]}: these are not the same characters")
    if texts[0].split != texts[1].split:  # which may be the same place: one may have come split
        a_held_out, b_held_out = (Length.of(text.val_ids, text.token_lengths).characters for text in texts)
        if a_held_out != b_held_out:
            raise UserError(
                f"A held out the last {a_held_out:,} characters of the text and B the last {b_held_out:,}: "
                "they do not hold out the same part"
            )
    markers = [text.answer_after for text in texts]
    if markers[0] != markers[1]:
        raise UserError(
            f"A has learned {learned(markers[0])} and B {learned(markers[1])}: their losses are of different targets"
        )
    pairs = list(zip(gpts, texts, strict=True))
    read = [surprisal(gpt, text) for gpt, text in pairs]
    end = min(len(one.text) for one in read)
    if len({one.text[: end - 1] for one in read}) > 1:  # the last character may be cut
        raise UserError(
            "A and B do not read the same characters of it: one's tokenizer takes the file as it is, the other's has "
            "line ends and byte order marks mended; train both on a text whose line ends are \\n"
        )
    common = np.isfinite(read[0].nats[:end]) & np.isfinite(read[1].nats[:end])  # all but the first tokens' characters
    nats_a, nats_b = (one.nats[:end][common] for one in read)
    characters = "".join(read[0].text[i] for i in np.flatnonzero(common))
    size = read[0].sizes[:end][common].sum()
    context = max(gpt.network.block_size * -(-text.length.characters // text.length.tokens) for gpt, text in pairs)
    block = context * -(-INDEPENDENT // context)
    kinds = classes_of(characters)
    blocks = -(-len(characters) // block)
    print(f"held out  {len(characters):,} characters of {names[0]!r}, {blocks:,} blocks of {block:,}\n")
    for name, path, gpt, loss in zip("AB", paths, gpts, (nats_a, nats_b), strict=True):
        bits = loss.sum() / size / NATS_PER_BIT
        print(f"{name}  {loss.mean():.4f} nats per character, {bits:.4f} bits per byte  {described(gpt)}  {path}")
    whole = difference(nats_a, nats_b, block)
    print(f"\nB - A     {whole}\n{verdict(whole)}\n")
    if any(text.token_lengths[:, 0].max() > 1 for text in texts):
        print("(No table by kind of character: a token of several shares its nats evenly among them.)")
        return
    print(f"{'':14}{'characters':>10}  {'A':>7}  {'B':>7}  {'B - A':>8}")
    for kind, name in enumerate(CLASSES):
        if (kinds == kind).any():
            part = difference(nats_a, nats_b, block, kinds == kind)
            doubt = "" if part.real else "  may be chance" if part.blocks >= FEW else "  too few to tell"
            margin = f"± {part.margin:.4f}{doubt}"
            print(f"{name:14}{part.characters:10,}  {part.a:7.4f}  {part.b:7.4f}  {part.mean:+8.4f} {margin}")


def surprisal(gpt: TrainedGPT, text: Tokens) -> ByCharacter:
    """Computes nats of the held-out text's characters; of a long one, of its beginning."""
    ids = text.held_out_ids(MOST_READ + 1)
    return by_character(gpt.read(ids).nats, ids, gpt.tokenizer, text.is_text)


def learned(answer_after: str | None) -> str:
    """Says what a network has learned to predict."""
    return "the whole text" if answer_after is None else f"what follows {answer_after!r} in each line"


def described(gpt: TrainedGPT) -> str:
    """Describes the network in a few words."""
    parameters = sum(p.numel() for p in gpt.network.parameters())
    tokens = "" if gpt.tokenizer.per_character else f", {gpt.tokenizer.kind} as tokens"
    return f"{type(gpt.network).__name__} of {parameters:,} parameters{tokens}"


def verdict(whole: Difference) -> str:
    """Explains the interval in words."""
    if whole.blocks < FEW:
        return f"Only {whole.blocks} blocks are held out: too few to tell chance from a difference."
    if whole.a == whole.b and whole.margin == 0:
        return "The two say the same at every character."
    if not whole.real:
        return (
            "No difference can be told: one so small may be chance, and another part of the text might turn it round."
        )
    better, worse = ("B", "A") if whole.mean < 0 else ("A", "B")
    return (
        f"{better} is better than {worse}, and that is real: on other text of this kind it would be so again.\n"
        "(Of these two checkpoints; how much a recipe owes to its seed shows when it is trained with several.\n"
        "A best.ckpt was chosen on this very text, which flatters it a little.)"
    )
