import pytest


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("lightning-gpt ", {"fit", "generate", "doctor", "verify-resume"}, {"--help"}),
        ("lightning-gpt gen", {"generate"}, {"fit"}),
        ("lightning-gpt generate --te", {"--temperature"}, {"--top_k"}),
        ("lightning-gpt generate --cached ", {"true", "false"}, {"--top_k"}),
        ("lightning-gpt ladder --ru", {"--rungs", "--runs_dir"}, {"--configs"}),
        ("lightning-gpt doctor --j", {"--json"}, set()),
        ("lightning-gpt fit --data.block", {"--data.block_size"}, {"--data.batch_size"}),
        ("lightning-gpt validate --ckpt", {"--ckpt_path"}, set()),
        ("lightning-gpt compare --dev", {"--device"}, set()),
    ],
)
def test_what_the_shell_is_offered(shell, line, offered, not_offered):
    answer = shell.folder / "answer"
    shell(
        _ARGCOMPLETE="1", COMP_LINE=line, COMP_POINT=str(len(line)), COMP_TYPE="9",
        _ARGCOMPLETE_STDOUT_FILENAME=str(answer), _ARGCOMPLETE_SUPPRESS_SPACE="1", _ARGCOMPLETE_IFS="\n",
    )  # fmt: skip
    given = {word.strip() for word in answer.read_text().split("\n")}
    assert offered <= given and not not_offered & given, given
