"""model.teacher: a network that learns another one's probabilities."""

import pytest
import torch
from conftest import TEXT, TINY

from lightning_gpt import Run, UserError, load
from lightning_gpt.commands.verify_resume import same, saved_values
from lightning_gpt.ladder import GPT
from lightning_gpt.model import TrainedGPT
from lightning_gpt.text import IGNORE
from lightning_gpt.tokens import Characters
from lightning_gpt.training.teacher import Teacher

STUDENT = [*TINY, "--data.corpus=text.txt", "--name=student", "--trainer.log_every_n_steps=1"]


@pytest.fixture
def saved(tmp_path):
    """A teacher's checkpoint, and its network."""
    torch.manual_seed(0)
    gpt = TrainedGPT(GPT(5, 8, n_layer=1, n_head=1, n_embd=8).eval(), Characters("abcde"))
    gpt.save(tmp_path / "teacher.ckpt")
    return tmp_path / "teacher.ckpt", gpt.network


def test_its_loss_is_least_where_the_student_says_the_same(saved):
    path, network = saved
    teacher = Teacher(path)
    x = torch.randint(5, (3, 8))
    y = torch.where(torch.rand(3, 8) < 0.3, IGNORE, x)
    logits = network(x).detach().requires_grad_()
    loss = teacher.loss(logits, (x, y))
    loss.backward()
    counted = y != IGNORE
    logs = network(x).log_softmax(dim=-1)[counted]
    torch.testing.assert_close(loss, -(logs.exp() * logs).sum(dim=-1).mean())  # the teacher's own entropy
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-7, rtol=0)
    other = (logits.detach() + torch.randn(3, 8, 5)).requires_grad_()
    assert teacher.loss(other, (x, y)) > loss
    teacher.loss(other, (x, y)).backward()
    assert (other.grad[~counted] == 0).all() and (other.grad[counted] != 0).any()


def test_what_it_cannot_read_is_refused(saved):
    teacher = Teacher(saved[0])
    teacher.must_fit(Characters("abcde"), 8)
    with pytest.raises(UserError, match="has other tokens"):
        teacher.must_fit(Characters("abcdf"), 8)
    with pytest.raises(UserError, match=r"reads 8 tokens, not data\.block_size 9"):
        teacher.must_fit(Characters("abcde"), 9)


def test_a_student_comes_near_its_teacher_and_goes_on_exactly(shell, trained):
    learn = [
        *STUDENT,
        f"--model.teacher={trained.best}",
        "--model.optimizer.lr=0.01",
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
    assert not [name for name in whole if "teacher" in name]


def test_a_teacher_that_can_not_teach_stops_a_run_before_it_begins(shell, trained):
    err = shell("fit", *STUDENT, "--model.teacher=nowhere.ckpt", status=2).stderr
    assert err.count("\n") == 1 and "nowhere.ckpt" in err
    err = shell("fit", *STUDENT, "--model.teacher=best", status=2).stderr
    assert err.count("\n") == 1 and "no checkpoint at best" in err and "or best or last" not in err
    (shell.folder / "other.txt").write_text("zyx\n" * 200)
    err = shell("fit", *STUDENT, "--data.corpus=other.txt", f"--model.teacher={trained.best}", status=2).stderr
    assert err.count("\n") == 1 and "model.teacher has other tokens" in err
    assert not (shell.folder / "runs").exists()
