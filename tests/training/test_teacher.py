"""model.teacher: a network that learns another one's probabilities."""

import numpy as np
import pytest
import torch
from conftest import TEXT, TINY

from lightning_gpt import Run, UserError, load
from lightning_gpt.commands.verify_resume import same, saved_values
from lightning_gpt.files import sha256
from lightning_gpt.ladder import GPT
from lightning_gpt.model import TrainedGPT
from lightning_gpt.text import IGNORE, HeldOutBlocks, TrainingBlocks
from lightning_gpt.tokens import Characters
from lightning_gpt.training import teacher
from lightning_gpt.training.teacher import HELD, Teacher, distillation_loss

STUDENT = [*TINY, "--data.corpus=text.txt", "--name=student", "--trainer.log_every_n_steps=1"]


@pytest.fixture
def saved(tmp_path):
    """A teacher's checkpoint, and its network."""
    torch.manual_seed(0)
    gpt = TrainedGPT(GPT(5, 8, n_layer=1, n_head=1, n_embd=8).eval(), Characters("abcde"))
    gpt.save(tmp_path / "teacher.ckpt")
    return tmp_path / "teacher.ckpt", gpt.network


def test_the_loss_is_least_where_the_student_says_the_same(saved):
    path, network = saved
    x = torch.randint(5, (3, 8))
    y = torch.where(torch.rand(3, 8) < 0.3, IGNORE, x)
    expected = Teacher(path)(x)
    logits = network(x).detach().requires_grad_()
    loss = distillation_loss(logits, expected, y)
    loss.backward()
    counted = y != IGNORE
    logs = network(x).log_softmax(dim=-1)[counted]
    torch.testing.assert_close(loss, -(logs.exp() * logs).sum(dim=-1).mean())  # the teacher's own entropy
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-7, rtol=0)
    other = (logits.detach() + torch.randn(3, 8, 5)).requires_grad_()
    assert distillation_loss(other, expected, y) > loss
    distillation_loss(other, expected, y).backward()
    assert (other.grad[~counted] == 0).all() and (other.grad[counted] != 0).any()


