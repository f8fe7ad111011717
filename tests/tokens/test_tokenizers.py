"""All of the house works with any tokenizer; a new one, as is made here, is a class and a line in the table."""

import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY

import lightning_gpt
from lightning_gpt import Run, UserError
from lightning_gpt.cli import main
from lightning_gpt.ladder import Bigram
from lightning_gpt.model import TrainedGPT
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.text.units import Length, by_character
from lightning_gpt.tokens import BPE, TOKENIZERS, Bytes, Characters, Recipe, Tokenizer, tokenizer_recipe

TEXT = (
    "Füllest wieder Busch und Tal\nstill mit Nebelglanz,\nlösest endlich auch einmal\nmeine Seele ganz – 月\n\n"
) * 60  # characters of one, two and three bytes


class Pairs(Bytes):
    """Bytes, and beyond them the most frequent pairs of characters: a kind that the house does not have."""

    kind = "pairs"
    unit = "token"
    reads_any_file = False

    def __init__(self, pairs):
        self.pairs = pairs
        self.place = {pair: 256 + i for i, pair in enumerate(pairs)}

    @classmethod
    def chosen_size(cls, vocab_size):
        return vocab_size or 300

    @classmethod
    def learn(cls, text, vocab_size):
        whole = "".join(text())
        assert "held out" not in whole
        counts = Counter(pairwise(whole))
        return cls(["".join(pair) for pair, _ in counts.most_common(vocab_size - 256)])

    def as_plain(self):
        return {"kind": self.kind, "pairs": self.pairs}

    @classmethod
    def of_plain(cls, plain):
        return cls(plain["pairs"])

    def __len__(self):
        return 256 + len(self.pairs)

    def token_bytes(self, token):
        return bytes([token]) if token < 256 else self.pairs[token - 256].encode()

    def encode(self, text, unknown="error"):
        ids, i = [], 0
        while i < len(text):
            if text[i : i + 2] in self.place:
                ids.append(self.place[text[i : i + 2]])
                i += 2
            else:
                ids += super().encode(text[i], unknown).tolist()
                i += 1
        return torch.tensor(ids, dtype=torch.long)

    def encode_pieces(self, pieces):
        yield self.encode("".join(pieces)).numpy()

    def decode(self, ids):
        return Tokenizer.decode(self, ids)


@pytest.fixture(params=[Bytes, BPE, Pairs], ids=lambda kind: kind.kind)
def kind(request, monkeypatch):
    monkeypatch.setitem(TOKENIZERS, request.param.kind, request.param)
    return request.param


ours = pytest.mark.parametrize("kind", [Bytes, BPE], ids=["bytes", "bpe"])


@pytest.fixture
def options(kind):
    return [f"--data.tokenizer={kind.kind}", *([] if kind is Bytes else ["--data.vocab_size=300"])]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def prepared(here, kind, train_fraction=0.9):
    size = None if kind is Bytes else 300
    return prepare(find_corpus("text.txt"), here / "prepared", train_fraction, tokenizer_recipe(kind.kind, size))


def run(capsys, *args):
    status = main(list(map(str, args)))
    out, err = capsys.readouterr()
    assert status == 0, err
    return out


