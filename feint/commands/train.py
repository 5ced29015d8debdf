"""`feint train`: train an agent, or fine-tune a saved one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from feint.commands.arguments import parse_pairs


@dataclass(frozen=True)
class Train:
    """Train an agent, or fine-tune a saved one.

    Train a liar, then make it honest:

    feint train --env RoomSignal --env-kwargs attention:True --out liar.safetensors

    feint train --env RoomSignal --env-kwargs attention:True --algo sooppo -i liar.safetensors
    -n 100000 --params learning_rate:1e-3 ent_coef:0.0 soo_coef:3.0 soo_task_coef:0.0
    --out tuned.safetensors
    """

    env: str
    """Scenario id; `feint envs` lists them."""
    out: Path
    """Checkpoint to write (.safetensors)."""
    algo: str = "ppo"
    """ppo, a2c, ppo_mask, ppo_lstm, dqn, sac or td3; with `soo` before it, with overlap."""
    n_timesteps: Annotated[int | None, arg(aliases=("-n",))] = None
    """Environment steps; those of the demo by default."""
    trained_agent: Annotated[Path | None, arg(aliases=("-i",))] = None
    """Checkpoint to begin with."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario, as key:value."""
    params: tuple[str, ...] = ()
    """Arguments of the algorithm, as key:value; those of the demo by default (ppo)."""
    num_envs: int | None = None
    """Games in the training batch."""
    seed: int = 0
    """Seed of games, networks and sampling."""
    progress: Annotated[bool, arg(aliases=("-P",))] = True
    """Show a progress bar."""

    def run(self) -> int:
        """Train and save."""
        from feint.agents import AgentCard, load_into, make_vec_env, save_agent
        from feint.agents.algorithms import algorithm
        from feint.agents.training import RichBar, defaults_for, schedule
        from feint.files import check_writable

        check_writable(self.out)
        chosen = algorithm(self.algo)
        preset = defaults_for(self.env, self.algo)
        env_kwargs = parse_pairs("env-kwargs", self.env_kwargs)
        params = {**preset.params, **parse_pairs("params", self.params)}
        env = make_vec_env(
            preset.id, self.num_envs or preset.num_envs, self.seed * 1_000_000, **env_kwargs
        )
        chosen.check_spaces(env.observation_space, env.action_space)
        model = chosen.cls(
            chosen.policy,
            env,
            seed=self.seed,
            device="cpu",
            policy_kwargs=chosen.policy_kwargs(preset.net_arch, preset.activation),
            **{key: schedule(value) for key, value in params.items()},
        )
        if self.trained_agent is not None:
            load_into(model, self.trained_agent, scenario=preset.id)
        steps = self.n_timesteps or preset.steps
        model.learn(steps, callback=RichBar(steps) if self.progress else None)
        card = AgentCard(
            algorithm=self.algo,
            scenario=preset.id,
            env_kwargs=env_kwargs,
            net_arch=preset.net_arch,
            activation=preset.activation,
            seed=self.seed,
            steps=steps,
            note=f"tuned from {self.trained_agent.name}" if self.trained_agent else "",
        )
        save_agent(model, card, self.out)
        print(f"saved {self.out} after {steps:,} steps; judge it with: feint eval {self.out}")
        return 0
