"""The page as a person sees it, in Chromium: it computes what PyTorch computes, and nothing on it becomes markup."""

import pytest
import torch
from conftest import TEXT, TINY, Shell, contrast

from lightning_gpt.ladder import NETWORKS, RUNGS, ModernGPT
from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.model import TrainedGPT
from lightning_gpt.page.content import Content, Shown
from lightning_gpt.page.html import render
from lightning_gpt.tokens import Characters

pytestmark = pytest.mark.browser

T = 16
PROMPT = "Rough winds"
LINE = "Shall I compare thee to a summer's day?"
CHARACTERS = Characters(TEXT)
HOSTILE = "<img src=x onerror=document.title='broken'></script><script>document.title='broken'</script>&lt;b&gt;\u2028"


def spread(network, block_size=T, **sizes):
    """A network whose every weight matters, as after training."""
    small = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_member": 2, **sizes}
    torch.manual_seed(1)
    net = network(
        len(CHARACTERS), block_size, **{name: size for name, size in small.items() if name in network.size_names()}
    )
    for weight in net.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.3)
    return TrainedGPT(net.eval(), CHARACTERS)


GPTS = [spread(network) for network in NETWORKS]
IDEAS = {rung.network: rung.idea for rung in RUNGS}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Writes a page, returns its address."""

    def written(content):
        path = tmp_path_factory.mktemp("page") / "page.html"
        path.write_bytes(render(content).encode())
        return path.as_uri()

    return written


@pytest.fixture(scope="module")
def ladder(address):
    networks = [Shown(gpt, type(gpt.network).__name__, IDEAS.get(type(gpt.network), ""), 1000, 2.5) for gpt in GPTS]
    film = [Shown(spread(NETWORKS[-1]), f"step {step}", step=step, half=True) for step in (0, 8, 64)]
    return address(Content("ladder", networks, film, PROMPT, LINE, 1337))


@pytest.fixture
def opened(opened):
    """Opens a page that may not ask for anything; waits until it has written."""

    def open_page(*args, **options):
        page = opened(*args, offline=True, **options)
        finished(page)
        return page

    return open_page


def finished(page):
    """Waits until a text has been written and looked into."""
    page.get_by_text("a second").wait_for()
    page.locator("#panels article").nth(1).wait_for()


def write(page, **fields):
    """Fills in the form, by the fields' ids, and writes: the whole text."""
    for name, value in fields.items():
        page.locator(f"#{name.replace('_', '-')}").fill(value)
    page.get_by_role("button", name="Write", exact=True).click()
    finished(page)
    return text_of(page)


def text_of(page):
    return "".join(page.locator("#text span").all_text_contents())


