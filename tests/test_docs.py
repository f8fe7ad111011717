"""What the documents say is so: links lead somewhere, commands and options exist, a figure stands in one place."""

import ast
import io
import re
import shlex
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout
from functools import cache

import pytest
import yaml
from conftest import ROOT

import lightning_gpt
from lightning_gpt.cli import COMMANDS, main

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "data" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.M))
VARIABLES = set(re.findall(r"^([A-Z]+) +[?]=", MAKEFILE, re.M))
# all their options stand in their help
SIMPLE = ("generate", "data", "bench", "compare", "report", "page", "watch", "export", "import")
LOSS = re.compile(r"(?<![\d.,-])[1-4]\.\d{3,4}(?![\d.])")  # in nats, to three or four decimals

of_documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(text, language=""):
    """The fenced blocks of a document, those of one language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
    return [block for of, block in found if of == language]


def prose(text):
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(path):
    """What a link may name after #, by GitHub's rule."""
    heads = re.findall(r"^#+ (.+)$", prose(path.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(text):
    """The commands shown in blocks and between backticks, each as a list of words."""
    spans = re.findall(r"`([^`\n]+)`", prose(text))
    lines = [line for block in blocks(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in lines + spans:
        if re.match(r"(srun |\.venv/bin/)*lightning-gpt [a-z]|make [a-z]|torchrun ", line):
            words = shlex.split(line, comments=True)
            if "lightning_gpt" in words:
                yield ["lightning-gpt", *words[words.index("lightning_gpt") + 1 :]]
            else:
                yield [word.removeprefix(".venv/bin/") for word in words if word != "srun"]


def shown():
    """Every command of every document, once."""
    found = {tuple(words): path for path in DOCUMENTS for words in commands(path.read_text())}
    return [pytest.param(list(words), id=" ".join(words)) for words in found]


@cache  # a help is asked for by every document
def outcome(*args):
    """Runs a command that ends by itself: its exit status, and what it printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            status = main(list(args))
        except SystemExit as stop:
            status = stop.code
    return status or 0, said.getvalue()


def must_be_known(command, options):
    """Asserts that the command has these options: its help names them, or a fit's parser accepts them."""
    assert command in COMMANDS
    _, text = outcome(command, "--help")
    names = [word.partition("=")[0] for word in options if word.startswith("--")]
    own = {name for name in names if re.search(rf"{re.escape(name)}\b(?![.\w])", text)}
    if command == "fit":
        own &= {"--ckpt_path", "--init_from"}  # which need a run; the others are parsed, values and all
    if command in SIMPLE:
        assert set(names) == own, f"{command} has no {set(names) - own}"
        return
    rest, known = [], False
    for word in options:
        known = word.partition("=")[0] in own if word.startswith("--") else known
        if not known:
            rest.append(word)
    if rest:
        given = [] if any(word.startswith("--config") for word in rest) else [f"--config={ROOT}/configs/cpu.yaml"]
        args = [word.replace("configs/", f"{ROOT}/configs/") for word in rest]
        status, out = outcome("fit", *given, *args, "--budget=null", "--print_config")  # measures nothing
        assert status == 0, out


@of_documents
def test_every_link_leads_to_a_file_and_its_heading(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_and_picture_is_linked():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in DOCUMENTS
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    }
    for path in [*(ROOT / "docs").glob("[a-z]*.md"), *(ROOT / "docs" / "pictures").iterdir()]:
        assert path.resolve() in linked, path.name


@pytest.mark.parametrize("words", shown())
def test_every_command_shown_exists_with_its_options(words):
    program, command, *options = words
    if program == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert targets and set(targets) <= TARGETS
        variables = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        assert set(variables) <= VARIABLES
        if "CONFIG" in variables and "<" not in variables["CONFIG"]:
            assert (ROOT / variables["CONFIG"]).is_file()
        recipe = re.search(rf"^{command}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
        run = re.search(r"lightning-gpt ([\w-]+)", recipe[1] if recipe else "")
        if "ARGS" in variables:
            must_be_known(run[1], shlex.split(variables["ARGS"]))
    else:
        must_be_known(command, options)


@of_documents
def test_every_option_in_the_prose_exists(document):
    fits = outcome("fit", "--help")[1]
    others = "".join(outcome(command, "--help")[1] for command in COMMANDS) + "--debug --config"
    for span in re.findall(r"`(--[\w.]+[^`\n]*)`", prose(document.read_text())):
        name, *value = shlex.split(span)
        pattern = rf"{re.escape(name)}\b(?![.\w])"
        if not re.search(pattern, others) or (value and re.search(pattern, fits)):
            must_be_known("fit", [name, *value])


def test_every_recipe_named_exists_and_is_listed():
    text = "".join(path.read_text() for path in DOCUMENTS)
    for name in re.findall(r"configs/[\w./-]+\.yaml", re.sub(r"`git show [^`]*`", "", text)):
        assert (ROOT / name).is_file(), name
    listed = (ROOT / "docs" / "recipes.md").read_text()
    for path in (ROOT / "configs").glob("*.yaml"):
        assert f"`configs/{path.name}`" in listed


def test_every_page_that_a_recipe_names_exists():
    for path in (ROOT / "configs").rglob("*.yaml"):
        for name in re.findall(r"docs/[\w-]+\.md", path.read_text()):
            assert (ROOT / name).is_file(), f"{path.name}: {name}"


def test_a_figure_stands_in_one_place():
    places = defaultdict(set)
    for path in DOCUMENTS:
        for figure in LOSS.findall(path.read_text()):
            places[figure].add(path.name)
    for path in (ROOT / "configs").rglob("*.yaml"):
        for comment in re.findall(r"#.*", path.read_text()):
            for figure in LOSS.findall(comment):
                places[figure].add(path.name)
    assert places, "no figure was found at all"
    assert {figure: found for figure, found in places.items() if len(found) > 1} == {}


def test_the_ladders_table_is_whole():
    rows = re.findall(r"^\| (\d-[a-z-]+) \|", (ROOT / "README.md").read_text(), re.M)
    assert rows == sorted(path.stem for path in (ROOT / "configs" / "ladder").glob("[1-9]-*.yaml"))


@of_documents
def test_python_on_a_page_is_python(document):
    for block in blocks(document.read_text(), "python"):
        ast.parse(block)


def test_names_used_in_python_are_public():
    used = set()
    for path in DOCUMENTS:
        for block in blocks(path.read_text(), "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and node.module == "lightning_gpt":
                    used |= {alias.name for alias in node.names}
                elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "lightning_gpt":
                    used.add(node.attr)
    assert used and used <= set(lightning_gpt.__all__)


def test_the_file_tree_names_what_is_there():
    tree = next(block for block in blocks((ROOT / "README.md").read_text()) if block.startswith("lightning_gpt/\n"))
    for line in tree.splitlines()[1:]:
        name = line.split()[0]
        assert (ROOT / "lightning_gpt" / name if line.startswith("  ") else ROOT / name).exists(), name


def test_pre_commit_runs_what_make_check_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    check = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)[1]
    lines = [line.strip().removeprefix("@") for line in check.splitlines()]
    assert hooks == [line.replace("$(BIN)", ".venv/bin").replace("$(MAKE)", "make") for line in lines]


def test_the_changelog_has_this_version():
    assert f"\n## {lightning_gpt.__version__}" in (ROOT / "CHANGELOG.md").read_text()
