"""Ids, groups, weights and fingerprints in `evaluate`, on data in any form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, TensorDataset

from pytest_modelgate import Evaluation, Gate, evaluate
from pytest_modelgate.exceptions import EvidenceError

N = 150
torch.manual_seed(0)
X = torch.randn(N, 5)
Y = (X[:, 0] + torch.randn(N) > 0).long()
MODEL = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 2))
RNG = np.random.default_rng(0)
DESIGN = {"ids": [f"s{i}" for i in range(N)], "groups": [i // 3 for i in range(N)], "weights": RNG.exponential(size=N)}
LOSS = nn.CrossEntropyLoss()


def inputs():
    return X.clone()  # the model changes its inputs in place


def data(form, size=32):
    dataset = TensorDataset(inputs(), Y)
    return {
        "pair": lambda: (inputs(), Y),
        "dataset": lambda: dataset,
        "loader": lambda: DataLoader(dataset, batch_size=size, shuffle=False),
        "iterable": lambda: [(inputs()[i : i + size], Y[i : i + size]) for i in range(0, N, size)],
    }[form]()


def run(what, **given):
    return evaluate(MODEL, what, **{"loss": LOSS, **given})


class Stream(IterableDataset):
    def __iter__(self):
        return zip(inputs(), Y, strict=True)


@pytest.mark.parametrize("form", ["pair", "dataset", "loader", "iterable"])
def test_every_form_of_data_and_any_batch_size(form):
    with torch.no_grad():
        outputs = MODEL(inputs())
    whole = Evaluation.from_predictions(target=Y, preds=outputs, outputs="logits", **DESIGN)
    for size in (7, 150):
        found = run(data(form, size), batch_size=size, **DESIGN)
        for name in ("recall", "mcc", "roc_auc", "brier"):
            assert found.metric(name) == pytest.approx(whole.metric(name), rel=1e-6)
            assert found.interval(name) == pytest.approx(whole.interval(name), abs=1e-5)
        assert found.samples.ids.tolist() == whole.samples.ids.tolist()
        assert found.samples.losses.shape == (N,)
        assert found.interval("loss").lower < found.loss < found.interval("loss").upper


@pytest.mark.parametrize("name", DESIGN)
def test_a_shuffled_loader_is_refused(name):
    dataset = TensorDataset(inputs(), Y)
    for loader in (
        DataLoader(dataset, shuffle=True),
        DataLoader(dataset, sampler=RandomSampler(dataset)),
        DataLoader(dataset, batch_sampler=BatchSampler(RandomSampler(dataset), 8, drop_last=False)),
        DataLoader(dataset, batch_sampler=[[2, 1], [0, 3]]),
        DataLoader(Stream(), batch_size=8, num_workers=2),
    ):
        with pytest.raises(EvidenceError, match=f"{name}= go with.*shuffle=False"):
            run(loader, **{name: DESIGN[name]})


def test_loaders_in_order_are_taken():
    dataset = TensorDataset(inputs(), Y)
    whole = run(dataset, **DESIGN)
    for loader in (
        DataLoader(dataset, batch_size=8),
        DataLoader(Stream(), batch_size=8),
        DataLoader(TensorDataset(inputs()[:, None], Y[:, None]), batch_size=None),
    ):
        found = evaluate(nn.Sequential(nn.Flatten(), MODEL), loader, loss=LOSS, **DESIGN)
        assert found.metric("recall") == whole.metric("recall")


def test_samples_that_a_loader_drops_are_missed():
    with pytest.raises(EvidenceError, match="150 weights for 144 samples"):
        run(DataLoader(TensorDataset(inputs(), Y), batch_size=16, drop_last=True), weights=DESIGN["weights"])


class TestContent:
    def test_shuffled_or_not(self):
        ordered = run(data("pair"), ids="content")
        shuffled = run(DataLoader(TensorDataset(inputs(), Y), batch_size=16, shuffle=True), ids="content")
        assert len(np.unique(ordered.samples.ids)) == N
        assert sorted(shuffled.samples.ids.tolist()) == sorted(ordered.samples.ids.tolist())
        assert shuffled.fingerprint == ordered.fingerprint
        for name in ("recall", "mcc", "loss"):
            assert shuffled.metric(name) == pytest.approx(ordered.metric(name), rel=1e-6)

    def test_with_groups_a_shuffled_loader_is_refused(self):
        with pytest.raises(EvidenceError, match=r"^groups= go with"):
            run(DataLoader(TensorDataset(inputs(), Y), shuffle=True), ids="content", groups=DESIGN["groups"])

    def test_a_model_that_changes_its_inputs_does_not_change_their_names(self):
        class Same(nn.Module):
            def forward(self, x):
                return x[:, :2] + 0

        ids = evaluate(Same(), (inputs(), Y), loss=LOSS, ids="content").samples.ids
        assert run(data("pair"), ids="content").samples.ids.tolist() == ids.tolist()

    def test_equal_inputs_have_equal_names(self):
        x = inputs()
        x[1], x[3] = x[0], x[0]
        x[5, 0], x[6] = -0.0, x[5]
        x[6, 0] = 0.0
        ids = run((x, Y), ids="content").samples.ids
        assert ids[0] == ids[1] == ids[3]
        assert ids[5] == ids[6]
        assert len(np.unique(ids)) == N - 3

    def test_numpy_of_another_type_has_the_names_of_the_models(self):
        ids = run(data("pair"), ids="content").samples.ids
        assert run((X.double().numpy(), Y.numpy()), ids="content").samples.ids.tolist() == ids.tolist()

    @pytest.mark.parametrize("kind", ["tuple", "dict"])
    def test_several_inputs(self, kind):
        class Two(nn.Module):
            def forward(self, a, b):
                return a[:, :2] - b[:, :2] * 9

        second = torch.zeros(N, 2)
        several = (torch.zeros(N, 5), second) if kind == "tuple" else {"b": second, "a": torch.zeros(N, 5)}
        second[7] = 1
        found = evaluate(Two(), (several, Y), loss=LOSS, ids="content")
        assert len(np.unique(found.samples.ids)) == 2
        assert found.fingerprint is not None

    def test_another_word_is_no_name(self):
        with pytest.raises(EvidenceError, match="ids='Content' is a single name"):
            run(data("pair"), ids="Content")


class TestFingerprints:
    def test_the_same_for_the_same_data(self):
        known = run(data("pair")).fingerprint
        assert known is not None
        for form in ("dataset", "loader", "iterable"):
            for size in (1, 7, 64):
                assert run(data(form, size), batch_size=size).fingerprint == known
        shuffled = DataLoader(TensorDataset(inputs(), Y), batch_size=9, shuffle=True)
        assert run(shuffled).fingerprint == known
        other = nn.Linear(5, 2)
        assert evaluate(other, data("pair"), loss=LOSS).fingerprint == known

    def test_parts_add_up(self):
        parts = run((inputs()[:50], Y[:50])) + run((inputs()[50:], Y[50:]))
        assert parts.fingerprint == run(data("pair")).fingerprint

    def test_others_for_other_data(self):
        known = run(data("pair")).fingerprint
        x = inputs()
        x[3, 2] += 1e-3
        assert run((x, Y)).fingerprint != known
        assert run((inputs(), 1 - Y)).fingerprint != known
        assert run((inputs()[:-1], Y[:-1])).fingerprint != known

    def test_ids_make_one_of_their_own(self):
        one = run(data("pair"), ids=DESIGN["ids"]).fingerprint
        order = RNG.permutation(N)
        other = run((inputs()[order], Y[order]), ids=[DESIGN["ids"][i] for i in order]).fingerprint
        assert one == other != run(data("pair")).fingerprint

    def test_it_is_not_compared(self):
        one = run(data("pair"))
        other = Evaluation.from_json(one.to_json().replace(str(one.fingerprint), "1"))
        assert other.fingerprint == 1
        assert other == one


class TestLosses:
    def test_counts_alone_have_no_bounds_and_are_inconclusive(self):
        found = run(data("pair"), keep="counts")
        bounds = found.bounds("loss")
        assert bounds.interval is None
        assert "losses of single samples are not known" in bounds.why
        assert Gate("loss", at_most=100).check(found).outcome.value == "INCONCLUSIVE"

    def test_one_number_a_batch_has_none_either(self):
        found = run(data("pair"), loss=lambda o, t: LOSS(o, t), outputs="logits", batch_size=16)
        assert found.bounds("loss").interval is None
        assert Gate("loss", at_most=100).check(found).outcome.value == "INCONCLUSIVE"
        with pytest.raises(EvidenceError, match="one number a batch"):
            run(data("pair"), loss=lambda o, t: LOSS(o, t), outputs="logits", batch_size=16, weights=np.ones(N))

    @pytest.mark.parametrize("weights", [None, DESIGN["weights"]])
    def test_class_weights_and_ignored_classes(self, weights):
        loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
        found = run(data("pair"), loss=loss, weights=weights)
        with torch.no_grad():
            each = nn.functional.cross_entropy(MODEL(inputs()), Y, reduction="none").double().numpy()
        share = np.where(Y == 1, 3.0, 1.0) * (1 if weights is None else weights)
        assert found.loss == pytest.approx(np.average(each, weights=share), rel=1e-6)
        lower, upper = found.interval("loss")
        assert lower < found.loss < upper
        ignoring = run(data("pair"), loss=nn.CrossEntropyLoss(ignore_index=0), weights=weights)
        own = None if weights is None else weights[Y == 1]
        assert ignoring.loss == pytest.approx(np.average(each[Y == 1], weights=own), rel=1e-6)
        lower, upper = ignoring.interval("loss", max_loss=50.0)
        assert lower < ignoring.loss < upper

    def test_a_greatest_loss_below_one_that_was_seen(self):
        with pytest.raises(EvidenceError, match="greatest possible"):
            run(data("pair")).bounds("loss", max_loss=0.01)

    def test_few_samples_need_a_greatest_loss(self):
        few = run((inputs()[:20], Y[:20]))
        assert "say max_loss=" in few.bounds("loss").why
        lower, upper = few.interval("loss", max_loss=20.0)
        assert 0 <= lower < few.loss < upper < 20


class TestSlices:
    REGION = np.array(["north", "south", "west"])[np.arange(N) % 3]

    @pytest.mark.parametrize("form", ["pair", "dataset", "loader", "iterable"])
    def test_every_form_of_data_and_any_batch_size(self, form):
        given = {"region": self.REGION, "high": lambda x, y: x[:, 1] > 0, "class": lambda x, y: y}
        sizes = (7, 32, 150)
        found = [run(data(form, size), batch_size=size, slices=given) for size in sizes]
        for name, rows in (
            ("north", self.REGION == "north"),
            ("high", (X[:, 1] > 0).numpy()),
            ("class=1", (Y == 1).numpy()),
        ):
            alone = run((inputs()[torch.from_numpy(rows)], Y[torch.from_numpy(rows)]))
            for one in found:
                part = one.slices[name]
                assert part.n == rows.sum()
                assert part.confusion_matrix == alone.confusion_matrix
                assert part.loss == pytest.approx(alone.loss, rel=1e-6)
                assert part.metric("brier") == pytest.approx(alone.metric("brier"), rel=1e-6)
                assert sum(one.slices.by("region").values()) == one

    def test_torch_gives_the_same_loss_of_a_slice(self):
        found = run((inputs(), Y), slices={"region": self.REGION}, weights=DESIGN["weights"])
        rows = torch.from_numpy(self.REGION == "south")
        with torch.no_grad():
            each = nn.CrossEntropyLoss(reduction="none")(MODEL(inputs()), Y)[rows].double().numpy()
        weights = DESIGN["weights"][rows.numpy()]
        assert found.slices["south"].loss == pytest.approx(np.average(each, weights=weights), rel=1e-6)

    def test_a_function_sees_the_inputs_as_they_came(self):
        seen = []
        run((inputs(), Y), batch_size=64, slices={"low": lambda x, y: seen.append((x.clone(), y)) or x[:, 0] < 0})
        assert torch.equal(torch.cat([x for x, _ in seen]), X)
        assert torch.equal(torch.cat([y for _, y in seen]), Y)

    def test_a_function_sees_targets_that_are_names(self):
        found = run((inputs(), Y * 2 + 3), labels=(3, 5), slices={"class": lambda x, y: y})
        assert list(found.slices) == ["class=3", "class=5"]

    def test_a_loader_that_shuffles(self):
        loader = DataLoader(TensorDataset(inputs(), Y), batch_size=32, shuffle=True)
        with pytest.raises(EvidenceError, match=r"slices= go with the samples in their order"):
            run(loader, slices={"region": self.REGION})
        found = run(loader, slices={"high": lambda x, y: x[:, 1] > 0})
        assert found.slices["high"].n == int((X[:, 1] > 0).sum())

    @pytest.mark.parametrize(
        ("slices", "says"),
        [
            ({"c": lambda x, y: x}, r"must have the shape \[N\], one for each sample, not \[32, 5\]"),
            ({"c": lambda x, y: True}, "True is a single value"),
            ({"c": lambda x, y: y[1:]}, "gave 31 values for a batch of 32 samples"),
            ({"c": lambda x, y: x[:, 0]}, "cut values into ranges first"),
            ({"c": lambda x, y: None}, "None is a single value"),
        ],
    )
    def test_functions_that_give_something_else(self, slices, says):
        with pytest.raises(EvidenceError, match=f"slices 'c'.*{says}"):
            run((inputs(), Y), batch_size=32, slices=slices)
