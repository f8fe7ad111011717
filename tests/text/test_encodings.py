"""Texts that are not UTF-8: named for what they are, read when their encoding is given, never guessed to be Latin-1."""

import codecs
import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from lightning_gpt import UserError
from lightning_gpt.text import corpus as corpus_room
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.text.encodings import RARE, USUAL, checked_encoding, likely_encodings, marked_encoding
from lightning_gpt.text.formats import HEAD, other_format

ENGLISH = "It wasn’t that she didn’t know — it’s that nobody’d asked. “Well,” he said, “that’s that.”\n"
FRENCH = "Le café était très froid, où l'élève préférait la crème à l'été déjà passé. Ça y est, garçon!\n"
GERMAN = "Über die Straße läuft ein großer Bär, der schöne Äpfel frißt und fröhlich Öl trinkt.\n"
SPANISH = "El niño comió una manzana en la montaña, ¿verdad? Mañana será otro día, señor. ¡Qué corazón!\n"
RUSSIAN = "Все смешалось в доме Облонских. Жена узнала, что муж был в связи с бывшею гувернанткой.\n"
GREEK = "Η γλώσσα μου έδωσαν ελληνική· το σπίτι φτωχικό στις αμμουδιές του Ομήρου.\n"
POLISH = "Zażółć gęślą jaźń. W Szczebrzeszynie chrząszcz brzmi w trzcinie i z tego słynie.\n"
CHINESE = "人生若只如初见，何事秋风悲画扇。等闲变却故人心，却道故人心易变。他们说今天天气很好。\n"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも暗い所で。\n"
KOREAN = "나는 오늘 아침에 밥을 먹고 학교에 갔다. 날씨가 매우 좋았다. 친구들과 함께 놀았다.\n"
HEBREW = "בראשית ברא אלהים את השמים ואת הארץ והארץ היתה תהו ובהו וחשך על פני תהום.\n"

