"""The conformance suite on a game of turns with masked-out actions, and on mutants of it."""

import sys

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest

from feint.envs import multi
from feint.envs import validation as check
from feint.envs.room_signal import RoomSignal
from feint.envs.room_signal.dynamics import NONE
from feint.envs.views import ScenarioEnv, ScenarioVectorEnv
from feint.testing import Subject, check_scenario
from feint.testing.subject import legal, snake_id
from feint.testing.suite import CHECKS

LOSS = -2.0


class Whisper(RoomSignal):
    """RoomSignal in turns: the room after the treasure cannot be named, nor room 0 entered."""

    turn_based = True

    def __init__(self, *args, illegal="forfeit", **kwargs):
        self.illegal = check.check_choice("illegal", illegal, ("forfeit", "raise"))
        super().__init__(*args, **kwargs)

    def to_move(self):
        return (self.two_steps & (self.state.message != NONE)).astype(np.int64)

    def action_masks(self, agent):
        masks = np.ones((self.num_envs, self.num_rooms), np.bool_)
        mine = (self.to_move() == self.agents.index(agent)) & ~self.clock.done
        room = (self.state.treasure + 1) % self.num_rooms if agent == self.focal else 0
        masks[np.arange(self.num_envs), room] = ~mine
        return masks

    def _check_actions(self, actions):
        checked = super()._check_actions(actions)
        if self.illegal == "raise" and self._broken(checked).any():
            raise ValueError("actions must be rooms that the masks allow")
        return checked

    def _broken(self, actions):
        """(num_external, num_envs) bool: who plays what is masked out."""
        games = np.arange(self.num_envs)
        chosen = zip(self.external, actions.T, strict=True)
        return np.array([~self.action_masks(agent)[games, rooms] for agent, rooms in chosen])

    def _advance(self, actions, active):
        broken = self._broken(actions) & active
        lost = broken.any(axis=0)
        rewards, terminated = super()._advance(actions, active & ~lost)
        for k, agent in enumerate(self.external):
            rewards[self.agents.index(agent)][broken[k]] = LOSS
        return rewards, terminated | lost

    def scripted(self, policy, observations, rng):
        rooms = super().scripted(policy, observations, rng)
        treasure = observations[:, : self.num_rooms].argmax(axis=1)
        return (rooms + (rooms == (treasure + 1) % self.num_rooms)) % self.num_rooms


class IgnoresMasks(Whisper):
    def _broken(self, actions):
        return np.zeros((len(self.external), self.num_envs), np.bool_)


class ForfeitsForTheOther(Whisper):
    def _advance(self, actions, active):
        rewards, terminated = super()._advance(actions, active)
        rewards[:, (rewards == LOSS).any(axis=0)] *= -1.0
        return rewards, terminated


class RaisesTooLate(Whisper):
    def _check_actions(self, actions):
        broken = self._broken(np.asarray(actions).reshape(self.num_envs, -1))
        if self.illegal == "raise" and broken.any():
            self.state.message[:] = 0
        return super()._check_actions(actions)


class LeavesNoChoice(Whisper):
    def action_masks(self, agent):
        return np.zeros((self.num_envs, self.num_rooms), np.bool_)

    def _broken(self, actions):
        return np.zeros((len(self.external), self.num_envs), np.bool_)


class MasksWhoeverWaits(Whisper):
    def action_masks(self, agent):
        masks = super().action_masks(agent)
        masks[:, 1] &= self.to_move() == self.agents.index(agent)
        return masks


class MasksInNumbers(Whisper):
    def action_masks(self, agent):
        return super().action_masks(agent).astype(np.int8)

    def _broken(self, actions):
        games = np.arange(self.num_envs)
        chosen = zip(self.external, actions.T, strict=True)
        return np.array([self.action_masks(agent)[games, rooms] == 0 for agent, rooms in chosen])


class ScriptsTheForbidden(Whisper):
    def scripted(self, policy, observations, rng):
        treasure = observations[:, : self.num_rooms].argmax(axis=1)
        return (treasure + (policy == "deceptive")) % self.num_rooms


