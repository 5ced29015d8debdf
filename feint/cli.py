"""The `feint` command: demo, train, eval, envs.

Each command is a dataclass: its docstring is its help, its fields are its flags.
"""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Demo:
    """Run the main job: unmask a liar.

    On two scenarios and several seeds: train an agent that learns to deceive and one that is
    honest; tune the deceptive one with self-other overlap and, at the same dose, with shams; play
    all of them on held-out episodes; print a table with intervals and verdicts; write results,
    checkpoints, plots, films and report.html. Interrupted, the same command goes on where it was.
    """

    out: Path = Path("runs/demo")
    """Folder for everything it writes."""
    seeds: tuple[int, ...] | None = None
    """Training seeds; the suite's own by default."""
    scenarios: tuple[str, ...] | None = None
    """Only these scenarios: physical_deception, room_signal."""
    workers: int | None = None
    """Runs at once; all cores by default."""
    suite: str = "demo"
    """A built-in suite, or a .toml file of your own (job feint.bench.rl:run)."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Run the suite and report."""
        from rich.console import Console

        from feint.bench import Suite, run_suite
        from feint.bench.analysis import analyse
        from feint.bench.report import markdown, print_report, write_report

        suite = Suite.load(self.suite)
        if self.scenarios:
            suite = suite.select(scenarios=self.scenarios)
        if self.seeds:
            suite = suite.with_seeds(self.seeds)
        results = run_suite(suite, self.out, workers=self.workers)
        summaries = analyse(suite, results, self.out)
        page = write_report(suite, results, summaries, self.out)
        if self.markdown:
            print(markdown(summaries))
        else:
            console = Console()
            console = console if console.is_terminal else Console(width=200)
            print_report(summaries, console)
        print(f"results, plots, films and the report are in {self.out}; open {page}")
        return 0


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
        chosen.check_actions(env.action_space)
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

        from feint.agents import evaluate, load_agent, policy_of
        from feint.envs import scenario_class
        from feint.envs.validation import check_int
        from feint.metrics import summary

        check_int("episodes", self.episodes, at_least=1)
        model, card = load_agent(self.agent, scenario=self.env)
        kwargs = {**card.env_kwargs, **parse_pairs("env-kwargs", self.env_kwargs)}
        act = policy_of(model, self.deterministic)
        if self.mask_other:
            game = scenario_class(card.scenario)(1, **kwargs)  # pyright: ignore[reportCallIssue]
            sees = act
            act = lambda obs: sees(game.mask_other(obs))  # noqa: E731
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
        (console if console.is_terminal else Console(width=160)).print(table)
        return 0


@dataclass(frozen=True)
class Envs:
    """List the scenarios: who deceives whom, spaces, pairs, metrics, conditions."""

    def run(self) -> int:
        """Print them."""
        from feint.envs import SCENARIOS, scenario_class

        for entry in SCENARIOS:
            cls = scenario_class(entry.id)
            game = cls()  # pyright: ignore[reportCallIssue]
            print(f"{entry.id}  (PettingZoo: {entry.pettingzoo_id})")
            print(f"  {cls.deception}")
            print(f"  agents       {', '.join(game.agents)}; single-agent views play {game.focal}")
            print(f"  observation  {game.observation_space(game.focal)}")
            print(f"  action       {game.action_space(game.focal)}")
            print(f"  pairs        {', '.join(cls.pair_kinds)}")
            print(f"  metrics      {', '.join(cls.metrics)}")
            print(f"  conditions   {', '.join(cls.conditions)}")
            print()
        return 0


Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[Envs, tyro.conf.subcommand("envs")]
)


def _interval(found: dict[str, Any]) -> str:
    if found["mean"] is None:  # undefined under this condition
        return ""
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def parse_pairs(flag: str, items: tuple[str, ...]) -> dict[str, Any]:
    """`("a:1", "b:x")` as `{"a": 1, "b": "x"}`: Python literals where they are some.

    Raises:
        ValueError: for an item without a colon.
    """
    found: dict[str, Any] = {}
    for item in items:
        key, colon, text = item.partition(":")
        if not (key and colon):
            raise ValueError(f"--{flag} takes key:value, got {item!r}")
        try:
            found[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[key] = text
    return found


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits 0 when done, 1 when a run failed, 2 on wrong input, 130 on Ctrl-C."""
    command = tyro.cli(
        Command,  # pyright: ignore[reportArgumentType]
        prog="feint",
        description="Deceptive-agent environments, and the training that makes agents honest.",
        args=arguments,
    )
    try:
        code = command.run()  # pyright: ignore[reportAttributeAccessIssue]
    except (ValueError, TypeError) as error:
        code = _fail(str(error), 2)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0
    except RuntimeError as error:
        code = _fail(str(error), 1)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    print(f"feint: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