KINDS = [
    (ENGLISH, "cp1252"), (FRENCH, "cp1252"), (FRENCH, "latin-1"), (FRENCH, "cp850"), (FRENCH, "mac_roman"),
    (GERMAN, "latin-1"), (GERMAN, "cp437"), (SPANISH, "cp1252"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"),
    (RUSSIAN, "cp866"), (RUSSIAN, "iso8859-5"), (GREEK, "cp1253"), (POLISH, "cp1250"), (POLISH, "iso8859-2"),
    (CHINESE, "gb18030"), (CHINESE, "gbk"), (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (KOREAN, "euc_kr"),
    (HEBREW, "cp1255"), (FRENCH, "utf-16"), (RUSSIAN, "utf-16"), (CHINESE, "utf-16"), (ENGLISH, "utf-32"),
    (GERMAN, "utf-16-le"), (GERMAN, "utf-16-be"), (CHINESE, "utf-16-le"), (RUSSIAN, "utf-16-be"),
    (GERMAN, "utf-32-le"), (JAPANESE, "iso2022_jp"), (KOREAN, "iso2022_kr"),
]  # fmt: skip


def prepared(folder, data, encoding=None, name="x.txt"):
    (folder / name).write_bytes(data)
    return prepare(find_corpus(str(folder / name), encoding=encoding), folder / "prepared")


def text_of(tokens):
    return tokens.tokenizer.decode(np.asarray(tokens.ids))


@pytest.mark.parametrize(("text", "encoding"), KINDS, ids=lambda value: value if len(value) < 20 else value[:6])
def test_an_encoding_is_named_and_the_name_reads_the_text(tmp_path, text, encoding):
    data = (text * 20).encode(encoding)
    with pytest.raises(UserError, match=r"is not UTF-8 text") as refused:
        prepared(tmp_path, data)
    assert "\n" not in str(refused.value)
    named = str(refused.value).split("--data.encoding ")[-1]
    tokens = prepared(tmp_path, data, named)
    assert text_of(tokens) == text * 20 and tokens.encoding == checked_encoding(named)


def test_where_it_is_unsure_it_shows_how_each_would_read(tmp_path):
    with pytest.raises(UserError, match=r"it may be cp1252 .*, which reads '.*ñ.*'; or cp1250 .*give the one that"):
        prepared(tmp_path, (SPANISH * 20).encode("cp1252"))


def test_ascii_in_utf16_without_a_mark_does_not_pass_as_text(tmp_path):
    with pytest.raises(UserError, match="it is utf-16-le"):
        prepared(tmp_path, ("So we are\n" * 100).encode("utf-16-le"))
    with pytest.raises(UserError, match="it is utf-32-be"):
        prepared(tmp_path, ("So we are\n" * 100).encode("utf-32-be"))


def test_an_encoding_is_found_however_far_into_an_ascii_text(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_room, "CHUNK", 10_000)
    data = b"plain ASCII, line after line\n" * 5000 + (ENGLISH * 3).encode("cp1252")
    with pytest.raises(UserError, match=rf"byte 0x92 at offset {5000 * 29 + 7}; it is probably cp1252"):
        prepared(tmp_path, data)


def test_utf8_with_a_damaged_byte_is_not_called_another_encoding(tmp_path):
    data = (FRENCH * 20).encode()
    with pytest.raises(UserError, match="most of it is, so bytes are damaged"):
        prepared(tmp_path, data[:500] + b"\xff" + data[500:])


@pytest.mark.parametrize("data", [bytes(range(128, 256)) * 9 + bytes(range(256)), b"\xc1\x00\x9f\xff" * 300])
def test_no_claim_is_made_about_what_is_no_text(tmp_path, data):
    with pytest.raises(UserError, match="no encoding was recognised in it"):
        prepared(tmp_path, data)


# ------------------------------------------------------------------------------------------------ an encoding is given


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "gb18030", "shift_jis", "cp1251", "iso2022_jp"])
def test_any_encoding_is_read_whatever_the_pieces(tmp_path, monkeypatch, chunk, encoding):
    monkeypatch.setattr(corpus_room, "CHUNK", chunk)
    text = {"cp1251": RUSSIAN, "gb18030": CHINESE + "😀"}.get(encoding, JAPANESE)
    tokens = prepared(tmp_path, text.replace("\n", "\r\n").encode(encoding), encoding)
    assert text_of(tokens) == text


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("encoding", "data", "offset"),
    [
        ("cp1252", b"abc\x81d", 3), ("gb18030", "中文".encode("gb18030") + b"\xff\xff", 4), ("ascii", b"ab\xe9", 2),
        ("utf-16-le", "ab".encode("utf-16-le") + b"\x00\xdcx\x00", 4), ("shift_jis", b"abcd\x82", 4),
    ],
)  # fmt: skip
def test_a_fault_in_the_middle_has_its_offset(tmp_path, monkeypatch, chunk, encoding, data, offset):
    monkeypatch.setattr(corpus_room, "CHUNK", chunk)
    with pytest.raises(UserError, match=rf"is not {encoding.upper()} text: byte 0x.. at offset {offset}; "):
        prepared(tmp_path, data, encoding)


def test_utf16_without_a_mark_needs_the_order_of_its_bytes(tmp_path):
    data = (GERMAN * 5).encode("utf-16-be")
    with pytest.raises(UserError, match=r"is not UTF-16 text: .*--data.encoding utf-16-be"):
        prepared(tmp_path, data, "utf-16")
    assert text_of(prepared(tmp_path, data, "utf-16-be")) == GERMAN * 5


def test_a_mark_is_left_out_in_any_encoding(tmp_path):
    for encoding in ("utf-16-le", "utf-8", "utf-8-sig"):
        tokens = prepared(tmp_path, "\ufeffone".encode(encoding), encoding)
        assert text_of(tokens).lstrip("\ufeff") == "one" and "byte order mark" in tokens.remarks[0]


def test_utf8_by_any_name_is_the_default(tmp_path):
    assert {checked_encoding(name) for name in (None, "utf-8", "UTF8", "utf_8_sig", "U8")} == {None}
    assert checked_encoding("1252") == checked_encoding("windows-1252") == "cp1252"
    assert prepared(tmp_path, GERMAN.encode(), "utf8").path == prepared(tmp_path, GERMAN.encode()).path


@pytest.mark.parametrize(
    "name", ["", "hex", "zip", "base64", "rot13", "bz2", "cp12", "a\0b", "\udcff", "idna", "undefined", "x" * 9999]
)
def test_what_is_no_encoding_of_texts_is_refused_in_a_line(name):
    with pytest.raises(UserError, match="Python knows no encoding of text files") as refused:
        checked_encoding(name)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


