import pytest
import yaml

from feint.agents.algorithms import ALGORITHMS, algorithm
from feint.agents.presets import FOLDER, preset_for, schedule, write_preset
from feint.agents.training import Training
from feint.envs import SCENARIOS

IN_NUMBERS = [entry.id for entry in SCENARIOS if "Text" not in entry.name]


def test_every_file_has_the_keys_of_rl_zoo3_and_a_default():
    for name in ALGORITHMS:
        if name.startswith("soo"):
            continue
        entries = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
        assert "default" in entries
        for entry in entries.values():
            assert {"n_timesteps", "n_envs", "policy", "policy_kwargs"} <= entry.keys()
            assert entry["policy"] == algorithm(name).policy


def test_ppo_has_an_entry_for_every_scenario_in_numbers():
    assert set(IN_NUMBERS) <= yaml.safe_load((FOLDER / "ppo.yml").read_text()).keys()


def test_overlap_masks_and_memory_take_what_ppo_has():
    ppo = preset_for("RoomSignal", "ppo")
    assert ppo.activation == "relu" and ppo.params["ent_coef"] == 0.05
    for algo in ("sooppo", "ppo_mask", "ppo_lstm", "sooppo_lstm"):
        assert preset_for("RoomSignal", algo) == ppo
    assert preset_for("RoomSignal", "dqn").n_envs == 8
    assert preset_for("LiarsDice", "ppo_mask").params["learning_rate"] == "lin_2e-3"


@pytest.mark.parametrize("algo", ["ppo", "ppo_lstm", "dqn"])
def test_what_is_written_is_read_again_and_can_be_trained(algo, tmp_path):
    over = {"policy_kwargs": "dict(net_arch=[8, 4], activation_fn=nn.ReLU)", "n_envs": 2}
    preset = preset_for("CheapTalk", algo, over={**over, "env_kwargs": {"incentive": 0.0}})
    assert (preset.net_arch, preset.activation, preset.n_envs) == ((8, 4), "relu", 2)
    path = tmp_path / "conf.yml"
    path.write_text(write_preset(preset, algo))
    assert preset_for("CheapTalk", algo, path) == preset
    model = Training(algo, preset).build()
    assert model.n_envs == 2


def test_a_schedule_falls_to_zero():
    falling = schedule("lin_1e-3")
    assert falling(1.0) == 1e-3 and falling(0.0) == 0.0 and schedule(0.1) == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not YAML"),
        ("- a", "must map environment ids to settings"),
        ("other: {n_envs: 1}", "has no entry for feint/RoomSignal-v0"),
        ("default: {n_envs: 0}", "n_envs must be an integer >= 1, got 0"),
        ("default: {policy: CnnPolicy}", "policy must be MlpPolicy with ppo"),
        ("default: {frame_stack: 4}", "frame_stack is not supported"),
        ("default: {env_kwargs: 4}", "env_kwargs must be a mapping"),
        ('default: {policy_kwargs: "__import__(1)"}', "neither a literal nor dict"),
        ('default: {policy_kwargs: "dict(activation_fn=nn.ELU)"}', "nn.Tanh or nn.ReLU"),
        ('default: {policy_kwargs: "dict(ortho_init=False)"}', "cannot hold ortho_init"),
        ('default: {policy_kwargs: "dict(net_arch=dict(pi=[1], vf=[2]))"}', "same widths"),
        ("a: !!python/object/apply:os.system [true]", "is not YAML"),
    ],
)
def test_a_bad_file_gives_one_line_that_names_it(text, message, tmp_path):
    path = tmp_path / "conf.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        preset_for("RoomSignal", "ppo", path)
    assert "\n" not in str(caught.value)
