"""Steps per second of JaxMARL's `MPE_simple_adversary_v3`, stepped from outside or in one scan."""

from itertools import cycle

import jax  # pyright: ignore[reportMissingImports]
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import numpy as np
from jaxmarl import make  # pyright: ignore[reportMissingImports]
from protocol import ACTIONS, AGENTS, CHUNKS, EPISODE, Play, serve


def prepare(batch: int, use: str) -> Play:
    """A batch of games under `vmap`, reset by JaxMARL's own `step`; compiled here, not timed.

    Args:
        batch: number of games.
        use: "host actions" and "device actions" call one compiled step at a time and wait for what
            it returns; "scan" compiles all steps into one call. Observations, rewards and dones of
            every step are returned by each, since the compiler leaves out what nobody can read.
    """
    # JaxMARL ends an episode one step after `max_steps`.
    env = make("MPE_simple_adversary_v3", max_steps=EPISODE - 1)
    reset_key, key = jax.random.split(jax.random.key(0))
    actions = np.random.default_rng(0).integers(
        ACTIONS, size=(CHUNKS, EPISODE, AGENTS, batch), dtype=np.int32
    )
    _, state = jax.vmap(env.reset)(jax.random.split(reset_key, batch))
    carry = key, state.replace(step=jnp.arange(batch) % EPISODE)

    def step(carry, action):
        key, state = carry
        key, step_key = jax.random.split(key)
        keys = jax.random.split(step_key, batch)
        by_agent = dict(zip(env.agents, action, strict=True))
        observations, state, rewards, dones, _ = jax.vmap(env.step)(keys, state, by_agent)
        return (key, state), (observations, rewards, dones)

    if use == "scan":
        # Compiled in as constants, actions cost nothing; an argument makes it 2.6 times slower.
        known = jnp.asarray(actions.reshape(-1, AGENTS, batch))
        rollout = jax.jit(lambda carry: jax.lax.scan(step, carry, known))
        carry, _ = jax.block_until_ready(rollout(carry))

        def play() -> int:
            nonlocal carry
            carry, _ = jax.block_until_ready(rollout(carry))
            return CHUNKS * EPISODE * batch

        return play

    to_device = jnp.asarray if use == "device actions" else np.asarray
    chunks = cycle([[to_device(action) for action in chunk] for chunk in actions])
    one_step = jax.jit(step, donate_argnums=0)  # the old state's memory may be used again
    carry, _ = jax.block_until_ready(one_step(carry, next(chunks)[0]))

    def play_stepwise() -> int:
        nonlocal carry
        for action in next(chunks):
            carry, _ = jax.block_until_ready(one_step(carry, action))
        return EPISODE * batch

    return play_stepwise


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    serve(prepare, ["jaxmarl", "jax", "jaxlib"])
