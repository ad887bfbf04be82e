"""Histories that other tools wrote: each format as its tool writes it, and what is wrong in a file is named."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate import EvidenceError, History, TrainingError


def read(text: str, **more: Any) -> History:
    return History.from_csv(io.StringIO(text), **more)


def rows(history: History) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = history.summary()["epochs"]
    return found


class TestCsv:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("epoch,train_loss,val_loss\n1,1.5,1.75\n2,1,1.5\n", [(1, 1.5, 1.75), (2, 1.0, 1.5)]),
            ("epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.5,0.4,2\n", [(0, 1.5, 2.0)]),  # Keras' CSVLogger
            ("epoch,train_loss,valid_loss,accuracy,time\n0,1.5,2,0.25,00:12\n", [(0, 1.5, 2.0)]),  # fastai's
            ("Epoch;Training Loss;Validation Loss\n3;1.5;2\n", [(3, 1.5, 2.0)]),
            ("epoch\ttrain/loss\tloss/val\n1.0\t1.5e0\t+2.\n", [(1, 1.5, 2.0)]),
            ("\ufeffloss,eval_loss\n1.5,2\n.5,1\n", [(1, 1.5, 2.0), (2, 0.5, 1.0)]),  # rows count from 1
            (",epoch,loss,val_loss\n0,1,1.5,2\n\n1,2,0.5,1\n\n", [(1, 1.5, 2.0), (2, 0.5, 1.0)]),  # pandas' index
            ('"epoch", "loss" ,val_loss\r\n 1 ,"1.5", 2 \r\n', [(1, 1.5, 2.0)]),
        ],
    )
    def test_layouts(self, text: str, found: list[tuple[int, float, float]]) -> None:
        history = read(text)
        assert list(zip(history.epochs, history.train_loss, history.val_loss, strict=True)) == found

    def test_a_column_without_a_name_is_left_out(self) -> None:
        assert read(",loss\n0,1.5\n1,1\n").names == ("train_loss",)

    def test_empty_cells_were_not_logged_and_nan_is_kept(self) -> None:
        history = read("epoch,loss,val_loss,auc\n1,nan,,0.5\n2,-inf,0.5,\n4,Infinity,,\n")
        assert math.isnan(history.train_loss[0])
        assert history.train_loss[1:] == (-math.inf, math.inf)
        assert (history.val_loss, history["auc"], history.epochs) == ((0.5,), (0.5,), (1, 2, 4))

    def test_rows_of_one_epoch_that_log_different_columns(self) -> None:
        assert rows(read("epoch,loss,val_loss\n1,1.5,\n1,,2\n2,1,\n")) == [
            {"epoch": 1, "train_loss": 1.5, "val_loss": 2.0},
            {"epoch": 2, "train_loss": 1.0},
        ]

    def test_columns_are_renamed_and_left_out(self) -> None:
        text = "round,nll,test_loss,lr\n5,1.5,2,0.1\n"
        columns = {"round": "epoch", "nll": "train_loss", "test_loss": "val_loss", "lr": None}
        assert rows(read(text, columns=columns)) == [{"epoch": 5, "train_loss": 1.5, "val_loss": 2.0}]
        assert read(text).names == ("round", "nll", "test_loss", "lr")

    def test_what_a_history_takes(self) -> None:
        history = read("loss\n3\n1\n2\n", loss="mse", chance_loss=4.0, validation_loss="mae", seed=3, kept=2)
        about = (history.loss, history.chance_loss, history.validation_loss, history.seed, history.kept)
        assert about == ("mse", 4.0, "mae", 3, 2)
        with pytest.raises(TrainingError, match="frozen"):
            history.log(train_loss=1.0)
        with pytest.raises(TrainingError, match="epoch 7 was not logged"):
            read("loss\n3\n", kept=7)
        with pytest.raises(TypeError, match="model_name"):
            read("loss\n3\n", model_name="x")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "this file is empty: nothing was logged"),
            ("\n \n", "this file is empty"),
            ("epoch,loss\n", "a header and no row"),
            ("epoch,loss\n1,\n2,\n", "holds no value of any epoch"),
            ("epoch,date\n1,monday\n", "no column of numbers beside the epoch: it has 'epoch', 'date'"),
            ("epoch,loss\n1,0.5\n2,oops\n", "this file, line 3, column 'loss': 'oops' is no number"),
            ("epoch,loss,auc\n1,0.5,1\n\n2,0.5,x\n", "line 4, column 'auc': 'x' is no number"),
            ("epoch,loss\n1,1_000\n", "'1_000' is no number"),
            ("epoch,loss\n1,0,5\n", "line 2 has 3 cells, and the header 2: is it cut off"),
            ("epoch,loss,val_loss\n1,0.5,0.5\n2,0.\n", "line 3 has 2 cells"),
            ("epoch,loss\n2,1\n1,1\n", "line 3: epoch 1 comes after 2, and epochs must not go backwards"),
            ("epoch,loss\n0.5,1\n", "line 2, column 'epoch': '0.5' is no whole number of 0 or more"),
            ("epoch,loss\n-1,1\n", "'-1' is no whole number"),
            ("epoch,loss\ninf,1\n", "'inf' is no whole number"),
            ("epoch,loss\n,1\n", "'' is no whole number"),
            ("epoch,loss\n1,1\n1,2\n", r"line 3: epoch 1 has train_loss twice \(first in this file, line 2\)"),
            ("epoch,loss,train_loss\n1,1,1\n", "'loss' and 'train_loss' are both taken for train_loss; leave one out"),
            ("epoch,loss,loss\n1,1,1\n", "line 1: two columns are called 'loss'"),
            ("loss\n" + "1" * 200_000 + "\n", "line 2 is no CSV"),
        ],
    )
    def test_what_is_wrong_is_named(self, text: str, says: str) -> None:
        with pytest.raises(EvidenceError, match=says):
            read(text)

    def test_an_unknown_column(self) -> None:
        with pytest.raises(EvidenceError, match=r"no column 'los'; did you mean 'loss'\? \(it has 'epoch', 'loss'\)"):
            read("epoch,loss\n1,1\n", columns={"los": "train_loss"})

    def test_files(self, tmp_path: Path) -> None:
        file = tmp_path / "log.csv"
        file.write_bytes(b"\xef\xbb\xbfepoch,loss\r\n1,1.5\r\n")
        assert History.from_csv(file) == History.from_csv(str(file)) == read("epoch,loss\n1,1.5\n")
        with file.open("rb") as opened:
            assert History.from_csv(opened).train_loss == (1.5,)
        for wrong, says in [
            (tmp_path / "no.csv", r"there is no file .*no\.csv \(looked for "),
            (tmp_path, "is a folder: give the path of a CSV file in it"),
            (None, "not NoneType: None"),
        ]:
            with pytest.raises(EvidenceError, match=says):
                History.from_csv(wrong)
        file.write_bytes(b"epoch,loss\n1,\xff\n")
        with pytest.raises(EvidenceError, match=r"log\.csv is no text in UTF-8"):
            History.from_csv(file)

    @given(
        st.lists(
            st.tuples(st.floats(width=64), st.floats(width=64) | st.none(), st.floats(width=64)), min_size=1, max_size=8
        )
    )
    def test_what_the_csv_module_writes_comes_back(self, values: list[tuple[float, float | None, float]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["epoch", "train_loss", "val_loss", "val_auc"])
        expected = History()
        for epoch, (train, val, auc) in enumerate(values, 1):
            writer.writerow([epoch, repr(train), "" if val is None else repr(val), repr(auc)])
            expected.log(epoch=epoch, train_loss=train, val_loss=val, val_auc=auc)
        assert read(text.getvalue()) == expected


class TestJson:
    HISTORY = History("cross_entropy", model="Net", seed=3, validation_loss="nll", chance_loss=math.inf)
    HISTORY.log(epoch=1, train_loss=1.5, val_loss=math.nan, eval_loss=3.0, loss=4.0)
    HISTORY.log(epoch=4, train_loss=1.0, val_auc=math.inf)
    HISTORY.nondeterministic = ("cumsum",)
    HISTORY.keep(1)

    def test_a_summary_comes_back_whole(self, tmp_path: Path) -> None:
        text = json.dumps(self.HISTORY.summary())
        file = tmp_path / "history.json"
        file.write_text(text, encoding="utf-8")
        for source in (text, f"\n {text}", file, str(file), io.StringIO(text), self.HISTORY.summary()):
            assert History.from_json(source) == self.HISTORY
        again = History.from_json(text, model="Other", kept=4, columns={"loss": None})
        assert (again.model, again.loss, again.kept, again["loss"]) == ("Other", "cross_entropy", 4, ())

    def test_a_summary_of_another_version(self) -> None:
        history = History.from_json('{"epochs": [{"epoch": 1, "train_loss": 1}], "new": 1, "chance_loss": null}')
        assert (history.train_loss, history.loss, history.chance_loss, history.kept) == ((1.0,), None, None, None)

    def test_rows_and_series(self) -> None:
        by_rows = '[{"epoch": 0, "loss": 1.5, "val_loss": null}, {"epoch": 1, "loss": NaN, "val_loss": 2, "tag": "x"}]'
        assert rows(History.from_json(by_rows)) == [
            {"epoch": 0, "train_loss": 1.5},
            {"epoch": 1, "train_loss": "nan", "val_loss": 2.0},
        ]
        keras = {"loss": [1.5, 1.0], "val_loss": [None, 2], "params": {"units": 3}}
        for source in (keras, json.dumps(keras)):
            assert rows(History.from_json(source)) == [
                {"epoch": 1, "train_loss": 1.5},
                {"epoch": 2, "train_loss": 1.0, "val_loss": 2.0},
            ]
        assert History.from_json({"epochs": [3, 5], "loss": [1.5, 1.0]}).epochs == (3, 5)

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("{", "this text is no JSON"),
            ("[]", "this text holds no entry"),
            ("{}", "is no history: it has nothing, and neither"),
            ('{"epochs": []}', "holds no entry"),
            ('{"a": 1}', "it has 'a', and neither the key 'epochs' nor a list for each name"),
            ('{"loss": [1, 2], "val_loss": [1]}', "'val_loss' has 1 values and 'loss' 2, .* put null"),
            ('{"loss": []}', "holds no entry"),
            ("[1]", "this text, entry 1 is no object: 1"),
            ('[{"epoch": 1, "loss": true}]', "entry 1, column 'loss': True is no number"),
            ('[{"epoch": 1, "loss": [1]}]', r"entry 1, column 'loss': \[1\] is no number"),
            ('[{"loss": 1}, {"epoch": 1, "loss": 1}]', "entry 1, column 'epoch': None is no whole number"),
            ('{"epochs": [{"epoch": 1, "train_loss": 1, "x": "a"}]}', "entry 1, column 'x': 'a' is no number"),
            ('{"chance_loss": "x", "epochs": [{"epoch": 1, "train_loss": 1}]}', "column 'chance_loss': 'x' is no"),
            (io.StringIO(" "), "is empty"),
            (io.StringIO("3"), "this file holds a int, and no history"),
            ("no.json", r"there is no file no\.json \(looked for .*no\.json\)"),
        ],
    )
    def test_what_is_wrong_is_named(self, source: Any, says: str) -> None:
        with pytest.raises(EvidenceError, match=says):
            History.from_json(source)


class CSVLogger:
    """Stands in for Lightning's, which holds rows back until it saves."""

    def __init__(self, folder: Path, text: str) -> None:
        self.log_dir = str(folder)
        self._text = text

    def save(self) -> None:
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        (Path(self.log_dir) / "metrics.csv").write_text(self._text, encoding="utf-8")


