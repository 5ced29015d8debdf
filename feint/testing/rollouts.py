"""Checks that play: vector against single, fresh arrays, snapshots, counterfactuals."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from feint.envs.core import Scenario, Step
from feint.testing.subject import (
    SEED,
    Skip,
    Subject,
    arrays,
    assert_same,
    joint_actions,
    legal,
    legal_move,
    random_actions,
    row,
    same,
)

GAMES = 4


def vector_next_step(subject: Subject) -> None:
    """In NEXT_STEP mode each game of a batch is the single game of its seed."""
    _compare(subject, AutoresetMode.NEXT_STEP)


def vector_same_step(subject: Subject) -> None:
    """In SAME_STEP mode each game of a batch is the single game of its seed."""
    _compare(subject, AutoresetMode.SAME_STEP)


def vector_disabled(subject: Subject) -> None:
    """In DISABLED mode, with masked resets, each game of a batch is the single game of its seed."""
    _compare(subject, AutoresetMode.DISABLED)


def _compare(subject: Subject, mode: AutoresetMode) -> None:
    """Play at least two episodes of every game, in the batch and alone."""
    with warnings.catch_warnings():  # the passive checker is another check's business
        warnings.simplefilter("ignore")
        batch: Any = subject.vector(GAMES, autoreset_mode=mode, labels=True)
        singles = [subject.single(labels=True) for _ in range(GAMES)]
    assert batch.metadata.get("autoreset_mode") == mode, (
        f"metadata['autoreset_mode'] is {batch.metadata.get('autoreset_mode')!r}, wanted {mode!r}"
    )
    assert batch.observation_space.shape is None or batch.num_envs == GAMES
    obs, infos = batch.reset(seed=SEED)
    for i, env in enumerate(singles):
        _assert_game(i, (obs, infos), env.reset(seed=SEED + i))
    ended, episodes = np.zeros(GAMES, bool), np.zeros(GAMES, int)
    even = np.arange(GAMES) % 2 == 0
    steps = 2 * subject.core(1).max_steps + 6
    for actions in random_actions(batch.single_action_space, (steps, GAMES), SEED):
        actions = legal_move(batch, actions)
        step = batch.step(actions)
        for i, env in enumerate(singles):
            waited = bool(ended[i])
            ended[i] = False
            if waited:  # NEXT_STEP: this step only began the next episode
                wanted_obs, wanted_info = env.reset()
                wanted: tuple = (wanted_obs, 0.0, False, False, wanted_info)
            else:
                action = actions[i]
                wanted = env.step(action.item() if action.ndim == 0 else action)
            if wanted[2] or wanted[3]:
                episodes[i] += 1
                if mode == AutoresetMode.SAME_STEP:
                    _assert_final(i, step[4], wanted)
                    wanted_obs, wanted_info = env.reset()
                    wanted = (wanted_obs, *wanted[1:4], wanted_info)
                else:
                    ended[i] = True
            _assert_game(i, step, wanted)
        if mode == AutoresetMode.DISABLED and ended.any():
            before = step[0]
            for part in (ended & even, ended & ~even):  # never all games, though all have ended
                obs, infos = batch.reset(options={"reset_mask": part})
                for i, env in enumerate(singles):
                    if part[i]:
                        _assert_game(i, (obs, infos), env.reset())
                    else:
                        assert_same(row(obs, i), row(before, i), f"game {i}, not in reset_mask")
                before = obs
            ended[:] = False
        if (episodes >= 2).all() and not ended.any():
            break
    assert (episodes >= 2).all(), f"games did not end within max_steps: {episodes} episodes"


def _assert_game(i: int, got: tuple, wanted: tuple) -> None:
    """Compare game `i` of what the batch returned with what the single game did."""
    names = ("observation", "reward", "terminated", "truncated")
    for name, value, target in zip(names, got[:-1], wanted[:-1], strict=False):
        assert_same(row(value, i), target, f"{name} of game {i}, batch against single")
    labels = got[-1].get("deception")
    assert labels is not None, "labels=True, but infos has no 'deception'"
    mine = {key: row(value, i) for key, value in labels.items() if not key.startswith("_")}
    assert_same(mine, wanted[-1].get("deception"), f"labels of game {i}, batch against single")
    assert got[-1]["_deception"][i], f"infos['_deception'] leaves out game {i}"


def _assert_final(i: int, infos: dict, wanted: tuple) -> None:
    assert "final_obs" in infos and infos["_final_obs"][i], f"no final_obs for game {i}"
    assert_same(infos["final_obs"][i], wanted[0], f"final_obs of game {i}")
    labels = {
        key: row(value, i)
        for key, value in infos["final_info"]["deception"].items()
        if not key.startswith("_")
    }
    assert_same(labels, wanted[4]["deception"], f"final_info of game {i}")


def fresh_arrays(subject: Subject) -> None:
    """No two calls, and no call and the state, share memory; nothing returned changes later."""
    calls: list[tuple[str, list[np.ndarray]]] = []
    for mode in AutoresetMode:
        batch: Any = subject.vector(GAMES, autoreset_mode=mode, labels=True)
        taken = [("reset", batch.reset(seed=SEED))]
        for actions in random_actions(batch.single_action_space, (4, GAMES), SEED):
            step = batch.step(legal_move(batch, actions))
            taken.append(("step", step))
            if mode == AutoresetMode.DISABLED and (step[2] | step[3]).any():
                options = {"reset_mask": step[2] | step[3]}
                taken.append(("reset", batch.reset(options=options)))
        calls += [(f"VectorEnv.{name}", list(arrays(value))) for name, value in taken]
        calls.append(("the state", list(arrays(_state(batch.unwrapped.scenario)))))
    single: Any = subject.single(labels=True).unwrapped
    calls.append(("Env.reset", list(arrays(single.reset(seed=SEED)))))
    action = random_actions(single.action_space, (1,), SEED)[0]
    calls.append(("Env.step", list(arrays(single.step(legal_move(single, action))))))
    calls.append(("Env.reset", list(arrays(single.reset()))))
    calls.append(("the state", list(arrays(_state(single.scenario)))))
    core = subject.core(GAMES, external="all", labels=True, autoreset="next_step")
    calls.append(("Scenario.reset", list(arrays(core.reset(seed=SEED)))))
    for actions in joint_actions(core, 3, SEED):
        calls.append(("Scenario.step", list(arrays(core.step(legal(core, actions))))))
        calls.append(("compute_labels", list(arrays(core.compute_labels()))))
        masks = [core.action_masks(agent) for agent in core.agents]
        calls.append(("action_masks", list(arrays(masks))))
    calls.append(("the state", list(arrays(_state(core)))))
    for k, (name, mine) in enumerate(calls):
        for other, theirs in calls[:k]:
            for a in mine:
                for b in theirs:
                    shared = np.may_share_memory(a, b) and np.shares_memory(a, b)
                    assert not shared, f"{name} returned memory that belongs to {other}"
    _assert_unchanged(subject)


def _assert_unchanged(subject: Subject) -> None:
    batch: Any = subject.vector(GAMES, labels=True)
    taken: list[Any] = [batch.reset(seed=SEED)]
    kept = [[a.copy() for a in arrays(taken[0])]]
    for actions in random_actions(batch.single_action_space, (4, GAMES), SEED):
        taken.append(batch.step(legal_move(batch, actions)))
        kept.append([a.copy() for a in arrays(taken[-1])])
    for t, (now, then) in enumerate(zip(taken, kept, strict=True)):
        assert_same(list(arrays(now)), then, f"what step {t} returned, some steps later")


def _state(game: Scenario) -> list[np.ndarray]:
    return [*game.clock, *game.state]


def _play(game: Scenario, stream: np.ndarray) -> list[Step]:
    return [game.step(legal(game, actions)) for actions in stream]


def snapshot_restore(subject: Subject) -> None:
    """A restored game has the future it had, and a snapshot shares no memory with the game."""
    made: Callable[[], Scenario] = lambda: subject.core(  # noqa: E731
        8, labels=True, autoreset="next_step"
    )
    game = made()
    game.reset(seed=SEED)
    steps = min(game.max_steps, 30) + 6
    stream = joint_actions(game, steps, SEED)
    _play(game, stream[:2])
    taken = game.snapshot()
    kept = {key: value.copy() for key, value in taken.items()}
    wanted = _play(game, stream[2:])
    assert_same(taken, kept, "the snapshot, after the game went on")
    game.restore(taken)
    assert_same(_play(game, stream[2:]), wanted, "the future after restore()")
    other = made()
    other.restore(taken)
    for value in taken.values():  # the game must not look into the snapshot it was given
        value[...] = np.zeros_like(value)
    assert_same(_play(other, stream[2:]), wanted, "the future after restore() into another batch")
    try:
        subject.core(7).restore(kept)
    except ValueError:
        return
    raise AssertionError("a snapshot of 8 games was restored into 7 without a ValueError")


def conditions(subject: Subject) -> None:
    """Under one seed, every condition has the same hidden truth; present and absent exist."""
    names = subject.scenario.conditions
    for name in ("present", subject.scenario.counterfactual):
        assert name in names, f"conditions lack {name!r}: {', '.join(names)}"
    truths = {}
    for name in names:
        game = subject.core(64, condition=name)
        game.reset(seed=SEED)
        truths[name] = game.compute_labels()["truth"]
        assert_same(truths[name], truths["present"], f"the truth under {name!r} and 'present'")


def blinding(subject: Subject) -> None:
    """After `blind()` the other sees the same whatever the focal agent does, and only then.

    Games that were not blinded do not change, nor does the next episode of any game.
    """
    game = subject.core(16, condition="present", autoreset="freeze")
    game.reset(seed=SEED)
    try:
        game.blind()
    except ValueError as error:
        raise Skip("the other cannot be blinded") from error
    watched = game.compute_labels()["watched"]
    assert not watched.any(), "after blind(), labels still say 'watched'"
    for external in ("focal", "all"):
        blinded = [_what_others_see(subject, external, True, seed) for seed in (1, 2)]
        assert same(*blinded), f"external={external!r}: a blinded other still sees what I do"
    seeing = [_what_others_see(subject, "all", False, seed) for seed in (1, 2)]
    assert not same(*seeing), "the other sees nothing of what I do, even before blind()"
    _assert_blinds_only_those_games(subject)


def _what_others_see(subject: Subject, external: str, blind: bool, seed: int) -> list[Any]:
    """The others' observations in an episode; `seed` fixes the focal agent's actions only."""
    game = subject.core(16, condition="present", external=external, autoreset="freeze")
    game.reset(seed=SEED)
    if blind:
        game.blind()
    stream = joint_actions(game, game.max_steps, SEED)
    mine = random_actions(game.action_space(game.focal), stream.shape[:2], seed)
    column = stream[:, :, game.external.index(game.focal)]  # a view
    column[...] = mine.reshape(column.shape)
    seen = []
    for actions in stream:
        seen.append([game.observe_agent(agent) for agent in game.others])
        game.step(legal(game, actions))
    return seen


def _assert_blinds_only_those_games(subject: Subject) -> None:
    def played(blind: bool) -> tuple[list[Step], tuple]:
        game = subject.core(16, condition="present", labels=True, autoreset="freeze")
        game.reset(seed=SEED)
        if blind:
            game.blind(half)
        steps = _play(game, joint_actions(game, game.max_steps, SEED))
        return steps, game.reset()

    half = np.arange(16) < 8
    (plain, after), (mixed, after_blind) = played(False), played(True)
    for got, wanted in zip(mixed, plain, strict=True):
        for a, b in zip(arrays(got), arrays(wanted), strict=True):
            assert_same(a[~half], b[~half], "games that blind(mask) leaves out")
    assert_same(after_blind, after, "the episode after a blinded one")
