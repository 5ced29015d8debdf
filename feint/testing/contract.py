"""Checks of what a scenario says about deception: labels, secrets, policies, pairs."""

from typing import Any

import numpy as np
from gymnasium import spaces

from feint.envs.core import Pairs, Scenario
from feint.metrics import MISLED_BELOW
from feint.testing.subject import SEED, Subject, assert_same, joint_actions, legal

COMMON_LABELS = {"belief": "f", "misled": "b", "deciding": "b", "truth": "iu", "watched": "b"}
"""Labels that every scenario gives, with the kinds of their dtypes."""


def labels(subject: Subject) -> None:
    """The common labels are there, in range, and agree: misled is doubt before the decision."""
    game = subject.core(64, labels=True, autoreset="next_step")
    game.reset(seed=SEED)
    taken = [game.compute_labels()]
    for actions in joint_actions(game, min(game.max_steps, 50), SEED):
        step = game.step(legal(game, actions))
        assert step.labels is not None, "labels=True, but a step has none"
        taken.append(step.labels)
    for label in taken:
        for key, kinds in COMMON_LABELS.items():
            assert key in label, f"the label {key!r} is missing; there are {', '.join(label)}"
            value = label[key]
            assert value.shape[0] == 64, f"label {key!r} must be (num_envs, ...): {value.shape}"
            assert value.dtype.kind in kinds, f"label {key!r} has dtype {value.dtype}"
        belief = label["belief"]
        assert ((belief >= 0) & (belief <= 1)).all(), "label 'belief' leaves [0, 1]"
        doubt = (belief < MISLED_BELOW) & label["deciding"]
        assert_same(label["misled"], doubt, f"'misled' against belief < {MISLED_BELOW}, deciding")
        assert label.keys() == taken[0].keys(), "labels come and go"
    quiet = subject.core(2, labels=False)
    quiet.reset(seed=SEED)
    assert quiet.step(joint_actions(quiet, 1, SEED)[0]).labels is None, "labels=False gives labels"


def secrecy(subject: Subject) -> str | None:
    """Nobody observes a label, and the other cannot see the truth: it may be changed unseen."""
    game = subject.core(256, external="all", autoreset="freeze")
    game.reset(seed=SEED)
    others = game.others
    seen: dict[str, list[np.ndarray]] = {agent: [] for agent in game.agents}
    told: dict[str, list[np.ndarray]] = {"belief": [], "misled": [], "truth": []}
    relabelled = False
    for actions in joint_actions(game, min(game.max_steps, 12), SEED):
        for agent in game.agents:
            seen[agent].append(game.observe_agent(agent).reshape(256, -1))
        label = game.compute_labels()
        for key, values in told.items():
            values.append(label[key].reshape(256, -1)[:, 0])
        relabelled = _assert_truth_is_unseen(game, others)
        if game.clock.done.all():
            break
        game.step(legal(game, actions))
    for agent, rows in seen.items():
        columns = np.concatenate(rows)
        for key, values in told.items():
            label_column = np.concatenate(values).astype(np.float32)
            if np.ptp(label_column) == 0 or (key == "truth" and agent not in others):
                continue
            match = np.flatnonzero((columns == label_column[:, None]).all(axis=0))
            assert not match.size, f"column {match} of {agent}'s observation is the label {key!r}"
    return None if relabelled else "no state array holds a truth that varies: only columns compared"


def _assert_truth_is_unseen(game: Scenario, others: tuple[str, ...]) -> bool:
    """Put another truth into the state: what the others see must not change by a bit.

    Returns whether that could be done.
    """
    truth, taken = game.compute_labels()["truth"], game.snapshot()
    values = int(truth.max()) + 1
    holders = [
        key
        for key, value in taken.items()
        if key.startswith("state.") and value.dtype.kind in "iu" and np.array_equal(value, truth)
    ]
    if values < 2 or not holders:
        return False
    before = {agent: game.observe_agent(agent) for agent in others}
    mine = game.observe_agent(game.focal)
    game.restore({**taken, holders[0]: (truth + 1) % values})
    for agent in others:
        assert_same(game.observe_agent(agent), before[agent], f"{agent}'s view of another truth")
    changed = not np.array_equal(game.observe_agent(game.focal), mine)
    game.restore(taken)
    assert changed, f"{game.focal} should know the truth, but does not see it change"
    return True


