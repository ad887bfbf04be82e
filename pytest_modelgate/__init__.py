"""Quality gates for PyTorch models, as a pytest plugin: fail the build when a model is below its bar.

Importing the package imports none of torch, numpy, scipy or yaml: each public name loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_modelgate.assertions.comparing import (
        assert_gap_at_most,
        assert_generalization_gap_at_most,
        assert_no_regression,
        assert_over_seeds,
    )
    from pytest_modelgate.assertions.data import (
        assert_chance_on_shuffled_labels,
        assert_no_label_leakage,
        assert_no_leakage,
        assert_same_distribution,
    )
    from pytest_modelgate.assertions.histories import (
        assert_converged,
        assert_loss_decreases,
        assert_metric_improves,
        assert_no_overfitting,
        assert_training_reproducible,
        assert_training_stable,
    )
    from pytest_modelgate.assertions.metrics import (
        assert_accuracy_at_least,
        assert_average_precision_at_least,
        assert_balanced_accuracy_at_least,
        assert_beats_majority_class,
        assert_calibration_error_at_most,
        assert_every_class_recall_at_least,
        assert_f1_at_least,
        assert_loss_at_most,
        assert_mcc_at_least,
        assert_metric,
        assert_precision_at_least,
        assert_recall_at_least,
        assert_roc_auc_at_least,
        assert_specificity_at_least,
    )
    from pytest_modelgate.assertions.wiring import (
        assert_all_parameters_train,
        assert_checkpoint_round_trip,
        assert_deterministic,
        assert_export_parity,
        assert_finite_gradients,
        assert_fits_one_batch,
        assert_initial_loss_sane,
        assert_learns_from_input,
        assert_no_batch_mixing,
        assert_same_on_devices,
        check_model,
    )
    from pytest_modelgate.evidence.audit import DataAudit
    from pytest_modelgate.evidence.diagnosis import Diagnosis
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.evidence.thresholds import Thresholds
    from pytest_modelgate.exceptions import (
        BarError,
        CheckpointError,
        DeviceError,
        EvidenceError,
        GateFailure,
        GateFileError,
        MetricError,
        ModelgateError,
        ModelgateWarning,
        TrainingError,
    )
    from pytest_modelgate.gates.gap import GapAtMost
    from pytest_modelgate.gates.gate import Gate
    from pytest_modelgate.gates.generalization import GeneralizationGap
    from pytest_modelgate.gates.histories import Converged, LossDecreases, MetricImproves, NoOverfitting, TrainingStable
    from pytest_modelgate.gates.majority import BeatsMajorityClass, EveryClassRecall
    from pytest_modelgate.gates.no_regression import NoRegression
    from pytest_modelgate.gates.planning import Resolution, plan_sample_size, what_can_be_told
    from pytest_modelgate.gates.seeds import OverSeeds
    from pytest_modelgate.gates.slices import BySlice
    from pytest_modelgate.gates.verdict import Outcome, Verdict
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.custom import custom_metric
    from pytest_modelgate.runtime.adapters.torchmetric import from_torchmetrics
    from pytest_modelgate.runtime.adapters.trainer import from_trainer_output
    from pytest_modelgate.runtime.evaluation import evaluate
    from pytest_modelgate.runtime.loading import load_model
    from pytest_modelgate.runtime.modules import TrainedModel
    from pytest_modelgate.runtime.training import Run, train_model, train_models

__version__ = "0.1.0"

_HOMES = {
    "assertions.comparing": (
        "assert_gap_at_most",
        "assert_generalization_gap_at_most",
        "assert_no_regression",
        "assert_over_seeds",
    ),
    "assertions.data": (
        "assert_chance_on_shuffled_labels",
        "assert_no_label_leakage",
        "assert_no_leakage",
        "assert_same_distribution",
    ),
    "assertions.histories": (
        "assert_converged",
        "assert_loss_decreases",
        "assert_metric_improves",
        "assert_no_overfitting",
        "assert_training_reproducible",
        "assert_training_stable",
    ),
    "assertions.metrics": (
        "assert_accuracy_at_least",
        "assert_average_precision_at_least",
        "assert_balanced_accuracy_at_least",
        "assert_beats_majority_class",
        "assert_calibration_error_at_most",
        "assert_every_class_recall_at_least",
        "assert_f1_at_least",
        "assert_loss_at_most",
        "assert_mcc_at_least",
        "assert_metric",
        "assert_precision_at_least",
        "assert_recall_at_least",
        "assert_roc_auc_at_least",
        "assert_specificity_at_least",
    ),
    "assertions.wiring": (
        "assert_all_parameters_train",
        "assert_checkpoint_round_trip",
        "assert_deterministic",
        "assert_export_parity",
        "assert_finite_gradients",
        "assert_fits_one_batch",
        "assert_initial_loss_sane",
        "assert_learns_from_input",
        "assert_no_batch_mixing",
        "assert_same_on_devices",
        "check_model",
    ),
    "evidence.audit": ("DataAudit",),
    "evidence.diagnosis": ("Diagnosis",),
    "evidence.evaluation": ("Evaluation",),
    "evidence.history": ("History",),
    "evidence.thresholds": ("Thresholds",),
    "exceptions": (
        "BarError",
        "CheckpointError",
        "DeviceError",
        "EvidenceError",
        "GateFailure",
        "GateFileError",
        "MetricError",
        "ModelgateError",
        "ModelgateWarning",
        "TrainingError",
    ),
    "gates.gap": ("GapAtMost",),
    "gates.gate": ("Gate",),
    "gates.generalization": ("GeneralizationGap",),
    "gates.histories": ("Converged", "LossDecreases", "MetricImproves", "NoOverfitting", "TrainingStable"),
    "gates.majority": ("BeatsMajorityClass", "EveryClassRecall"),
    "gates.no_regression": ("NoRegression",),
    "gates.planning": ("Resolution", "plan_sample_size", "what_can_be_told"),
    "gates.seeds": ("OverSeeds",),
    "gates.slices": ("BySlice",),
    "gates.verdict": ("Outcome", "Verdict"),
    "metrics.confusion": ("ConfusionMatrix",),
    "metrics.custom": ("custom_metric",),
    "runtime.adapters.torchmetric": ("from_torchmetrics",),
    "runtime.adapters.trainer": ("from_trainer_output",),
    "runtime.evaluation": ("evaluate",),
    "runtime.loading": ("load_model",),
    "runtime.modules": ("TrainedModel",),
    "runtime.training": ("Run", "train_model", "train_models"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BarError",
    "BeatsMajorityClass",
    "BySlice",
    "CheckpointError",
    "ConfusionMatrix",
    "Converged",
    "DataAudit",
    "DeviceError",
    "Diagnosis",
    "Evaluation",
    "EveryClassRecall",
    "EvidenceError",
    "GapAtMost",
    "Gate",
    "GateFailure",
    "GateFileError",
    "GeneralizationGap",
    "History",
    "LossDecreases",
    "MetricError",
    "MetricImproves",
    "ModelgateError",
    "ModelgateWarning",
    "NoOverfitting",
    "NoRegression",
    "Outcome",
    "OverSeeds",
    "Resolution",
    "Run",
    "Thresholds",
    "TrainedModel",
    "TrainingError",
    "TrainingStable",
    "Verdict",
    "assert_accuracy_at_least",
    "assert_all_parameters_train",
    "assert_average_precision_at_least",
    "assert_balanced_accuracy_at_least",
    "assert_beats_majority_class",
    "assert_calibration_error_at_most",
    "assert_chance_on_shuffled_labels",
    "assert_checkpoint_round_trip",
    "assert_converged",
    "assert_deterministic",
    "assert_every_class_recall_at_least",
    "assert_export_parity",
    "assert_f1_at_least",
    "assert_finite_gradients",
    "assert_fits_one_batch",
    "assert_gap_at_most",
    "assert_generalization_gap_at_most",
    "assert_initial_loss_sane",
    "assert_learns_from_input",
    "assert_loss_at_most",
    "assert_loss_decreases",
    "assert_mcc_at_least",
    "assert_metric",
    "assert_metric_improves",
    "assert_no_batch_mixing",
    "assert_no_label_leakage",
    "assert_no_leakage",
    "assert_no_overfitting",
    "assert_no_regression",
    "assert_over_seeds",
    "assert_precision_at_least",
    "assert_recall_at_least",
    "assert_roc_auc_at_least",
    "assert_same_distribution",
    "assert_same_on_devices",
    "assert_specificity_at_least",
    "assert_training_reproducible",
    "assert_training_stable",
    "check_model",
    "custom_metric",
    "evaluate",
    "from_torchmetrics",
    "from_trainer_output",
    "load_model",
    "plan_sample_size",
    "train_model",
    "train_models",
    "what_can_be_told",
]


if not TYPE_CHECKING:  # a type checker must see the names above alone, so that a typo is an error to it

    def __getattr__(name: str) -> Any:
        home = _HOME_OF.get(name)
        if home is None:
            from pytest_modelgate.exceptions import did_you_mean

            raise AttributeError(f"module 'pytest_modelgate' has no attribute {name!r}{did_you_mean(name, _HOME_OF)}")
        value = getattr(import_module(f"pytest_modelgate.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
