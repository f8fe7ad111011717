"""A user's mistake: one line that names it and the remedy, exit status 2, no traceback, nothing written."""

import re
import resource

import pytest
import torch
from conftest import ROOT, TINY

from lightning_gpt.cli import main

LADDER = ROOT / "configs/ladder"
FIT = ["fit", "--data.corpus=text.txt", *TINY]


def refused(capsys, *args):
    """What the program says to these arguments; it must be one line."""
    status = main([str(a) for a in args])
    out, err = capsys.readouterr()
    assert status == 2, (status, out, err)
    assert err.startswith("lightning-gpt: ") and err.count("\n") == 1, err
    return err


@pytest.fixture
def here(shell, monkeypatch):
    monkeypatch.chdir(shell.folder)
    monkeypatch.delenv("LIGHTNING_GPT_MIRROR", raising=False)
    return shell.folder


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data.corpus=none.txt"], "neither a file, nor a folder, nor one of tinyshakespeare, python-docs"),
        (["--data.corpus=empty.txt"], "empty.txt is empty"),
        (
            ["--data.corpus=latin.txt"],
            "byte 0xe9 at offset 3; it is probably cp1252 (Windows, Western Europe): read it with --data.encoding",
        ),
        (["--data.corpus=short.txt"], "too short"),
        (["--data.block_size=2000"], "too short: its held-out part"),
        (["--data.block_size=0"], "data.block_size must be at least 1"),
        (["--data.batch_size=-1"], "data.batch_size must be at least 1"),
        (["--data.train_fraction=1.5"], "data.train_fraction"),
        (["--data.corpsu=x"], "no option data.corpsu; did you mean data.corpus?"),
        (["--trainer.max_stps=3"], "did you mean trainer.max_steps?"),
        (["--trainer.max_steps=many"], "trainer.max_steps"),
        (["--model.network.n_lyer=3"], "no option n_lyer; did you mean n_layer?"),
        (["--model.network=GTP"], "there is no network GTP; did you mean GPT?"),
        (["--model.network.n_embd=15"], "n_embd 15 is not divisible by n_head 2"),
        (["--model.network.dropout=1.5"], "dropout must be in [0, 1)"),
        (["--model.schedule.decay=cubic"], "cubic"),
        (["--trainer.precision=16-mixed"], "needs a GPU"),
        (["--trainer.precision=17"], "bf16-mixed, 32-true, 64-true, bf16 or null, not '17'"),
        (["--trainer.accelerator=gpu"], "No supported gpu backend found"),
        (
            ["--trainer.accelerator=abacus"],
            "there is no trainer.accelerator 'abacus'; there are auto, gpu, cpu, cuda, mps, tpu",
        ),
        (["--sample.temperature=-1"], "temperature must be 0"),
        (["--model.optimizer.lrr=1"], "no option lrr; did you mean lr?"),
        (["--trainer.limit_train_batches=5"], "set --trainer.max_steps"),
        (["--trainer.accumulate_grad_batches=3"], "must be a multiple of accumulate_grad_batches 3"),
        (["--config=none.yaml"], "does not exist"),
        (["--config=broken.yaml"], "broken.yaml can't be read as a configuration (line 1, "),
        (["--config=unknown.yaml"], "no option trainer.max_stps; did you mean trainer.max_steps?"),
        (["--data.corpus=folder"], "no .txt file in the folder"),
        (["--data.corpus=binary.txt"], "is not UTF-8 text"),
        (["--data.block_size=few"], "data.block_size"),
        (["--data.offline_corpus=none.txt", "--data.corpus=none.txt"], "no corpus 'none.txt'"),
        (["--data.data_dir=text.txt"], "can't save the prepared text in text.txt"),
        (["--runs_dir=text.txt"], "name a folder that can be written to with --runs_dir"),
        (["--name=a/b"], "--name is the name of one folder"),
        (["--name="], "--name is the name of one folder"),
        (["--resume=perhaps"], "resume"),
        (["--save_every_n_steps=0"], "save_every_n_steps"),
        (["--data.corpus="], "the corpus has no name"),
        (["--model.optimizer=Muon", "--model.optimizer.momentum=5"], "momentum must be in [0, 1), not 5"),
        (["--model.optimizer.betas=[0.9, 1.5]"], "betas must be in [0, 1), not"),
        (["--trainer.min_steps=30"], "min_steps 30 is above max_steps 20"),
        (["--sample.seed=-1"], "seed must be a whole number from 0"),
        (["--sample.preview=-1"], "sample.preview must be at least 0"),
        ([f"--sample.prompts={['a'] * 101}"], "sample.prompts may be 100, not 101"),
        (["--sample.max_new_tokens=1000001"], "more than the 1,000,000 tokens that a validation may write"),
        (["--name=\udcff"], "--name is not UTF-8"),
        (["--data.data_dir=a\0b"], "--data.data_dir holds a NUL character"),
        (["--config=\udcff.yaml"], "--config is not UTF-8"),
        ([f"--name={'x' * 300}"], "--name is the name of one folder"),
        (["--overfitting.patience=-1"], "overfitting.patience must be 0"),
        (["--sample.top_k=0"], "top_k must be at least 1"),
        (["--sample.top_p=2"], "top_p must be above 0"),
        (["--sample.max_new_tokens=-5"], "max_new_tokens"),
        (["--model.network=ModernGPT", "--model.network.conv_width=99"], "conv_width must be"),
        (["--model.network=Ensemble", "--model.network.n_member=9"], "data.batch_size must be at least n_member 9"),
        (["--model.network.n_head=0"], "n_head must be a whole number"),
        (["--model.network.vocab_size=9"], "can't be chosen: it is the text's own number of characters"),
        (["--model.optimizer=SGD"], "there is no optimizer SGD; there are AdamW, Muon"),
        (["--model.optimizer.lr=-1"], "model.optimizer.lr must be a number of at least 0, not -1"),
        (["--model.schedule.warmup_steps=-3"], "warmup_steps"),
        (["--model.schedule.decay=cosine", "--trainer.max_steps=-1"], "needs --trainer.max_steps"),
        (
            ["--trainer.strategy=abacus"],
            "there is no trainer.strategy 'abacus'; there are auto, ddp, xla, model_parallel",
        ),
        (["--trainer.devices=0"], "devices"),
        (["--trainer.gradient_clip_val=-1"], "gradient_clip_val"),
        (["--seed_everything=x"], "seed_everything"),
        (["--config=text.txt"], "text.txt can't be read as a configuration (line 2, "),
        (["--ckpt_path=folder"], "no checkpoint at folder"),
        (["--ckpt_path=none.ckpt"], "no checkpoint at none.ckpt"),
        (["--ckpt_path=best"], "no run below runs/ has a checkpoint yet"),
    ],
    ids=lambda v: v[0] if isinstance(v, list) else "",
)
def test_fit(here, capsys, options, says):
    (here / "empty.txt").touch()
    (here / "latin.txt").write_bytes(b"caf\xe9 noir\n" * 50)
    (here / "short.txt").write_text("Too short.")
    (here / "broken.yaml").write_text("trainer: [1, 2")
    (here / "unknown.yaml").write_text("trainer: {max_stps: 3}")
    (here / "binary.txt").write_bytes(bytes(range(256)))
    (here / "folder").mkdir()
    assert says in refused(capsys, *FIT, *options)
    assert not (here / "runs").exists()