class OwnLogger(CSVLogger): ...


class TestLightning:
    # As Lightning 2 writes it: sorted columns, one row a call, epochs from 0, the step before its increment.
    BOTH = (
        "epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val_acc,val_loss\n"
        ",0.001,0,,,,\n"
        "0,,4,,1.5,,\n"
        "0,,9,,1.25,,\n"
        "0,,9,,,0.5,1.75\n"
        "0,,9,1.375,,,\n"
        ",0.001,10,,,,\n"
        "1,,14,,1.0,,\n"
        "1,,19,,0.75,,\n"
        "1,,19,,,0.625,1.5\n"
        "1,,19,0.875,,,\n"
    )

    def test_the_values_of_epochs_count(self) -> None:
        history = History.from_lightning(io.StringIO(self.BOTH), loss="cross_entropy")
        assert rows(history) == [
            {"epoch": 0, "train_loss": 1.375, "val_loss": 1.75, "val_acc": 0.5},
            {"epoch": 1, "train_loss": 0.875, "val_loss": 1.5, "val_acc": 0.625},
        ]
        assert history.loss == "cross_entropy"

    def test_values_of_steps_are_averaged_where_there_are_no_others(self) -> None:
        text = "epoch,step,train_loss,val_loss_step,f1_step\n0,49,2,,1\n0,99,1,,\n0,99,,3,\n1,149,nan,,\n1,199,1,4,\n"
        history = History.from_lightning(io.StringIO(text))
        assert rows(history) == [
            {"epoch": 0, "train_loss": 1.5, "f1": 1.0, "val_loss": 3.0},
            {"epoch": 1, "train_loss": "nan", "val_loss": 4.0},
        ]

    def test_the_last_of_several_validations_counts(self) -> None:
        """As with val_check_interval=0.5, or where the check before training was logged."""
        text = "epoch,step,train_loss,val_loss\n0,0,,9\n0,4,,3\n0,9,,2\n0,9,1,\n1,14,,1.5\n1,19,,1.25\n1,19,0.5,\n"
        assert History.from_lightning(io.StringIO(text)).val_loss == (2.0, 1.25)

    def test_tests_and_a_validation_after_the_training_are_no_epochs(self) -> None:
        after = "epoch,step,test_loss,train_loss,val_loss\n0,9,,1,2\n1,19,,0.5,1.5\n2,20,,,9\n2,20,8,,\n"
        assert History.from_lightning(io.StringIO(after)).val_loss == (2.0, 1.5)
        # Few steps an epoch: train_loss is logged every 50 steps only, and the last epochs have validations alone.
        sparse = "epoch,step,train_loss,val_loss\n0,29,,3\n1,49,1,\n1,59,,2\n2,89,,1.5\n"
        assert History.from_lightning(io.StringIO(sparse)).val_loss == (3.0, 2.0, 1.5)
        one_step = "epoch,step,train_loss,val_loss\n0,0,1,2\n1,1,0.5,1.5\n"
        assert History.from_lightning(io.StringIO(one_step)).val_loss == (2.0, 1.5)
        alone = "epoch,step,val_loss\n0,9,3\n"
        assert History.from_lightning(io.StringIO(alone)).val_loss == (3.0,)

    def test_paths_folders_loggers_and_trainers(self, tmp_path: Path) -> None:
        expected = History.from_lightning(io.StringIO(self.BOTH))
        logger = CSVLogger(tmp_path / "version_0", self.BOTH)
        boards = SimpleNamespace(log_dir=str(tmp_path / "boards"))
        assert History.from_lightning(SimpleNamespace(loggers=[boards, logger])) == expected
        folder = Path(logger.log_dir)
        for source in (logger, OwnLogger(folder, self.BOTH), folder, str(folder), folder / "metrics.csv"):
            assert History.from_lightning(source) == expected

    def test_what_is_wrong_is_named(self, tmp_path: Path) -> None:
        for source, says in [
            (tmp_path, r"no file .*metrics\.csv, and none in folders .*version_\*"),
            (tmp_path / "metrics.csv", "there is no file"),
            (SimpleNamespace(log_dir=str(tmp_path)), r"no file .*metrics\.csv: train with Trainer\(logger=CSVLogger"),
            (SimpleNamespace(loggers=[]), "a CSVLogger, or a Trainer that has one, not SimpleNamespace"),
            (3, "not int: 3"),
            (io.StringIO("step,loss\n1,1\n"), r"no column 'epoch', .* \(it has 'step', 'loss'\); .*from_csv"),
            (io.StringIO("epoch,step,loss\n,1,1\n"), "no column of numbers"),
            (io.StringIO("epoch,loss\n1,1\n0,1\n"), "line 3: epoch 0 comes after 1"),
            (io.StringIO("epoch,loss\n1,1\n1,x\n"), "line 3, column 'loss': 'x' is no number"),
        ]:
            with pytest.raises(EvidenceError, match=says):
                History.from_lightning(source)
        for run in (0, 1):
            CSVLogger(tmp_path / f"version_{run}", self.BOTH).save()
        with pytest.raises(EvidenceError, match=r"which run is meant: .*version_0 or .*version_1"):
            History.from_lightning(tmp_path)

    def test_columns_may_be_named_with_or_without_their_ending(self) -> None:
        for name in ("train_loss", "train_loss_epoch"):
            history = History.from_lightning(io.StringIO(self.BOTH), columns={name: "objective", "val_acc": None})
            assert history["objective"] == (1.375, 0.875)
            assert history.names == ("val_loss", "objective")


