"""`feint train`: train an agent, or fine-tune a saved one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from feint.commands.arguments import env_arguments, parse_pairs


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
    """Environment steps, rounded up to whole rollouts; by default the demo's on its scenarios,
    else 1,000,000 (off-policy 200,000)."""
    trained_agent: Annotated[Path | None, arg(aliases=("-i",))] = None
    """Checkpoint to begin with."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario, as key:value; they win over the preset."""
    preset: str | None = None
    """A named difficulty of the scenario."""
    params: tuple[str, ...] = ()
    """Arguments of the algorithm, as key:value; with ppo on the demo's scenarios, its own by
    default."""
    num_envs: int | None = None
    """Games in the training batch."""
    seed: int = 0
    """Seed of games, networks and sampling."""
    save_freq: int = 0
    """Keep the whole state of training beside --out every so many steps; 0: never."""
    resume: bool = False
    """Go on from that state, with the same settings: the result is that of an uninterrupted run."""
    progress: Annotated[bool, arg(aliases=("-P",))] = True
    """Show a progress bar."""

    def run(self) -> int:
        """Train and save."""
        from feint.agents import (
            AgentCard,
            Saver,
            load_into,
            load_state,
            make_vec_env,
            save_agent,
        )
        from feint.agents.algorithms import algorithm
        from feint.agents.training import RichBar, defaults_for, schedule
        from feint.envs import scenario_class
        from feint.envs.validation import check_int
        from feint.files import check_writable

        if self.out.suffix != ".safetensors":
            raise ValueError(f"--out must end in .safetensors, got {self.out}")
        check_int("seed", self.seed, at_least=0)
        if self.n_timesteps is not None:
            check_int("n-timesteps", self.n_timesteps, at_least=1)
        if self.num_envs is not None:
            check_int("num-envs", self.num_envs, at_least=1)
        check_int("save-freq", self.save_freq, at_least=0)
        check_writable(self.out)
        chosen = algorithm(self.algo)
        preset = defaults_for(self.env, self.algo)
        env_kwargs = env_arguments(scenario_class(self.env), self.env_kwargs, self.preset)
        params = {**preset.params, **parse_pairs("params", self.params)}
        env = make_vec_env(
            preset.id, self.num_envs or preset.num_envs, self.seed * 1_000_000, **env_kwargs
        )
        chosen.check_spaces(env.observation_space, env.action_space)
        try:
            model = chosen.cls(
                chosen.policy,
                env,
                seed=self.seed,
                device="cpu",
                policy_kwargs=chosen.policy_kwargs(preset.net_arch, preset.activation),
                **{key: schedule(value) for key, value in params.items()},
            )
        except AssertionError as error:  # so SB3 refuses arguments
            raise ValueError(f"--params: {error}") from error
        if self.trained_agent is not None:
            load_into(model, self.trained_agent, scenario=preset.id)
        steps = self.n_timesteps or preset.steps
        settings = self._settings(preset.id, env_kwargs, params, steps)
        state = self.out.with_suffix(".state")
        done = load_state(model, state, settings) if self.resume else 0
        callbacks: list[Any] = [RichBar(steps)] if self.progress else []
        if self.save_freq:
            callbacks.append(Saver(state, settings, self.save_freq))
        model.learn(steps - done, callback=callbacks, reset_num_timesteps=not self.resume)
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
        state.unlink(missing_ok=True)  # of no more use
        print(f"saved {self.out} after {steps:,} steps; judge it with: feint eval {self.out}")
        return 0

    def _settings(
        self, env_id: str, env_kwargs: dict[str, Any], params: dict[str, Any], steps: int
    ) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        return {
            "algo": self.algo,
            "env": env_id,
            "env_kwargs": env_kwargs,
            "params": params,
            "n_timesteps": steps,
            "num_envs": self.num_envs,
            "seed": self.seed,
            "trained_agent": None if self.trained_agent is None else str(self.trained_agent),
        }
