"""The commands end to end."""

import hashlib
import re
import signal
import subprocess
import sys

import pytest
import torch
import yaml
from conftest import TEXT, TINY
from PIL import Image
from send_signal import send_signal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lightning_gpt
from lightning_gpt.cli import COMMANDS, main
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.running import run


def state(path):
    """All of a checkpoint that a resumed run must repeat, flat."""
    found = {}

    def walk(name, value):
        if isinstance(value, dict):
            for key in value:
                walk(f"{name}/{key}", value[key])
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                walk(f"{name}/{i}", item)
        else:
            found[name] = value

    contents = torch.load(path, weights_only=True)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "loops", "lightning_gpt"):
        walk(part, contents[part])
    return found


def assert_same(left, right):
    left, right = state(left), state(right)
    assert left.keys() == right.keys()
    for name in left:
        same = (
            torch.equal(left[name], right[name]) if isinstance(left[name], torch.Tensor) else left[name] == right[name]
        )
        assert same, (name, left[name], right[name])


def test_a_run_leaves_what_it_promises(trained):
    assert trained.best.exists() and trained.last.exists()
    config = yaml.safe_load((trained.run / "config.yaml").read_text())
    assert config["data"]["corpus"] == "text.txt" and config["seed_everything"] == 1337
    assert list(trained.run.glob("events.out.tfevents.*"))
    out = trained.log.stdout
    for line in (
        "text     text.txt: 6,",
        "network  GPT:",
        "step     10",
        "step     20",
        "best val/loss",
        "generate --ckpt_path",
    ):
        assert line in out, line
    assert "Traceback" not in trained.log.stderr and "Tip" not in out + trained.log.stderr


