"""Studies: presets, controls, resuming, and what is reported."""

import json
import math

import pytest
import torch

from feint.bench import selfmodel_report as report
from feint.bench.sections import sections
from feint.selfmodel import modules, stack, study
from feint.selfmodel.data import Data, Texts
from feint.selfmodel.llc import LLC
from feint.selfmodel.nets import EmbeddingBagNet, ResNet18
from feint.selfmodel.study import CONTROLS, Run, Study, matching_decay, run_study
from feint.selfmodel.tasks import CONFIGS, TASKS, task


@pytest.fixture
def data():
    torch.manual_seed(0)
    x = torch.randn(90, 6)
    y = x[:, :3].argmax(1)
    return Data(x[:60], y[:60], x[60:], y[60:], 3)


def small(**kwargs):
    given = {"hidden": (8,), "weights": (0, 1, 10), "seeds": (1, 2), "epochs": 3, "draws": 10}
    return Study(**{**given, **kwargs})


def read(out):
    return {p.name: p.read_text() for p in sorted((out / "runs").iterdir())}


# -- presets --------------------------------------------------------------------------------------


def test_the_presets_are_those_of_the_released_code():
    mnist, cifar, imdb = (task(name) for name in ("mnist", "cifar10", "imdb"))
    assert mnist.hidden == (64, 128, 256, 512) and mnist.training.batch_size == 512
    how = mnist.training
    assert (how.lr, how.momentum, how.nesterov, how.epochs) == (0.005, 0.9, True, 50)
    assert (cifar.optimizer, cifar.training.lr, cifar.training.epochs) == ("adam", 1e-4, 250)
    assert (imdb.training.lr, imdb.training.momentum, imdb.training.epochs) == (0.1, 0.0, 500)
    nbeta = [made.settings("released", 60_000).nbeta for made in (mnist, cifar, imdb)]
    assert nbeta == pytest.approx([82.07, 15.39, 15.39], abs=0.01)
    assert [made.llc.localization for made in (mnist, cifar, imdb)] == [100, 100, 10]
    assert [made.llc.draws for made in (mnist, cifar, imdb)] == [1000, 400, 1000]
    assert mnist.settings("corrected", 60_000).nbeta == pytest.approx(60_000 / math.log(60_000))


def test_the_papers_text_differs_where_it_is_known_to():
    assert task("mnist", "paper_text_variant").llc.localization == 1000
    assert task("cifar10", "paper_text_variant").training.batch_size == 512
    assert set(TASKS["mnist"]) == set(CONFIGS)
    with pytest.raises(ValueError, match="unknown config"):
        task("mnist", "nope")


def test_the_networks_have_the_papers_sizes():
    net = ResNet18(width=64)
    targets = torch.Size([2, 512, 4, 4])
    seen = []
    net.layer4[1].activation_shortcut.register_forward_hook(lambda *a: seen.append(a[2].shape))  # pyright: ignore
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10) and seen == [targets]
    assert 11.1e6 < sum(p.numel() for p in net.parameters()) < 12.4e6
    bag = EmbeddingBagNet(10)
    assert torch.equal(bag(torch.tensor([[3, 4]])), bag(torch.tensor([[3, 4, 0, 0]])))


# -- running --------------------------------------------------------------------------------------


def test_a_study_runs_every_arm_and_measures_it(data, tmp_path):
    made = small(controls=CONTROLS)
    runs = run_study(made, data, tmp_path)
    arms = {(r.arm, r.weight) for r in runs}
    assert {("self_model", w) for w in (0, 1, 10)} <= arms
    assert {(c, 10) for c in CONTROLS if c != "weight_decay"} <= arms  # it may have no match
    for run in runs:
        assert 0 <= run.accuracy <= 1 and run.width > 0 and len(run.width_by_epoch) == 3
        assert run.width == pytest.approx(run.width_by_epoch[-1])
        assert set(run.llc) == {"released", "corrected"}
        own = run.arm in ("self_model", "no_detach") and run.weight > 0
        assert math.isnan(run.r2) != own and math.isnan(run.identity) != own


