"""Steps per second of VMAS's `simple_adversary`, in whichever way of using it is asked for."""

from itertools import cycle

import torch
from protocol import ACTIONS, AGENTS, CHUNKS, EPISODE, Play, serve
from vmas import make_env  # pyright: ignore[reportMissingImports]

#: The five actions as VMAS takes them: as a force, or as an index per axis (0 is no force).
FORMS = {
    "continuous": torch.tensor([[0.0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]]),
    "discrete": torch.tensor([[0, 0], [1, 0], [2, 0], [0, 1], [0, 2]]),
}


def prepare(batch: int, actions: str, autoreset: str) -> Play:
    """A batch of games.

    VMAS resets one game at a time (`reset_at`) or all. To reset a part of a batch one by one
    takes longer than all else, so its state tensors are written here, for all ended games at once.

    Args:
        batch: number of games.
        actions: "continuous" (forces, made from the actions beforehand) or "discrete".
        autoreset: "same_step" observes all games again after some were reset; "next_step" lets
            games that were just reset stand still for a step, which is not counted, and so
            observes only once.
    """
    env = make_env(
        "simple_adversary",
        num_envs=batch,
        continuous_actions=actions == "continuous",
        multidiscrete_actions=actions == "discrete",
        max_steps=EPISODE,
        seed=0,
    )
    draws = torch.randint(ACTIONS, (CHUNKS, EPISODE, AGENTS, batch))
    chunks = cycle([[list(step) for step in chunk] for chunk in FORMS[actions][draws]])
    entities = env.world.entities
    env.steps = (torch.arange(batch) % EPISODE).float()

    def restart(games: torch.Tensor, steps: int) -> None:
        places = torch.rand(len(entities), len(games), 2) * 2 - 1
        for entity, place in zip(entities, places, strict=True):
            entity.state.pos[games] = place
            if entity.movable:
                entity.state.vel[games] = 0
        env.steps[games] = steps

    @torch.inference_mode()
    def same_step() -> int:
        for action in next(chunks):
            done = env.step(list(action))[2]
            restart(done.nonzero().squeeze(-1), steps=0)
            env.get_from_scenario(
                get_observations=True, get_rewards=False, get_infos=False, get_dones=False
            )
        return EPISODE * batch

    done = torch.zeros(batch, dtype=torch.bool)

    @torch.inference_mode()
    def next_step() -> int:
        nonlocal done
        stood = 0
        for action in next(chunks):
            games = done.nonzero().squeeze(-1)
            restart(games, steps=-1)
            still = [each.index_fill(0, games, 0) for each in action]
            done = env.step(still)[2]
            stood += len(games)
        return EPISODE * batch - stood

    return {"same_step": same_step, "next_step": next_step}[autoreset]


if __name__ == "__main__":
    serve(prepare, ["vmas", "torch"])