def test_its_page_in_tensorboard_is_complete(trained):
    events = EventAccumulator(str(trained.run), {"images": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {
        "loss/train", "loss/val",
        "n-gram_loss/uniform", "n-gram_loss/unigram", "n-gram_loss/bigram", "n-gram_loss/5-gram",
        "val/bits_per_char", "val/bits_per_byte", "val/perplexity", "val/best_loss", "speed/chars_per_s", "speed/mfu",
        "optim/lr", "optim/grad_norm", "novelty/longest_copied", "novelty/share_copied",
    }  # fmt: skip
    losses = [event.value for event in events.Scalars("loss/val")]
    assert len(losses) == 2 and [e.step for e in events.Scalars("loss/val")] == [9, 19]
    for name in ("5-gram", "bigram"):  # the band of a chart must have the steps of the curve
        assert [e.step for e in events.Scalars(f"n-gram_loss/{name}")] == [9, 19]
    assert [event.value for event in events.Scalars("val/best_loss")] == [losses[0], min(losses)]
    (sample,) = [tag for tag in tags["tensors"] if tag.startswith("sample/")]
    texts = [event.tensor_proto.string_val[0].decode() for event in events.Tensors(sample)]
    assert len(texts) == 2 and all(line.startswith("    ") for text in texts for line in text.split("\n"))
    (card,) = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("the_run/text_summary")]
    assert all(f"    {word} " in card for word in ("text", "network", "machine", "command", "code")), card
    assert max(map(len, card.split("\n"))) <= 94  # with its indent: a long command stays inside of its box
    assert set(tags["images"]) == {f"maps_of_attention/block_{i}_head_{j}" for i in (1, 2) for j in (1, 2)}
    assert tags["graph"] and len(events.Images("maps_of_attention/block_1_head_1")) == 2
    assert events.PluginTagToContent("custom_scalars") and events.PluginTagToContent("hparams")
    points, names = (next(trained.run.glob(f"*/*/{name}.tsv")).read_text() for name in ("tensors", "metadata"))
    assert names.splitlines()[:2] == ["character\tclass", "'\\n'\tline break"]
    assert len(points.splitlines()) == len(names.splitlines()) - 1 == len(set(TEXT))
    with Image.open(next(trained.run.glob("*/*/sprite.png"))) as letters:
        assert letters.width == letters.height >= 20 * len(set(TEXT)) ** 0.5
    assert sorted(path.name for path in trained.run.iterdir() if path.suffix == ".yaml") == ["config.yaml"]


def test_validate_agrees_with_what_was_logged(trained, monkeypatch, capsys):
    best = torch.load(trained.best, weights_only=True)
    logged = next(
        s["best_model_score"] for k, s in best["callbacks"].items() if "ModelCheckpoint" in k and "val/loss" in k
    ).item()
    monkeypatch.chdir(trained.folder)
    prepared = prepare(configure("validate", ["--ckpt_path=best"]))
    run(prepared)
    assert prepared.trainer.callback_metrics["val/loss"].item() == pytest.approx(logged, abs=1e-6)
    assert f"{logged:.4f}" in capsys.readouterr().out
    tail = TEXT[int(0.9 * len(TEXT)) :]
    assert lightning_gpt.load(trained.best).loss(tail) == pytest.approx(logged, abs=1e-6)
    assert f"{logged:.4f}" in trained("validate", "--ckpt_path", trained.best).stdout


def test_test_and_predict_run(trained):
    assert "test/loss" in trained("test", "--ckpt_path", "best").stdout
    held_out = len(TEXT) - int(0.9 * len(TEXT)) - 1
    loss = lightning_gpt.load(trained.best).loss(TEXT[-held_out - 1 :])
    assert f"{held_out:,} held-out characters, {loss:.4f} nats each" in trained("predict", "--ckpt_path", "best").stdout


def test_a_checkpoint_is_self_contained(trained):
    contents = torch.load(trained.best, weights_only=True)
    record = contents["lightning_gpt"]
    assert record["network"] == "GPT" and record["sizes"]["n_embd"] == 16
    assert record["tokenizer"] == {"kind": "characters", "characters": "".join(sorted(set(TEXT)))}
    length = {"characters": len(TEXT), "bytes": len(TEXT), "tokens": len(TEXT)}
    sha256 = hashlib.sha256(TEXT.encode()).hexdigest()
    source = {"name": "text.txt", "source": "text.txt", "sha256": sha256}
    as_read = {"train_fraction": 0.9, "split": "characters", "encoding": None, "endings": ".txt"}
    assert record["corpus"] == {**source, **length, **as_read, "begin": "\n", "answer_after": None}
    step = contents["global_step"]
    here = {"how": "trained", "corpus": "text.txt", "sha256": sha256, "steps": step, "teacher": None}
    assert record["provenance"] == [here]
    assert not any("_orig_mod" in name for name in contents["state_dict"])


def test_generate(trained, tmp_path):
    ask = ("generate", "--ckpt_path", trained.best, "--prompt", "Rough", "--max_new_tokens", 30, "--seed", 7)
    first = trained(*ask, "--num_samples", 2, "--out", tmp_path / "out.txt")
    assert first.stdout.startswith("Rough")
    assert first.stdout.rstrip("\n") == (tmp_path / "out.txt").read_text()
    assert trained(*ask, "--num_samples", 2).stdout == first.stdout
    gpt = lightning_gpt.load(trained.best)
    one, two = first.stdout.rstrip("\n").split(f"\n{'-' * 20}\n")
    assert one == "Rough" + gpt.generate("Rough", 30, temperature=0.8, seed=7)
    assert two == "Rough" + gpt.generate("Rough", 30, temperature=0.8, seed=8)
    (tmp_path / "prompt.txt").write_text("Rough")
    ask = [f"@{tmp_path / 'prompt.txt'}" if a == "Rough" else a for a in ask]
    assert trained(*ask).stdout == one + "\n"
    ask = ["-" if str(a).startswith("@") else a for a in ask]
    assert trained(*ask, stdin="Rough").stdout == one + "\n"


def test_generate_needs_no_corpus_and_no_run_folder(trained, tmp_path):
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(trained.best.read_bytes())
    assert lightning_gpt.load(moved).generate("Rough", 5, seed=1) == lightning_gpt.load(trained.best).generate(
        "Rough", 5, seed=1
    )


def test_resume_repeats_the_unbroken_run(shell):
    """Weights, optimizer, rate and loop state, with dropout and accumulated batches."""
    recipe = ["--data.corpus=text.txt", *TINY, "--model.network.dropout=0.2", "--trainer.accumulate_grad_batches=2"]
    shell("fit", *recipe, "--name=whole")
    shell("fit", *recipe, "--name=broken", "--trainer.max_steps=10")
    broken = shell.folder / "runs/broken/version_0/checkpoints/last.ckpt"
    assert state(broken)["global_step"] == 10
    shell("fit", "--ckpt_path=last", "--trainer.max_steps=20")
    assert_same(broken, shell.folder / "runs/whole/version_0/checkpoints/last.ckpt")


def stopped(shell, number, recipe):
    """A run that is sent a signal in step 23, between two validations: the command that it says goes on with it."""
    done = shell.process("fit", *recipe, "--name=broken", *send_signal(number, step=23), status=128 + number)
    said = re.search(
        rf"stopped by {number.name} after step 23,.*go on with .* (fit --ckpt_path \S+)", done.stderr, re.S
    )
    assert said and "Traceback" not in done.stderr, done.stderr
    assert state(shell.folder / "runs/broken/version_0/checkpoints/last.ckpt")["global_step"] == 23
    return said[1].split()


def test_ctrl_c_saves_and_the_run_goes_on_exactly(shell):
    recipe = ["--data.corpus=text.txt", *TINY, "--trainer.max_steps=40", "--trainer.val_check_interval=10"]
    recipe += ["--model.network.dropout=0.2", "--model.schedule.decay=cosine", "--model.schedule.warmup_steps=3"]
    shell(*stopped(shell, signal.SIGINT, recipe))
    shell("fit", *recipe, "--name=whole")
    whole, broken = (shell.folder / f"runs/{name}/version_0" for name in ("whole", "broken"))
    assert_same(whole / "checkpoints/last.ckpt", broken / "checkpoints/last.ckpt")
    assert [p.name for p in broken.parent.iterdir()] == ["version_0"]
    curves = [EventAccumulator(str(run)).Reload().Scalars("loss/val") for run in (whole, broken)]
    whole, broken = ([(event.step, event.value) for event in curve] for curve in curves)
    assert whole == broken and len(whole) == 4


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "a closed terminal's SIGHUP"])
def test_other_signals_save_too(shell, number):
    stopped(shell, number, ["--data.corpus=text.txt", *TINY, "--trainer.max_steps=30"])