def test_an_interrupted_study_loses_nothing_and_goes_on(data, tmp_path, monkeypatch):
    whole = read_runs(run_study(small(controls=("random",)), data, tmp_path / "whole"))
    monkeypatch.setattr(study, "stacked", lambda *_: False)  # one by one
    train, calls = stack.train, []

    def dies(*args, **kwargs):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    monkeypatch.setattr(stack, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        run_study(small(controls=("random",)), data, tmp_path / "cut")
    kept = read(tmp_path / "cut")
    assert len(kept) == 3
    again = read_runs(run_study(small(controls=("random",)), data, tmp_path / "cut"))
    assert len(calls) == 4 + 8 - 3, "nothing was trained twice"
    assert kept.items() <= read(tmp_path / "cut").items()
    assert again.keys() == whole.keys()
    for key, run in again.items():  # stacked or not
        assert run.width == pytest.approx(whole[key].width, rel=1e-4)


def read_runs(runs):
    return {(r.hidden, r.arm, r.weight, r.seed): r for r in runs}


def test_a_study_can_be_extended(data, tmp_path):
    first = run_study(small(), data, tmp_path)
    before = read(tmp_path)
    more = run_study(small(weights=(0, 1, 5, 10), seeds=(1, 2, 3), hidden=(8, 4)), data, tmp_path)
    assert len(first) == 6 and len(more) == 24
    assert before.items() <= read(tmp_path).items()


def test_a_dose_is_found_again_after_an_interruption(data, tmp_path):
    together = run_study(small(controls=("activation_l2",)), data, tmp_path / "a")
    run_study(small(), data, tmp_path / "b")
    later = run_study(small(controls=("activation_l2",)), data, tmp_path / "b")
    for a, b in zip(together, later, strict=True):
        assert a.width == pytest.approx(b.width, rel=1e-5)


def test_a_folder_belongs_to_one_kind_of_study(data, tmp_path):
    run_study(small(), data, tmp_path)
    with pytest.raises(ValueError, match="holds a study with another epochs; take another --out"):
        run_study(small(epochs=4), data, tmp_path)
    path = next((tmp_path / "runs").iterdir())
    path.write_text("{")
    with pytest.raises(ValueError, match="delete it to run it again"):
        run_study(small(), data, tmp_path)


def test_a_run_survives_its_file():
    run = Run(8, "self_model", 1.0, 2, 0.5, 0.1, 0.2, 1.5, 0.0, math.nan, math.nan, 0.0,
              {"released": LLC(3.0, math.nan, 0.1, "why")}, (0.1, 0.2))  # fmt: skip
    text = run.dumps()
    assert "NaN" not in text and Run.loads(text).dumps() == text
    assert run.scaled_width == pytest.approx(0.3)
    for damaged in ("{}", "[]", "nope", text.replace("self_model", "nope")):
        with pytest.raises(ValueError, match="not a finished run"):
            Run.loads(damaged)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "nope"}, "unknown data set 'nope'"),
        ({"weights": (-1.0,)}, "weights must be finite and >= 0"),
        ({"hidden": (0,)}, "hidden must be different numbers >= 1"),
        ({"seeds": (1, 1)}, "seeds must be different"),
        ({"controls": ("nope",)}, "unknown control 'nope'"),
        ({"controls": ("random",), "control_weights": (7.0,)}, "control_weights must be some of"),
        ({"data": "cifar10", "controls": ("earlier",)}, "one-hidden-layer nets only"),
        ({"layers": ("fc1",)}, "layers can be .*activation1"),
        ({"epochs": 0}, "epochs must be >= 1"),
        ({"draws": 5}, "draws must be 0 or >= 10"),
    ],
)
def test_wrong_studies_fail_in_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        Study(**arguments)
    assert "\n" not in str(caught.value)


def test_weight_decay_is_interpolated_to_the_wanted_sd():
    assert matching_decay((0.0, 0.1, 0.3), (1.0, 0.8, 0.4), 0.6) == pytest.approx(0.2)
    assert matching_decay((0.0, 0.1, 0.3), (1.0, 0.8, 0.4), 1.1) is None
    assert matching_decay((0.0, 0.1), (1.0, 1.0), 1.0) is None


# -- the networks that are not stacked ------------------------------------------------------------


@pytest.mark.parametrize("arm", modules.ARMS)
def test_texts_are_learned_with_every_arm(arm, tmp_path):
    luck = torch.Generator().manual_seed(0)
    rows = [
        torch.randint(2 + 4 * (k % 2), 6 + 4 * (k % 2), (5,), generator=luck) for k in range(80)
    ]
    y = torch.arange(80) % 2
    data = Data(Texts(rows[:60]), y[:60], Texts(rows[60:]), y[60:], 2, words=10)
    controls = () if arm == "self_model" else (arm,)
    made = Study(
        data="imdb", hidden=(8,), weights=(1.0,), seeds=(1,), epochs=40, draws=10,
        controls=controls, control_weights=(1.0,),
    )  # fmt: skip
    runs = run_study(made, data, tmp_path)
    assert {r.arm for r in runs} == {"self_model", *controls}
    for run in runs:
        assert run.accuracy > 0.9 and run.width > 0 and len(run.llc) == 2
        own = run.arm in ("self_model", "no_detach") and run.weight > 0
        assert math.isnan(run.r2) != own


def test_an_earlier_layer_of_texts_can_be_predicted(tmp_path):
    texts, y = Texts([torch.tensor([2 + k % 2]) for k in range(40)]), torch.arange(40) % 2
    data = Data(texts, y, texts, y, 2, words=4)
    made = Study(data="imdb", hidden=(8,), weights=(1.0,), seeds=(1,), epochs=1, draws=0,
                 layers=("embedding",))  # fmt: skip
    _, own = run_study(made, data, tmp_path)
    assert math.isfinite(own.r2) and math.isnan(own.identity) and not own.llc
    with pytest.raises(ValueError, match="another layers"):
        run_study(Study(**{**vars(made), "layers": ("activation1",)}), data, tmp_path)


