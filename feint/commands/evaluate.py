"""`feint eval`: held-out episodes of a saved agent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from feint.commands.arguments import env_arguments


@dataclass(frozen=True)
class Eval:
    """Play held-out episodes with a saved agent, under each of its scenario's conditions.

    Example:
      feint eval liar.safetensors --episodes 2000
    """

    agent: Positional[Path]
    """Checkpoint of `feint train` or `feint demo`."""
    episodes: int = 1000
    """Episodes per condition."""
    conditions: tuple[str, ...] | None = None
    """Only these conditions."""
    env: str | None = None
    """Refuse an agent of another scenario."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenario that replace the agent's own, as key:value."""
    mask_other: bool = False
    """Take the other's inputs away: the free baseline."""
    deterministic: bool = False
    """Take the likeliest action; by default actions are sampled, as in training."""
    seed: int = 1_000_000_000
    """Game i is seeded seed + i; training seeds lie below the default."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Evaluate and print."""
        import json

        from rich.console import Console
        from rich.table import Table

        from feint.agents import evaluate, load_agent, masked, policy_of
        from feint.envs import scenario_class
        from feint.envs.validation import check_int
        from feint.metrics import summary

        check_int("episodes", self.episodes, at_least=1)
        check_int("seed", self.seed, at_least=0)
        model, card = load_agent(self.agent, scenario=self.env)
        cls = scenario_class(card.scenario)
        kwargs = {**card.env_kwargs, **env_arguments(cls, self.env_kwargs)}
        game = cls(1, **kwargs)  # pyright: ignore[reportCallIssue]
        if game.observation_space(game.focal) != model.observation_space:
            raise ValueError(
                f"{self.agent} was trained with {card.env_kwargs or 'the defaults'}; these "
                "--env-kwargs give other observations: leave them out"
            )
        act = policy_of(model, self.deterministic)
        if self.mask_other:
            act = masked(act, game)
        found = evaluate(
            act, card.scenario, kwargs, conditions=self.conditions, episodes=self.episodes,
            seed=self.seed,
        )  # fmt: skip
        values = {c: {m: summary(v) for m, v in ms.items()} for c, ms in found.items()}
        if self.json:
            print(json.dumps({"agent": str(self.agent), "conditions": values}, indent=1))
            return 0
        table = Table(title=f"{self.agent.name}: {card.scenario} {kwargs}", title_justify="left")
        table.add_column("metric")
        for condition in values:
            table.add_column(condition)
        for metric in next(iter(values.values())):
            table.add_row(metric, *(_interval(values[c][metric]) for c in values))
        console = Console()
        if not console.is_terminal:  # a file has no edge to wrap at
            console = Console(width=1000)
        console.print(table)
        return 0


def _interval(found: dict[str, Any]) -> str:
    if found["mean"] is None:  # undefined under this condition
        return ""
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
