"""Other loggers beside the run's own: the folder stays as it is, and each gets what it can take."""

import csv
import json
from types import SimpleNamespace

import pytest
from conftest import TEXT, TINY
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import MLFlowLogger, WandbLogger
from PIL import Image

import lightning_gpt
from lightning_gpt.cli import main
from lightning_gpt.launch import loggers
from lightning_gpt.training.loggers import takes_options, takes_picture, takes_text

RUN = "runs/gpt/version_0"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def fit(*options):
    return main(["fit", "--data.corpus=text.txt", *TINY, *options])


def test_csv_lies_in_the_run_which_is_what_it_always_is(here, capsys):
    assert fit("--trainer.logger=CSVLogger", "--trainer.log_every_n_steps=5") == 0
    folder = here / RUN
    run = lightning_gpt.Run(folder)
    assert run.result.finished and run.config["trainer"]["logger"]["init_args"]["save_dir"] == ""
    assert len(run.curves["train/loss"]) == 4 and run.texts and run.load()
    with open(folder / "lightning_logs/version_0/metrics.csv") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["val/loss"]) for row in rows if row.get("val/loss")]
    assert losses == pytest.approx([v.nats_per_token for v in run.result.validations], abs=1e-5)
    assert any(row.get("n-gram_loss/bigram") for row in rows) and any(row.get("val/best_loss") for row in rows)
    assert main(["validate", "--ckpt_path=best"]) == 0 and main(["report"]) == 0
    assert not (here / "lightning_logs").exists()


def test_a_folder_that_is_given_is_taken(here):
    assert fit("--trainer.logger=CSVLogger", "--trainer.logger.save_dir=mine", "--trainer.max_steps=10") == 0
    assert (here / "mine/lightning_logs/version_0/metrics.csv").is_file()


def test_a_list_with_tensorboard_has_one_set_of_event_files(here):
    (here / "list.yaml").write_text("trainer: {logger: [CSVLogger, TensorBoardLogger]}\n")
    options = "--config=list.yaml", "--resume=auto"
    (here / "list.yaml").write_text(
        "trainer:\n  logger:\n  - CSVLogger\n  - {class_path: TensorBoardLogger, init_args: {save_dir: elsewhere}}\n"
    )
    assert fit(*options) == 0
    assert len(list(here.rglob("*tfevents*"))) == 1 and list((here / RUN).rglob("metrics.csv"))


def test_an_interrupted_run_goes_on_with_its_loggers(here, capsys):
    options = "--trainer.logger=CSVLogger", "--resume=auto"
    assert fit(*options) == 0
    result = here / RUN / "result.json"
    result.write_text(result.read_text().replace('"finished": true', '"finished": false'))  # as a kill leaves it
    assert fit(*options) == 0
    assert "goes on with runs/gpt/version_0" in capsys.readouterr().out
    assert not (here / "runs/gpt/version_1").exists()


@pytest.mark.parametrize(("name", "package"), loggers.PACKAGES.items())
def test_a_package_that_is_missing_is_named_before_there_is_a_folder(here, capsys, monkeypatch, name, package):
    monkeypatch.setattr(loggers, "find_spec", lambda module: None)
    (problem,) = loggers.lacking([{"class_path": f"lightning.pytorch.loggers.{name}"}])
    assert problem.endswith(f"pip install {package}")
    if name == "WandbLogger":
        assert fit(f"--trainer.logger={name}") == 2
        assert problem in capsys.readouterr().err and not (here / "runs").exists()


def test_pictures_and_texts_go_to_a_logger_that_takes_them(monkeypatch):
    calls = []
    record = lambda *args, **named: calls.append((*args, *named.values()))  # noqa: E731
    picture = Image.new("RGB", (2, 2))
    monkeypatch.setattr(WandbLogger, "log_table", record)
    monkeypatch.setattr(WandbLogger, "log_image", record)
    wandb = WandbLogger.__new__(WandbLogger)
    takes_text(wandb, "sample/'\\n'", "Once", 9)
    takes_picture(wandb, "maps/head_1", picture, 9)
    assert [call[1:3] for call in calls] == [("sample/'\\n'", ["text"]), ("maps/head_1", [picture])]
    calls.clear()
    service = SimpleNamespace(log_text=record, log_image=record)
    monkeypatch.setattr(MLFlowLogger, "experiment", service)
    monkeypatch.setattr(MLFlowLogger, "run_id", "r1")
    mlflow = MLFlowLogger.__new__(MLFlowLogger)
    takes_text(mlflow, "sample/'Ö'", "Once", 9)
    takes_picture(mlflow, "maps/head_1", picture, 9)
    assert calls == [("r1", "Once", "sample/_Ö_/step_9.txt"), ("r1", picture, "maps/head_1/step_9.png")]


