"""Files that were made to do harm: refused on every path that reads a checkpoint, in one line, nothing executed."""

import io
import pickle
import zipfile

import pytest
import torch
from conftest import TINY

import lightning_gpt
from lightning_gpt.cli import main


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def reduce_payload(contents, mark):
    return {**contents, "payload": Payload(mark)}


def payload_in_the_state_dict(contents, mark):
    return {**contents, "state_dict": {**contents["state_dict"], "net.extra": Payload(mark)}}


def payload_in_the_optimizer(contents, mark):
    return {**contents, "optimizer_states": [{"state": Payload(mark), "param_groups": []}]}


def class_to_instantiate(contents, mark):
    """What Lightning before 2.6.6 would have imported and called (CVE-2026-58659)."""
    path = {"class_path": "builtins.open", "init_args": {"file": str(mark), "mode": "w"}}
    record = {**contents["lightning_gpt"], "network": "builtins.open", "sizes": path["init_args"]}
    return {
        **contents,
        "hyper_parameters": {"network": path, "_instantiator": "builtins.open"},
        "lightning_gpt": record,
    }


def a_billion_networks(contents, mark):
    record = contents["lightning_gpt"]
    sizes = {**record["sizes"], "n_member": 10**9}
    return {**contents, "lightning_gpt": {**record, "network": "Ensemble", "sizes": sizes}}


def a_billion_layers(contents, mark):
    record = contents["lightning_gpt"]
    return {**contents, "lightning_gpt": {**record, "sizes": {**record["sizes"], "n_layer": 10**9}}}


def a_terabyte_of_channels(contents, mark):
    record = contents["lightning_gpt"]
    return {**contents, "lightning_gpt": {**record, "sizes": {**record["sizes"], "n_embd": 2**40}}}


def wrong_shapes(contents, mark):
    weights = {name: torch.zeros(1).expand(1000, 1000) for name in contents["state_dict"]}
    return {**contents, "state_dict": weights}


def not_tensors(contents, mark):
    return {**contents, "state_dict": dict.fromkeys(contents["state_dict"], "net")}


def record_with(**changes):
    def change(contents, mark):
        return {**contents, "lightning_gpt": {**contents["lightning_gpt"], **changes}}

    change.__name__ = f"record_with_{'_'.join(changes)}"
    return change


HOSTILE = [
    record_with(tokenizer={"kind": "builtins.open", "file": "executed", "mode": "w"}),
    record_with(tokenizer={"kind": "characters", "characters": 7}),
    record_with(tokenizer={"kind": "bpe", "tokens": ["a", "b"], "merges": ["a b"], "special": []}),
    record_with(provenance=[{"how": "x" * 10**6}]),
    record_with(corpus={"name": ["text.txt"]}),
    reduce_payload,
    payload_in_the_state_dict,
    payload_in_the_optimizer,
    class_to_instantiate,
    a_billion_layers,
    a_billion_networks,
    a_terabyte_of_channels,
    wrong_shapes,
    not_tensors,
]


def refused_everywhere(capsys, path):
    commands = [["validate"], ["predict"], ["generate"], ["fit", "--trainer.max_steps=40"]]
    for command, *options in commands:
        recipe = ["--data.corpus=text.txt", *TINY] if command != "generate" else []
        status = main([command, *recipe, *options, f"--ckpt_path={path}"])
        err = capsys.readouterr().err
        assert status == 2 and err.count("\n") == 1 and "Traceback" not in err, (command, err)
    with pytest.raises(lightning_gpt.UserError):
        lightning_gpt.load(path)


@pytest.mark.parametrize("make", HOSTILE, ids=lambda f: f.__name__)
def test_it_is_refused(make, trained, shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    contents = torch.load(trained.best, weights_only=True)
    torch.save(make(contents, shell.folder / "executed"), "hostile.ckpt")
    refused_everywhere(capsys, "hostile.ckpt")
    assert not (shell.folder / "executed").exists() and not (shell.folder / "runs").exists()


def test_a_bare_pickle(shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    (shell.folder / "hostile.ckpt").write_bytes(pickle.dumps(Payload(shell.folder / "executed")))
    refused_everywhere(capsys, "hostile.ckpt")
    assert not (shell.folder / "executed").exists()


def test_an_archive_that_swells(trained, shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    whole = io.BytesIO(trained.best.read_bytes())
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile("hostile.ckpt", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            target.writestr(entry.filename, bytes(50_000_000) if entry.filename.endswith("data/0") else data)
    assert (shell.folder / "hostile.ckpt").stat().st_size < 1_000_000
    refused_everywhere(capsys, "hostile.ckpt")


@pytest.mark.parametrize("name", ["../../outside", "/etc/outside", "a/../../outside"])
def test_a_runs_name_stays_in_its_folder(shell, monkeypatch, capsys, name):
    monkeypatch.chdir(shell.folder)
    assert main(["fit", "--data.corpus=text.txt", *TINY, f"--name={name}"]) == 2
    assert "--name" in capsys.readouterr().err


def test_a_corpus_name_in_a_checkpoint_is_not_a_path_to_write(trained, shell, monkeypatch):
    """The text that a checkpoint names is named in messages only, never opened or made."""
    monkeypatch.chdir(shell.folder)
    contents = torch.load(trained.best, weights_only=True)
    contents["lightning_gpt"]["corpus"]["name"] = "../../../etc/passwd"
    torch.save(contents, "named.ckpt")
    assert len(lightning_gpt.load("named.ckpt").generate("Rough", 5)) == 5