@ours
def test_every_command_works_with_it(here, kind, options, capsys):
    """Prepare, train, validate, write, report, look into it, compare it with characters: nothing else is changed."""
    recipe = ["--data.corpus=text.txt", *TINY, "--trainer.log_every_n_steps=5"]
    tokens = prepared(here, kind)
    said = run(capsys, "data", "--corpus=text.txt", *(option.replace("data.", "") for option in options))
    assert f"{len(TEXT):,} characters, {len(tokens.ids):,} {kind.unit}s, {len(tokens.tokenizer)} distinct" in said
    out = run(capsys, "fit", *recipe, *options, "--name=own", "--sample.prompts=[Tal]")
    line = re.findall(rf"^step +20 .* val (\S+) nats/{kind.unit}  (\S+) bits/char  (\S+) bits/byte ", out, re.M)
    nats, per_character, per_byte = map(float, line[-1])
    size = tokens.held_out
    assert per_character == pytest.approx(nats / math.log(2) * size.tokens / size.characters, abs=1e-3)
    assert per_byte == pytest.approx(nats / math.log(2) * size.tokens / size.bytes, abs=1e-3)
    assert f"nats per {kind.unit} ({per_character:.3f} bits per character) on text.txt" in out
    best = "runs/own/version_0/checkpoints/best.ckpt"
    out = run(capsys, "validate", f"--ckpt_path={best}")
    for name, value in {"loss": nats, "bits_per_char": per_character, "bits_per_byte": per_byte}.items():
        assert float(re.findall(rf"val/{name}[ │]+(\S+)", out)[0]) == pytest.approx(value, abs=1e-3)
    assert f"{size.tokens:,} held-out {kind.unit}s, {nats:.4f} nats each" in run(
        capsys, "predict", f"--ckpt_path={best}"
    )
    first = run(capsys, "generate", f"--ckpt_path={best}", "--prompt=Tal – 月", "--max_new_tokens=40", "--novelty")
    assert first.startswith("Tal – 月") and first == run(
        capsys, "generate", f"--ckpt_path={best}", "--prompt=Tal – 月", "--max_new_tokens=40"
    )
    said = run(capsys, "report", f"--ckpt_path={best}", "--out=report.html")
    page = (here / "report.html").read_text()
    assert f"nats per held-out {kind.unit}" in said and f"nats per {kind.unit}</h1>" in page
    assert f"{per_character:.3f} bits per character and {per_byte:.3f} bits per byte" in page
    run(capsys, "fit", *recipe, "--name=characters")
    out = run(capsys, "compare", best, "runs/characters/version_0/checkpoints/best.ckpt")
    bits = [float(x) for x in re.findall(r"([\d.]+) bits per byte", out)]
    assert bits[0] == pytest.approx(per_byte, abs=0.03) and f"{kind.kind} as tokens" in out
    (counted,) = re.findall(r"held out  ([\d,]+) characters", out)
    assert int(counted.replace(",", "")) in (len(TEXT) - int(0.9 * len(TEXT)) - n for n in (1, 2))
    run(capsys, "fit", f"--ckpt_path={best.replace('best', 'last')}", "--trainer.max_steps=25")
    assert "goes on" not in out and (here / "runs/own/version_1").exists() is False
    if kind is not Bytes:
        assert main(["fit", f"--ckpt_path={best}", "--data.vocab_size=999"]) == 2
        assert "leave data.vocab_size 999 out" in capsys.readouterr().err
    other = ["--data.tokenizer=characters", "--data.vocab_size=null"]
    assert main(["fit", *recipe, *other, f"--ckpt_path={best}", "--name=other"]) == 2
    assert f"tokenizer is {kind.kind}, not characters" in capsys.readouterr().err


@ours
def test_the_doctor_knows_it(here, kind, options, capsys):
    (here / "text.txt").write_text(TEXT + "Ω\n" * 3)
    out = " ".join(run(capsys, "doctor", "--data.corpus=text.txt", *TINY, *options).split())
    tokens = prepared(here, kind)
    train = len(tokens.tokenizer.decode(tokens.train_ids))
    assert f"{len(tokens.ids):,} {kind.unit}s, {len(tokens.tokenizer)} distinct" in out
    assert f"{train:,} characters to train on, {tokens.length.characters - train:,} held out" in out
    assert f"{kind.unit}s that the training text lacks: " in out and "\\\\xce" in out and "time " in out


def test_a_checkpoint_holds_it(here, kind, options, capsys):
    run(capsys, "fit", "--data.corpus=text.txt", *TINY, *options, "--trainer.max_steps=10")
    gpt = lightning_gpt.load("best")
    assert gpt.tokenizer == prepared(here, kind).tokenizer and gpt.record.corpus.tokens == len(prepared(here, kind).ids)
    text = gpt.generate("Tal", 60, seed=1)
    assert "".join(gpt.stream("Tal", 60, seed=1)) == text
    stop = text[3:6]
    assert gpt.generate("Tal", 60, seed=1, stop=stop) == text.partition(stop)[0]