@pytest.mark.parametrize("n", [2, 7, 8, 9, 12, 13, 100, 300])
def test_a_text_is_read_with_half_a_block_before_each_token(saved, n, monkeypatch):
    monkeypatch.setattr(HeldOutBlocks, "TOKENS", 80)
    path, network = saved
    ids = torch.randint(5, (n,))
    found = torch.from_numpy(Teacher(path).read(ids.numpy().astype(np.uint8)))
    for i in range(n):
        given = range(min(5, n // 2 + 1, i + 1), min(8, i + 1) + 1)  # tokens: from half a block's on, or all there are
        read = [network(ids[None, i + 1 - k : i + 1])[0, -1].softmax(dim=-1) for k in given]
        assert any(torch.allclose(found[i].float(), one, atol=1e-3) for one in read), i


def test_a_batch_has_the_probabilities_of_its_own_targets():
    ids = np.arange(50, dtype=np.uint8)
    expected = np.arange(1, 51, dtype=np.float16)[:, None]  # of the token after ids[i]
    x, y, known = TrainingBlocks(ids, 8, 4, expected=expected)[3]
    assert torch.equal(known[..., 0], y.half()) and torch.equal(y, x + 1)
    x, y, known = TrainingBlocks(ids, 8, 4, noise=0.5, expected=expected)[3]
    assert torch.equal(known[..., 0], y.half())


def test_what_it_cannot_read_is_refused(saved):
    reader = Teacher(saved[0])
    reader.must_fit(Characters("abcde"), 8)
    with pytest.raises(UserError, match="has other tokens"):
        reader.must_fit(Characters("abcdf"), 8)
    with pytest.raises(UserError, match=r"reads 8 tokens, not data\.block_size 9"):
        reader.must_fit(Characters("abcde"), 9)


@pytest.mark.parametrize("held", [0, HELD])  # bytes: so that each batch is read, or the text once
def test_a_student_comes_near_its_teacher_and_goes_on_exactly(shell, trained, held, monkeypatch):
    monkeypatch.setattr(teacher, "HELD", held)
    reads, read = [], Teacher.read
    monkeypatch.setattr(Teacher, "read", lambda self, ids: reads.append(ids) or read(self, ids))
    learn = [
        *STUDENT,
        f"--model.teacher={trained.best}",
        "--model.optimizer.lr=0.01",
        "--data.batch_size=64",
        "--trainer.val_check_interval=20",
    ]
    shell("fit", *learn, "--trainer.max_steps=60")
    run = Run(shell.folder / "runs/student/version_0")
    student = load(run.last)
    assert [(origin.how, origin.steps) for origin in student.record.provenance] == [("distilled", 60)]
    assert run.config["model"]["teacher"] == str(trained.best)

    ids = student.tokenizer.encode(TEXT)[:160].view(10, 16)
    torch.manual_seed(0)
    expected = load(trained.best).network(ids).softmax(dim=-1)
    untaught = GPT(expected.shape[-1], 16, n_layer=2, n_head=2, n_embd=16)
    near, far = (
        (expected * (expected.log() - net(ids).log_softmax(-1))).sum(-1).mean() for net in (student.network, untaught)
    )
    assert near < 0.2 * far

    shell("fit", *learn, "--name=half", "--trainer.max_steps=20")
    last = Run(shell.folder / "runs/half/version_0").last
    shell("fit", *learn, "--name=half", "--trainer.max_steps=60", "--ckpt_path", last)
    whole, resumed = (dict(saved_values(shell.folder / "runs" / name)) for name in ("student", "half"))
    assert whole.keys() == resumed.keys() and not [name for name in whole if not same(whole[name], resumed[name])]
    assert [name for name in whole if "teacher" in name] == [".lightning_gpt.provenance.0.teacher"]  # no weights
    assert len(reads) == (3 if held else 0)


def test_a_teacher_that_can_not_teach_stops_a_run_before_it_begins(shell, trained):
    err = shell("fit", *STUDENT, "--model.teacher=nowhere.ckpt", status=2).stderr
    assert err.count("\n") == 1 and "nowhere.ckpt" in err
    err = shell("fit", *STUDENT, "--model.teacher=best", status=2).stderr
    assert err.count("\n") == 1 and "no checkpoint at best" in err and "or best or last" not in err
    (shell.folder / "other.txt").write_text("zyx\n" * 200)
    err = shell("fit", *STUDENT, "--data.corpus=other.txt", f"--model.teacher={trained.best}", status=2).stderr
    assert err.count("\n") == 1 and "model.teacher has other tokens" in err
    assert not (shell.folder / "runs").exists()


def test_another_teacher_is_said_and_recorded(shell, trained):
    learn = [*STUDENT, "--trainer.val_check_interval=4"]
    shell("fit", *learn, f"--model.teacher={trained.best}", "--trainer.max_steps=4")
    last = Run(shell.folder / "runs/student/version_0").last
    (shell.folder / "other.ckpt").write_bytes(trained.best.read_bytes() + b"\n")  # what follows the archive is not read
    on = ["--trainer.max_steps=8", "--ckpt_path", last]
    out = shell("fit", *learn, *on, f"--model.teacher={trained.best}", "--name=same").stdout
    assert "teacher, or" not in out
    out = shell("fit", *learn, *on, "--model.teacher=other.ckpt", "--name=other").stdout
    assert "goes on with another teacher" in out
    prints = {path: sha256(path) for path in (trained.best, shell.folder / "other.ckpt")}
    for name, steps in ("same", [8]), ("other", [4, 4]):
        origins = load(Run(shell.folder / "runs" / name / "version_0").last).record.provenance
        assert [origin.steps for origin in origins] == steps
        assert [origin.teacher for origin in origins] == list(prints.values())[: len(steps)]
