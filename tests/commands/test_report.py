import re

import numpy as np
from conftest import TEXT, TINY

from lightning_gpt.pictures.chart import ticks
from lightning_gpt.report.findings import Piece, by_position, expected_lines, seen, whole_lines


def test_one_file_that_needs_nothing_else(trained, tmp_path):
    out = tmp_path / "report.html"
    said = trained("report", "--out", out, "--prompt", "Shall I").stdout
    page = out.read_text()
    loss = trained.log.stdout.split("best val/loss ")[1].split()[0]
    assert f"{loss} nats" in said and f"<h1>gpt/version_0: {loss} nats" in page
    assert not re.search(r'(src|href)="(?!data:)', page) and "@import" not in page and "url(" not in page
    for heading in ("Loss", "Samples", "What surprised it", "Where the loss is", "Attention", "The run"):
        assert f"<h2>{heading}</h2>" in page, heading
    assert page.count('<pre class="sample">') == 3 and page.count('<img class="map"') == 4
    assert all(name in page for name in ("uniform 3.", "unigram ", "bigram ", "5-gram "))
    assert "SHA-256" in page and "machine" in page and "command" in page
    coloured = re.findall(r'data-g="([^"]*)"', page)
    held_out = len(TEXT) - int(0.9 * len(TEXT))
    assert len(coloured) == held_out - 1
    assert all(guesses.count("%") == 5 for guesses in coloured)
    assert "How to read a head" in page


def test_text_can_not_break_the_page(shell):
    (shell.folder / "evil.txt").write_text("</b><script>alert('&amp;')</script> \"quoted\" <!-- it\n" * 100)
    shell("fit", "--data.corpus=evil.txt", *TINY)
    shell("report", "--out", "report.html")
    page = (shell.folder / "report.html").read_text()
    assert page.count("<script>") == 1 and "alert(" not in page.replace("&#x27;", "'").split("<script>")[1]
    assert "<!--" not in page


def test_a_checkpoint_without_its_run(trained, shell):
    """Its record says what it was trained on; only the curves are missing."""
    (shell.folder / "alone.ckpt").write_bytes(trained.best.read_bytes())
    shell("report", "--ckpt_path=alone.ckpt")
    page = (shell.folder / "report.html").read_text()
    assert "<h2>Samples</h2>" in page and "<h2>What surprised it</h2>" in page
    (shell.folder / "text.txt").unlink()
    assert "no corpus 'text.txt'" in shell("report", "--ckpt_path=alone.ckpt", status=2).stderr


def test_another_text_and_a_file_that_can_not_be_written(trained, shell):
    (shell.folder / "alone.ckpt").write_bytes(trained.best.read_bytes())
    (shell.folder / "text.txt").write_text("another text\n" * 500)
    assert "bring the old text back" in shell("report", "--ckpt_path=alone.ckpt", status=2).stderr
    assert "can't write" in trained("report", "--out", "text.txt/report.html", status=2).stderr


def test_texts_of_an_odd_kind(shell):
    for name, text in {"dna": "gattaca" * 900, "one": "\n" * 6000, "odd": "a\x1c\u2029\x85b" * 1200}.items():
        (shell.folder / f"{name}.txt").write_text(text)
        shell("fit", f"--data.corpus={name}.txt", *TINY, "--name", name)
        shell("report", "--out", f"{name}.html", "--prompt", "\udcffg")
        shell("generate", "--novelty=true", "--unknown=skip", "--prompt", text[:3], "--max_new_tokens=20")
        assert "What surprised it" in (shell.folder / f"{name}.html").read_text()


def test_the_coloured_text_begins_with_a_whole_line():
    def left(text, cut):
        return "".join(piece.text for piece in whole_lines([Piece(c, 1.0, ()) for c in text], cut))

    assert left("lf a line\n\nHe said\n", True) == "He said\n" and left("He said\nso\n", False) == "He said\nso\n"
    for alone in ("all is one line", "but one line\n", "\n\n", ""):
        assert left(alone, True) == alone


def test_lines_and_their_surprise():
    text = "half a line\nthe first whole line here\nshort\nthe second whole line!\nrest"
    nats = np.arange(len(text), dtype=float)
    lines = expected_lines(text, nats)
    assert [line.text for line in lines] == ["the first whole line here", "the second whole line!"]
    start = text.index("the first")
    assert lines[0].nats == np.arange(start, start + 25).mean()


def test_loss_by_how_much_can_be_seen():
    nats = np.tile([4.0, 3.0, 2.0, 1.0], 5)[:-1]
    assert by_position(nats, seen(len(nats) + 1, 4, None)) == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)]


def test_charts():
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10] and ticks(1.4, 1.9) == [1.4, 1.5, 1.6, 1.7, 1.8, 1.9]