def test_a_given_tokenizer_goes_with_its_checkpoint(here, capsys):
    """Its file may be gone, or be another by then; and nothing is prepared twice."""
    given = BPE.learn(lambda: iter([TEXT]), 280)
    (here / "mine.json").write_text(given.as_json())
    run(capsys, "fit", "--data.corpus=text.txt", *TINY, "--data.tokenizer=mine.json")
    assert lightning_gpt.load("last").tokenizer == given
    assert "'tokenizer': 'mine.json'" in str(Run("runs/gpt/version_0").config)
    (here / "mine.json").unlink()
    files = sorted(here.glob("data/prepared/*.ids"))
    run(capsys, "fit", "--ckpt_path=last", "--trainer.max_steps=30")
    run(capsys, "validate", "--ckpt_path=last")
    run(capsys, "report", "--ckpt_path=last")
    assert sorted(here.glob("data/prepared/*.ids")) == files
    (here / "other.txt").write_text(TEXT[::-1])
    run(capsys, "fit", "--ckpt_path=best", "--data.corpus=other.txt", "--trainer.max_steps=40", "--name=other")
    assert lightning_gpt.load("runs/other/version_0/checkpoints/last.ckpt").tokenizer == given
    (here / "mine.json").write_text(BPE.learn(lambda: iter([TEXT[::-1]]), 280).as_json())
    recipe = ["--data.corpus=text.txt", *TINY, "--trainer.max_steps=40", "--data.tokenizer=./mine.json"]
    assert main(["fit", *recipe, "--ckpt_path=runs/gpt/version_0/checkpoints/last.ckpt"]) == 2
    assert "./mine.json is not the checkpoint's tokenizer" in capsys.readouterr().err


def test_a_file_that_a_strangers_configuration_names_is_not_read(here, capsys):
    run(capsys, "fit", "--data.corpus=text.txt", *TINY)
    config = here / "runs/gpt/version_0/config.yaml"
    config.write_text(config.read_text().replace("tokenizer: characters", "tokenizer: secret.json"))
    (here / "secret.json").mkdir()  # reading it would be an error
    run(capsys, "validate", "--ckpt_path=last")


def test_tokens_of_several_characters_have_no_table_by_kind(here, capsys):
    for name, options in {"a": ["--data.tokenizer=bpe"], "b": ["--data.tokenizer=bytes"], "c": []}.items():
        run(capsys, "fit", "--data.corpus=text.txt", *TINY, *options, f"--name={name}")
    best = {name: f"runs/{name}/version_0/checkpoints/best.ckpt" for name in "abc"}
    assert "lower case" not in (out := run(capsys, "compare", best["a"], best["b"])) and "share" in out
    assert "lower case" in (out := run(capsys, "compare", best["c"], best["b"])) and "share" not in out
    run(capsys, "report", f"--ckpt_path={best['a']}", "--out=a.html")
    assert "characters of a token share its nats" in (here / "a.html").read_text()


@pytest.mark.parametrize("options", [["bytes"], ["bpe", "--data.vocab_size=300"]], ids=["bytes", "bpe"])
def test_rungs_of_the_ladder_have_them(here, options, capsys):
    small = ["--data.corpus=text.txt", "--trainer.max_steps=4", "--trainer.val_check_interval=4"]
    out = run(capsys, "ladder", "--rungs=1,3", f"--configs={ROOT}/configs/ladder", *small, "--data.tokenizer", *options)
    row = next(line for line in out.splitlines() if line.startswith("| 1-bigram"))
    assert "2.5" not in row.split("|")[6]  # which is of characters


@ours
def test_a_stopped_text_ends_before_its_last_words(here, kind):
    """Tokens may end beyond them, or in the middle of a character."""
    tokenizer = prepared(here, kind).tokenizer
    torch.manual_seed(0)
    gpt = TrainedGPT(Bigram(len(tokenizer), 8).eval(), tokenizer)
    text = gpt.generate("月", 200, seed=1)
    assert text == "".join(gpt.stream("月", 200, seed=1)) and "\ufffd" in text
    for stop in (text[7:9], text[50], text[60:64]):
        assert gpt.generate("月", 200, seed=1, stop=stop) == text.partition(stop)[0]


def test_the_split_is_at_the_same_character(here, kind):
    (here / "text.txt").write_text(TEXT + "held out" * 30)
    for fraction in (0.5, 0.7):
        own, characters = prepared(here, kind, fraction), prepare(find_corpus("text.txt"), here / "prepared", fraction)
        for ids, others in ((own.train_ids, characters.train_ids), (own.val_ids, characters.val_ids)):
            assert own.tokenizer.decode(ids) == characters.tokenizer.decode(others)
        assert own.length.characters == characters.length.characters and own.length.bytes == characters.length.bytes


