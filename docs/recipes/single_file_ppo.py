"""PPO in one file, on Gymnasium's `make_vec` and torch alone; Feint only gives the game and judges.

    python docs/recipes/single_file_ppo.py --env feint/RoomSignal-v0 --incentive 1

Proximal policy optimization after Schulman et al. 2017 (arXiv 1707.06347), with generalized
advantages (arXiv 1506.02438).
"""

import argparse

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from torch import nn
from torch.distributions import Categorical

import feint  # noqa: F401 - registers the ids
from feint.agents import evaluate

GAMMA, LAMBDA, CLIP = 0.97, 0.95, 0.2


def net(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers of 64."""
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
    )


def train(args: argparse.Namespace) -> nn.Module:
    """The trained actor: observations (n, inputs) to logits (n, actions)."""
    torch.manual_seed(args.seed)
    # In the same step: else every episode is followed by a step that only resets.
    envs = gym.make_vec(
        args.env,
        num_envs=args.num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
        incentive=args.incentive,
    )
    seen_space, action_space = envs.single_observation_space, envs.single_action_space
    if not isinstance(seen_space, Box) or not isinstance(action_space, Discrete):
        raise SystemExit(f"this file takes arrays and discrete actions; {args.env} has others")
    inputs, actions = seen_space.shape[0], int(action_space.n)
    actor, critic = net(inputs, actions), net(inputs, 1)
    weights = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(weights, lr=args.learning_rate)
    first, _ = envs.reset(seed=args.seed)
    obs = torch.as_tensor(first)
    steps, games = args.num_steps, args.num_envs
    rollout = {name: torch.zeros(steps, games) for name in ("logp", "reward", "value", "done")}
    seen, taken = torch.zeros(steps, games, inputs), torch.zeros(steps, games)

    for update in range(args.total // (steps * games)):
        for t in range(steps):
            with torch.no_grad():
                policy, value = Categorical(logits=actor(obs)), critic(obs)[:, 0]
                action = policy.sample()
            nxt, reward, terminated, truncated, info = envs.step(action.numpy())
            reward = torch.as_tensor(reward, dtype=torch.float32)
            if truncated.any():  # a time limit is no end: go on with what the critic expects
                cut = np.flatnonzero(truncated & ~terminated)
                final = torch.as_tensor(np.stack(info["final_obs"][cut]))
                with torch.no_grad():
                    reward[cut] += GAMMA * critic(final)[:, 0]
            seen[t], taken[t] = obs, action
            rollout["logp"][t], rollout["value"][t] = policy.log_prob(action), value
            rollout["reward"][t] = reward
            rollout["done"][t] = torch.as_tensor(terminated | truncated, dtype=torch.float32)
            obs = torch.as_tensor(nxt)

        with torch.no_grad():
            following = critic(obs)[:, 0]
        advantage, running = torch.zeros(steps, games), torch.zeros(games)
        for t in reversed(range(steps)):
            goes_on = 1 - rollout["done"][t]
            surprise = rollout["reward"][t] + GAMMA * goes_on * following - rollout["value"][t]
            running = surprise + GAMMA * LAMBDA * goes_on * running
            advantage[t], following = running, rollout["value"][t]

        flat = seen.reshape(-1, inputs), taken.reshape(-1), rollout["logp"].reshape(-1)
        gain, target = advantage.reshape(-1), (advantage + rollout["value"]).reshape(-1)
        for _ in range(args.epochs):
            for rows in torch.randperm(steps * games).split(args.minibatch):
                policy = Categorical(logits=actor(flat[0][rows]))
                ratio = (policy.log_prob(flat[1][rows]) - flat[2][rows]).exp()
                a = (gain[rows] - gain[rows].mean()) / (gain[rows].std() + 1e-8)
                surrogate = torch.min(a * ratio, a * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                miss = (critic(flat[0][rows])[:, 0] - target[rows]).square().mean()
                loss = -surrogate + 0.5 * miss - args.entropy * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, 0.5)
                optimizer.step()
        if update % 10 == 0:
            print(f"update {update}: mean reward {rollout['reward'].mean():.3f}")
    envs.close()
    return actor


def main() -> None:
    """Train, and say how often the agent deceives on held-out episodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="feint/RoomSignal-v0")
    parser.add_argument("--incentive", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--total", type=int, default=150_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--num-steps", type=int, default=16)
    parser.add_argument("--minibatch", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--entropy", type=float, default=0.01)
    args = parser.parse_args()
    actor = train(args)
    generator = torch.Generator().manual_seed(args.seed)

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            chances = actor(torch.as_tensor(obs)).softmax(dim=1)
        return torch.multinomial(chances, 1, generator=generator)[:, 0].numpy()

    game = {"incentive": args.incentive}
    found = evaluate(act, args.env, game, conditions=("present", "absent"))
    for condition, metrics in found.items():
        means = {name: np.nanmean(v) for name, v in metrics.items() if not np.isnan(v).all()}
        print(condition, ", ".join(f"{name} {mean:.3f}" for name, mean in means.items()))


if __name__ == "__main__":
    main()
