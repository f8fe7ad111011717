"""Complaints are made of our own knowledge of names and types: each says what to do, in words of ours."""

import re

import pytest
from conftest import TINY

from lightning_gpt import UserError
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.options import CHOICES, choice_options, given_options, known_options, problems

NOT_FOR_USERS = re.compile(r"typing\.|<class|Parser key|Union|Literal\[|NoneType|jsonargparse|dot import")


def said(*args):
    return problems(given_options(list(args)))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--data.corpsu=x"], ["there is no option data.corpsu; did you mean data.corpus?"]),
        (["--zzz=1"], ["there is no option zzz; see --help"]),
        (["--model.network=GTP"], ["there is no network GTP; did you mean GPT?"]),
        (["--model.optimizer=SGD"], ["there is no optimizer SGD; there are AdamW, Muon"]),
        (["--model.network=GPT", "--model.network.n_lyer=3"], ["GPT has no option n_lyer; did you mean n_layer?"]),
        (["--model.network=GPT", "--model.network.softcap=3"], ["GPT has no option softcap; ModernGPT, Ensemble have"]),
        (["--model.network=Bigram", "--model.network.zz=3"], ["Bigram has no option zz; it has none"]),
        (["--model.optimizer.lrr=1"], ["AdamW has no option lrr; did you mean lr?"]),
        (["--model.optimizer=Muon", "--model.optimizer.betas=[1,2]"], [
            "Muon has no option betas; did you mean adamw_betas?",
        ]),
        (["--model.network.vocab_size=9"], [
            "--model.network.vocab_size can't be chosen: it is the text's own number of characters",
        ]),
        (["--data.seed=9"], ["--data.seed can't be chosen: --seed_everything gives it"]),
        (["--trainer.max_steps=many"], ["--trainer.max_steps takes a whole number, not 'many'"]),
        (["--trainer.max_steps", "1e3"], ["--trainer.max_steps takes a whole number, not '1e3'"]),
        (["--data.noise=much"], ["--data.noise takes a number, not 'much'"]),
        (["--model.compile=1"], ["--model.compile takes true or false, not '1'"]),
        (["--resume=perhaps"], ["--resume takes never, ask or auto, not 'perhaps'"]),
        (["--model.schedule.decay=cubic"], ["--model.schedule.decay takes constant, cosine or linear, not 'cubic'"]),
        (["--sample.prompts=Once"], [
            '--sample.prompts takes a list of texts, as ["one", "two"] or null, not \'Once\'',
        ]),
        (["--model.optimizer.betas=2"], ["--model.optimizer.betas takes a list of 2 numbers, not '2'"]),
        (["--model.schedule.changes=5"], [
            "--model.schedule.changes takes a list of lists of 2 whole numbers, not '5'"
        ]),
        (["--model.optimizer.betas=[1]"], ["--model.optimizer.betas takes a list of 2 numbers, not '[1]'"]),
        (["--sample.top_k=[1]"], ["--sample.top_k takes a whole number or null, not '[1]'"]),
        (["--trainer.precision=17"], [
            "--trainer.precision takes 64, 32, 16, transformer-engine, transformer-engine-float16, 16-true, 16-mixed, "
            "bf16-true, bf16-mixed, 32-true, 64-true, bf16 or null, not '17'",
        ]),
        (["--data.block_size=x", "--data.batch_size=y", "--naem=z"], [
            "--data.block_size takes a whole number, not 'x'",
            "--data.batch_size takes a whole number, not 'y'",
            "there is no option naem; did you mean name?",
        ]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_remedy(args, says):
    assert said(*args) == says


@pytest.mark.parametrize(
    "args",
    [
        TINY,
        ["--model.network=GPT", "--model.network.init_args.n_layer=3", "--data.noise=1e-1", "--data.noise=.5"],
        ["--model.network.class_path=ModernGPT", "--model.network.softcap=null", "--model.network.softcap=.inf"],
        ["--model.network=my.own.Network", "--model.network.whatever=3"],
        ["--trainer.devices=auto", "--trainer.devices=2", "--trainer.devices=[0,1]", "--trainer.devices=0,1"],
        [
            "--trainer.logger=false",
            "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
            "--trainer.logger.save_dir=x",
        ],
        ["--trainer.callbacks+=lightning.pytorch.callbacks.Timer", "--seed_everything=true", "--seed_everything", "3"],
        ["--ckpt_path=null", "--data.offline_corpus=null", "--sample.prompts=null", '--sample.prompts=["a", "b"]'],
        ["--model.schedule={warmup_steps: 3}", "--model.compile=True", "--print_config"],
    ],
)
def test_what_is_right_passes(args):
    assert said(*args) == []


def test_a_files_fault_names_the_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "data: {corpus: 3}\nmodel: {network: {class_path: GPT, init_args: {n_heads: 2}}}\ntrainer: {max_stps: 1}"
    )
    assert said(f"--config={path}") == [
        f'{path}: data.corpus takes a text or a list of texts, as ["one", "two"], not 3',
        f"{path}: GPT has no option n_heads; did you mean n_head?",
        f"{path}: there is no option trainer.max_stps; did you mean trainer.max_steps?",
    ]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["text.txt"], "unexpected 'text.txt': options begin with --"),
        (["--data.corpus"], "--data.corpus needs a value"),
        (["--config", "none.yaml"], "the configuration none.yaml does not exist"),
    ],
)
def test_what_is_no_option_at_all(args, says):
    with pytest.raises(UserError, match=re.escape(says)):
        said(*args)


