"""What the page says of a run is what its folder says; a folder that somebody sent can say what it likes."""

import json
import os
import shutil
import time

import pytest
from conftest import TINY
from send_signal import ask_to_stop_at
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from lightning_gpt.files import locked
from lightning_gpt.runs import Result, Run
from lightning_gpt.training import checkpoints
from lightning_gpt.watch.state import PNG, POINTS, Watched, is_small_png

EVENTS = "events.out.tfevents.1000.here.1.0"


@pytest.fixture
def sent(trained, tmp_path):
    """A finished run's folder, which may be written to."""
    return shutil.copytree(trained.run, tmp_path / "gpt" / "version_0")


def state(folder):
    """A run's state as the page gets it."""
    return json.loads(json.dumps(Watched(folder, "lightning-gpt").state(), allow_nan=False))


def unfinished(folder, **more):
    Result(max_steps=1000, **more).write(folder)


def log(folder, *events):
    """Logs events as another program would; bytes as they are."""
    with open(folder / EVENTS, "ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event if isinstance(event, bytes) else event.SerializeToString())
        writer.flush()


def number(tag, step, value, time=2000.0):
    return Event(step=step, wall_time=time, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def picture(tag, contents):
    image = Summary.Image(width=1, height=1, encoded_image_string=contents)
    return Event(summary=Summary(value=[Summary.Value(tag=tag, image=image)]))


def test_a_finished_run_is_shown_whole(trained):
    said, run = state(trained.run), Run(trained.run)
    assert said["status"] == "finished" and said["step"] == said["max_steps"] == 20 and said["seconds_left"] is None
    assert said["name"] == "gpt/version_0" and said["unit"] == "character" and said["problems"] == []
    assert said["curves"]["held out"] == [list(point) for point in run.curves["val/loss"]]
    assert said["curves"]["trained on"] == [list(point) for point in run.curves["train/loss"]]
    assert list(said["levels"]) == ["uniform", "unigram", "bigram", "5-gram"]
    assert said["best"] == run.result.best.step and [v["step"] for v in said["validations"]] == [10, 20]
    ((prompt, found),) = run.texts.items()
    assert said["samples"] == [{"prompt": prompt, "step": 20, "text": found[-1][1]}]
    heads = [f"block {block} head {head}" for block in (1, 2) for head in (1, 2)]
    assert said["pictures"] == [{"place": i, "name": name, "step": 20} for i, name in enumerate(heads)]
    assert said["card"][0] == list(run.result.card[0])


def test_a_run_goes_on_as_long_as_its_folder_is_locked(sent):
    unfinished(sent)
    assert state(sent)["status"] == "stopped"
    assert state(sent)["go_on"].startswith("lightning-gpt fit --ckpt_path ")
    with locked(sent):
        assert state(sent)["status"] == "running"
        (sent / "stop").touch()
        assert state(sent)["status"] == "stopping"


def test_what_is_logged_meanwhile_is_shown_and_the_time_left_is_that_of_this_process(tmp_path):
    unfinished(tmp_path)
    watched = Watched(tmp_path, "lightning-gpt")
    with locked(tmp_path):
        assert watched.state()["step"] == 0
        log(tmp_path, Event(file_version="brain.Event:2"), number("loss/train", 9, 3.0, time=500.0))  # another process
        log(tmp_path, number("loss/train", 19, 2.5, 1010.0))
        assert watched.state()["seconds_left"] is None
        log(tmp_path, number("loss/train", 29, 2.0, 1030.0), number("speed/chars_per_s", 29, 7.0))
        said = watched.state()
    assert said["step"] == 30 and said["speed"] == 7.0
    assert said["curves"]["trained on"] == [[10, 3.0], [20, 2.5], [30, 2.0]]
    assert said["seconds_left"] == pytest.approx((1000 - 30) * 2.0)


@pytest.mark.parametrize("same_second", [False, True])
def test_a_run_that_goes_on_is_followed(shell, monkeypatch, same_second):
    """Each of its processes logs to a file of its own; older ones are renamed where names would not be in order."""
    recipe = ["--data.corpus=text.txt", *TINY]
    if same_second:
        monkeypatch.setattr(time, "time", lambda: 1e9)
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 0.0)
    shell("fit", *recipe, *ask_to_stop_at(13), status=130)
    folder = shell.folder / "runs/gpt/version_0"
    watched = Watched(folder, "lightning-gpt")
    assert watched.state()["status"] == "stopped"
    shell("fit", "--ckpt_path=last")
    said = watched.state()
    assert said["status"] == "finished" and [step for step, _ in said["curves"]["trained on"]] == [10, 20]
    said["silent"] = None  # which goes on
    assert said == {**Watched(folder, "lightning-gpt").state(), "silent": None}


def test_a_long_curve_is_thinned_and_keeps_its_end(tmp_path):
    log(tmp_path, Event(file_version="brain.Event:2"))
    log(tmp_path, *(number("loss/train", step, 1.0) for step in range(5 * POINTS)))
    points = state(tmp_path)["curves"]["trained on"]
    assert POINTS / 2 < len(points) <= POINTS and points[-1][0] == 5 * POINTS


def damaged(name, contents):
    return lambda folder: (folder / name).write_bytes(contents)


def logged(*events):
    return lambda folder: log(folder, *events)


HOSTILE = {
    "a result that is none": damaged("result.json", b"[" * 100_000),
    "endless numbers": damaged("result.json", b'{"format": 1, "max_steps": 1e999}'),
    "a configuration that calls": damaged("config.yaml", b"data: !!python/object/apply:os.system ['touch pwned']"),
    "a configuration of another kind": damaged("config.yaml", b"data: [tokenizer]"),
    "no configuration": lambda folder: (folder / "config.yaml").unlink(),
    "a pipe for events": lambda folder: os.mkfifo(folder / "events.out.tfevents.9.x"),
    "events that are none": logged(b"\xff\xff\xff"),
    "a graph that is none": logged(Event(meta_graph_def=b"\xff\xff")),
    "NaN for a curve": logged(number("loss/train", 50, float("nan")), number("loss/uniform", 50, float("inf"))),
    "steps without end": logged(number("loss/train", 2**62, 1.0, float("nan"))),
    "markup for a picture": logged(picture("maps_of_attention/<b>", b"<svg onload=alert(1)>")),
    "a folder for a request": lambda folder: (folder / "stop").mkdir(),
}


@pytest.mark.parametrize("harm", HOSTILE.values(), ids=HOSTILE)
def test_a_folder_that_was_sent_can_say_what_it_likes(sent, harm, monkeypatch):
    monkeypatch.chdir(sent.parent)
    unfinished(sent)
    harm(sent)
    with locked(sent):
        said = state(sent)
    assert said["name"] == "gpt/version_0" and said["status"] == "running"
    assert all("\n" not in problem for problem in said["problems"])
    assert not (sent.parent / "pwned").exists()
    assert Watched(sent, "").picture(0) is None


def test_only_a_small_png_is_a_picture(sent):
    watched = Watched(sent, "lightning-gpt")
    watched.state()
    drawn = watched.picture(0)
    assert drawn is not None and is_small_png(drawn) and watched.picture(4) is None
    side = (100_000).to_bytes(4, "big")
    assert not is_small_png(b"<svg>") and not is_small_png(PNG) and not is_small_png(drawn[:16] + side + drawn[20:])
    assert not is_small_png(drawn + bytes(2_000_000))