class KeepsItsMasks(Whisper):
    def action_masks(self, agent):
        if getattr(self, "kept", None) is None:
            self.kept = {a: np.ones((self.num_envs, self.num_rooms), np.bool_) for a in self.agents}
        self.kept[agent][:] = super().action_masks(agent)
        return self.kept[agent]


class WhispersOldNews(ScenarioVectorEnv):
    """A batch whose infos hold the masks of the step before."""

    scenario_class = Whisper
    old = None

    def _info(self, labels, games):
        info = super()._info(labels, games)
        info["action_mask"], self.old = (
            (info["action_mask"] if self.old is None else self.old),
            (info["action_mask"]),
        )
        return info


def register(scenario: type, vector: type | None = None) -> str:
    """Register a scenario's views with Gymnasium and PettingZoo under names that pickling finds."""
    module = sys.modules[__name__]
    name = (vector or scenario).__name__
    body = {"scenario_class": scenario, "__module__": __name__}
    single = type(f"{name}SingleView", (ScenarioEnv,), body)
    batch = vector or type(f"{name}BatchView", (ScenarioVectorEnv,), body)
    for view in (single, batch):
        setattr(module, view.__name__, view)
    env_id = f"feint-masks/{name}-v0"
    if env_id not in gym.registry:
        entries = {k: f"{__name__}:{v.__name__}" for k, v in (("one", single), ("many", batch))}
        gym.register(env_id, entry_point=entries["one"], vector_entry_point=entries["many"])
        pettingzoo.register("parallel", snake_id(env_id), f"{__name__}:whisper_parallel")
        pettingzoo.register("aec", snake_id(env_id), f"{__name__}:whisper_turns")
    return env_id


def whisper_parallel(**kwargs):
    return multi.ScenarioParallelEnv(Whisper, **kwargs)


def whisper_turns(**kwargs):
    return multi.aec_env(Whisper, **kwargs)


NOT_HERE = ("page", "arguments")  # the page and the arguments are RoomSignal's


def test_a_game_of_turns_with_masks_keeps_the_contract():
    report = check_scenario(register(Whisper), skip=NOT_HERE)
    assert set(report.skipped) == {*NOT_HERE, "pettingzoo_max_cycles"}
    refused, played = (int(n) for n in report.passed["action_masks"].split() if n.isdigit())
    assert refused > 0 and played > 0


@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        (IgnoresMasks, r"an illegal action was accepted \(\d, masked out\)"),
        (ForfeitsForTheOther, "played what is masked out, and earns"),
        (RaisesTooLate, "the state after the illegal action"),
        (LeavesNoChoice, "its mask allows nothing"),
        (MasksWhoeverWaits, "is not to move, but its mask forbids some"),
        (MasksInNumbers, "masks must be bool, got int8"),
        (ScriptsTheForbidden, r"scripted\('deceptive'\) plays .* masked out"),
        (WhispersOldNews, r"info\['action_mask'\] against the core"),
    ],
)
def test_a_mutant_with_wrong_masks_is_caught(mutant, found):
    vector = mutant if issubclass(mutant, ScenarioVectorEnv) else None
    env_id = register(Whisper if vector else mutant, vector)
    cheap = [c.__name__ for c in CHECKS if c.__name__ != "action_masks"]
    with pytest.raises(AssertionError, match=rf"(?s)check 'action_masks' failed: .*{found}"):
        check_scenario(env_id, skip=cheap)


def test_masks_that_are_one_array_over_and_over_are_not_fresh():
    with pytest.raises(AssertionError, match=r"check 'fresh_arrays' failed.*action_masks"):
        check_scenario(register(KeepsItsMasks), skip=NOT_HERE)


def test_what_a_mask_forbids_is_replaced_and_nothing_else():
    game = Subject(register(Whisper), "").core(64, external="all")
    game.reset(seed=0)
    actions = np.random.default_rng(0).integers(4, size=(64, 2))
    mended = legal(game, actions)
    masks = game.action_masks("sender_0")
    assert masks is not None
    fine = masks[np.arange(64), actions[:, 0]]
    assert masks[np.arange(64), mended[:, 0]].all() and not fine.all()
    np.testing.assert_array_equal(mended[fine, 0], actions[fine, 0])
    np.testing.assert_array_equal(mended[:, 1], actions[:, 1])  # the receiver is not to move
