"""Training several roles of one game, in turns or at once, with a league of what they were."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pettingzoo
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import TrainFrequencyUnit
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from feint.agents.injection import replaced_method
from feint.agents.league import League
from feint.agents.lockstep import Lockstep
from feint.agents.pool import Opponent, reseed
from feint.agents.resume import learner_state, read_state, restore_learner, write_state
from feint.agents.stage import Stage, chosen
from feint.files import sole_owner

MODES = ("alternating", "simultaneous")


def train_roles(
    env: str | Callable[[], Any],
    roles: Mapping[str, Callable[[VecEnv], BaseAlgorithm]],
    league: str | Path,
    *,
    mode: str = "alternating",
    rounds: int,
    steps_per_round: int,
    copies: int = 8,
    newest: float = 0.5,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    opponents: Mapping[str, Opponent] | None = None,
    report: Callable[[str], Any] | None = None,
) -> dict[str, BaseAlgorithm]:
    """Train several roles of a PettingZoo game against each other.

    *Alternating*: in each round each role learns in its turn, while every other role is played by
    its league: in each episode by its newest member (chance `newest`) or by an earlier one.
    *Simultaneous*: in each round all roles learn from the same steps, each against what the others
    are at that very step (see `feint.agents.lockstep`); the league only keeps what they were.

    After every turn the league has a new checkpoint of whoever learnt, and `state.safetensors`
    beside them all that the rest of the training depends on. A training that was interrupted and is
    started again with the same arguments goes on after the last finished turn, and ends with the
    same parameters, to the last bit: every turn begins new episodes, with luck that follows from
    `seed` and the turn alone. So the global generators are seeded, as SB3 does it. With more
    `rounds` than before a finished training goes on; schedules then run over all of them.

    Example:
        >>> from functools import partial
        >>> from mpe2 import simple_adversary_v3
        >>> from stable_baselines3 import PPO
        >>> ppo = partial(PPO, "MlpPolicy", n_steps=25, batch_size=50)
        >>> models = train_roles(
        ...     simple_adversary_v3.parallel_env, {"agent": ppo, "adversary": ppo}, "runs/league",
        ...     rounds=2, steps_per_round=400,
        ... )
        >>> sorted(models)
        ['adversary', 'agent']

    Args:
        env: a PettingZoo id, or a function that makes a parallel environment.
        roles: by role or agent (see `ParallelVecEnv`), a function of a `VecEnv` that makes the
            SB3 algorithm which learns it, on that environment as it is.
        league: a folder for this training alone.
        mode: "alternating" or "simultaneous".
        rounds: how often each role learns.
        steps_per_round: steps of the game, over all copies, in which a role learns in a round;
            rounded up to whole rollouts of every role that learns then.
        copies: games side by side.
        newest: see `Pool`.
        seed: of everything.
        env_kwargs: arguments for the environment of that id.
        opponents: who plays agents that have no role here; by default they act at random.
        report: called with a line of text after every turn.

    Returns:
        The trained models, by role.

    Raises:
        ValueError: for arguments out of range, roles that do not exist or overlap, algorithms that
            are not in `feint.agents.algorithms`, and a league of another training.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
    for name, value in {"rounds": rounds, "steps_per_round": steps_per_round}.items():
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    if not roles:
        raise ValueError("roles must name whom to train, and with what; got none")
    make = (
        partial(pettingzoo.make, "parallel", env, **env_kwargs or {})
        if isinstance(env, str)
        else env
    )
    if env_kwargs and not isinstance(env, str):
        raise ValueError("env_kwargs go with an id; a function brings its own arguments")

    stage = Stage(make, copies)
    agents = {role: chosen("roles", role, stage.agents) for role in roles}
    everyone = [agent for names in agents.values() for agent in names]
    if len(set(everyone)) < len(everyone):
        raise ValueError(f"roles: an agent can have one role only, and these overlap: {agents}")
    opponents = dict(opponents or {})
    stage.cast(everyone, opponents)
    lockstep, folder = Lockstep(stage, agents), League(league)
    models = {}
    for role, build in roles.items():
        set_random_seed(seed)
        models[role] = build(lockstep.views[role])
        _check_model(role, models[role], lockstep.views[role])
    cards = {role: _described(stage, names[0], env, env_kwargs) for role, names in agents.items()}
    settings = {
        "env": env if isinstance(env, str) else cards[next(iter(roles))][0],
        "env_kwargs": dict(env_kwargs or {}),
        "roles": {role: type(model).__name__ for role, model in models.items()},
        "mode": mode,
        "steps_per_round": steps_per_round,
        "copies": copies,
        "newest": newest,
        "seed": seed,
    }
    groups = [list(roles)] if mode == "simultaneous" else [[role] for role in roles]

    with sole_owner(folder.folder):
        done, file = 0, folder.folder / "state.safetensors"
        if file.exists():
            saved = read_state(file, settings)
            done = int(saved["turns"])
            for role, model in models.items():
                restore_learner(model, saved["roles"][role])
        else:
            for role, model in models.items():
                folder.add(role, 0, model, *cards[role])
        for turn in range(done, rounds * len(groups)):
            number, place = turn // len(groups) + 1, turn % len(groups)
            learning = groups[place]
            luck = int(np.random.SeedSequence([seed, turn]).generate_state(1)[0])
            pools = {
                role: folder.pool(
                    role, lockstep.views[role], newest, luck + k,
                    last=number if k < place else number - 1,
                )
                for k, role in enumerate(roles)
                if role not in learning
            }  # fmt: skip
            stage.cast([a for role in learning for a in agents[role]], {**opponents, **pools})
            for player in opponents.values():
                reseed(player, luck)
            set_random_seed(luck)  # after the members, whose networks are drawn and then loaded
            stage.seed(luck)
            stage.reset()
            length = math.lcm(*(_rollout(role, models[role]) for role in learning))
            steps = math.ceil(steps_per_round / copies / length) * length
            lockstep.run(
                {role: partial(_learn, models[role], steps, rounds, luck) for role in learning}
            )
            for role in learning:
                folder.add(role, number, models[role], *cards[role])
            state = {role: learner_state(model) for role, model in models.items()}
            write_state({"turns": turn + 1, "roles": state}, file, settings)
            if report is not None:
                means = ", ".join(f"{role} {_mean_return(models[role])}" for role in learning)
                report(f"round {number}/{rounds}: mean return of {means}")
    return models


