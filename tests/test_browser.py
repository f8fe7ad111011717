"""TensorBoard and the report as a person sees them, in Chromium: what is asserted stands on the page."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT, TEXT, TINY, Shell, contrast

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A shell whose folder holds one short run with two prompts."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "text.txt").write_text(TEXT)
    shell = Shell(folder)
    prompts = "--sample.prompts=['Shall I', 'Rough winds']"
    options = ["--trainer.max_steps=60", "--sample.max_new_tokens=120", prompts]
    shell.process("fit", "--data.corpus=text.txt", *TINY, *options)  # the browser's event loop is in ours
    return shell


@pytest.fixture(scope="session")
def tensorboard(run):
    """TensorBoard over that run: its address."""
    options = ["--logdir", "runs", "--port", "0", "--samples_per_plugin", "text=1000,images=200"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *options],
        cwd=run.folder,
        env=run.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    address = next(found for line in process.stderr if (found := re.search(r"http://localhost:\d+", line)))
    yield address[0]
    process.terminate()
    process.communicate()


@pytest.fixture
def tab(browser, tensorboard):
    """Opens one of TensorBoard's tabs."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(60_000)

    def opened(name):
        page.goto(f"{tensorboard}/#{name}")
        return page

    yield opened
    page.close()


def seen(page, text):
    """Waits until the text is on the page."""
    page.get_by_text(text).first.wait_for()


def drawn(page, selector):
    """Waits for pictures that have pixels; how many."""
    pictures = page.locator(selector)
    pictures.first.wait_for()
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())
    return page.locator(selector).count()


def test_scalars_stand_in_few_groups(tab, screenshot):
    page = tab("scalars")
    seen(page, "loss/train")
    groups = page.locator("tf-category-paginated-view .heading .category-name, tf-category-paginated-view .heading")
    names = {name.split()[0] for name in groups.all_inner_texts()}
    screenshot(page, "scalars")
    assert names == {"loss", "n-gram_loss", "novelty", "optim", "speed", "val"}


def test_the_first_page_has_cards_for_all(tab, screenshot):
    page = tab("timeseries")
    page.locator("scalar-card, image-card").first.wait_for()
    page.wait_for_timeout(1500)
    screenshot(page, "time-series")
    for tag in ("loss/train", "loss/val"):
        seen(page, tag)  # without scrolling: it begins with the network's own


def test_the_printed_address_leaves_curves_as_they_are(browser, tensorboard):
    makefile = (ROOT / "Makefile").read_text()
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.goto(tensorboard + re.search(r"http://localhost:\$\(PORT\)(/\S*)\"", makefile)[1])
    page.get_by_text("Value", exact=True).first.wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    # the column beside it, of what is smoothed
    assert not any(column.is_visible() for column in page.get_by_text("Smoothed", exact=True).all())
    page.close()


def test_the_loss_stands_over_what_counting_reaches(tab, screenshot):
    page = tab("custom_scalars")
    seen(page, "held out; the band lies between counting bigrams (its upper edge) and 5-grams")
    seen(page, "Matches (1)")
    page.wait_for_timeout(1500)  # lines are drawn one after another
    screenshot(page, "custom-scalars")
    band = page.locator("tf-custom-scalar-margin-chart-card").first
    assert "do not match" not in band.inner_text() and "lacks data" not in band.inner_text()
    lines = page.locator("tf-custom-scalar-multi-line-chart-card").first.locator(".match-list-entry")
    assert {text.split()[1] for text in lines.all_text_contents()} == {"loss/train", "loss/val"}


def test_samples_keep_their_line_breaks(tab, screenshot):
    page = tab("text")
    seen(page, "sample/'Shall I'")
    groups = [name.split()[0] for name in page.locator("tf-category-paginated-view .heading").all_inner_texts()]
    assert groups == ["sample", "the_run"]  # what is read comes first
    seen(page, "sample/'Rough winds'")
    blocks = page.locator("tf-text-loader pre code")
    blocks.first.wait_for()
    texts = [text for text in blocks.all_inner_texts() if text.startswith(("Shall I", "Rough winds"))]
    screenshot(page, "text")
    assert len(texts) >= 6 and all("\n" in text.strip() for text in texts[:3])
    seen(page, "SHA-256")


def test_attention_of_each_head(tab, screenshot):
    page = tab("images")
    seen(page, "maps_of_attention/block_1_head_1")
    count = drawn(page, "tf-image-loader img")
    screenshot(page, "images")
    assert count == 4
    for block in (1, 2):
        seen(page, f"maps_of_attention/block_{block}_head_2")


def test_graph(tab, screenshot):
    page = tab("graphs")
    page.locator("tf-graph-scene svg .nodelabel, tf-graph-scene svg text").filter(has_text="GPT").first.wait_for()
    screenshot(page, "graphs")


def test_runs_compare_in_a_table(tab, run, screenshot):
    page = tab("hparams")
    seen(page, "Trial ID")
    row = page.get_by_text("gpt/version_0").first
    row.wait_for()
    screenshot(page, "hparams")
    seen(page, "val/best_loss")
    for name in ("n_embd", "optimizer.lr", "corpus"):
        seen(page, name)


def test_characters_are_points(tab, screenshot):
    page = tab("projector")
    projector = page.frame_locator("iframe").frame_locator("iframe")  # a page of its own in a page
    projector.locator(".numDataPoints").filter(has_text=re.compile("[1-9]")).wait_for()
    points = projector.locator(".numDataPoints").inner_text()
    projector.locator("canvas").first.wait_for()
    page.wait_for_timeout(1500)
    screenshot(page, "projector")
    assert int(points) == len(set(TEXT))
    assert projector.get_by_text("characters:00060").count()


@pytest.fixture(scope="module")
def report(run):
    run.process("report", "--out", "report.html", "--prompt", "Shall I")
    return (run.folder / "report.html").as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (1100, "dark"), (390, "light"), (390, "dark")])
def test_it_is_whole_and_fits(browser, report, screenshot, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    requested, wrong = [], []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(report)
    screenshot(page, f"report-{width}-{scheme}", full_page=True)
    assert not wrong and all(url == report or url.startswith("data:") for url in requested)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.locator("svg polyline").count() == 3
    background, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert contrast(background, ink) > 7
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
    )
    assert smallest >= 11  # pixels
    context.close()


def test_a_character_shows_its_guesses(browser, report):
    page = browser.new_page()
    page.goto(report)
    character = page.locator("#read b").nth(5)
    character.hover()
    shown = page.locator("#guess").inner_text()
    assert "nats; expected" in shown and shown.count("%") == 5
    assert page.locator("#guess").bounding_box()["y"] < page.locator("#read").bounding_box()["y"]  # it covers no line
    page.locator("#read b").nth(9).click()
    assert page.locator("#guess").inner_text() != shown
    page.close()
