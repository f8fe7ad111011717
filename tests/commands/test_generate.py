"""Many texts: written in groups, each text the one that its seed writes by itself."""

from importlib import import_module

import pytest

from lightning_gpt.model import TrainedGPT

module = import_module("lightning_gpt.commands.generate")


@pytest.mark.parametrize("together", [1, 2, 3])
def test_groups_do_not_show(trained, monkeypatch, together):
    command = ["generate", f"--ckpt_path={trained.best}", "--num_samples=3", "--max_new_tokens=30", "--novelty"]
    whole = trained(*command)
    monkeypatch.setattr(module, "TOGETHER", together)
    parts = trained(*command)
    assert (parts.stdout, parts.stderr) == (whole.stdout, whole.stderr)
    assert whole.stdout.count(module.RULE) == 2 and whole.stderr.count("novelty of text") == 3


def test_a_million_texts_begin_at_once(trained, monkeypatch):
    """A group is all that is computed before the first of it is seen."""
    asked, streams = [], TrainedGPT.streams

    def noted(self, number, *args, **options):
        asked.append((number, options["seed"]))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return streams(self, number, *args, **options)

    monkeypatch.setattr(TrainedGPT, "streams", noted)
    command = ["generate", f"--ckpt_path={trained.best}", "--num_samples=1000000", "--max_new_tokens=1", "--seed=5"]
    out = trained(*command, status=130).stdout
    assert asked == [(64, 5), (64, 69), (64, 133)] and out.count(module.RULE) == 127


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (f"--num_samples={10**12}", "a file of 1000000000000 texts would take 100 TB, and this machine has"),
        (f"--num_samples={10**20}", "seed must be at most 2^63 less num_samples"),
    ],
)
def test_more_than_a_file_can_hold(trained, option, says):
    err = trained("generate", f"--ckpt_path={trained.best}", option, "--max_new_tokens=1", "--out=x", status=2).stderr
    assert says in err and err.count("\n") == 1
