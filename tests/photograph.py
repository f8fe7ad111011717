"""Makes the pictures of docs/pictures again, on a fresh run: make pictures.

It trains the ladder and configs/cpu.yaml first, some minutes; a finished ladder in runs/ is not trained again. Pages
are photographed in Chromium. Options are given to the fit, such as fewer steps on a slow machine.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
MIRROR = "LIGHTNING_GPT_MIRROR"
SEEN = 0.62  # of the run's steps are done when it is watched: its third validation of five, too
COLORS = 128  # of a picture: fewer make the file small, and are not seen to be missing


def started(folder, *command, **streams):
    """Starts one of Python's modules in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if MIRROR in environment and "://" not in environment[MIRROR]:
        environment[MIRROR] = str(Path(environment[MIRROR]).absolute())  # the program stands elsewhere
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], cwd=folder, env=environment, text=True, **streams
    )


def typed(folder, *command):
    """Runs lightning-gpt to its end."""
    process = started(folder, "lightning_gpt", *command)
    if process.wait():
        sys.exit(process.returncode)


@contextmanager
def serving(folder, *command):
    """Starts a server; yields the address that it prints."""
    process = started(folder, *command, "--port=0", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
    finally:
        process.terminate()
        process.communicate()


def keep(page, name, **clip):
    """Photographs a page, or a rectangle of it, in few colours."""
    taken = Image.open(io.BytesIO(page.screenshot(clip=clip or None))).convert("RGB")
    taken.quantize(COLORS, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)
    print(name, flush=True)


def watch(browser, address):
    """The page of a run that goes on."""
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(address)
    page.wait_for_function(
        "seen => document.querySelector('#done').position >= seen", arg=SEEN, polling=1000, timeout=3_600_000
    )
    keep(page, "watch.png")
    page.close()


def tensorboard(browser, address):
    """Its charts of the loss, each curve with what it is."""
    page = browser.new_page(viewport={"width": 1100, "height": 620})
    page.goto(f"{address.rstrip('/')}/#custom_scalars&_smoothingWeight=0")
    page.get_by_text("Matches (1)").first.wait_for(timeout=60_000)
    page.wait_for_timeout(3_000)  # lines are drawn one after another
    keep(page, "tensorboard.png")
    page.close()


def report(browser, path):
    """Held-out text, coloured by surprisal, with the five guesses for one character."""
    page = browser.new_page(viewport={"width": 740, "height": 2_000})
    page.goto(path.as_uri())
    text = page.locator("#read b")
    spelled = "".join(text.all_text_contents()).replace("⏎", "")  # each character is a piece
    page.evaluate("document.querySelector('.legend').previousElementSibling.scrollIntoView()")
    text.nth(spelled.index("neighbour") + 1).hover()
    top = page.locator(".legend").bounding_box()
    last = text.nth(len("".join(spelled.splitlines(keepends=True)[:20])) - 1).bounding_box()
    keep(page, "surprisal.png", x=0, y=top["y"] - 8, width=740, height=last["y"] + last["height"] - top["y"] + 16)
    page.close()


def live(browser, path):
    """The page that runs the network: writing at the left, what is inside at the right."""
    page = browser.new_page(viewport={"width": 1160, "height": 2_000})
    page.goto(path.as_uri())
    page.get_by_text("a second").wait_for(timeout=120_000)
    page.locator("#text span").nth(220).click()
    page.locator("#panels article").nth(2).wait_for()
    page.wait_for_timeout(1_000)
    top = page.locator("#write").bounding_box()["y"] - 8
    bottom = page.locator("#panels article").nth(2).bounding_box()
    keep(page, "page.png", x=0, y=top, width=1160, height=bottom["y"] + bottom["height"] + 8 - top)
    page.close()


def main():
    """Trains, draws and photographs."""
    data = f"--data_dir={ROOT / 'data'}"
    typed(ROOT, "ladder")
    for name in ("ladder.png", "attention.png"):
        shutil.copy(ROOT / "runs" / "ladder" / name, PICTURES)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, CHROMIUM)), None)
        root = [] if os.name == "nt" or os.geteuid() else ["--no-sandbox"]  # which Chromium refuses to root
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *root])
        folder = Path(name)
        recipe = [f"--config={ROOT / 'configs/cpu.yaml'}", f"--data.{data[2:]}", *sys.argv[1:]]
        fit = started(folder, "lightning_gpt", "fit", *recipe)
        while not (folder / "runs" / "cpu").exists() and fit.poll() is None:
            time.sleep(0.5)
        with serving(folder, "lightning_gpt", "watch") as address:
            watch(browser, address)
        if fit.wait():
            sys.exit(fit.returncode)
        with serving(folder, "tensorboard.main", "--logdir=runs") as address:
            tensorboard(browser, address)
        typed(folder, "report", "--out=report.html", data)
        report(browser, folder / "report.html")
        typed(folder, "page", "--out=page.html", "--prompt=ROMEO:", "--seed=2", data)
        live(browser, folder / "page.html")
        browser.close()


if __name__ == "__main__":
    main()