def _learn(model: BaseAlgorithm, steps: int, rounds: int, luck: int) -> None:
    """`steps` steps of every environment; schedules run over all rounds."""
    env = model.get_env()
    assert env is not None
    model.set_env(env)  # begin with its present observation
    model.action_space.seed(luck)
    total = steps * env.num_envs

    def over_all(original: Callable[[int, int], None]) -> Callable[[int, int], None]:
        return lambda now, _: original(now, total * rounds)

    with replaced_method(model, "_update_current_progress_remaining", over_all):
        model.learn(total, reset_num_timesteps=False)


def _check_model(role: str, model: BaseAlgorithm, view: VecEnv) -> None:
    if model.get_env() is not view:
        raise ValueError(
            f"roles[{role!r}] must make its algorithm on the environment as it is, without "
            "wrappers: members of a league see plain observations"
        )
    _rollout(role, model)


def _rollout(role: str, model: Any) -> int:
    """Steps of each environment between two updates."""
    if hasattr(model, "n_steps"):
        return int(model.n_steps)
    if model.train_freq.unit != TrainFrequencyUnit.STEP:
        raise ValueError(f"roles[{role!r}]: give train_freq in steps, not in episodes")
    return int(model.train_freq.frequency)


def _described(
    stage: Stage, agent: str, env: str | Callable[[], Any], env_kwargs: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """Scenario and arguments for a checkpoint's card; of a Feint scenario, as Gymnasium has it."""
    game = stage.copies[0].unwrapped
    scenario = getattr(game, "scenario", None)
    if scenario is None or not isinstance(env, str):
        return (env if isinstance(env, str) else str(game.metadata.get("name", "unnamed"))), {}
    seat = {} if agent == scenario.focal else {"agent": agent}
    return f"feint/{scenario.name}", {**(env_kwargs or {}), **seat}


def _mean_return(model: BaseAlgorithm) -> str:
    returns = [episode["r"] for episode in model.ep_info_buffer or ()]
    return f"{np.mean(returns):.2f}" if returns else "unknown (no episode has ended)"
