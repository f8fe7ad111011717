"""Objects are made of names or bytes in few places, which are listed here: a new one is looked at first."""

import pytest
from conftest import ROOT

ALLOWED = {  # what makes objects of names or bytes, and the only files that may
    "import_module(": {"__init__.py", "cli.py", "exchange/libraries.py"},
    ".instantiate(": {"launch/preparation.py", "launch/loggers.py"},  # loggers that the user names
    "instantiate_trainer(": {"launch/preparation.py"},
    "instantiate_class": {"launch/configuration.py"},
    "torch.load(": {"model/checkpoint.py", "text/tensors.py"},  # weights_only
    "load_from_checkpoint(": {"training/module.py"},
    "SafeLoader(": {"runs/config.py"},
    "yaml.safe_load(": {"launch/configuration.py", "launch/loggers.py", "arguments/types.py"},
    "yaml.load(": set(), "unsafe_load": set(), "full_load": set(), "pickle.load": set(), "Unpickler": set(),
    "pickle": {"exchange/nanogpt.py", "exchange/hugging_face.py"},  # writes one; reads with a reader of its own
    "marshal": set(), "shelve": set(),
    "eval(": set(), "exec(": set(), "__import__": set(), "os.system": set(), "joblib": set(), "dill": set(),
    "numpy.load": set(), "np.load(": set(), "ctypes": {"machine.py"},
    "subprocess": {
        "arguments/program.py", "benchmark/law.py", "benchmark/measurements.py", "commands/verify_resume.py",
        "training/checkpoints.py",
    },
}  # fmt: skip


@pytest.mark.parametrize("word", ALLOWED)
def test_no_new_way_of_making_objects_has_come_in(word):
    source = ROOT / "lightning_gpt"
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        for line in path.read_text().splitlines()
        if word in line.replace("network.eval()", "").replace(".eval()", "").replace("retrieval(", "")
    }
    assert found <= ALLOWED[word], found - ALLOWED[word]
