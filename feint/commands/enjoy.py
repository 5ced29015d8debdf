"""`feint enjoy`: watch a trained agent, and see what it earns and whom it misleads."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from tyro.conf import Positional, arg

from feint.commands.arguments import import_packages
from feint.commands.stage import game_of, saved, stage

if TYPE_CHECKING:
    from feint.envs.core import Scenario
    from feint.envs.film import Moment


@dataclass(frozen=True)
class Enjoy:
    """Watch a trained agent, and see what it earns and whom it misleads.

    Takes a checkpoint, or, as rl-zoo3 does, --algo and --env for the latest run in --folder. Each
    episode ends with a line that has its return and the scenario's metrics; the means come last.

    feint enjoy liar.safetensors --condition present -n 100

    feint enjoy --algo ppo --env RoomSignal --load-best --no-render

    feint enjoy liar.safetensors --render rgb_array --out liar.gif -n 50
    """

    agent: Annotated[Positional[Path | None], arg(metavar="[CHECKPOINT]")] = None
    """Checkpoint of `feint train` or `feint demo`."""
    env: str | None = None
    """Scenario of the run to look for; with a checkpoint: refuse an agent of another one."""
    algo: str = "ppo"
    """Algorithm of the run to look for."""
    folder: Annotated[Path, arg(aliases=("-f",))] = Path("logs")
    """Where `feint train` keeps its run folders."""
    exp_id: int = 0
    """Number of the run; 0: the latest."""
    load_best: bool = False
    """The run's best agent by return, not its last."""
    n_timesteps: Annotated[int, arg(aliases=("-n",))] = 1000
    """Begin episodes until so many steps are played."""
    render: Literal["ansi", "human", "rgb_array"] | None = None
    """ansi prints each step, human opens a window, rgb_array is for --out; default ansi, or
    rgb_array if there is --out."""
    no_render: bool = False
    """Print the episodes' lines alone."""
    out: Path | None = None
    """Write a GIF of all episodes here."""
    fps: float = 4.0
    """Steps per second of the GIF, and of the window."""
    condition: str = "any"
    """Hold the other in one state, such as present or absent; any: as the scenario draws it."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario that replace the agent's own, as key:value."""
    deterministic: bool = False
    """Take the likeliest action; by default actions are sampled, as in training."""
    seed: int = 0
    """Seed of the first episode; the next has seed + 1."""
    num_threads: int = -1
    """Threads of torch; by default its own choice."""
    gym_packages: tuple[str, ...] = ()
    """Modules to import first: they register scenarios of your own."""

    def run(self) -> int:
        """Play, show and sum up."""
        from feint.envs import scenario_class
        from feint.envs.validation import check_int

        check_int("n-timesteps", self.n_timesteps, at_least=1)
        check_int("seed", self.seed, at_least=0)
        mode = self.render or ("rgb_array" if self.out else "ansi")
        if mode == "rgb_array" and self.out is None and not self.no_render:
            raise ValueError("--render rgb_array makes frames for a GIF: name it with --out")
        if self.no_render and self.out is not None:
            raise ValueError("--no-render and --out exclude each other: leave one out")
        import_packages(self.gym_packages)
        if self.num_threads > 0:
            import torch

            torch.set_num_threads(self.num_threads)
        path = self._checkpoint()
        card, player = saved(path, self.env)
        cls = scenario_class(card.scenario)
        game = game_of(cls, card.env_kwargs, self.condition, self.env_kwargs)
        act = player(game, seed=self.seed, deterministic=self.deterministic)
        rows: list[dict[str, float]] = []
        steps, seed = 0, self.seed
        shown = None if self.no_render or mode == "rgb_array" else mode
        with stage(self.out, self.fps, shown) as show:
            while steps < self.n_timesteps:
                reel = show(game, act, path.stem, seed)
                rows.append(_measures(game, reel))
                print(f"seed {seed}: {_told(rows[-1])}")
                steps += reel[-1].step
                seed += 1
        values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        seen = {name: found[~np.isnan(found)] for name, found in values.items()}
        means = {name: found.mean() if len(found) else np.nan for name, found in seen.items()}
        held = "" if self.condition == "any" else f" ({self.condition})"
        print(f"{len(rows)} episodes of {card.scenario}{held}, {steps} steps: mean {_told(means)}")
        return 0

    def _checkpoint(self) -> Path:
        from feint.agents.runs import RunFolder

        if self.agent is not None:
            if self.load_best or self.exp_id:
                raise ValueError("--load-best and --exp-id choose a run's file: drop CHECKPOINT")
            return self.agent
        if self.env is None:
            raise ValueError("name a checkpoint, or --env and --algo of a run in --folder")
        run = RunFolder.find(self.folder, self.algo, self.env, self.exp_id)
        return run.best if self.load_best else run.agent


def _measures(game: "Scenario", reel: "list[Moment]") -> dict[str, float]:
    """What one episode gave: return, steps, and the scenario's metrics (NaN where undefined)."""
    taken = reel[1:]
    trace = {
        name: np.stack([np.asarray(moment.labels[name])[None] for moment in taken])
        for name in taken[0].labels
    }
    trace["alive"] = np.ones((len(taken), 1), np.bool_)
    metrics = {name: float(value[0]) for name, value in game.episode_metrics(trace).items()}
    return {"return": reel[-1].earned, "steps": float(reel[-1].step), **metrics}


def _told(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items() if not np.isnan(value))
