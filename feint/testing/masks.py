"""The check of action masks: their form, that every view shows them, what breaking one does."""

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from feint.envs.core import Scenario
from feint.testing.pages import parameters
from feint.testing.subject import (
    SEED,
    Skip,
    Subject,
    allowed,
    assert_refused,
    assert_same,
    discrete,
    joint_actions,
    legal,
    legal_move,
    random_actions,
)

GAMES = 32


def action_masks(subject: Subject) -> str:
    """Masks are bool, leave whoever is to move a choice, and are the same in every view.

    (num_envs, num_actions), all True in rows of agents who are not to move; `info["action_mask"]`
    is the core's, and MaskablePPO's `get_action_masks` finds it; scripted policies never choose
    what is masked out. What happens to whoever does it all the same is the argument `illegal`:
    with "raise" the step raises ValueError and changes nothing; with "forfeit", the usual default,
    the game ends at once, and nobody in it fares worse than the mover. Another default stands for
    a move that the page names, such as "null".
    """
    game = subject.core(GAMES, external="all", autoreset="next_step")
    game.reset(seed=SEED)
    masked = [agent for agent in game.agents if game.action_masks(agent) is not None]
    if not masked:
        raise Skip("no masks: every action of the space may be played")
    rules = parameters(type(game))
    assert "illegal" in rules, "there are masks, but no argument `illegal` that says what they mean"
    for actions in joint_actions(game, 2 * game.max_steps, SEED):
        _assert_well_formed(game, masked)
        game.step(legal(game, actions))
    _assert_shown(subject)
    _assert_scripts_obey(subject)
    refused, played = _refuses(subject), _plays(subject, rules["illegal"].default)
    return f"{refused} masked-out actions refused, {played} played"


def _assert_well_formed(game: Scenario, masked: list[str]) -> None:
    running = ~game.clock.done
    movers = _movers(game)
    for agent in masked:
        masks: Any = game.action_masks(agent)
        shape = (game.num_envs, int(discrete(game, agent).n))
        assert isinstance(masks, np.ndarray) and masks.shape == shape, (
            f"{agent}'s masks must be {shape}, got {np.shape(masks)}"
        )
        assert masks.dtype == np.bool_, f"{agent}'s masks must be bool, got {masks.dtype}"
        moves = running if movers is None else running & (movers == game.agents.index(agent))
        assert masks[moves].any(axis=1).all(), f"{agent} is to move, but its mask allows nothing"
        assert masks[running & ~moves].all(), f"{agent} is not to move, but its mask forbids some"


def _movers(game: Scenario) -> np.ndarray | None:
    """Who is to move in each game, as indices into `agents`; None where all move at once."""
    if not game.turn_based:
        return None
    movers = game.to_move()
    assert movers.shape == (game.num_envs,) and movers.dtype == np.int64, (
        f"to_move() must be ({game.num_envs},) int64, got {movers.dtype} of shape {movers.shape}"
    )
    assert ((movers >= 0) & (movers < len(game.agents))).all(), f"to_move() leaves agents: {movers}"
    return movers


def _assert_shown(subject: Subject) -> None:
    """The masks of every view, along legal play, against those of a core of its own."""
    core = subject.core(GAMES, autoreset="same_step")
    if core.action_masks(core.focal) is not None:
        batch: Any = subject.vector(GAMES, autoreset_mode=AutoresetMode.SAME_STEP)
        core.reset(seed=SEED)
        _, infos = batch.reset(seed=SEED)
        for actions in random_actions(batch.single_action_space, (20, GAMES), SEED):
            wanted: Any = core.action_masks(core.focal)
            _assert_mask("VectorEnv", infos, batch.unwrapped.action_masks(), wanted)
            moves = legal(core, actions[:, None])[:, 0]
            infos = batch.step(moves)[4]
            core.step(moves)
            if core.clock.done.any():
                core.reset(mask=core.clock.done.copy())
        _assert_maskable(subject)
    try:
        env = subject.parallel()
    except Skip:
        return
    _, infos = env.reset(seed=SEED)
    everyone = subject.core(1, external="all", autoreset="disabled")
    everyone.reset(seed=SEED)
    for joint in joint_actions(everyone, everyone.max_steps, SEED):
        for agent in everyone.agents:
            masks = everyone.action_masks(agent)
            if masks is not None:
                _assert_mask(f"ParallelEnv, {agent}", infos[agent], None, masks[0])
        joint = legal(everyone, joint)
        infos = env.step(dict(zip(everyone.agents, joint[0], strict=True)))[4]
        everyone.step(joint)
        if everyone.clock.done.any():
            break


