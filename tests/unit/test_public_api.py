"""The public surface: exactly these names, each at home in `pytest_modelgate`."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_modelgate as mg

NAMES = re.findall(
    r"\w+",
    """
    BarError BeatsMajorityClass BySlice CheckpointError ConfusionMatrix Converged DataAudit DeviceError
    Diagnosis Evaluation EveryClassRecall EvidenceError GapAtMost Gate GateFailure GateFileError
    GeneralizationGap History LossDecreases MetricError MetricImproves ModelgateError ModelgateWarning
    NoOverfitting NoRegression Outcome OverSeeds Resolution Run Thresholds TrainedModel TrainingError
    TrainingStable Verdict assert_accuracy_at_least assert_all_parameters_train
    assert_average_precision_at_least assert_balanced_accuracy_at_least assert_beats_majority_class
    assert_calibration_error_at_most assert_chance_on_shuffled_labels assert_checkpoint_round_trip
    assert_converged assert_deterministic assert_every_class_recall_at_least assert_export_parity
    assert_f1_at_least assert_finite_gradients assert_fits_one_batch assert_gap_at_most
    assert_generalization_gap_at_most assert_initial_loss_sane assert_learns_from_input assert_loss_at_most
    assert_loss_decreases assert_mcc_at_least assert_metric assert_metric_improves assert_no_batch_mixing
    assert_no_label_leakage assert_no_leakage assert_no_overfitting assert_no_regression assert_over_seeds
    assert_precision_at_least assert_recall_at_least assert_roc_auc_at_least assert_same_distribution
    assert_same_on_devices assert_specificity_at_least assert_training_reproducible assert_training_stable
    check_model custom_metric evaluate from_torchmetrics from_trainer_output load_model plan_sample_size
    train_model train_models what_can_be_told
""",
)


def test_the_names_are_exact() -> None:
    assert sorted(mg.__all__) == sorted(NAMES)
    assert len(set(mg.__all__)) == len(mg.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_loads_and_is_documented(name: str) -> None:
    value = getattr(mg, name)
    assert value is getattr(mg, name)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(mg)


def test_errors_say_their_public_module() -> None:
    for name in NAMES:
        value = getattr(mg, name)
        if isinstance(value, type) and issubclass(value, (Exception, Warning)):
            assert value.__module__ == "pytest_modelgate"
            assert issubclass(value, mg.ModelgateError) or value in (mg.GateFailure, mg.ModelgateWarning)
    assert issubclass(mg.GateFailure, AssertionError)
    assert not issubclass(mg.GateFailure, mg.ModelgateError)


def test_type_checkers_see_the_same_names() -> None:
    """What `__all__` names, `__getattr__` finds and `TYPE_CHECKING` imports is one list."""
    source = Path(mg.__file__).read_text("utf-8")
    block = source[source.index("if TYPE_CHECKING:") : source.index("__version__")]
    imported = set(re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r"from [\w.]+ import|if TYPE_CHECKING:", " ", block)))
    assert imported == set(NAMES)


def test_a_typo_is_asked_about() -> None:
    with pytest.raises(AttributeError, match=r"did you mean 'ConfusionMatrix'?"):
        mg.ConfusionMatrx  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'assert_recal_at_least'; did you mean"):
        mg.assert_recal_at_least  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'zzz'$"):
        mg.zzz  # noqa: B018
    with pytest.raises(ImportError):
        exec("from pytest_modelgate import assert_recal_at_least")


def test_a_star_import_works() -> None:
    space: dict[str, object] = {}
    exec("from pytest_modelgate import *", space)
    assert set(NAMES) <= set(space)


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert mg.__version__ == version("pytest-modelgate")


@pytest.mark.parametrize(
    "layer",
    ["metrics", "statistics", "evidence", "gates", "reports", "runtime", "assertions", "checks", "runtime.cache"],
)
def test_the_inits_of_layers_hold_a_docstring_and_nothing_else(layer: str) -> None:
    module = importlib.import_module(f"pytest_modelgate.{layer}")
    assert Path(module.__file__).read_text("utf-8").strip().splitlines() == [f'"""{module.__doc__}"""']


def test_every_module_has_a_docstring_and_is_of_modest_length() -> None:
    for file in Path(mg.__file__).parent.rglob("*.py"):
        text = file.read_text("utf-8")
        assert text.startswith('"""'), file
        assert len(text.splitlines()) <= 400, file


def test_it_is_typed() -> None:
    assert (Path(mg.__file__).parent / "py.typed").exists()


def test_a_notebook_needs_no_pytest() -> None:
    """Maths, evidence, gates and assertions, without pytest in the process."""
    code = """
import sys
sys.modules["pytest"] = sys.modules["_pytest"] = None
import pytest_modelgate as mg
matrix = mg.ConfusionMatrix([[45, 5], [1, 99]])
assert mg.assert_recall_at_least(matrix, 0.9).passed
mg.Evaluation.from_predictions(target=[0, 1], preds=[0.2, 0.9], outputs="probabilities")
import torch
mg.evaluate(torch.nn.Identity(), (torch.tensor([-1.0, 2.0]), torch.tensor([0, 1])), outputs="logits")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_no_verdict_imports_scipy_stats() -> None:
    """It takes longer to import than most tests take; special functions are enough."""
    code = """
import sys
import pytest_modelgate as mg
from pytest_modelgate.metrics.registry import METRICS
asked = {"target": [0, 1] * 40, "ids": range(80), "groups": [i // 4 for i in range(80)]}
two = mg.Evaluation.from_predictions(preds=[i / 79 for i in range(80)], outputs="probabilities", **asked)
values = mg.Evaluation.from_predictions(preds=[i / 79 for i in range(80)], outputs="values", **asked)
for metric in METRICS.values():
    if metric.name not in ("loss", "top_k_accuracy", "exact_match"):
        evidence = values if metric.needs == "errors" else two
        bar = {"at_least" if metric.higher_is_better else "at_most": 0.5}
        str(mg.Gate(metric.name, **bar, allow_vacuous=True).check(evidence))
str(mg.NoRegression("recall").check(two, two))
str(mg.OverSeeds(mg.Gate("recall", at_least=0.5)).check([two] * 3))
str(mg.BeatsMajorityClass().check(two)), str(mg.EveryClassRecall(0.5).check(two))
mg.plan_sample_size("recall", 0.9, 0.95), mg.what_can_be_told(two, 0.9)
assert "scipy.special" in sys.modules and "scipy.stats" not in sys.modules
assert not {"torch", "sklearn", "pandas"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_typo_is_an_error_to_a_type_checker(tmp_path: Path) -> None:
    """Names load on first use, and a type checker still knows which there are."""
    pytest.importorskip("mypy")
    file = tmp_path / "typed.py"
    file.write_text("from pytest_modelgate import assert_recall_at_least, assert_recal_at_least\n", "utf-8")
    home = str(Path(mg.__file__))
    options = ["--follow-imports=skip", "--no-incremental", "--config-file=", str(file), home]
    result = subprocess.run([sys.executable, "-m", "mypy", *options], capture_output=True, text=True, check=False)
    found = [line for line in result.stdout.splitlines() if "typed.py" in line]
    assert len(found) == 1
    assert '"assert_recal_at_least"' in found[0]
