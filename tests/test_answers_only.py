"""A network that answers, end to end: its loss, its share of exact answers, and all that reads them."""

import json
import random
import re

import pytest
import torch
from conftest import ROOT, TINY, Shell

import lightning_gpt
from lightning_gpt.commands.verify_resume import same, saved_values
from lightning_gpt.text import find_corpus

draw = random.Random(1)
SUMS = "".join(f"{a}+{b}={str(a + b)[::-1]}\n" for a, b in (draw.choices(range(30), k=2) for _ in range(400)))
HELD_OUT = SUMS[SUMS.index("\n", int(0.9 * len(SUMS)) - 1) + 1 :]
ANSWERS = [line.partition("=")[2] for line in HELD_OUT.splitlines(keepends=True)]
RECIPE = [
    "--data.corpus=sums.txt", "--data.answer_after==", *TINY, "--data.batch_size=64", "--trainer.max_steps=120",
    "--trainer.val_check_interval=60", "--model.optimizer.lr=0.01", "--trainer.log_every_n_steps=20",
]  # fmt: skip


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """A shell with a run that has learned some of the answers, and what that run has printed."""
    shell = Shell(tmp_path_factory.mktemp("answers"))
    (shell.folder / "sums.txt").write_text(SUMS)
    shell.log = shell("fit", *RECIPE).stdout
    shell.run = lightning_gpt.Run(shell.folder / "runs/gpt/version_0")
    return shell


def test_loss_and_share_are_of_the_held_out_answers_exactly(answering):
    gpt, best = answering.run.load(), answering.run.result.best
    nats, exact = [], []
    for line, answer in zip(HELD_OUT.splitlines(keepends=True), ANSWERS, strict=True):
        ids = gpt.tokenizer.encode(line)
        with torch.no_grad():
            losses = -gpt.network(ids[None, :-1])[0].log_softmax(dim=-1).gather(1, ids[1:, None])[-len(answer) :, 0]
        nats += losses.tolist()
        exact.append(gpt.generate(line.removesuffix(answer), 9, temperature=0) + "\n" == answer)
    assert best.nats_per_token == pytest.approx(sum(nats) / len(nats), abs=1e-6)
    assert best.exact == pytest.approx(sum(exact) / len(exact)) and 0 < best.exact < 1
    assert gpt.loss(HELD_OUT) == pytest.approx(best.nats_per_token, abs=1e-6)
    assert dict(answering.run.curves["val/exact"])[best.step] == pytest.approx(best.exact)


def test_a_run_says_how_many_lines_it_answers(answering):
    exact = answering.run.result.best.exact
    said = f"{400 - len(ANSWERS)} of them to train on, {len(ANSWERS)} held out; the loss is over what follows '='"
    assert f"each line an example, {said}" in answering.log
    assert re.search(rf"^step +120 .* {answering.run.result.last.exact:.2%} exact", answering.log, re.M)
    assert f"on sums.txt, {exact:.2%} of the held-out lines answered exactly" in answering.log


def test_stages_measure_the_same(answering):
    best = answering.run.result.best
    for stage, split in (("validate", "val"), ("test", "test")):
        out = answering(stage, "--ckpt_path=best").stdout
        for name, value in (("loss", best.nats_per_token), ("exact", best.exact)):
            assert float(re.search(rf"{split}/{name}\W+([\d.]+)", out)[1]) == pytest.approx(value, abs=1e-6)
    said = f"{len(''.join(ANSWERS)):,} held-out characters, {best.nats_per_token:.4f} nats each"
    assert said in answering("predict", "--ckpt_path=best").stdout


def test_it_answers_a_line_and_stops(answering):
    out = answering("generate", "--prompt=3+4=", r"--stop=\n", "--temperature=0").stdout
    assert re.fullmatch(r"3\+4=\d+\n", out) and out == answering("generate", "--prompt=3+4=", "--temperature=0").stdout
    question = HELD_OUT.partition("=")[0]
    assert answering("generate", "--temperature=0").stdout.startswith(f"{question}=")
    assert list(answering.run.texts) == [repr(f"{question}=")]
    assert "--novelty is for text" in answering("generate", "--novelty", status=2).stderr


def test_what_counts_whole_lines_is_left_out(answering):
    assert not any(name in curve for curve in answering.run.curves for name in ("gram", "novelty", "uniform"))
    best = answering.run.result.best
    answering("report", "--out=report.html")
    page = re.sub(r"data:[^\"]+", "", (answering.folder / "report.html").read_text())  # any letters may be in a picture
    assert f"{best.nats_per_token:.4f} nats per character of the held-out answers" in page
    assert f"{best.bits_per_char:.3f} bits per character" in page
    assert f"{best.exact:.2%} of the held-out lines are answered exactly." in page
    assert "counting" not in page and "expected lines" not in page and "nan" not in page.lower()