def test_a_run_of_mlflow_that_goes_on_gets_only_the_options_that_it_lacks(monkeypatch):
    logged, run = {}, SimpleNamespace(data=SimpleNamespace(params={"max_steps": "20"}))
    monkeypatch.setattr(MLFlowLogger, "experiment", SimpleNamespace(get_run=lambda name: run))
    monkeypatch.setattr(MLFlowLogger, "run_id", "r1")
    monkeypatch.setattr(MLFlowLogger, "log_hyperparams", lambda self, options: logged.update(options))
    takes_options(MLFlowLogger.__new__(MLFlowLogger), {"max_steps": 30, "seed": 1})
    assert logged == {"seed": 1}


def test_a_logger_that_can_not_begin_is_one_line(here, capsys, monkeypatch):
    def unreachable(*_, **__):
        raise RuntimeError("no route to the service\nwith a long tale")

    monkeypatch.setattr("lightning.pytorch.loggers.CSVLogger.__init__", unreachable)
    assert fit("--trainer.logger=CSVLogger") == 2
    err = capsys.readouterr().err
    assert "CSVLogger can't begin (RuntimeError: no route to the service)" in err and err.count("\n") == 1


def test_mlflow_itself_goes_on_with_its_run(here, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert fit("--trainer.logger=MLFlowLogger") == 0
    assert (
        fit("--trainer.logger=MLFlowLogger", f"--ckpt_path={RUN}/checkpoints/last.ckpt", "--trainer.max_steps=30") == 0
    )
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{RUN}/mlflow.db")
    name = json.loads((here / RUN / loggers.FILE).read_text())["MLFlowLogger"]
    assert [point.step for point in client.get_metric_history(name, "val/loss")] == [9, 19, 29]
    assert client.get_run(name).data.params["block_size"] == "16"
    assert list((here / RUN / "mlartifacts").rglob("step_29.txt")) and not (here / "mlruns").exists()


def test_wandb_itself_goes_on_with_its_run(here, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert fit("--trainer.logger=WandbLogger") == 0
    assert (
        fit("--trainer.logger=WandbLogger", f"--ckpt_path={RUN}/checkpoints/last.ckpt", "--trainer.max_steps=30") == 0
    )
    name = json.loads((here / RUN / loggers.FILE).read_text())["WandbLogger"]
    assert len(list((here / RUN / "wandb").glob(f"offline-run-*-{name}"))) >= 1
    assert list((here / RUN / "wandb").rglob("media/table/sample/*.json"))
    assert fit("--trainer.logger=WandbLogger") == 0  # in the same process, another one
    other = json.loads((here / "runs/gpt/version_1" / loggers.FILE).read_text())["WandbLogger"]
    assert other != name and list((here / "runs/gpt/version_1/wandb").glob(f"offline-run-*-{other}"))


def test_a_sent_list_of_services_is_data(tmp_path):
    (tmp_path / loggers.FILE).write_text(json.dumps({"WandbLogger": ["not", "a", "name"]}))
    assert loggers.make([], tmp_path, writes=True) == []


def test_a_trainer_of_ones_own_with_another_logger_works(here):
    from lightning.pytorch.loggers import CSVLogger

    from lightning_gpt import GPT, CharDataModule, LanguageModel

    trainer = Trainer(
        **{**lightning_gpt.TRAINER_DEFAULTS, "max_steps": 10, "val_check_interval": 5},
        logger=CSVLogger("mine"), callbacks=lightning_gpt.callbacks(), accelerator="cpu", enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(
        LanguageModel(lambda V, T: GPT(V, T, n_layer=1, n_embd=8, n_head=1)), CharDataModule("text.txt", block_size=8)
    )
    assert list(here.rglob("metrics.csv"))