def test_what_is_given_beside_a_checkpoint_is_honoured(shell):
    shell("fit", "--data.corpus=text.txt", *TINY)
    shell(
        "fit",
        "--ckpt_path=last",
        "--trainer.max_steps=30",
        "--model.optimizer.lr=0.25",
        "--model.optimizer.weight_decay=0.5",
    )
    last = state(shell.folder / "runs/gpt/version_0/checkpoints/last.ckpt")
    assert last["global_step"] == 30
    assert last["optimizer_states/0/param_groups/0/lr"] == 0.25
    assert last["optimizer_states/0/param_groups/0/weight_decay"] == 0.5


def test_data_prepares_and_reports(shell, capsys, monkeypatch):
    monkeypatch.chdir(shell.folder)
    assert main(["data", "--corpus=text.txt"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"text.txt: {len(TEXT):,} characters, {len(set(TEXT))} distinct, SHA-256 ")
    assert len(list((shell.folder / "data/prepared").iterdir())) == 2


def test_a_fits_options_are_taken_by_data_too(shell):
    """As they stand in a complaint about a text."""
    (shell.folder / "old.txt").write_bytes("“Où est le café ?” — demanda-t-il.\n".encode("cp1252") * 50)
    said = shell("data", "--corpus=old.txt", status=2).stderr
    assert "--data.encoding cp1252" in said
    assert "old.txt: " in shell("data", "--data.corpus=old.txt", "--data.encoding", "cp1252").stdout


def test_help(shell, capsys):
    out = shell("--help").stdout
    for command in COMMANDS:
        assert f"\n  {command} " in out
    for command in ("fit", "validate", "generate", "data", "ladder", "bench", "verify-resume"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert "--" in capsys.readouterr().out
    assert shell("--version").stdout.strip() == lightning_gpt.__version__


STARTS = {
    "validate": (["--ckpt_path=best"], "val/loss"),
    "test": (["--ckpt_path=best"], "test/loss"),
    "predict": (["--ckpt_path=best"], "held-out characters"),
    "generate": (["--prompt=Rough", "--max_new_tokens=5"], "Rough"),
    "data": (["--corpus=text.txt"], "characters"),
    "report": (["--out={tmp}/report.html"], "the report is"),
    "page": (["--out={tmp}/page.html"], "the page is"),
    "watch": (["--help"], "usage"),  # which would go on for ever
    "export": (["{tmp}/out", "--to=nanogpt"], "out"),
    "import": (["--help"], "usage"),
    "doctor": (["--config=runs/gpt/version_0/config.yaml"], "machine"),
    "compare": (["best", "last"], "B - A"),
    "bench": (["--help"], "usage"),  # what they do is in processes of their own anyway
    "verify-resume": (["--help"], "usage"),
}


AT_ONCE = ("bench",)  # the others' starts are alike: make test-slow


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name in AT_ONCE else pytest.mark.slow) for name in STARTS]
)
def test_each_command_is_a_program(trained, tmp_path, command):
    """Typed into a real shell, with nothing imported that another command has needed."""
    args, says = STARTS[command]
    assert says in trained.process(command, *(arg.format(tmp=tmp_path) for arg in args)).stdout