def test_two_that_answer_are_compared_on_the_answers(answering):
    out = answering("compare", "best", "last").stdout
    assert f"held out  {len(''.join(ANSWERS)):,} characters" in out
    assert f"A  {answering.run.result.best.nats_per_token:.4f} nats per character" in out
    answering("fit", *RECIPE, "--data.answer_after=null", "--trainer.max_steps=1", "--name=text")
    text = "runs/text/version_0/checkpoints/best.ckpt"
    said = answering("compare", answering.run.best.relative_to(answering.folder), text, status=2).stderr
    assert "A has learned what follows '=' in each line and B the whole text" in said


def test_the_doctor_knows_lines_that_were_seen(answering):
    found = json.loads(answering("doctor", "--json", *RECIPE).stdout)
    known = set(SUMS.removesuffix(HELD_OUT).splitlines())
    share = sum(line in known for line in HELD_OUT.splitlines()) / len(ANSWERS)
    lines = {"train": 400 - len(ANSWERS), "held_out": len(ANSWERS)}
    assert found["text"]["examples"] == {**lines, "held_out_known": pytest.approx(share)} and 0 < share < 1
    assert found["recipe"]["passes"] == pytest.approx(120 * 64 / lines["train"], rel=0.01)
    assert f"{share:.1%} of the held-out lines are among those to train on" in answering("doctor", *RECIPE).stdout


def test_a_checkpoint_by_itself_says_how_its_text_is_read(answering, tmp_path):
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(answering.run.best.read_bytes())
    out = answering("validate", f"--ckpt_path={moved}").stdout
    exact = float(re.search(r"val/exact\W+([\d.]+)", out)[1])
    assert exact == pytest.approx(answering.run.result.best.exact, abs=1e-6)


def test_it_goes_on_bit_for_bit(answering):
    answering("fit", *RECIPE, "--name=broken", "--trainer.max_steps=60")
    answering("fit", "--ckpt_path=runs/broken/version_0/checkpoints/last.ckpt", "--trainer.max_steps=120")
    whole, broken = (dict(saved_values(answering.folder / "runs" / name)) for name in ("gpt", "broken"))
    assert whole.keys() == broken.keys() and [name for name in whole if not same(whole[name], broken[name])] == []


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(answering):
    """Answers differ in length, so the ranks' means are over different numbers of targets."""
    short = ["--trainer.max_steps=8", "--trainer.val_check_interval=8", "--model.optimizer.lr=0.001"]
    two = ["--trainer.strategy=ddp", "--trainer.devices=2", "--data.batch_size=4"]
    answering("fit", *RECIPE, *short, "--data.batch_size=8", "--name=one")
    answering.process("fit", *RECIPE, *short, *two, "--name=two")
    one, two = (lightning_gpt.Run(answering.folder / f"runs/{name}/version_0") for name in ("one", "two"))
    assert two.result.best.nats_per_token == pytest.approx(one.result.best.nats_per_token, abs=1e-5)
    assert two.result.best.exact == one.result.best.exact
    left, right = (run.load("last").network.state_dict() for run in (one, two))
    for name, weight in left.items():
        torch.testing.assert_close(right[name], weight, atol=1e-5, rtol=1e-3)  # fp32 sums in another order


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data.answer_after=x"], "data.answer_after 'x' does not occur in a line of sums.txt"),
        (["--data.answer_after="], "data.answer_after '' does not occur"),
        (["--data.block_size=5"], "longer than a block of 5 tokens, and must fit into one: --data.block_size"),
        (["--data.noise=0.1"], "data.noise would ask another question"),
        (["--data.corpus=python-docs"], "line 1 of python-docs has no '=' with an answer after it"),
    ],
)
def test_what_does_not_go_together_is_one_line(answering, options, says):
    err = answering("fit", *RECIPE, "--name=wrong", *options, status=2).stderr
    assert says in err and err.count("\n") == 1, err
    assert not (answering.folder / "runs/wrong").exists()


def test_sums_are_right_and_none_is_held_out_that_was_trained_on():
    corpus = find_corpus("addition")
    assert corpus.sha256() == "e9ce7304c48f4aec5b5fb72b1563d4a339ff0124973a4da6b34f84912f8dc269"  # on every machine
    lines = b"".join(corpus.chunks()).decode().splitlines()
    sums = [tuple(map(int, line.partition("=")[0].split("+"))) for line in lines]
    assert all(line == f"{a}+{b}={str(a + b)[::-1]}" for line, (a, b) in zip(lines, sums, strict=True))
    assert all(10 <= a <= 999 and 10 <= b <= 999 for a, b in sums)
    assert len({frozenset((a, b)) for a, b in sums}) == len(sums) == 100_000  # not even the other way round
    kinds = [(a >= 100) + (b >= 100) for a, b in sums[-10_000:]]
    assert all(kinds.count(kind) > 300 for kind in range(3))


@pytest.mark.slow
def test_the_recipe_answers_nearly_all_sums(tmp_path):
    shell = Shell(tmp_path)
    shell.process("fit", f"--config={ROOT}/configs/addition.yaml")
    assert lightning_gpt.Run(tmp_path / "runs/addition/version_0").result.best.exact > 0.995
    assert shell("generate", "--prompt=12+34=", r"--stop=\n", "--temperature=0").stdout == "12+34=64\n"