def policies(subject: Subject) -> None:
    """Scripted policies act legally, by observation and rng alone; unknown ones are refused."""
    game = subject.core(64, autoreset="next_step")
    space = game.action_space(game.focal)
    (obs,) = game.reset(seed=SEED)
    for policy in ("honest", "deceptive", "random"):
        assert policy in game.policies, f"no scripted policy {policy!r}"
    for policy in game.policies:
        for _ in range(3):
            kept = obs.copy()
            actions = game.scripted(policy, obs, np.random.default_rng(0))
            assert_same(obs, kept, f"the observations, after scripted({policy!r})")
            again = game.scripted(policy, obs, np.random.default_rng(0))
            assert_same(again, actions, f"scripted({policy!r}) with the same rng")
            for action in actions:
                legal = space.contains(
                    int(action) if isinstance(space, spaces.Discrete) else action
                )
                assert legal, f"scripted({policy!r}) plays {action!r}, outside {space}"
            (obs,) = game.step(actions).observations
    _assert_raises(lambda: game.scripted("no such policy", obs, np.random.default_rng(0)), "policy")


def pairs(subject: Subject) -> str:
    """Every kind of `pair_kinds` keeps the pair contract; see `feint.envs.core.Pairs`.

    Shapes, dtype and bool `valid`; nothing modified in place or shared; the same pair for the same
    rng; self and other differ where valid, and one of them is the observation. A kind that these
    arguments do not define raises ValueError. The self side of a `presence` or `belief` pair is
    its own self side, and `mask_other` is idempotent.
    """
    game = subject.core(128, autoreset="next_step")
    (first,) = game.reset(seed=SEED)
    rows = [first]
    for actions in joint_actions(game, min(game.max_steps - 1, 6), SEED):
        (obs,) = game.step(legal(game, actions)).observations
        rows.append(obs)
    obs = np.concatenate(rows)
    defined = []
    for kind in game.pair_kinds:
        try:
            made = _pair(game, obs, kind)
        except ValueError as error:
            assert kind in str(error), f"pairs({kind!r}) raises without naming the kind: {error}"
            continue
        defined.append(kind)
        if kind in ("presence", "belief"):
            again = game.pairs(made.self_obs[made.valid], kind, np.random.default_rng(1))
            assert_same(
                again.self_obs, made.self_obs[made.valid], f"{kind}: the self side of the self side"
            )
    assert game.default_pairs in defined, f"default_pairs {game.default_pairs!r} is not defined"
    _assert_raises(lambda: game.pairs(obs, "no such kind"), "kind")
    kept = obs.copy()
    masked = game.mask_other(obs)
    assert_same(obs, kept, "the observations, after mask_other()")
    assert not np.shares_memory(masked, obs), "mask_other() shares memory with its input"
    assert_same(game.mask_other(masked), masked, "mask_other() of its own result")
    return f"kinds: {', '.join(defined)}"


def _pair(game: Scenario, obs: np.ndarray, kind: str) -> Pairs:
    kept = obs.copy()
    made = game.pairs(obs, kind, np.random.default_rng(0))
    assert_same(obs, kept, f"{kind}: the observations, after pairs()")
    sides: dict[str, Any] = {"self_obs": made.self_obs, "other_obs": made.other_obs}
    for name, side in sides.items():
        assert side.shape == obs.shape, f"{kind}: {name} has shape {side.shape}, not {obs.shape}"
        assert side.dtype == obs.dtype, f"{kind}: {name} has dtype {side.dtype}, not {obs.dtype}"
        finite = side.dtype == object or np.isfinite(side).all()
        assert finite, f"{kind}: {name} is not finite everywhere"
        assert not np.shares_memory(side, obs), f"{kind}: {name} shares memory with its input"
    assert not np.shares_memory(made.self_obs, made.other_obs), f"{kind}: the sides share memory"
    valid = made.valid
    assert valid.shape == (len(obs),) and valid.dtype == np.bool_, (
        f"{kind}: valid must be ({len(obs)},) bool, got {valid.dtype} of shape {valid.shape}"
    )
    assert valid.any(), f"{kind}: not one valid pair among {len(obs)} observations"
    assert_same(made.self_obs[~valid], obs[~valid], f"{kind}: self_obs where there is no pair")
    flat = {name: side.reshape(len(obs), -1) for name, side in sides.items()}
    differ = (flat["self_obs"] != flat["other_obs"]).any(axis=1)
    assert differ[valid].all(), f"{kind}: self and other are equal in a valid pair"
    source = obs.reshape(len(obs), -1)
    real = np.zeros(len(obs), bool)
    for side in flat.values():
        real |= (side == source).all(axis=1)
    assert real[valid].all(), f"{kind}: neither side of a valid pair is the observation"
    again = game.pairs(obs, kind, np.random.default_rng(0))
    assert_same(
        (again.self_obs, again.other_obs, again.valid),
        (made.self_obs, made.other_obs, valid),
        f"{kind}: the pair with the same rng",
    )
    plain = [game.pairs(obs, kind).other_obs for _ in range(2)]
    assert_same(plain[0], plain[1], f"{kind}: the pair without an rng")
    return made


def _assert_raises(call: Any, name: str) -> None:
    try:
        call()
    except ValueError as error:
        assert name in str(error), f"the error does not name {name!r}: {error}"
        return
    raise AssertionError(f"an unknown {name} is accepted")