def test_images_are_learned_by_a_resnet(monkeypatch, tmp_path):
    torch.manual_seed(0)
    x, y = torch.rand(24, 3, 32, 32) * 2 - 1, torch.arange(24) % 2
    data = Data(x[:16], y[:16], x[16:], y[16:], 2)
    monkeypatch.setattr(modules, "build", lambda task, data, hidden: ResNet18(hidden, 2, width=2))
    made = Study(data="cifar10", hidden=(6,), weights=(1.0,), seeds=(1,), epochs=1, draws=10)
    baseline, own = run_study(made, data, tmp_path)
    assert math.isnan(baseline.r2) and math.isfinite(own.r2)
    assert math.isnan(own.identity), "two layers are predicted: the identity means nothing"


def test_augmented_images_are_moved_turned_and_mirrored():
    torch.manual_seed(0)
    image = torch.full((1, 3, 32, 32), -1.0)
    image[:, :, 8:16, 4:12] = 1.0
    many = modules.augment(image.expand(200, -1, -1, -1))
    assert set(many.unique().tolist()) == {-1.0, 1.0}
    left = (many[:, 0, :, :16] > 0).sum((1, 2)) > (many[:, 0, :, 16:] > 0).sum((1, 2))
    assert 60 < int(left.sum()) < 140, "about half are mirrored"
    lit = (many[:, 0] > 0).sum((1, 2))
    assert 45 <= int(lit.min()) and int(lit.max()) <= 85
    ys, xs = (many[:, 0] > 0).nonzero()[:, 1:].T
    assert ys.min() >= 0 and xs.max() <= 31


# -- the report -----------------------------------------------------------------------------------


def fake(weight, seed, width, accuracy=0.9, llc=5.0, invalid="", arm="self_model"):
    found = {v: LLC(llc, 0.1, 0.0, invalid) for v in ("released", "corrected")}
    return Run(8, arm, weight, seed, accuracy, 0.1, width, 1.0, 0.0, 0.9, 1.0, 0.0, found, (width,))


def test_claims_are_differences_from_the_baseline_of_the_same_seed():
    runs = [fake(0, s, 0.3 + s) for s in (1, 2, 3)] + [fake(10, s, 0.2 + s) for s in (1, 2, 3)]
    runs += [fake(50, s, 0.1, accuracy=0.2) for s in (1, 2, 3)]
    found = {
        c.text.split(":")[0] + c.text.split(":")[1]: c.holds
        for c in report.claims(report.rows(runs))
    }
    assert found["H = 8, weight 10 SD is lower than without"]
    assert not found["H = 8, weight 10 LLC (released) is lower than without"]
    assert not found["H = 8, weight 50 accuracy is kept"]
    assert not any("weight 50 SD" in key for key in found), "collapsed nets prove nothing"


def test_an_invalid_llc_is_neither_averaged_nor_drawn():
    runs = [fake(0, 1, 0.3, llc=5.0), fake(0, 2, 0.3, llc=-70.0, invalid="chance accuracy (0.10)")]
    (row,) = report.rows(runs)
    interval, valid = row.llc("released")
    assert interval is not None and interval.estimate == 5.0 and valid == 1
    assert "invalid in 1 of 2: chance accuracy" in " ".join(report.cells(row, Study()))


def test_published_numbers_stand_beside_mnist_alone():
    (row,) = report.rows([fake(10, 1, 0.2)])
    row = report.Row(64, row.arm, row.weight, row.runs)
    assert report.cells(row, Study(data="mnist"))[-2:] == ["0.231", "25.5"]
    assert "paper: SD" not in report.columns(Study())


def test_the_report_is_written(data, tmp_path):
    made = small(controls=("random",))
    rows = report.rows(run_study(made, data, tmp_path))
    page = report.section(made, rows).write(tmp_path)
    assert sorted(p.stem for p in (tmp_path / "plots").iterdir()) == ["accuracy", "llc", "width"]
    text = page.read_text()
    assert text.count("<svg") == 3 and "self-modeling" in text
    assert (tmp_path / "table.md").read_text().count("\n| 8 |") == 4
    assert json.loads((tmp_path / "study.json").read_text())["data"] == "digits"


def test_a_finished_study_is_read_back_from_its_folder(data, tmp_path):
    made = small(controls=("random",))
    runs = run_study(made, data, tmp_path)
    found, again = study.load_study(tmp_path)
    assert found == made
    assert report.markdown(found, report.rows(again)) == report.markdown(made, report.rows(runs))
    (section,) = sections([tmp_path])
    assert section.title == "self-modeling on digits, official_code, 3 epochs, 2 seeds"


def test_a_folder_without_a_finished_study_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot read"):
        study.load_study(tmp_path)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(ValueError, match="is no study"):
        study.load_study(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps(small().fixed()))
    with pytest.raises(ValueError, match="no finished run"):
        study.load_study(tmp_path)
