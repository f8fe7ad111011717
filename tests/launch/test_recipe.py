"""A recipe stands on others: bases in order, later ones win, another class inherits nothing; old names are today's."""

import pytest

from lightning_gpt import UserError
from lightning_gpt.launch.recipe import merged, read_recipe, renamed, written_out


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_later_ones_win_and_mappings_are_merged(write):
    write("base/a.yaml", "data: {corpus: a, block_size: 8}\ntrainer: {max_steps: 1}")
    write("base/b.yaml", "base: a.yaml\ndata: {block_size: 16}")
    recipe = write("r.yaml", "base: [base/a.yaml, base/b.yaml]\ntrainer: {max_steps: 5}\nsample: {prompts: [x]}")
    assert read_recipe(recipe) == {
        "data": {"corpus": "a", "block_size": 16},
        "trainer": {"max_steps": 5},
        "sample": {"prompts": ["x"]},
    }


@pytest.mark.parametrize(
    ("over", "result"),
    [
        ({"class_path": "B"}, {"class_path": "B"}),
        ({"class_path": "m.A", "init_args": {"y": 3}}, {"class_path": "m.A", "init_args": {"x": 1, "y": 3}}),
        ({"init_args": {"x": 2}}, {"class_path": "A", "init_args": {"x": 2}}),
        ("B", "B"),
        (None, None),
    ],
)
def test_another_class_inherits_no_init_args(over, result):
    assert merged({"n": {"class_path": "A", "init_args": {"x": 1}}}, {"n": over}) == {"n": result}


def test_its_own_base(write):
    write("b.yaml", "base: a.yaml")
    with pytest.raises(UserError, match=r"a\.yaml is its own base \(a\.yaml -> b\.yaml -> a\.yaml\)"):
        read_recipe(write("a.yaml", "base: b.yaml"))


@pytest.mark.parametrize(("base", "says"), [("none.yaml", "does not exist"), ("3", "a path or a list of paths, not 3")])
def test_a_base_that_is_none(write, base, says):
    with pytest.raises(UserError, match=says):
        read_recipe(write("a.yaml", f"base: {base}"))


def test_only_a_recipe_with_a_base_or_old_names_is_written_out(write):
    plain = write("plain.yaml", "name: x")
    based = write("based.yaml", "base: plain.yaml\nrunz: 1")
    old = write("old.yaml", "model: {network: {class_path: Residual}}")
    words = list(written_out(["--config", str(plain), "-c", str(based), f"--config={old}", "--name", "y"]))
    assert words[0] == f"--config={plain}" and words[1] == "--config=name: x\nrunz: 1\n"
    assert "ResidualGPT" in words[2] and words[3:] == ["--name", "y"]


@pytest.mark.parametrize(
    ("typed", "today"),
    [
        (["--model.network=AttendAndThink"], ["--model.network=FeedForwardGPT"]),
        (["--model.network", "Normed", "--name=Normed"], ["--model.network=LayerNormGPT", "--name=Normed"]),
        (["--model.network.own_head=true"], ["--model.network.tie_weights=false"]),
        (["--model.network.init_args.convolution", "3"], ["--model.network.init_args.conv_width=3"]),
        (["--model.network.n_layer=3"], ["--model.network.n_layer=3"]),
    ],
)
def test_what_is_typed_in_old_names(typed, today):
    assert list(renamed(typed)) == today