def test_two_encodings_of_one_file_are_never_confused(tmp_path):
    data = RUSSIAN.encode("cp1251")
    first, second = (prepared(tmp_path, data, encoding) for encoding in ("cp1251", "koi8-r"))
    assert first.sha256 == second.sha256 and text_of(first) == RUSSIAN == text_of(prepared(tmp_path, data, "cp1251"))
    assert text_of(second) == data.decode("koi8-r")


def test_files_of_a_folder_are_joined_as_text_not_as_bytes(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, text in {"a": "one", "b": "two\n", "c": "three"}.items():
        (folder / f"{name}.txt").write_bytes(text.encode("utf-16"))
    tokens = prepare(find_corpus(str(folder), encoding="utf-16"), tmp_path / "prepared")
    assert text_of(tokens) == "one\ntwo\nthree"


def test_the_wrong_encoding_of_utf8_is_warned_of_or_refused_with_the_right_one(tmp_path):
    tokens = prepared(tmp_path, FRENCH.encode(), "latin-1")
    assert any("could be read as UTF-8, too" in warning for warning in tokens.warnings)
    with pytest.raises(UserError, match=r"it is UTF-8, so leave --data.encoding out"):
        prepared(tmp_path, FRENCH.encode(), "shift_jis")
    assert not prepared(tmp_path, b"plain", "cp1252").warnings


# -------------------------------------------------------------------------------------------------- control characters


def test_control_characters_are_warned_of_with_their_number(tmp_path):
    tokens = prepared(tmp_path, b"a\tb\r\nc\fd" + b"\0" * 3 + b"\x1b[31m\x07" + "\x92".encode())
    nuls, others = tokens.warnings
    assert "3 NULs" in nuls and "3 control characters (U+0007, U+001B, U+0092)" in others
    assert prepared(tmp_path, b"a\tb\r\nc\fd").warnings == ()
    assert prepared(tmp_path, b"a\tb\r\nc\fd" + b"\0" * 3).warnings == prepared(tmp_path, b"\0" * 3 + b"ab").warnings


def test_latin1_that_is_windows_is_warned_of(tmp_path):
    (warning,) = prepared(tmp_path, ENGLISH.encode("cp1252"), "latin-1").warnings
    assert "--data.encoding cp1252" in warning


# ------------------------------------------------------------------------------------------------------- no text at all


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "application/epub+zip" if name == "mimetype" else "text")
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("book.txt.gz", gzip.compress(b"text", mtime=0), r"gzip: unpack it: gzip -dc \S+book.txt.gz > \S+/book.txt$"),
        ("book.bz2", codecs.encode(b"text", "bz2"), r"bzip2: unpack it: .* > \S+/book.txt$"),
        ("a b.xz", b"\xfd7zXZ\0\0", r"xz -dc '\S+/a b.xz' > '\S+/a b.txt'$"),
        ("x.zst", b"\x28\xb5\x2f\xfd\0", "zstd"), ("x.zip", zipped("a.txt"), "zip: unpack it"),
        ("x.docx", zipped("[Content_Types].xml"), "pandoc"), ("x.epub", zipped("mimetype", "a"), "EPUB: .*pandoc"),
        ("x.pdf", b"%PDF-1.7\nall ASCII\n", "pdftotext"), ("x.tar", tarred(), "tar -xf"),
        ("x.png", b"\x89PNG\r\n\x1a\n", "PNG"), ("x.rtf", b"{\\rtf1 text}", "RTF"), ("x.mp3", b"ID3\x03\0", "MP3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_what_is_no_plain_text_is_named_with_what_makes_one_of_it(tmp_path, name, data, says, encoding):
    with pytest.raises(UserError, match=f"is no plain text but .*{says}"):
        prepared(tmp_path, data, encoding, name)


@pytest.mark.parametrize("text", ["ID3 is a tag", "RIFF of guitars", "PAR1S", "Once, OggS", "BZh", "GIF87a and GIF89a"])
def test_a_text_that_begins_as_a_format_does_is_a_text(text):
    assert other_format(text.encode()[:HEAD], "x.txt") is None


def test_no_text_is_taken_for_another_encoding():
    for text in (ENGLISH, FRENCH, RUSSIAN, CHINESE, "short", "", "a\0b"):
        assert marked_encoding(text.encode()) is None


def test_every_name_that_may_be_advised_is_one_that_can_be_given():
    for name in (*USUAL, *RARE, "utf_16_le", "utf_16_be"):
        assert checked_encoding(name)
    assert "latin" not in " ".join((*USUAL, *RARE)) and likely_encodings(b"") == []