def test_no_command_is_left_out():
    assert {*STARTS, "fit", "ladder"} == set(COMMANDS)  # these two: `trained`, test_an_interrupted_rung_goes_on


def test_novelty_is_reported(trained):
    said = trained("generate", "--prompt=Shall I", "--num_samples=2", "--max_new_tokens=60", "--novelty").stderr
    assert said.count("the longest stretch that occurs in the training text has") == 2
    assert "novelty of text 2" in said


def test_an_ensemble_is_trained_and_used_as_any_network(shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    recipe = ["--model.network=Ensemble", "--model.network.n_member=2", "--model.optimizer=Muon", "--name=several"]
    assert main(["fit", "--data.corpus=text.txt", *TINY, *recipe]) == 0
    run = "runs/several/version_0"
    fitted = re.search(r"best val/loss ([\d.]+)", capsys.readouterr().out)[1]
    best = f"{run}/checkpoints/best.ckpt"
    assert lightning_gpt.load(best).network.sizes["n_member"] == 2
    assert main(["validate", f"--ckpt_path={best}"]) == 0
    assert fitted in capsys.readouterr().out
    assert main(["generate", f"--ckpt_path={best}", "--prompt=Shall", "--max_new_tokens=30"]) == 0
    assert len(capsys.readouterr().out.strip()) > 20
    assert main(["report", f"--ckpt_path={best}"]) == 0


def test_what_is_to_be_done_at_the_end_is_done_before_the_process_is_gone():
    code = (
        "import atexit, threading, time\n"
        "from lightning_gpt import __main__, cli\n"
        "def main():\n"
        "    atexit.register(print, 'called')\n"
        "    threading.Thread(target=lambda: (time.sleep(0.2), print('waited for'))).start()\n"
        "    return 7\n"
        "cli.main = main\n"
        "__main__.entry()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("waited for\ncalled\n", "", 7)
