"""The arrows between the rooms run one way, and importing does nothing heavy."""

import ast
import importlib
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
from lightning.pytorch.cli import LightningCLI

import lightning_gpt
from lightning_gpt.ladder import NETWORKS
from lightning_gpt.launch.configuration import Configuration

ROOT = Path(lightning_gpt.__file__).parent
LEAVES = {"errors", "files", "interrupt", "terminal"}
ALLOWED = {
    "errors": set(),
    "files": set(),
    "imports": set(),
    "interrupt": set(),
    "terminal": set(),
    "machine": set(),
    "ladder": set(),
    "tokens": LEAVES,
    "text": LEAVES | {"tokens"},
    "model": LEAVES | {"machine", "ladder", "tokens", "text"},
    "exchange": LEAVES | {"ladder", "tokens", "text", "model"},
    "runs": LEAVES | {"tokens", "text", "model"},
    "pictures": set(),
    "report": {"ladder", "tokens", "text", "model", "pictures"},
    "page": {"errors", "tokens", "model"},
    "watch": LEAVES | {"tokens", "runs", "page"},
    "training": LEAVES | {"machine", "ladder", "tokens", "text", "model", "runs", "pictures"},
    "lecture": {"ladder", "tokens", "text"},
    "budget": LEAVES,
    "benchmark": LEAVES | {"machine", "budget", "ladder", "text", "lecture", "model", "runs"},
    "arguments": LEAVES,
    "launch": LEAVES | {"arguments", "budget", "machine", "ladder", "tokens", "text", "model", "runs", "training"},
    "diagnosis": LEAVES | {"budget", "machine", "text", "launch"},
    "commands": LEAVES
    | {"arguments", "diagnosis", "exchange"}
    | {
        "machine",
        "benchmark",
        "ladder",
        "tokens",
        "text",
        "model",
        "runs",
        "pictures",
        "report",
        "page",
        "watch",
        "training",
        "launch",
    },
    "cli": LEAVES | {"arguments", "commands", "imports"},
    "__init__": {"errors", "ladder", "model", "runs", "training", "launch"},
    "__main__": {"cli", "interrupt", "terminal"},
}
NO_LIGHTNING = {
    "arguments",
    "errors",
    "files",
    "imports",
    "interrupt",
    "terminal",
    "machine",
    "ladder",
    "tokens",
    "text",
    "model",
    "exchange",
    "runs",
    "pictures",
    "report",
    "page",
    "watch",
    "lecture",
    "budget",
    "benchmark",
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "lightning_gpt":
                yield from (f"lightning_gpt.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_run_one_way(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imports(path):
        if name.startswith("lightning_gpt."):
            target = name.split(".")[1]
            assert target == room or target in ALLOWED[room] or target.startswith("__"), f"{room} imports {target}"
        if room in NO_LIGHTNING:
            assert name.split(".")[0] not in ("lightning", "pytorch_lightning"), f"{path} imports Lightning"


PAGES = ["network", *sorted(path.stem for path in (ROOT / "ladder").glob("rung*.py"))]
for page, first in {"rung8b_gpt": ["cache", "kernels"], "rung9_modern": ["pointer"]}.items():
    PAGES[PAGES.index(page) : PAGES.index(page)] = first  # in the order in which they are read


@pytest.mark.parametrize("page", PAGES)
def test_a_rung_imports_lower_rungs_only(page):
    before = {f"lightning_gpt.ladder.{lower}" for lower in PAGES[: PAGES.index(page)]}
    for name in imports(ROOT / "ladder" / f"{page}.py"):
        assert not name.startswith("lightning_gpt") or name in before, name


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import lightning_gpt", ["torch", "lightning"]),
        ("import lightning_gpt.__main__", ["lightning_gpt.cli", "lightning_gpt.terminal"]),  # Ctrl-C comes first
        ("import lightning_gpt.cli", ["torch", "lightning", "jsonargparse"]),
        ("import lightning_gpt; lightning_gpt.load", ["lightning", "matplotlib"]),
        ("import lightning_gpt.commands.generate", ["lightning", "matplotlib", "charset_normalizer"]),
    ],
)
def test_nothing_is_imported_too_early(statement, absent):
    code = f"{statement}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_public_names():
    assert callable(lightning_gpt.load) and issubclass(lightning_gpt.UserError, ValueError)
    with pytest.raises(AttributeError):
        _ = lightning_gpt.no_such_name


# names of others that they have not promised to keep: each is there, or this test says which one went
PRIVATE = {
    "__main__.py": {"_exit": "os:"},  # which is public all the same
    "interrupt.py": {"_exit": "os:"},
    "model/packed.py": dict.fromkeys(
        ("_is_mkldnn_bf16_supported", "_linear_pointwise", "_reorder_linear_weight"), "torch:ops.mkldnn"
    ),
    "training/board.py": {"_get_file_writer": "torch.utils.tensorboard:SummaryWriter"},
    "training/optimizer.py": {
        "_foreach_lerp_": "torch:", "_foreach_lerp": "torch:", "_foreach_mul_": "torch:", "_foreach_add_": "torch:",
        "_foreach_mul": "torch:", "_foreach_addcmul_": "torch:", "_foreach_sign_": "torch:",
        "_foreach_clamp_min_": "torch:",
    },
    "machine.py": {"_is_avx512_bf16_supported": "torch:cpu", "_is_amx_tile_supported": "torch:cpu"},
}  # fmt: skip


def private_names(path):
    """Finds private attributes of any object but one's own."""
    tree = ast.parse(path.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            of = node.value
            if not (isinstance(of, ast.Name) and of.id in ("self", "cls")) and node.attr not in own:
                yield node.attr


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_private_names_of_others_are_known(path):
    assert set(private_names(path)) == set(PRIVATE.get(str(path.relative_to(ROOT)), {}))


def test_private_names_of_others_are_still_there():
    for path, names in PRIVATE.items():
        for name, where in names.items():
            module, _, attribute = where.partition(":")
            owner = importlib.import_module(module)
            owner = attrgetter(attribute)(owner) if attribute else owner
            assert hasattr(owner, name), f"{path} uses {where}.{name}, and it is gone"


def test_lightnings_command_line_is_used_by_its_public_names():
    """Every method that Configuration overrides is one that LightningCLI documents, and is there."""
    overridden = {name for name in vars(Configuration) if name in dir(LightningCLI) and not name.startswith("__")}
    assert overridden == {"add_arguments_to_parser", "instantiate_classes", "parse_arguments"}
    private = [name for name in vars(Configuration) if name.startswith("_") and hasattr(LightningCLI, name)]
    assert all(name.startswith("__") for name in private), private


def test_every_public_name_is_there_and_offered():
    assert set(lightning_gpt.__all__) < set(dir(lightning_gpt))
    assert all(getattr(lightning_gpt, name) is not None for name in lightning_gpt.__all__)
    assert {network.__name__ for network in NETWORKS} <= set(lightning_gpt.__all__)