def test_the_corpus_out_of_reach_and_no_stand_in(here, capsys, monkeypatch):
    from lightning_gpt.text import corpus

    monkeypatch.setitem(corpus.SOURCES, "tinyshakespeare", corpus.Source("http://127.0.0.1:9/input.txt", "0" * 64))
    assert "can't be had" in refused(capsys, "data")
    says = refused(capsys, *FIT, "--data.corpus=tinyshakespeare", "--data.offline_corpus=null")
    assert "can't be had" in says and "LIGHTNING_GPT_MIRROR" in says and "--data.corpus" in says


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["validate"], "validate needs a checkpoint: --ckpt_path"),
        (["test"], "test needs a checkpoint"),
        (["validate", "--ckpt_path=last"], "no run below runs/"),
        (["generate"], "no run below runs/"),
        (["generate", "--ckpt_path=text.txt"], "text.txt can't be read as a checkpoint"),
        (["generate", "--temperature=-1"], "temperature"),
        (["generate", "--top_k=0"], "top_k"),
        (["generate", "--top_p=1.5"], "top_p"),
        (["generate", "--num_samples=0"], "num_samples"),
        (["generate", f"--max_new_tokens={10**20}"], "such a text would take 10 ZB, and this machine has"),
        (["generate", "--out="], "can't use .: Is a directory"),
        (["generate", f"--ckpt_path={'x' * 300}"], "File name too long"),
        (["generate", "--out=\udcff"], "--out is not UTF-8"),
        (["generate", "--prompt=@a\0b"], "--prompt holds a NUL character"),
        (["data", "--corpus=text.txt", "--train_fraction=nan"], "train_fraction must lie between 0 and 1"),
        (["generate", "--stop="], "stop must not be empty"),
        (["validate", "--ckpt_path"], "--ckpt_path needs a value"),
        (["generate", "--max_new_tokens=few"], "max_new_tokens"),
        (["generate", "--promt=x"], "promt"),
        (["generate", "--prompt=@none.txt"], "can't read the prompt @none.txt"),
        (["generate", "--prompt=@latin.txt"], "not UTF-8"),
        (["ladder", "--rungs=0-3"], "--rungs takes numbers"),
        (["ladder", "--rungs=all"], "--rungs takes numbers"),
        (["ladder", "--configs=nowhere"], "nowhere/ has no 1-*.yaml"),
        (["ladder", "--rungs=9-1"], "--rungs takes numbers"),
        (
            ["ladder", f"--configs={LADDER}", "--rungs=1", "--trainer.max_stps=3"],
            "did you mean trainer.max_steps?",
        ),
        (["data", "--corpus=none.txt"], "no corpus 'none.txt'"),
        (["data", "--corpos=x"], "did you mean corpus?"),
        (["bench", "--measure=everything"], "--measure takes step, time"),
        (["bench", "--rounds=0"], "--rounds must be at least 1"),
        (["verify-resume", "--steps=0"], "must be at least 1"),
        (["verify-resume", "--kills=many"], "kills"),
        pytest.param(  # a fit in a process of its own says it
            ["verify-resume", "--model.network=Bigram", "--data.corpus=none.txt"],
            "no corpus 'none.txt'",
            marks=pytest.mark.slow,
        ),
        (["generate", "--runs_dir=none"], "no run below none/"),
        (["generate", "--cached=perhaps"], "cached"),
        (["predict"], "predict needs a checkpoint"),
        (["valdate"], "no command 'valdate'; did you mean validate?"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_other_commands(here, capsys, command, says):
    (here / "latin.txt").write_bytes(b"caf\xe9")
    assert says in refused(capsys, *command)
    assert not (here / "runs").exists()


def test_bad_checkpoints(trained, here, capsys):
    data = trained.best.read_bytes()
    (here / "cut.ckpt").write_bytes(data[: len(data) // 2])
    torch.save({"state_dict": {}}, here / "foreign.ckpt")
    torch.save([1, 2], here / "list.ckpt")
    contents = torch.load(trained.best, weights_only=True)
    contents["lightning_gpt"]["sizes"]["n_embd"] = 32
    torch.save(contents, here / "unfit.ckpt")
    contents["lightning_gpt"]["format"] = 99
    torch.save(contents, here / "future.ckpt")
    torch.save({"lightning_gpt": print}, here / "code.ckpt")
    for name, says in {
        "cut": "truncated, damaged",
        "foreign": "another program",
        "list": "holds a list",
        "unfit": "its weights do not fit",
        "future": "format 99",
        "code": "truncated, damaged or not one",
    }.items():
        assert says in refused(capsys, "generate", f"--ckpt_path={name}.ckpt"), name
        if name != "unfit":
            assert says in refused(capsys, *FIT, f"--ckpt_path={name}.ckpt"), name


def test_a_checkpoint_without_its_run_needs_only_its_text(trained, here, capsys):
    (here / "moved.ckpt").write_bytes(trained.best.read_bytes())
    assert main(["validate", "--ckpt_path=moved.ckpt"]) == 0
    assert re.search(r"best val/loss ([\d.]+)", trained.log.stdout)[1] in capsys.readouterr().out
    (here / "text.txt").unlink()
    assert "no corpus 'text.txt'" in refused(capsys, "validate", "--ckpt_path=moved.ckpt")


def test_another_network_or_vocabulary_than_the_checkpoints(trained, here, capsys):
    assert "n_embd is 32, the checkpoint has 16" in refused(
        capsys, *FIT, "--model.network.n_embd=32", f"--ckpt_path={trained.best}"
    )
    (here / "other.txt").write_text("0123456789\n" * 300)
    says = refused(capsys, "validate", f"--ckpt_path={trained.best}", "--data.corpus=other.txt")
    assert "the text has 10 characters that are not among the 35 of the checkpoint" in says


def test_an_unknown_character_in_the_prompt(trained, capsys):
    says = refused(capsys, "generate", f"--ckpt_path={trained.best}", "--prompt=Rough€")
    assert "'€' (U+20AC) at position 5" in says and "--unknown skip" in says
    assert main(["generate", f"--ckpt_path={trained.best}", "--prompt=Rough€", "--unknown=skip"]) == 0


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--device=abacus", "no device abacus"),
        ("--device=meta", "no device meta"),
        ("--device=cuda:9", "no device cuda:9"),
        ("--seed=-1", "seed must be"),
    ],
)
def test_generate_on_what_is_not_there(trained, capsys, option, says):
    assert says in refused(capsys, "generate", f"--ckpt_path={trained.best}", option)


def test_another_optimizer_than_the_checkpoints(trained, here, capsys):
    says = refused(capsys, *FIT, "--model.optimizer=Muon", "--trainer.max_steps=30", f"--ckpt_path={trained.best}")
    assert "state of another optimizer" in says
    (here / "moved.ckpt").write_bytes(trained.best.read_bytes())  # its score does not depend on the optimizer
    assert main(["validate", *FIT[1:], "--model.optimizer=Muon", "--ckpt_path=moved.ckpt"]) == 0
    assert not (here / "runs").exists()


def test_debug_shows_the_traceback(here):
    with pytest.raises(ValueError, match="validate needs a checkpoint"):
        main(["validate", "--debug"])


def test_a_full_disk_leaves_the_old_checkpoint_good(shell):
    """Full when a file would pass 100 KB: the tiny network's checkpoint is larger, its other files are not."""
    shell("fit", "--data.corpus=text.txt", *TINY)
    best = shell.folder / "runs/gpt/version_0/checkpoints/best.ckpt"
    before = best.read_bytes()
    assert len(before) > 100_000
    size = resource.RLIMIT_FSIZE
    soft, hard = resource.getrlimit(size)
    resource.setrlimit(size, (100_000, hard))
    try:
        err = shell("fit", "--ckpt_path=last", "--trainer.max_steps=40", status=2).stderr
    finally:
        resource.setrlimit(size, (soft, hard))
    assert "can't save" in err and "Traceback" not in err
    assert best.read_bytes() == before
    assert sorted(p.name for p in best.parent.iterdir()) == ["best.ckpt", "last.ckpt"]
    torch.load(best, weights_only=True)
