"""The job of `soo-rl-paper`, on runs of a few steps; and what is special to its pairs."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import set_random_seed

from feint.agents import SelfOtherOverlap, load_agent
from feint.bench import Suite
from feint.bench.joint import BLUE, RED, Training, learner, train_together
from feint.bench.profiles import PROFILE
from feint.bench.results import check_json
from feint.bench.rl import CHECKPOINT, DOSE, Settings
from feint.bench.soo_rl_paper import RED_CHECKPOINT, released, run
from feint.envs import scenario_class

ID = "feint/PhysicalDeception-v0"
PAPER: dict[str, Any] = {"rules": "soo"}
TINY: dict[str, Any] = {"steps": 600, "num_envs": 4, "episodes": 8, "curve_points": 2}


@dataclass
class Spec:
    scenario: str
    arm: str
    seed: int
    settings: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Payload and folder of tiny runs of the suite's own arms, by (scenario, arm)."""
    out = tmp_path_factory.mktemp("runs")
    suite = Suite.load("soo-rl-paper").with_seeds([100])
    arms = {
        "both_learn": ("deceptive", "overlap_released", "masked"),
        "follower": ("deceptive", "overlap_released", "overlap_directed", "sham_shuffled"),
    }
    done = {}
    for spec in suite.runs():
        if spec.arm in arms[spec.scenario]:
            folder = out / spec.id
            folder.mkdir(parents=True)
            needs = {need.split("/")[1]: out / need for need in spec.needs}
            settings = spec.settings | TINY
            settings["finetune"] = settings["finetune"] | {"steps": 600}
            tiny = Spec(spec.scenario, spec.arm, spec.seed, settings)
            done[spec.scenario, spec.arm] = run(tiny, folder, needs, lambda _: None), folder
    return done


def test_payloads_are_json_and_hold_every_condition(ran):
    for (scenario, arm), (payload, folder) in ran.items():
        check_json(payload, "payload")
        conditions = {"present", "absent"} | ({"follow"} if scenario == "both_learn" else set())
        assert payload["evaluation"].keys() == conditions
        assert (payload["guards"] is None) == (arm == "masked")
        assert (folder / PROFILE).exists()
        json.dumps(payload, allow_nan=False)


def test_red_learns_beside_blue_and_is_tuned_on(ran):
    def red(arm):
        model, card = load_agent(ran["both_learn", arm][1] / RED_CHECKPOINT)
        assert card.env_kwargs["agent"] == RED
        return model.policy.state_dict()

    before, after = red("deceptive"), red("overlap_released")
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert not (ran["follower", "deceptive"][1] / RED_CHECKPOINT).exists()


def test_a_sham_gets_the_dose_of_the_paper_s_overlap(ran):
    payload, folder = ran["follower", "overlap_released"]
    with np.load(folder / DOSE, allow_pickle=False) as file:
        norms = file["norms"]
    assert len(norms) == payload["dose"]["updates"] == 50  # one after the warm-up, 50 steps
    assert (norms > 0).all()
    assert ran["follower", "sham_shuffled"][0]["dose"]["matched_to"] == "overlap_released"


def test_without_reward_only_the_actor_moves(ran):
    before = load_agent(ran["follower", "deceptive"][1] / CHECKPOINT)[0].policy
    after = load_agent(ran["follower", "overlap_directed"][1] / CHECKPOINT)[0].policy
    for key, value in before.state_dict().items():
        moved = not torch.equal(value, after.state_dict()[key])
        assert moved == key.startswith("actor.")


def test_released_pairs_differ_from_the_paper_s_in_the_flag_alone():
    settings = Settings(ID, "train", env_kwargs=PAPER)
    obs = np.random.default_rng(0).normal(size=(6, 10)).astype(np.float32)
    obs[:, 8:] = 1.0
    obs[:4, 6:8] = 0.0
    me, other, valid = released(settings)(obs)
    assert valid is not None and valid.tolist() == [True] * 4 + [False] * 2
    assert (me == obs).all()
    assert (other[:, 8:] == 0).all()
    assert (other[:4, 6:8] != 0).any(axis=1).all()
    assert (other[:, :6] == obs[:, :6]).all()
    assert (np.linalg.norm(other[:4, 6:8], axis=1) <= 0.125).all()


def test_the_same_seed_gives_the_same_agents():
    def trained():
        t = Training()
        blue = learner(BLUE, ID, PAPER, t, num_envs=4, seed=3)
        red = learner(RED, ID, PAPER, t, num_envs=4, seed=3)
        set_random_seed(3)
        game = scenario_class(ID)(4, external=(RED, BLUE), autoreset="disabled", **PAPER)
        train_together(red, blue, game, t, episodes=3, seed=3, overlap=SelfOtherOverlap())
        return [*blue.policy.parameters(), *red.policy.parameters()]

    for a, b in zip(trained(), trained(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"red": "clever"}, r"algo.red must be 'learned' or 'follow', got 'clever'"),
        ({"n_steps": 5}, r"algo: unknown \['n_steps'\]; there are: batch_size"),
        ({"liar_rate": 1.5}, r"algo.liar_rate must be in \[0, 1\], got 1.5"),
        ({"noise": [0.1]}, r"algo.noise must be two numbers >= 0"),
    ],
)
def test_wrong_settings_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        Training.of(table)
