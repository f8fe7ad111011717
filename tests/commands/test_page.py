import json
import re

import pytest
from conftest import TEXT, TINY

from lightning_gpt.commands.page import FRAMES, checkpoints_in
from lightning_gpt.runs.folders import film_frames
from lightning_gpt.training.film import Film


def content(path):
    """What the page says of its networks."""
    return json.loads(re.search(r'<script id="content" type="application/json">(.*?)</script>', path.read_text())[1])


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A shell whose folder holds a run that has kept its early weights, and another of the same name."""
    from conftest import Shell

    shell = Shell(tmp_path_factory.mktemp("filmed"))
    (shell.folder / "text.txt").write_text(TEXT)
    shell("fit", "--data.corpus=text.txt", *TINY, "--film=true", "--trainer.accumulate_grad_batches=2")
    shell("fit", "--data.corpus=text.txt", "--model.network=Bigram", "--trainer.max_steps=2", "--name=bigram")
    return shell


def test_a_run_becomes_a_page(trained, tmp_path):
    said = trained("page", "--out", tmp_path / "page.html", "--prompt", "Shall I").stdout
    assert f"the page is {tmp_path}/page.html" in said
    (network,) = content(tmp_path / "page.html")["networks"]
    assert network["name"] == "gpt/version_0" and network["network"] == "GPT" and network["step"] in (10, 20)
    loss = float(trained.log.stdout.split("best val/loss ")[1].split()[0])
    assert network["loss"] == pytest.approx(loss, abs=1e-4)
    assert content(tmp_path / "page.html")["prompt"]["text"] == "Shall I"


def test_weights_of_16_bits_take_half_the_room(trained, tmp_path):
    sizes = []
    for half in ("false", "true"):
        trained("page", "--out", tmp_path / "page.html", "--half", half)
        blocks = re.findall(r'id="weights-0-0" type="text/plain">([^<]*)<', (tmp_path / "page.html").read_text())
        sizes.append(len(blocks[0]))
    assert sizes[1] == pytest.approx(sizes[0] / 2, abs=4)


def test_a_checkpoint_by_itself_and_without_its_text(trained, shell):
    (shell.folder / "alone.ckpt").write_bytes(trained.best.read_bytes())
    (shell.folder / "text.txt").unlink()
    shell("page", "--ckpt_path=alone.ckpt")
    found = content(shell.folder / "page.html")
    assert found["title"] == "alone" and found["networks"][0]["loss"] is None
    assert len(found["line"]["ids"]) >= 40  # the network's own


def test_a_film_has_the_powers_of_two_and_the_end(filmed):
    """Counted in steps of the optimizer, not in batches."""
    run = filmed.folder / "runs/gpt/version_0"
    assert list(film_frames(run)) == [0, 1, 2, 4, 8, 16]
    filmed("page", "--ckpt_path", run / "checkpoints/last.ckpt")
    found = content(run / "page.html")
    assert [network["step"] for network in found["networks"]] == [20, 0, 1, 2, 4, 8, 16]
    assert [network["bits"] for network in found["networks"]] == [32, *[16] * 6]
    filmed("page", "--ckpt_path", run / "checkpoints/last.ckpt", "--film=false")
    assert len(content(run / "page.html")["networks"]) == 1


def test_a_long_film_keeps_its_beginning_and_its_latest_steps(filmed, tmp_path):
    from lightning_gpt.commands.page import film_of

    (tmp_path / "film").mkdir()
    frame = (filmed.folder / "runs/gpt/version_0/film/step_0000001.ckpt").read_bytes()
    for step in (0, *(2**n for n in range(12))):
        (tmp_path / "film" / f"step_{step:07}.ckpt").write_bytes(frame)
    steps = [shown.step for shown in film_of(tmp_path, 2048)]
    assert len(steps) == FRAMES and steps == [0, 16, 32, 64, 128, 256, 512, 1024]


def test_no_film_without_its_option(trained):
    assert not film_frames(trained.run)
    assert Film.__name__ not in trained.log.stdout


def test_a_folder_of_runs_is_a_ladder(filmed, tmp_path):
    filmed("page", "runs", "--out", tmp_path / "page.html", "--ckpt_path=last")
    found = content(tmp_path / "page.html")
    assert found["ladder"] == 2 and found["title"] == "runs"
    assert [network["name"] for network in found["networks"]] == ["bigram", "gpt"]
    assert found["networks"][0]["idea"] == "the next character from this one alone"
    filmed("page", "runs/bigram/version_0", "--out", tmp_path / "page.html")
    assert [network["name"] for network in content(tmp_path / "page.html")["networks"]] == ["bigram/version_0"]


def test_other_seeds_of_the_ladder_are_left_out(tmp_path):
    for name in ("1-bigram", "1-bigram-seed1338", "another-seed1", "3-head"):
        file = tmp_path / name / "version_0/checkpoints/best.ckpt"
        file.parent.mkdir(parents=True)
        file.touch()
    names = [path.parents[2].name for path in checkpoints_in(tmp_path, "best")]
    assert names == ["1-bigram", "3-head", "another-seed1"]


def test_networks_that_know_other_characters_have_no_page_together(filmed, shell):
    (shell.folder / "other.txt").write_text("0123456789\n" * 300)
    options = ["--model.network=Bigram", "--trainer.max_steps=1", "--runs_dir", filmed.folder / "both"]
    shell("fit", "--data.corpus=other.txt", "--name=a", *options)
    shell("fit", "--data.corpus=text.txt", "--name=b", *options)
    assert "a knows other tokens than b" in filmed("page", "both", status=2).stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "no run in nowhere/ has a best.ckpt"),
        (["runs", "--ckpt_path=x.ckpt"], "takes best or last"),
        (["--out=text.txt/page.html"], "can't write text.txt/page.html"),
        (["runs", "gpt"], "unexpected 'gpt'"),
    ],
)
def test_mistakes_are_said_in_a_line(trained, args, said):
    assert said in trained("page", *args, status=2).stderr


def test_the_report_links_the_page_that_is_there(filmed, tmp_path):
    run = filmed.folder / "runs/gpt/version_0"
    (run / "page.html").unlink(missing_ok=True)
    ckpt = ["--ckpt_path", run / "checkpoints/last.ckpt"]
    filmed("report", *ckpt)
    assert "look inside it" not in (run / "report.html").read_text()
    filmed("page", *ckpt)
    filmed("report", *ckpt)
    assert '<a href="page.html">' in (run / "report.html").read_text()
    filmed("report", *ckpt, "--out", filmed.folder / "elsewhere.html")
    assert '<a href="runs/gpt/version_0/page.html">' in (filmed.folder / "elsewhere.html").read_text()
