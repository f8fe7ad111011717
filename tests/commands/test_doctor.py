import json
import os

import torch
from conftest import OPEN, TEXT, TINY

from lightning_gpt import machine
from lightning_gpt.launch import choice
from lightning_gpt.launch.trial import Trial


def test_findings_are_true(shell, monkeypatch):
    speeds = {torch.float32: 1e11, torch.bfloat16: 3e11}
    monkeypatch.setattr(machine, "flops", lambda device, dtype, size=None: speeds[dtype])
    monkeypatch.setattr(machine, "computes_bf16", lambda accelerator="auto": True)
    out = shell("doctor", "--data.corpus=text.txt", *TINY, "--json").stdout
    found = json.loads(out)
    here = found["machine"]
    assert (here["cores"], here["bf16"]) == (len(os.sched_getaffinity(0)), True)
    assert (here["fp32_flops"], here["bf16_flops"]) == (1e11, 3e11)
    text, recipe = found["text"], found["recipe"]
    assert (text["characters"], text["distinct"]) == (len(TEXT), len(set(TEXT)))
    assert text["held_out_copied_long"] == 1.0 and text["longest_copied"] == text["held_out_characters"]
    assert text["rare"] == {} and text["unseen"] == []
    assert list(text["budgets"]) == ["2m", "10m", "1h", "3h"]
    assert all(budget["steps"] > 0 and budget["passes"] > 0 for budget in text["budgets"].values())
    assert recipe["problems"] == [] and recipe["passes"] == 20 * 16 * 4 / text["train_characters"]
    assert recipe["expected_seconds"] > 20 * recipe["seconds_per_step"] > 0
    assert not (shell.folder / "runs").exists()


def test_in_words(shell):
    out = shell("doctor", "--data.corpus=text.txt", *TINY, COLUMNS="80").stdout
    assert all(f"{head} " in out for head in ("machine", "text", "recipe", "time"))
    assert "remove duplicates" in " ".join(out.split()) and max(map(len, out.splitlines())) <= 80


TRIAL = Trial(1.0, 0.3, 3, 0.2, 1.0, 0.1, 0)


def test_what_stands_in_the_way(shell, monkeypatch):
    monkeypatch.setattr(choice, "try_out", lambda *_: TRIAL)
    (shell.folder / "odd.txt").write_text("Snowman once: ☃. " + "abcdefghij klmno\n" * 200)
    out = " ".join(shell("doctor", "--data.corpus=odd.txt", *TINY, "--data.block_size=5000").stdout.split())
    assert "☃" in out and "is too short" in out
    assert "budgets 2m: " in out  # whose blocks are shorter
    (shell.folder / "latin.txt").write_bytes("déjà vu\n".encode("latin1") * 500)
    out = " ".join(shell("doctor", "--data.corpus=latin.txt", *TINY).stdout.split())
    assert "machine" in out and "is not UTF-8 text" in out
    assert "did you mean data.corpus?" in shell("doctor", "--data.corpsu=x", status=2).stderr


def test_a_budget_is_examined_as_fit_would_spend_it(shell, monkeypatch):
    monkeypatch.setattr(choice, "try_out", lambda *_: TRIAL)
    done = shell("doctor", "--data.corpus=text.txt", *OPEN, "--budget=1m", "--json")
    recipe = json.loads(done.stdout)["recipe"]
    assert "budget   1m: " in done.stderr and f"{recipe['steps']} steps" in done.stderr
    said = shell("doctor", "--data.corpus=text.txt", *OPEN, "--budget=1m", "--trainer.max_steps=5", status=2).stderr
    assert "leave one of them out" in said


def test_whatever_the_recipe_says(shell):
    resume = ["--data.corpus=text.txt", *TINY, "--resume=auto"]
    shell("fit", *resume, "--trainer.max_steps=30")
    recipe = json.loads(shell("doctor", *resume, "--ckpt_path=last", "--trainer.max_steps=-1", "--json").stdout)[
        "recipe"
    ]
    assert recipe["problems"] == [] and recipe["seconds_per_step"] > 0
    assert recipe["steps"] is recipe["passes"] is recipe["expected_seconds"] is None
    out = shell("doctor", "--data.corpus=text.txt", *TINY, "--data.train_fraction=0.00001").stdout
    assert "too short" in " ".join(out.split())