@pytest.mark.parametrize("number", range(len(GPTS)), ids=[type(gpt.network).__name__ for gpt in GPTS])
def test_logits_are_pytorchs(opened, ladder, number):
    page = opened(ladder)
    for n in (1, 2, 7, T):
        ids = CHARACTERS.encode(LINE)[:n]
        asked = {"task": "judge", "text": {"network": number, "ids": ids.tolist()}}
        found = page.evaluate("async asked => Array.from((await gpt.ask(asked)).logits)", asked)
        with torch.no_grad():
            expected = GPTS[number].network(ids[None])[0, -1]
        torch.testing.assert_close(torch.tensor(found), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("number", [0, 2, 6, 7, 8, 9])
def test_texts_are_those_of_generate(opened, ladder, number):
    page, gpt = opened(ladder), GPTS[number]
    page.locator("#network").select_option(str(number))
    assert write(page, temperature="0") == PROMPT + gpt.generate(PROMPT, 300, temperature=0.0)
    seeded = gpt.generate("thee", 200, temperature=0.75, top_k=8, top_p=0.9, seed=7)
    fields = {"prompt": "thee", "temperature": "0.75", "top_k": "8", "top_p": "0.9", "seed": "7", "count": "200"}
    assert write(page, **fields) == "thee" + seeded
    stop = seeded[100:103]
    assert write(page, stop=stop) == "thee" + seeded[: seeded.index(stop)]
    assert not page.wrong


def test_another_character_is_chosen_and_the_text_goes_on(opened, ladder):
    page = opened(ladder)
    before = text_of(page)
    page.locator("#text span").nth(40).click()
    other = page.locator("#others button[aria-pressed=false]").first
    chosen = other.locator("b").inner_text()
    other.click()
    page.locator("#others button").get_by_text(chosen, exact=True).first.wait_for()
    finished(page)
    after = text_of(page)
    assert after[:40] == before[:40] and after[40] == {"␣": " ", "⏎": "\n"}.get(chosen, chosen)
    assert len(after) == len(before[:41]) + 300
    assert "Position 41" in page.locator("#where").inner_text()
    page.get_by_role("button", name="Go on").click()
    page.locator("#text span").nth(len(after) + 299).wait_for()


def test_it_is_used_by_the_keyboard_alone(opened, ladder):
    page = opened(ladder)
    page.locator("#stop").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.press("Home")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.get_by_text("Position 13").wait_for()
    assert page.locator("#text").get_attribute("aria-activedescendant") == "text-12"
    assert page.locator("#text-12").get_attribute("aria-selected") == "true"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the first of the others
    finished(page)
    assert text_of(page)[:12] == (PROMPT + text_of(page)[11:])[:12]


def test_what_is_inside_is_shown_for_the_chosen_character(opened, ladder):
    page = opened(ladder)
    page.locator("#network").select_option("8")  # ModernGPT
    write(page, top_k="2", top_p="0.9", temperature="0.8")
    page.locator("#text span").nth(6).click()
    page.get_by_text("Position 7").wait_for()
    panels = page.locator("#panels article")
    assert panels.count() == 4
    assert all(panels.nth(i).locator("math").count() for i in range(4))
    assert panels.nth(1).locator("g.head").count() == 4  # 2 blocks of 2 heads
    stages = panels.nth(2).locator("tbody th").all_text_contents()
    assert stages == ["the embedding", "block 1", "block 2"]
    columns = panels.nth(3).locator("thead th").all_text_contents()
    assert columns == ["as they are", "temperature 0.8", "top-k 2", "top-p 0.9"]
    shares = panels.nth(3).locator("tbody tr").nth(2).locator("td").all_text_contents()
    assert shares[2] == "0%"
    panels.nth(1).locator("select").select_option("2")
    assert panels.nth(1).locator("g.head.chosen").count() == 1


@pytest.fixture(scope="module")
def copying():
    """A network with a window and a pointer, whose block is looked into in three stretches."""
    gpt = spread(ModernGPT, block_size=300, window=5, pointer=6)
    gpt.network.pointer.init_weights()  # similar states point at each other
    return gpt


@pytest.fixture(scope="module")
def copying_page(address, copying):
    return address(Content("copying", [Shown(copying, "copying")], [], PROMPT, LINE, 1337))


def test_what_a_pointer_copies_is_shown_with_its_place(opened, copying, copying_page):
    page = opened(copying_page)
    assert write(page, temperature="1") == PROMPT + copying.generate(PROMPT, 300, temperature=1.0, seed=1337)
    page.locator("#text span").nth(250).click()
    page.get_by_text("Position 251").wait_for()
    panels = page.locator("#panels article")
    titles = ["Its vector", "What it looks at", "What each part adds", "What it copies", "What is drawn from"]
    assert panels.locator("h3").all_text_contents() == titles
    assert "among the last 5 characters" in panels.nth(1).inner_text()
    assert panels.nth(2).locator("tbody th").all_text_contents()[-2:] == ["block 2", "the pointer"]
    places = panels.nth(3).locator("tbody tr")
    text = "".join({" ": "␣", "\n": "⏎"}.get(character, character) for character in text_of(page))
    for i in range(places.count()):
        before, copied, back = places.nth(i).locator("td").all_text_contents()
        place = 250 - (0 if back == "itself" else int(back.removesuffix(" back")))
        assert text[place - 16 : place + 1] == before + copied[0]
    assert places.count() == 6
    page.locator("#text span").first.click()
    page.get_by_text("Position 1:").wait_for()
    assert "0% of the guess" in panels.nth(3).inner_text()
    assert not page.wrong


def test_a_window_is_looked_into_in_any_order(opened, copying, copying_page):
    page = opened(copying_page)
    ids = torch.arange(300) * 7 % len(CHARACTERS)
    other = ids.roll(1)
    for at, text in [(5, ids), (299, ids), (127, ids), (128, ids), (40, other), (140, ids[:141]), (141, ids)]:
        asked = {"task": "look", "text": {"network": 0, "ids": text.tolist()}, "at": at}
        asked["sampling"] = {"temperature": 1, "topK": None, "topP": None}
        inside = page.evaluate(
            "async asked => (({ logits, attention, copied }) => ({"
            "logits: [...logits], attention: attention.map(heads => heads.map(head => [...head])), copied: [...copied]"
            "}))((await gpt.ask(asked)).inside)",
            asked,
        )
        with torch.no_grad():
            expected = copying.network(text[None, : at + 1])[0, -1]
        torch.testing.assert_close(torch.tensor(inside["logits"]), expected, atol=1e-4, rtol=1e-5)
        maps = attention_maps(copying.network, text[: at + 1])[:, :, -1, -5:]
        torch.testing.assert_close(torch.tensor(inside["attention"]), maps, atol=1e-5, rtol=1e-4)
        assert len(inside["copied"]) == at + 1 and 0 < sum(inside["copied"]) < 1


@pytest.mark.parametrize(("width", "scheme"), [(1360, "light"), (1360, "dark"), (390, "light"), (390, "dark")])
def test_it_is_whole_fits_and_asks_for_nothing(opened, ladder, screenshot, width, scheme):
    page = opened(ladder, width, scheme, reduced_motion="reduce")
    page.locator("#film-heads svg").wait_for()
    page.wait_for_timeout(500)
    height = min(8000, page.evaluate("document.documentElement.scrollHeight"))  # Chromium repeats what is below 8192
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    screenshot(page, f"page-{width}-{scheme}", full_page=True, clip=clip)
    assert not page.wrong
    assert all(url == ladder or url.startswith("blob:") for url in page.requested)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".rung").count() == len(GPTS)
    too_faint = page.evaluate(INK)
    assert too_faint and all(contrast(paper, ink) >= 4.5 for paper, ink in too_faint), too_faint
    assert page.evaluate("getComputedStyle(document.querySelector('.map text')).transitionDuration") == "0s"


