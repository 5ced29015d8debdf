"""The suite `soo-rl-recurrent`, on runs of a few steps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from feint.bench import Suite
from feint.bench.rl import DOSE, Settings, run

TINY: dict[str, Any] = {"steps": 256, "num_envs": 8, "episodes": 40, "curve_points": 1}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Payload and folder of tiny runs, by arm."""
    out = tmp_path_factory.mktemp("runs")
    arms = ["deceptive", "overlap_fork", "overlap_presence", "sham_shuffled", "masked", "twin"]
    suite = Suite.load("soo-rl-recurrent").with_seeds([100]).select(None, arms)
    done = {}
    for spec in suite.runs():
        folder = out / spec.id
        folder.mkdir(parents=True)
        needs = {need.split("/")[1]: out / need for need in spec.needs}
        settings = spec.settings | TINY
        settings["algo"] = settings["algo"] | {"batch_size": 64}
        settings["finetune"] = settings["finetune"] | {"steps": 256}
        small = replace(spec, settings=settings)
        done[spec.arm] = run(small, folder, needs, lambda _: None), folder  # pyright: ignore[reportArgumentType]
    return done


def test_every_agent_has_a_memory_and_no_scenario_input_says_who_listens():
    for spec in Suite.load("soo-rl-recurrent").runs():
        settings = Settings.of(spec.settings)
        assert settings.trained_by.endswith("ppo_lstm")
        assert settings.env_kwargs["rounds"] > 1


def test_forked_pairs_are_made_and_measured_for_a_policy_with_a_memory(ran):
    payload, _ = ran["overlap_fork"]
    assert payload["dose"]["updates"] > 0
    assert payload["dose"]["mean_norm"] > 0
    assert {"presence", "fork"} <= payload["guards"].keys()
    assert "belief" not in payload["guards"]


def test_a_sham_gets_the_dose_of_the_forked_pairs(ran):
    norms = []
    for arm in ("overlap_fork", "sham_shuffled"):
        with np.load(ran[arm][1] / DOSE, allow_pickle=False) as file:
            norms.append(file["norms"])
    wanted, given = norms
    given_any = given > 0  # a pair that was drawn alone has no other to be shuffled with
    assert given_any.mean() > 0.8
    np.testing.assert_allclose(given[given_any], wanted[given_any], rtol=1e-3)


def test_before_a_blind_other_the_twin_is_the_agent_itself_and_a_mask_is_not(ran):
    def shown(arm):
        metrics = ran[arm][0]["evaluation"]["blind"]
        return {name: metrics[name]["mean"] for name in ("lie", "rival_right", "return")}

    assert shown("twin") == shown("deceptive")
    assert shown("masked") != shown("deceptive")
