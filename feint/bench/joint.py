"""Two SB3 learners in one game: red and blue of PhysicalDeception learn beside each other.

SB3's off-policy algorithms train one agent in an environment of its own. Here both act in the same
games, and each fills its own replay buffer and makes its own updates: independent learners, where
arXiv 2412.16325 has MADDPG, whose critics see everybody's observations and actions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise
from torch import nn

from feint.agents import SelfOtherOverlap, make_vec_env
from feint.agents.actor import Batch
from feint.agents.algorithms import algorithm
from feint.agents.overlap import AgentOverlap
from feint.envs import scenario_class
from feint.envs.core import Scenario

RED, BLUE = "adversary_0", "agent_0"

#: Episodes of every game that are only stored, before the first update.
WARM_UP = 2


@dataclass(frozen=True)
class Training:
    """How red and blue learn; what the paper has is in brackets.

    Attributes:
        red: "learned", or "follow": the scenario's scripted follower in its place [learned].
        learning_rate: of actors and critics [.01].
        gamma: discount [.95].
        tau: how far the target networks move at an update [.01].
        batch_size: transitions per update [1024].
        noise: factor on the Ornstein-Uhlenbeck noise (theta .15, sigma .2), at the start and at
            the end [.3 to 0].
        liar_rate: share of the games in which the scenario's scripted liar moves blue, for the
            replay buffer, during the first 60 % of training [0].
        reward_scale: factor on all rewards [they are standardised].
    """

    red: str = "learned"
    learning_rate: float = 1e-3
    gamma: float = 0.95
    tau: float = 0.01
    batch_size: int = 256
    noise: tuple[float, float] = (0.35, 0.05)
    liar_rate: float = 0.0
    reward_scale: float = 0.1

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Training":
        """From a suite's `algo` table.

        Raises:
            ValueError: for unknown keys and values out of range.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(table.keys() - known)
        if unknown:
            raise ValueError(f"algo: unknown {unknown}; there are: {', '.join(sorted(known))}")
        made = cls(**{**table, "noise": tuple(table.get("noise", cls.noise))})
        if made.red not in ("learned", "follow"):
            raise ValueError(f"algo.red must be 'learned' or 'follow', got {made.red!r}")
        if not 0.0 <= made.liar_rate <= 1.0:
            raise ValueError(f"algo.liar_rate must be in [0, 1], got {made.liar_rate}")
        if len(made.noise) != 2 or min(made.noise) < 0:
            raise ValueError(f"algo.noise must be two numbers >= 0, got {made.noise}")
        return made


def learner(
    agent: str,
    scenario: str,
    env_kwargs: Mapping[str, Any],
    t: Training,
    *,
    num_envs: int,
    net_arch: tuple[int, ...] = (64, 64),
    seed: int = 0,
) -> TD3:
    """A TD3 for red or blue: the actor starts near zero, as the paper's does.

    The other's place is small numbers (at most the sight radius), and the paper normalises its
    inputs by batch; here the weights on it start larger by 5 / radius in place of that.
    """
    chosen = algorithm("td3")
    model = TD3(
        chosen.policy,
        make_vec_env(scenario, num_envs, agent=agent, **env_kwargs),
        learning_rate=t.learning_rate,
        gamma=t.gamma,
        tau=t.tau,
        batch_size=t.batch_size,
        seed=seed,
        device="cpu",
        policy_kwargs={
            **chosen.policy_kwargs(net_arch, "relu"),
            "optimizer_kwargs": {"fused": True},
        },
    )
    model.set_logger(configure(None, []))
    game: Any = scenario_class(scenario)(1, **env_kwargs)  # pyright: ignore[reportCallIssue]
    other = game.layout.red if agent == BLUE else slice(4, 6)
    policy = model.policy
    with torch.no_grad():
        for net in (policy.actor.mu, *policy.critic.q_networks):
            assert isinstance(net, nn.Sequential)
            first = net[0]
            assert isinstance(first, nn.Linear)
            first.weight[:, other] *= 5.0 / game.params.sight
        last = policy.actor.mu[-2]
        assert isinstance(last, nn.Linear)
        for parameter in last.parameters():
            parameter.uniform_(-3e-3, 3e-3)
    policy.actor_target.load_state_dict(policy.actor.state_dict())
    policy.critic_target.load_state_dict(policy.critic.state_dict())
    return model


def overlap_step(blue: TD3, overlap: AgentOverlap) -> None:
    """One step of blue's actor on the overlap loss alone, as the paper does before each update."""
    obs = blue.replay_buffer.sample(blue.batch_size).observations  # pyright: ignore
    loss = overlap.step(Batch(obs)).loss
    blue.actor.optimizer.zero_grad()
    loss.backward()
    blue.actor.optimizer.step()


def train_together(
    red: TD3 | None,
    blue: TD3,
    game: Scenario,
    t: Training,
    *,
    episodes: int,
    seed: int,
    overlap: SelfOtherOverlap | None = None,
    rewarded: bool = True,
    after_episode: Callable[[int], None] = lambda _: None,
) -> AgentOverlap | None:
    """Play all games of a batch, `episodes` times over, with one update each per step.

    Args:
        red: learns, too; None where the scenario plays red.
        blue: the focal agent.
        game: whose `external` agents are red, where it learns, and blue.
        t: how they learn.
        episodes: of every game.
        seed: of the games and the scripted liar; noise comes from numpy's global generator.
        overlap: blue makes a step on it before each of its updates.
        rewarded: False leaves the overlap steps alone: blue's own updates are left out.
        after_episode: called with the number of episodes done.

    Returns:
        What `overlap` became; it holds the recorded doses.
    """
    models = [blue] if red is None else [red, blue]
    bound = None if overlap is None else overlap.bind(blue)
    rng = np.random.default_rng(seed)
    shape = (game.num_envs, 2)
    still = np.zeros(game.num_envs)
    nothing: list[dict[str, Any]] = [{}] * game.num_envs
    game.reset(seed=seed)
    for episode in range(episodes):
        done = episode / episodes
        scale = t.noise[0] + (t.noise[1] - t.noise[0]) * done
        shown = round(t.liar_rate * game.num_envs) if done < 0.6 else 0
        noise = [
            OrnsteinUhlenbeckActionNoise(np.zeros(shape), np.full(shape, 0.2), 0.15, dt=1.0)
            for _ in models
        ]
        seen = game.reset()
        for _ in range(game.max_steps):
            actions = []
            for model, obs, wobble in zip(models, seen, noise, strict=True):
                chosen = model.predict(obs, deterministic=True)[0]
                if model is blue and shown:
                    chosen[:shown] = game.scripted("deceptive", obs[:shown], rng)
                actions.append(np.clip(chosen + scale * wobble(), -1.0, 1.0).astype(np.float32))
            step = game.step(np.stack(actions, axis=1))
            for model, *row, reward in zip(
                models, seen, step.observations, actions, step.rewards, strict=True
            ):
                # Never done: episodes end by time alone, and the game would have gone on.
                model.replay_buffer.add(*row, reward * t.reward_scale, still, nothing)  # pyright: ignore
            seen = step.observations
            if episode >= WARM_UP:
                if bound is not None:
                    overlap_step(blue, bound)
                for model in models:
                    if rewarded or model is red:
                        model.train(1, model.batch_size)
        after_episode(episode + 1)
    return bound
