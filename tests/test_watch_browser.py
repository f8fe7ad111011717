"""The page of a running fit as a person sees it, in Chromium: it moves, it stops the run, and nothing is markup."""

import re
from contextlib import contextmanager

import pytest
from conftest import TEXT, TINY, Shell, contrast
from test_page_browser import INK
from torch.utils.tensorboard import SummaryWriter

from lightning_gpt.runs import Result

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title='broken'><script>document.title='broken'</script>"
RECIPE = ["--data.corpus=text.txt", *TINY, "--sample.prompts=['Shall I', 'Rough winds']"]


@contextmanager
def watched(shell, *args):
    """The address that the command prints; its process, for the browser's event loop is in ours."""
    process = shell.start("watch", *args, "--port=0")
    try:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The address of the page of a run that has ended."""
    shell = Shell(tmp_path_factory.mktemp("finished"))
    (shell.folder / "text.txt").write_text(TEXT)
    options = ["--trainer.max_steps=100", "--trainer.val_check_interval=25", "--sample.max_new_tokens=60"]
    shell.process("fit", *RECIPE, *options)
    with watched(shell) as address:
        yield address


@pytest.mark.parametrize(("width", "scheme"), [(1360, "light"), (1360, "dark"), (390, "light"), (390, "dark")])
def test_a_run_that_has_ended_is_whole_and_fits(opened, finished, screenshot, width, scheme):
    page = opened(finished, width, scheme)
    page.locator("#heads img[src]").nth(3).wait_for()
    page.wait_for_function("[...document.querySelectorAll('#heads img')].every(img => img.complete)")
    screenshot(page, f"watch-{width}-{scheme}", full_page=True)
    assert page.title() == "finished: gpt/version_0" and page.locator("#halt").is_hidden()
    assert page.locator("#facts").inner_text().split("\n")[:2] == ["step", "100 of 100"]
    assert page.locator("#samples figure").count() == 2 and page.locator("#validations tbody tr").count() == 4
    for name in ("uniform", "unigram", "bigram", "5-gram"):
        assert page.locator(".level + text, text").get_by_text(name).count() >= 1
    assert page.locator("#loss polyline").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    root = finished.partition("#")[0]
    assert all(url.startswith((root, f"blob:{root}", "data:")) for url in page.requested) and not page.wrong
    too_faint = page.evaluate(INK)
    assert too_faint and all(contrast(paper, ink) >= 4.5 for paper, ink in too_faint), too_faint


def test_values_are_read_off_by_the_keyboard(opened, finished):
    page = opened(finished)
    slider = page.get_by_label("Loss: step to read off")
    page.locator("[aria-valuetext^='step 100: trained on ']").wait_for(state="attached")  # once the run is there
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext").startswith("step 10: trained on ")
    page.keyboard.press("ArrowRight")
    assert "held out –" in slider.get_attribute("aria-valuetext")
    assert page.locator("#loss .step").inner_text() == "step 20"
    box = page.locator("#loss .chart").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 15, box["y"] + 50)
    assert page.locator("#loss .step").inner_text() == "step 100"


def test_an_address_without_its_key_says_so(opened, finished):
    page = opened(finished.partition("#")[0])
    page.get_by_text("has an old key, or none").wait_for()
    assert page.locator("#name").inner_text() == "A run" and page.locator("#halt").is_disabled()


def test_a_run_is_stopped_by_the_keyboard(opened, tmp_path, screenshot):
    (tmp_path / "text.txt").write_text(TEXT)
    shell = Shell(tmp_path)
    fit = shell.start("fit", *RECIPE, "--trainer.max_steps=1000000", "--trainer.val_check_interval=20")
    for line in fit.stdout:
        if line.startswith("step"):
            break
    with watched(shell) as address:
        page = opened(address)
        page.locator(".badge.running").wait_for()
        page.get_by_text("time left").wait_for()
        page.get_by_label("Loss: step to read off").focus()
        page.keyboard.press("Home")
        before = page.locator("#facts dd").first.inner_text()
        page.wait_for_function("before => document.querySelector('#facts dd').textContent !== before", arg=before)
        assert page.locator("#loss .step").inner_text() == "step 10"  # the reader's place
        assert re.fullmatch(r"\d+% gpt/version_0", page.title())
        page.locator("#halt").focus()
        page.keyboard.press("Enter")
        assert page.locator("dialog").get_by_text("Stop gpt/version_0?").is_visible()
        assert page.evaluate("document.activeElement.id") == "no"
        screenshot(page, "watch-stop")
        page.keyboard.press("Escape")
        assert page.locator("dialog").is_hidden()
        page.keyboard.press("Enter")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.locator(".badge.stopped").wait_for()
        assert "fit --ckpt_path runs/gpt/version_0/checkpoints/last.ckpt" in page.locator("#status").inner_text()
        _, err = fit.communicate(timeout=60)
        assert fit.returncode == 130 and "stopped by a request after step" in err and not page.wrong


def test_a_folder_that_was_sent_stays_text(opened, tmp_path, shell):
    folder = tmp_path / "runs" / HOSTILE.replace("/", "\u2215") / "version_0"
    with SummaryWriter(str(folder)) as writer:
        writer.add_text(f"sample/{HOSTILE}", f"    {HOSTILE}\n    </pre><b>x</b>", 3)
        writer.add_scalar("loss/train", 2.0, 3)
        writer.add_scalar("loss/train", float("nan"), 4)
    Result(max_steps=9, card=((HOSTILE, HOSTILE),)).write(folder)
    (folder / "config.yaml").write_text(f'data: {{"{HOSTILE}')
    with watched(shell) as address:
        page = opened(address)
        page.locator(".badge.stopped").wait_for()
        assert page.locator("h1").inner_text().startswith("<img src=x onerror")
        assert page.locator("#samples pre").inner_text() == f"{HOSTILE}\n</pre><b>x</b>"
        assert "can't be read as a configuration" in page.locator("#problem").inner_text()
        assert page.locator("img, figure script, td script, pre b").count() == 0
        assert page.title().startswith("stopped: <img") and not page.wrong