def _assert_mask(view: str, info: dict, method: Any, wanted: np.ndarray) -> None:
    assert "action_mask" in info, f"{view}: info has no 'action_mask'"
    shown = np.asarray(info["action_mask"])
    assert shown.dtype == np.int8, f"{view}: info['action_mask'] must be int8, got {shown.dtype}"
    assert_same(shown, wanted.astype(np.int8), f"{view}: info['action_mask'] against the core")
    if method is not None:
        assert_same(method, wanted, f"{view}: action_masks() against the core")


def _assert_maskable(subject: Subject) -> None:
    """Sb3-contrib finds the masks in the single view and in SB3's."""
    single: Any = subject.single()
    _, info = single.reset(seed=SEED)
    wanted = single.unwrapped.scenario.action_masks(single.unwrapped.scenario.focal)
    _assert_mask("Env", info, single.unwrapped.action_masks(), wanted[0])
    if importlib.util.find_spec("sb3_contrib") is None:
        return
    from sb3_contrib.common.maskable.utils import get_action_masks

    from feint.agents import make_vec_env

    assert_same(get_action_masks(single), wanted[0], "get_action_masks() of the single view")
    batch = make_vec_env(subject.env_id, 3, seed=SEED, **subject.kwargs)
    batch.reset()
    game: Any = batch.get_attr("scenario")[0]
    wanted = game.action_masks(game.focal)
    assert_same(get_action_masks(batch), wanted, "get_action_masks() of the SB3 view")


def _assert_scripts_obey(subject: Subject) -> None:
    game = subject.core(GAMES, autoreset="next_step")
    if game.action_masks(game.focal) is None:
        return
    first = int(discrete(game, game.focal).start)
    for policy in game.policies:
        (obs,) = game.reset(seed=SEED)
        rng = np.random.default_rng(SEED)
        for _ in range(game.max_steps):
            actions = np.asarray(game.scripted(policy, obs, rng))
            masks: Any = game.action_masks(game.focal)
            breaks = ~allowed(masks, actions - first) & ~game.clock.done
            assert not breaks.any(), f"scripted({policy!r}) plays {actions[breaks]}, masked out"
            (obs,) = game.step(actions).observations


def _refuses(subject: Subject) -> int:
    """With `illegal="raise"` a masked-out action changes nothing; returns how many were tried."""
    game = subject.core(GAMES, external="all", autoreset="freeze", illegal="raise")
    game.reset(seed=SEED)
    tried = 0
    for joint in joint_actions(game, game.max_steps, SEED):
        moves = legal(game, joint)
        for k, i, bad in _forbidden(game):
            tried += 1
            broken = moves.copy()
            broken[i, k] = bad
            assert_refused(game, lambda broken=broken: game.step(broken), f"{bad}, masked out")
            break  # one of each step is enough
        if game.clock.done.all():
            break
        game.step(moves)
    _assert_views_refuse(subject)
    return tried


def _assert_views_refuse(subject: Subject) -> None:
    env: Any = subject.single(illegal="raise").unwrapped
    env.reset(seed=SEED)
    first = int(discrete(env.scenario, env.scenario.focal).start)
    for action in random_actions(env.action_space, (200,), SEED):
        forbidden = np.flatnonzero(~env.action_masks())
        if forbidden.size:
            bad = int(first + forbidden[0])
            assert_refused(env.scenario, lambda bad=bad: env.step(bad), f"Env: {bad}, masked out")
            return
        *_, terminated, truncated, _ = env.step(legal_move(env, action))
        if terminated or truncated:
            env.reset()


def _plays(subject: Subject, rule: str) -> int:
    """What is masked out, played under the default rule; returns how many were."""
    game = subject.core(GAMES, external="all", autoreset="freeze")
    game.reset(seed=SEED)
    tried = 0
    for joint in joint_actions(game, game.max_steps, SEED):
        broken, breakers = legal(game, joint), {}
        for k, i, bad in _forbidden(game):
            if i % 2 and i not in breakers:  # the even games go on, so that later moves are seen
                broken[i, k] = bad
                breakers[i] = k
        step = game.step(broken)
        for i, k in breakers.items():
            tried += 1
            earned = [float(rewards[i]) for rewards in step.rewards]
            assert np.isfinite(earned).all(), f"a masked-out action earns {earned}"
            if rule != "forfeit":
                continue
            who = game.external[k]
            assert step.terminated[i], f"{who} played what is masked out, and its game goes on"
            assert earned[k] <= min(earned), f"{who} played what is masked out, and earns {earned}"
        if game.clock.done.all():
            break
    return tried


def _forbidden(game: Scenario) -> Iterator[tuple[int, int, int]]:
    """(column of `external`, game, action) of one masked-out action per running game and agent."""
    for k, agent in enumerate(game.external):
        masks = game.action_masks(agent)
        if masks is None:
            continue
        first = int(discrete(game, agent).start)
        for i in np.flatnonzero(~masks.all(axis=1) & ~game.clock.done):
            yield k, int(i), first + int(np.argmin(masks[i]))