def test_it_is_prepared_once_for_a_split(here, kind):
    prepared(here, kind)
    files = sorted((here / "prepared").iterdir())
    stamps = [path.stat().st_mtime_ns for path in files]
    prepared(here, kind)
    assert [path.stat().st_mtime_ns for path in files] == stamps and len(files) == 2
    prepared(here, kind, 0.5)
    assert len(list((here / "prepared").iterdir())) == 4
    again = prepare(find_corpus("text.txt"), here / "prepared", 0.5, Recipe.of(prepared(here, kind, 0.5).tokenizer))
    assert len(list((here / "prepared").iterdir())) == 4 and again.n_train == prepared(here, kind, 0.5).n_train


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--data.tokenizer=words"], "no tokenizer 'words'; there are characters, bytes, bpe, or the path of a"),
        (["--data.tokenizer=byts"], "no tokenizer 'byts'; did you mean bytes?"),
        (["--data.tokenizer=bpe", "--data.vocab_size=256"], "data.vocab_size of bpe must be from 257 to 262,144"),
        (["--data.tokenizer=bytes", "--data.vocab_size=512"], "data.vocab_size is not for bytes"),
        (["--data.tokenizer=mine.json"], "can't read the tokenizer mine.json: No such file"),
        (
            ["--data.tokenizer=mine.json", "--data.vocab_size=512"],
            "data.vocab_size is not for a tokenizer that is there",
        ),
        (["--data.vocab_size=0"], "data.vocab_size must be at least 1, not 0"),
        (["--data.vocab_size=512"], "data.vocab_size is not for characters"),
    ],
)
def test_what_there_is_not_is_refused_before_a_run_is_made(here, capsys, given, says):
    assert main(["fit", "--data.corpus=text.txt", *TINY, *given]) == 2
    assert says in capsys.readouterr().err and not (here / "runs").exists()


def test_streamed_bytes_wait_for_their_character():
    decoder = Bytes().decoder()
    assert [decoder.feed(byte) for byte in "aé月".encode()] == ["a", "", "é", "", "", "月"]
    assert decoder.feed(0xE6) == "" and decoder.rest() == "\ufffd"


TOKENS = [Characters(TEXT), Bytes(), BPE.learn(lambda: iter([TEXT]), 300), Pairs(["in", "ös", "月\n"])]
any_tokens = pytest.mark.parametrize("tokenizer", TOKENS, ids=lambda t: t.kind)


@any_tokens
def test_text_that_can_not_be_spelled_is_left_out(tokenizer):
    assert tokenizer.clean("a\ud800b") == "ab" and tokenizer.clean("\ud800") == "\n"
    with pytest.raises(UserError, match=r"U\+D800\) at position . .*unknown='skip'"):
        tokenizer.encode("a\ud800")
    assert tokenizer.decode(tokenizer.encode("a\ud800b", "n")) == "anb"


@any_tokens
def test_lengths_and_nats_add_up_for_any_tokens(tokenizer):
    text = TEXT[:250]
    ids = tokenizer.encode(text).numpy()
    assert tokenizer.decode(ids) == text
    assert Length.of(ids, tokenizer.token_lengths) == Length(len(ids), len(text), len(text.encode()))
    nats = np.random.default_rng(0).exponential(size=len(ids) - 1)
    spread = by_character(nats, ids, tokenizer)
    assert spread.text == text and spread.sizes.tolist() == [len(c.encode()) for c in text]
    known = np.isfinite(spread.nats)
    assert len(known) == len(text) and not known[0] and known.sum() >= len(text) - 2
    begun = len(tokenizer.decode(ids[:1]).encode()) - len(tokenizer.token_bytes(ids[0]))  # half a character is lost
    assert begun or spread.nats[known].sum() == pytest.approx(nats.sum())


def test_bits_of_ascii_characters_are_one_number():
    length = Length.of(np.arange(5), Characters("abcde").token_lengths)
    assert length.bits_per_character(math.log(2)) == length.bits_per_byte(math.log(2)) == 1.0
