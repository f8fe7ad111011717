"""Puts the doctor's findings into plain words, with remedies: a page of text."""

from collections.abc import Iterable
from typing import Any

from lightning_gpt.terminal import row
from lightning_gpt.text.overlap import LONG

RARE = 10  # a token that occurs less often is hardly learned
COPIED = 100  # characters: no line of this length occurs twice by accident
STEPS = 12  # steps that are measured


def in_words(findings: dict[str, dict[str, Any]]) -> str:
    """Formats the findings as a page of text, remedies included."""
    lines = [*say_machine(findings["machine"])]
    if findings["text"]:
        lines += ["", *say_text(findings["text"])]
    lines += ["", *say_recipe(findings["recipe"], findings["machine"])]
    return "\n".join(lines)


def warn(text: str) -> str:
    """Formats a warning."""
    return row("!", text, "yellow")


def say_machine(found: dict[str, Any]) -> list[str]:
    """Describes the machine."""
    gpu = f", {found['gpu']}" if found["gpu"] else ""
    half = f", {found['bf16_flops'] / 1e9:,.0f} in bf16" if found["bf16_flops"] else ", no bf16 arithmetic"
    compiler = "a C++ compiler" if found["compiler"] else "no C++ compiler: on the CPU --model.compile has no effect"
    memory, disk = size(found["memory_bytes"]), size(found["disk_free_bytes"])
    return [
        row("machine", f"{found['cores']} cores of {found['processor']}{gpu}"),
        row("", f"{found['fp32_flops'] / 1e9:,.0f} GFLOP/s in fp32{half}: {found['best_precision']} suits it"),
        row("", f"{memory} of memory, {disk} free on the disk of the runs"),
        row("", f"Python {found['python']}, torch {found['torch']}, {compiler}"),
    ]


def say_text(found: dict[str, Any]) -> list[str]:
    """Describes the text."""
    unit = found["unit"]
    tokens = "" if unit == "character" else f"{found['tokens']:,} {unit}s, "
    kind = f"{found['characters']:,} characters, {tokens}{found['distinct']:,} distinct, {found['encoding']}"
    lines = [
        row("text", f"{found['corpus']}: {kind}"),
        row("", f"{found['train_characters']:,} characters to train on, {found['held_out_characters']:,} held out"),
        *(row("", remark) for remark in found["remarks"]),
        *(warn(warning) for warning in found["warnings"]),
    ]
    if rare := found["rare"]:
        lines.append(row("", f"{len(rare)} {unit}s occur in it fewer than {RARE} times: {some(rare)}"))
    if unseen := found["unseen"]:
        lines.append(warn(f"the held-out text has {unit}s that the training text lacks: {some(unseen)}"))
    if examples := found["examples"]:
        lines.append(
            row("", f"each line an example: {examples['train']:,} to train on, {examples['held_out']:,} held out")
        )
        if known := examples["held_out_known"]:
            twice = f"{known:.1%} of the held-out lines are among those to train on"
            lines.append(warn(f"{twice}: val/loss and val/exact will look better than they are; remove duplicates"))
        return lines
    budgets = [
        row("" if number else "budgets", f"{budget:>3}: {one['choice']}; val/loss about {one['expected_loss']:.2f}")
        for number, (budget, one) in enumerate(found["budgets"].items())
    ]
    if budgets:
        budgets.append(row("", "expected of a text like Tiny Shakespeare; begin one with fit --budget 2m"))
    copied, long = found["held_out_copied"], found["held_out_copied_long"]
    if copied is None:
        return [*lines, row("", "too long to look for parts of it that occur twice"), "", *budgets]
    longest = f"the longest has {found['longest_copied']:,}"
    where = f"of the held-out text also occurs in the training text, in stretches of {LONG} or more; {longest}"
    lines.append(row("", f"{copied:.1%} {where}"))
    if long > 0.01:
        where = f"of it in stretches of {COPIED} or more: val/loss will look better than it is; remove duplicates"
        lines.append(warn(f"{long:.0%} {where}"))
    return [*lines, "", *budgets]


def some(tokens: Iterable[str], most: int = 30) -> str:
    """Joins a few tokens, readable."""
    shown = [repr(token)[1:-1] for token in tokens]
    return " ".join(shown[:most]) + (" …" if len(shown) > most else "")


ADVICE = {
    "unlikely": "",
    "possible": ": best.ckpt is from before it begins",
    "likely": ": --model.network.dropout 0.2, --data.noise 0.1, fewer steps or more text help",
}


def say_recipe(found: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Describes the recipe."""
    if found["problems"]:
        return [warn(problem) for problem in found["problems"]]
    ratio = f"{found['parameters_per_character']:.2g} for each character to train on"
    work = f"{found['characters_per_step']:,} characters a step, in blocks of {found['block_size']}"
    if found["steps"]:
        work = f"{found['steps']:,} steps, {work}: the text {found['passes']:.1f} times"
    lines = [
        row("recipe", f"{found['network']} of {found['parameters']:,} parameters, {ratio}"),
        row("", work),
        row("", f"overfitting (memorising the text) is {found['overfitting']}{ADVICE[found['overfitting']]}"),
        row("", f"{size(found['checkpoint_bytes'])} of checkpoints, {size(found['peak_memory_bytes'])} of memory"),
    ]
    if here["best_precision"] != found["precision"]:
        lines.append(warn(f"in {found['precision']}, while {here['best_precision']} suits this machine better"))
    if found["checkpoint_bytes"] > here["disk_free_bytes"]:
        lines.append(warn(f"its checkpoints take {size(found['checkpoint_bytes'])}, more than the disk has"))
    whole = f"about {duration(found['expected_seconds'])} in all" if found["expected_seconds"] else "without end"
    each = f"{found['seconds_per_step'] * 1e3:,.0f} ms a step, {found['seconds_per_validation']:.1f} s a validation"
    compiled = "; not compiled, as the recipe will be, after a slow start" if found["compile"] else ""
    lines.append(row("time", f"{whole}: {each}, measured over {STEPS} steps{compiled}"))
    return lines


def size(count: float) -> str:
    """Formats bytes."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """Formats seconds."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