@pytest.mark.parametrize("name", known_options())
def test_no_option_shows_a_parsers_words(name):
    """Whatever is given for whichever option: what is said of it can be read by a person."""
    for value in ("\u2603", "[", "{}", "", "-5", "1e999", "nan"):
        for line in said(f"--{name}={value}") if name != "config" else []:
            assert not NOT_FOR_USERS.search(line) and "\n" not in line, line


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["--trainer.logger=nonsense"],
            "--trainer.logger takes a class with its init_args, true or false or null, not",
        ),
        (["--data.noise=nan"], "--data.noise takes a number, not 'nan'"),
        (["--model.optimizer.lr=nan"], "--model.optimizer.lr takes a number, not 'nan'"),
        (["--model.optimizer=os.system"], "--model.optimizer takes AdamW, Muon, or the class path of one of your own"),
        (["--model.network=null"], "which network? give a recipe"),
    ],
)
def test_what_only_lightning_could_refuse_is_said_by_type(shell, args, says):
    assert says in shell("fit", "--data.corpus=text.txt", *TINY, *args, status=2).stderr


def test_null_for_an_optimizer_is_the_default(shell):
    shell("fit", "--data.corpus=text.txt", *TINY, "--trainer.max_steps=1", "--model.optimizer=null")


def test_every_choice_has_its_options():
    for option, classes in CHOICES.items():
        for name in classes:
            hints = choice_options(option, name)
            assert not any(
                f"{option}.{inner}" in ("model.network.vocab_size", "model.network.block_size") for inner in hints
            )
    assert set(choice_options("model.network", "Ensemble")) > {"n_member", "n_layer", "softcap"}


@pytest.mark.parametrize("text", ["#", "~", "---", "&a", "=", "x #y", "'q'"])
def test_a_typed_text_stays_what_was_typed(text):
    args = ["--model.network=Bigram", f"--data.offline_corpus={text}", f"--name={text}", f"--data.corpus={text}"]
    config = configure("fit", args).config
    assert (config.data.offline_corpus, config.name, config.data.corpus) == (text, text, text)


def test_null_is_none_where_that_is_an_answer():
    assert configure("fit", ["--model.network=Bigram", "--data.offline_corpus=null"]).config.data.offline_corpus is None