class TestTrainer:
    # As Trainer writes it: "loss" is the mean since the log before; the summary is last.
    LOG: list[dict[str, Any]] = [
        {"eval_loss": 9.0, "epoch": 0, "step": 0},  # eval_on_start
        {"loss": 2.0, "grad_norm": 3.0, "learning_rate": 4e-05, "epoch": 0.5, "step": 50},
        {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 2e-05, "epoch": 1.0, "step": 100},
        {"eval_loss": 1.75, "eval_accuracy": 0.5, "eval_runtime": 0.1, "eval_samples_per_second": 9.9, "epoch": 1.0,
         "step": 100},
        {"loss": 0.5, "grad_norm": 1.0, "learning_rate": 1e-05, "epoch": 1.5, "step": 150},
        {"eval_loss": 1.6, "epoch": 1.5, "step": 150},
        {"loss": 0.25, "grad_norm": 1.0, "learning_rate": 0.0, "epoch": 2.0, "step": 200},
        {"eval_loss": 1.5, "eval_accuracy": 0.625, "epoch": 2.0, "step": 200},
        {"train_runtime": 3.1, "train_samples_per_second": 9.0, "total_flos": 1e12, "train_loss": 0.9, "epoch": 2.0,
         "step": 200},
        {"eval_loss": 0.1, "eval_accuracy": 0.9, "epoch": 2.0, "step": 200},
        {"test_loss": 7.0, "epoch": 2.0, "step": 200},
    ]  # fmt: skip

    def state(self, log: Any = None) -> Any:
        return SimpleNamespace(log_history=self.LOG if log is None else log)

    def test_epochs(self) -> None:
        history = History.from_trainer(self.state(), loss="cross_entropy")
        assert rows(history) == [
            {"epoch": 1, "train_loss": 1.5, "grad_norm": 2.0, "learning_rate": 3e-5, "val_loss": 1.75,
             "val_accuracy": 0.5},
            {"epoch": 2, "train_loss": 0.375, "grad_norm": 1.0, "learning_rate": 5e-6, "val_loss": 1.5,
             "val_accuracy": 0.625},
        ]  # fmt: skip
        assert (history.loss, history.names[:2]) == ("cross_entropy", ("train_loss", "val_loss"))

    def test_logs_count_by_their_steps_in_the_epoch_of_their_middle(self) -> None:
        log = [
            {"loss": 4.0, "epoch": 0.6, "step": 60},
            {"loss": 2.0, "epoch": 0.8, "step": 80},
            {"loss": 1.0, "epoch": 1.1, "step": 110},  # from 0.8 to 1.1: of the first epoch
            {"eval_loss": 3.0, "epoch": 1.1, "step": 110},
            {"loss": 0.5, "epoch": 2.0000000001, "step": 200},
            {"eval_loss": 2.5, "epoch": 2.0000000001, "step": 200},
        ]
        history = History.from_trainer(self.state(log))
        assert history.epochs == (1, 2)
        assert history.train_loss == pytest.approx(((4 * 60 + 2 * 20 + 1 * 30) / 110, 0.5))
        assert history.val_loss == (2.5,)
        log[1]["loss"] = math.nan
        assert math.isnan(History.from_trainer(self.state(log)).train_loss[0])

    def test_sources(self, tmp_path: Path) -> None:
        expected = History.from_trainer(self.state())
        folder = tmp_path / "checkpoint-200"
        folder.mkdir()
        file = folder / "trainer_state.json"
        file.write_text(json.dumps({"best_metric": 1.5, "epoch": 2.0, "log_history": self.LOG}), encoding="utf-8")
        for source in (file, str(file), folder, SimpleNamespace(state=self.state()), file.open(encoding="utf-8")):
            assert History.from_trainer(source) == expected
            if isinstance(source, io.TextIOBase):
                source.close()
        with pytest.raises(EvidenceError, match=r"no file .*trainer_state\.json; which run is meant: .*checkpoint-200"):
            History.from_trainer(tmp_path)

    def test_several_evaluation_sets_and_columns(self) -> None:
        log = [
            {"loss": 1.0, "epoch": 1.0, "step": 9},
            {"eval_a_loss": 2.0, "epoch": 1.0, "step": 9},
            {"eval_b_loss": 3.0, "epoch": 1.0, "step": 9},
        ]
        assert History.from_trainer(self.state(log)).names == ("train_loss", "val_a_loss", "val_b_loss")
        for name in ("eval_a_loss", "val_a_loss"):
            assert History.from_trainer(self.state(log), columns={name: "val_loss"}).val_loss == (2.0,)

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            (SimpleNamespace(log_history=[]), "log_history holds no entry"),
            (SimpleNamespace(state=SimpleNamespace()), "or the Trainer, not SimpleNamespace"),
            ([{"loss": 1.0}], "or the Trainer, not list"),
            (io.StringIO('{"epoch": 1}'), "this file has no list 'log_history'"),
            (io.StringIO("[]"), "has no list 'log_history'"),
            (SimpleNamespace(log_history=[{"loss": 1.0, "step": 3}]), "entry 1: epoch None is no number"),
            (SimpleNamespace(log_history=[{"loss": "x", "epoch": 1.0}]), "entry 1, column 'loss': 'x' is no number"),
            (SimpleNamespace(log_history=[{"loss": 1.0, "epoch": math.nan}]), "entry 1: epoch nan is no number"),
            (
                SimpleNamespace(log_history=[{"loss": 1.0, "epoch": 2.0}, {"loss": 1.0, "epoch": 1.0}]),
                "entry 2: epoch 1 comes after 2",
            ),
            (
                SimpleNamespace(log_history=[{"train_runtime": 1.0, "train_loss": 1.0, "epoch": 1.0}]),
                "no column of numbers",
            ),
            ("nowhere", "there is no file nowhere"),
        ],
    )
    def test_what_is_wrong_is_named(self, source: Any, says: str) -> None:
        with pytest.raises(EvidenceError, match=says):
            History.from_trainer(source)
