"""The suite of self-modeling agents: its job, what it measures, its table."""

import pytest
import torch
from torch import nn

from feint.agents import SOOPPO, SelfModeling, load_agent, make_vec_env
from feint.bench import RunSpec, Suite
from feint.bench.results import RunResult
from feint.bench.selfmodel_rl import (
    Settings,
    acting_net,
    complexity,
    markdown,
    readability,
    run,
    section,
)
from feint.bench.worker import execute


def suite():
    scenario = {
        "key": "room_signal",
        "title": "RoomSignal",
        "settings": {
            "id": "feint/RoomSignal-v0", "env_kwargs": {"attention": True}, "steps": 4096,
            "deception": "present/lie", "task": "absent/own_pick", "episodes": 50, "draws": 10,
        },
    }  # fmt: skip
    arms = [
        {"key": "plain", "title": "plain", "role": "reference"},
        {
            "key": "own",
            "title": "self-modeling",
            "role": "treatment",
            "settings": {"selfmodel": {"coef": 1.0}},
        },
    ]
    return Suite.from_dict(
        {
            "name": "tiny",
            "job": "feint.bench.selfmodel_rl:run",
            "seeds": [1],
            "scenario": [scenario],
            "arm": arms,
        }
    )


def test_the_job_leaves_a_checkpoint_and_a_row(tmp_path):
    made = suite()
    results = []
    for spec in made.runs():
        assert spec.load_job() is run
        results.append(execute(RunSpec.from_json(spec.to_json()), tmp_path / spec.arm, {}, print))
        assert isinstance(results[-1], RunResult)
        load_agent(tmp_path / spec.arm / "agent.safetensors", "feint/RoomSignal-v0")
    plain, own = (r.payload for r in results)
    assert plain["policy"]["r2"] is None and own["policy"]["r2"] is not None
    for payload in (plain, own):
        assert (
            payload["policy"]["sd"] > 0
            and 0 <= payload["evaluation"]["present"]["lie"]["mean"] <= 1
        )
        assert payload["observer"]["accuracy"] <= payload["observer"]["ceiling"] + 1e-9
    text = markdown(made, results)
    assert "| self-modeling |" in text and "observer's accuracy" in text
    page = section(made, results).write(tmp_path / "report").read_text()
    assert "<td>self-modeling</td>" in page and (tmp_path / "report" / "table.md").exists()


def test_a_policy_is_at_the_minimum_of_its_own_divergence():
    env = make_vec_env("feint/RoomSignal-v0", 4, seed=0)
    model = SOOPPO(
        "MlpPolicy", env, n_steps=8, batch_size=32, device="cpu", regularizers=[SelfModeling()]
    )
    obs = torch.randn(300, *env.observation_space.shape)  # pyright: ignore
    before = acting_net(model).state_dict()
    found = complexity(model, obs, draws=30)
    assert found["llc"] is not None and found["llc"] > 0
    assert found["sd_x_rms"] == pytest.approx(found["sd"] * found["activation_rms"])  # pyright: ignore
    for name, value in acting_net(model).state_dict().items():
        assert torch.equal(value, before[name])
    logits = model.policy.get_distribution(obs).distribution.logits  # pyright: ignore
    own = acting_net(model)(obs).log_softmax(-1)
    torch.testing.assert_close(logits.exp(), own.exp())


class Fixed(nn.Module):
    def __init__(self, chances):
        super().__init__()
        self.chances = chances

    def forward(self, obs):
        return self.chances(obs)


def test_a_linear_agent_is_read_and_an_intricate_one_is_not():
    torch.manual_seed(0)
    known, fresh = torch.randn(1500, 4), torch.randn(1500, 4)
    simple = readability(Fixed(lambda x: 20 * x[:, :2]), known, fresh)
    parity = readability(
        Fixed(lambda x: 20 * torch.stack([x[:, 0] * x[:, 1], -x[:, 0] * x[:, 1]], 1)), known, fresh
    )
    assert simple["accuracy"] > 0.95 and simple["ceiling"] > 0.95
    assert parity["accuracy"] < 0.6 and parity["ceiling"] > 0.9
    assert parity["excess_nats"] > 0.4 > simple["excess_nats"] >= -1e-9
    always = readability(Fixed(lambda x: torch.tensor([50.0, 0.0]).expand(len(x), 2)), known, fresh)
    assert always["accuracy"] == pytest.approx(1.0)


def test_the_suite_of_the_package_is_whole():
    made = Suite.load("selfmodel_rl")
    made.check_job()
    assert len(made.seeds) >= 5
    for spec in made.runs():
        s = Settings.of(spec.settings)
        SelfModeling(**s.selfmodel)
        assert s.task.split("/")[0] in s.conditions and s.deception.split("/")[0] in s.conditions


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="unknown settings"):
        Settings.of({"id": "x", "deception": "a/b", "task": "a/b", "nope": 1})
    with pytest.raises(ValueError, match="settings lack"):
        Settings.of({"id": "x"})