# each pair of paper and ink that stands on the page; where the paper is transparent, the one below it
INK = """() => {
  const paper = node => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/rgba\\(.*, 0\\)|\\/ 0\\)/.test(color)) return color;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const pairs = new Set();
  const texts = "h1, h2, h3, p, label, button, a, th, td, code, summary, figcaption, output";
  for (const node of document.querySelectorAll(texts))
    if (node.checkVisibility() && node.textContent.trim())
      pairs.add(JSON.stringify([paper(node), getComputedStyle(node).color]));
  return [...pairs].map(pair => JSON.parse(pair)).filter(pair => pair.every(color => /^rgb\\(/.test(color)));
}"""


def test_the_policy_lets_nothing_out(opened, ladder):
    page = opened(ladder)
    said = page.evaluate("fetch('data:text/plain,x').then(() => 'sent', () => 'refused')")
    assert said == "refused"
    assert page.evaluate("new Promise(r => { const i = new Image(); i.onload = () => r(1); i.onerror = () => r(0);"
                         "i.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='; })") == 0  # fmt: skip
    added = "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)"
    page.evaluate(f"() => {{ {added} }}")
    assert page.title() == "ladder"


def test_a_hostile_checkpoint_stays_text(opened, address):
    characters = Characters(HOSTILE + "\n\u0000\u202e")
    net = ModernGPT(len(characters), T, n_layer=1, n_head=1, n_embd=8).eval()
    gpt = TrainedGPT(net, characters)
    shown = Shown(gpt, HOSTILE, HOSTILE, 3, 1.0)
    page = opened(address(Content(HOSTILE, [shown, shown], [shown], HOSTILE, HOSTILE, 1)))
    page.locator("#film-heads svg").wait_for()
    assert page.title().startswith("<img src=x")
    assert page.locator("h1").inner_text().startswith("<img src=x onerror")
    assert text_of(page).startswith(HOSTILE)
    assert page.locator("img, b b, b script").count() == 0
    assert page.locator("script").count() == 3 + 3  # content, worker, and the page's own; three networks' weights
    assert not page.wrong


class Halves(Characters):
    """Tokens that are halves of characters, which the page can read and write, but not make of a prompt."""

    kind = "halves"
    BYTES = "\u00e9\u00fc\U0001f40d".encode()

    def __init__(self):
        super().__init__("abcdefgh")

    def token_bytes(self, token):
        return self.BYTES[token : token + 1]

    def clean(self, text):
        return self.decode([0, 1])

    def encode(self, text, unknown="error"):
        return torch.tensor([0, 1])


def test_tokens_that_are_no_characters_are_written_and_looked_into(opened, address):
    gpt = TrainedGPT(ModernGPT(8, T, n_layer=1, n_head=1, n_embd=8).eval(), Halves())
    shown = Shown(gpt, "halves")
    page = opened(address(Content("halves", [shown, shown], [shown], "", "", 1)))
    page.locator("#film-heads svg").wait_for()
    assert page.locator("#prompt").is_disabled() and page.locator("#line").is_disabled()
    assert page.locator("#text span").count() == 302
    assert text_of(page).startswith("\u00e9")
    assert "\\x" in page.locator("#others").inner_text()
    assert not page.wrong


def test_a_trained_run_with_its_film(browser, opened, tmp_path, screenshot):
    """By the commands themselves; the film's last frame is the run's own network."""
    (tmp_path / "text.txt").write_text(TEXT)
    shell = Shell(tmp_path)
    shell.process("fit", "--data.corpus=text.txt", *TINY, "--film=true")  # the browser's event loop is in ours
    shell.process("page", "--prompt", PROMPT)
    page = opened((tmp_path / "runs/gpt/version_0/page.html").as_uri())
    page.locator("#film-heads svg").wait_for()
    steps = []
    for frame in range(int(page.locator("#step").get_attribute("max")) + 1):
        page.locator("#step").fill(str(frame))
        steps.append(page.locator("#step-said").inner_text())
    assert steps[0] == "step 0" and steps[-1] in ("step 20", "step 10") and len(steps) >= 5
    assert "Shall I" in page.locator("#line").input_value() or page.locator("#ladder").is_hidden()
