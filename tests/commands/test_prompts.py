"""Prompts: as they are typed, as a network reads them, and in the commands that a run prints."""

import json
import re
import shlex

import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

import lightning_gpt
from lightning_gpt.text.typed import escaped, read_prompt, typed_prompt, unescaped

DNA = "ACGTTGCAACCGGTTA" * 100
PRINTED = re.compile(r"^  \w[\w ]+?  +\S+ -m (lightning_gpt|tensorboard\.main) (.*)$", re.M)


def printed(out):
    """The commands that a run prints, split as a shell would."""
    return [shlex.split(words) for program, words in PRINTED.findall(out) if program == "lightning_gpt"]


@pytest.fixture(scope="module")
def dna(tmp_path_factory):
    """A run with blanks in its name, on a text without a line break that no recipe's prompt suits."""
    from conftest import Shell

    shell = Shell(tmp_path_factory.mktemp("a folder"))
    (shell.folder / "dna.txt").write_text(DNA)
    (shell.folder / "recipe.yaml").write_text('sample: {prompts: ["ROMEO:", "AC"]}')
    shell.log = shell("fit", "--config=recipe.yaml", "--data.corpus=dna.txt", *TINY, "--name=my run").stdout
    shell.best = shell.folder / "runs/my run/version_0/checkpoints/best.ckpt"
    return shell


def test_a_recipes_prompt_that_the_text_can_not_spell_is_not_used(dna):
    assert "no sample begins with 'ROMEO:'" in dna.log
    texts = lightning_gpt.Run(dna.best.parent.parent).texts
    assert list(texts) == ["'AC'"] and all(text.startswith("AC") for _, text in texts["'AC'"])


def test_every_command_that_a_run_prints_works_as_it_is_printed(dna):
    commands = printed(dna.log)
    assert [words[0] for words in commands] == ["validate", "generate", "report"]
    assert commands[1][-2:] == ["--prompt", "AC"]
    assert "val/loss" in dna(*commands[0]).stdout
    assert dna(*commands[1]).stdout.startswith("AC")
    assert "the report is" in dna(*commands[2]).stdout


def test_a_prompt_is_printed_as_it_can_be_typed(shell):
    prompt = "--seed it's $A `A`\n" + r"\begin \\n"
    (shell.folder / "text.txt").write_text(f"{prompt} {DNA}")
    (shell.folder / "recipe.yaml").write_text(f"sample: {{prompts: {json.dumps([prompt])}}}")
    recipe = ["--data.corpus=text.txt", *TINY, "--trainer.max_steps=1", "--sample.max_new_tokens=2"]
    (command,) = [
        words for words in printed(shell("fit", *recipe, "--config=recipe.yaml").stdout) if "--prompt" in words
    ]
    assert shell(*command, "--max_new_tokens=3").stdout.startswith(prompt)


def test_without_a_prompt_a_text_begins_as_the_corpus_does(dna, trained):
    begins = dna("generate", "--ckpt_path", dna.best, "--max_new_tokens=0").stdout
    assert begins == "A\n" and lightning_gpt.load(dna.best).begin == DNA[0]
    gpt = lightning_gpt.load(trained.best)
    assert gpt.begin == "\n" and gpt.generate(max_new_tokens=9, seed=1) == gpt.generate("\n", 9, seed=1)


def test_a_line_break_that_ends_the_text_only_does_not_begin_one(tmp_path):
    (tmp_path / "dna.txt").write_text(DNA + "\n")
    corpus = lightning_gpt.text.find_corpus(str(tmp_path / "dna.txt"))
    assert lightning_gpt.text.prepare(corpus, tmp_path).begin == "A"


def test_what_is_printed_is_what_was_read(dna):
    say = ["generate", "--ckpt_path", dna.best, "--max_new_tokens=0"]
    assert dna(*say, "--prompt=xAxC", "--unknown=skip").stdout == "AC\n"
    assert dna(*say, "--prompt=xAxC", "--unknown=G").stdout == "GAGC\n"
    assert dna(*say, "--prompt=ROMEO:", "--unknown=skip").stdout == "A\n"  # nothing is left of it


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (r"one\ntwo", "one\ntwo"), (r"a\tb", "a\tb"), (r"\\n", r"\n"), (r"\begin{x}", r"\begin{x}"), ("\\", "\\"),
        (r"\\begin", r"\begin"), (r"\\\n", "\\\n"), ("", ""),
    ],
)  # fmt: skip
def test_escapes(typed, text):
    assert unescaped(typed) == text


@given(st.text(alphabet=st.sampled_from("\\nt@-\n\tab"), max_size=8))
def test_whatever_is_written_as_typed_is_read_back(text):
    assert unescaped(escaped(text)) == read_prompt(typed_prompt(text)) == text


def test_prompt_and_stop_are_read_alike(trained):
    say = ["generate", "--ckpt_path", trained.best, "--max_new_tokens=60"]
    out = trained(*say, r"--prompt=day?\nThou", r"--stop=\n").stdout
    assert out.startswith("day?\nThou") and out.count("\n") == 2
    assert r"\n is a line break" in " ".join(trained("generate", "--help").stdout.split())


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xef\xbb\xbfThou", "Thou"), (b"Thou\rart\r\nmore", "Thou\nart\nmore"), (rb"Thou\n", r"Thou\n")],
)
def test_a_prompts_file_is_read_as_a_corpus_is(tmp_path, data, text):
    (tmp_path / "prompt.txt").write_bytes(data)
    assert read_prompt(f"@{tmp_path / 'prompt.txt'}") == text


def test_a_prompt_that_begins_with_at_can_be_typed(trained):
    say = trained("generate", "--ckpt_path", trained.best, "--prompt=@user1 ", status=2).stderr
    assert "can't read the prompt @user1" in say and r"is typed '\@user1 '" in say
    assert (read_prompt(r"\@user1 "), read_prompt(r"\-"), read_prompt(r"\\@")) == ("@user1 ", "-", r"\@")


def test_a_reports_prompt_is_typed_as_any(trained, tmp_path):
    (tmp_path / "prompt.txt").write_bytes(b"\xef\xbb\xbfThou art")
    out = tmp_path / "report.html"
    trained("report", "--ckpt_path", trained.best, "--out", out, f"--prompt=@{tmp_path / 'prompt.txt'}")
    assert '<pre class="sample">Thou art' in out.read_text()
