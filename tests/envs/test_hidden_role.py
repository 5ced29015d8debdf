import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from feint.envs.hidden_role import HiddenRole, meeting, scripted
from feint.envs.hidden_role.dynamics import (
    AWAY,
    BREAK,
    EAST,
    GLASS,
    NONE,
    NORTH,
    SOUTH,
    STAY,
    STRIKE,
    TOGETHER,
    USE,
    WEST,
)

TOGETHER_ARGS = HiddenRole.conditions["present"]


def make(num_envs: int = 64, seed: int = 0, **kwargs: Any) -> HiddenRole:
    kwargs = {"autoreset": "freeze", **TOGETHER_ARGS, **kwargs}
    game = HiddenRole(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


def arranged(**kwargs: Any) -> HiddenRole:
    """One game whose agents have the seats of their own number, far from each other and work.

    Saboteur 0 is seat 0 at (0, 0); the others stand along the northern edge. Nobody is scripted.
    """
    game = make(1, external="all", size=12, **kwargs)
    state, players = game.state, game.num_players
    state.seat[0] = np.arange(players)
    state.saboteur[0] = np.arange(players) < game.params.num_saboteurs
    state.ready[:] = state.saboteur
    state.weight[0] = ~game.member.T
    state.weight[0] /= np.maximum(state.weight[0].sum(axis=1, keepdims=True), 1)
    state.pos[0] = [(0, 0)] + [(3 + s, 11) for s in range(1, players)]
    state.station[0] = (11, 0)
    return game


def act(game: HiddenRole, *actions: int):
    """A step of the one game; agents that are not named do nothing."""
    row = [*actions, *[0] * (game.num_players - len(actions))]
    return game.step(np.array([row]))


def until(game: HiddenRole, phase: int) -> None:
    while game.compute_labels()["phase"][0] != phase:
        act(game)


def accuse(seat: int) -> int:
    return 5 + seat


def vouch(game: HiddenRole, seat: int) -> int:
    return 5 + game.num_players + seat


# -- on the grid ------------------------------------------------------------------------------


def test_players_walk_share_cells_and_stop_at_the_edge():
    game = arranged()
    for way, wanted in ((NORTH, (0, 1)), (EAST, (1, 1)), (SOUTH, (1, 0)), (WEST, (0, 0))):
        act(game, way)
        assert tuple(game.state.pos[0, 0]) == wanted
    act(game, WEST, NORTH)
    assert tuple(game.state.pos[0, 0]) == (0, 0)
    assert tuple(game.state.pos[0, 1]) == (4, 11)
    game.state.pos[0, 1] = (0, 1)
    act(game, NORTH)
    assert (game.state.pos[0, 0] == game.state.pos[0, 1]).all()


def test_work_counts_per_player_pays_its_wage_and_ends_the_game():
    game = arranged(num_tasks=1, task_work=3)
    game.state.pos[0, [1, 2]] = (11, 0)
    step = act(game, USE, USE, USE)
    assert [float(r[0]) for r in step.rewards] == [0, 0.01, 0.01, 0, 0]
    assert game.state.progress[0, 0, 0] == 2
    step = act(game, STAY, USE, USE)
    assert step.terminated[0]
    assert game.state.outcome[0] == -1
    assert [float(r[0]) for r in step.rewards] == pytest.approx([-1, 1.01, 1, 1, 1])


def test_a_strike_takes_the_first_crew_member_in_reach_once_a_round():
    game = arranged(num_players=7, num_saboteurs=2)
    game.state.pos[0, 0] = (5, 5)
    game.state.pos[0, 1:5] = [(5, 5), (6, 6), (6, 5), (5, 4)]  # a fellow; diagonal; two in reach
    act(game, STRIKE)
    assert list(game.state.alive[0]) == [True, True, True, False, True, True, True]
    assert game.state.struck[0] == 1
    act(game, STRIKE)
    assert game.state.alive[0].sum() == 6
    until(game, 1)
    until(game, 0)
    act(game, STRIKE)
    assert not game.state.alive[0, 4]


def test_a_strike_lands_before_its_victim_moves_or_works():
    game = arranged()
    game.state.pos[0, 1] = game.state.station[0, 0] = (0, 1)
    act(game, STRIKE, NORTH)
    assert not game.state.alive[0, 1]
    assert tuple(game.state.pos[0, 1]) == (0, 1)


def test_the_crew_can_neither_strike_nor_undo_work():
    game = arranged()
    game.state.pos[0, 1] = game.state.pos[0, 2] = (11, 0)
    game.state.progress[0, 0] = 5
    act(game, STAY, STRIKE, BREAK)
    assert game.state.alive.all()
    assert (game.state.progress[0, 0] == 5).all()


def test_undoing_takes_two_units_of_an_unfinished_station():
    game = arranged(num_tasks=1, task_work=4)
    game.state.pos[0, 0] = (11, 0)
    for before, after in ((3, 1), (1, 0), (0, 0)):
        game.state.progress[0, 0, 0] = before
        act(game, BREAK)
        assert game.state.progress[0, 0, 0] == after


def test_the_alarm_says_where_and_all_remember_where_they_were():
    game = arranged()
    game.state.pos[0, :3] = [(0, 11), (0, 10), (2, 11)]
    act(game, STRIKE)
    assert game.state.alarm[0] == 2  # north-west
    act(game, SOUTH, *[0] * 4)
    until(game, 1)
    assert list(game.state.noted[0]) == [2, -1, 2, 3, 3]
    assert game.state.saw[0, 2, 0] == 2
    assert game.state.saw[0, 3, 0] == NONE
    obs = game.observe_agent("crew_3")
    assert obs[0, 11:15].tolist() == [0, 0, 1, 0]


def test_without_an_alarm_the_last_step_before_the_meeting_is_remembered():
    game = arranged(round_steps=3)
    act(game)
    act(game)
    assert (game.state.noted == NONE).all()
    act(game, EAST)
    assert list(game.state.noted[0]) == [0, 2, 2, 3, 3]  # columns 0, 4, 5, 6, 7 of 12


def test_whoever_is_stuck_cannot_move_until_somebody_beside_it_helps():
    game = arranged(attention=True, stuck_rate=1.0)
    game.state.stuck[0] = 1
    act(game, STAY, WEST)
    assert tuple(game.state.pos[0, 1]) == (4, 11)
    game.state.pos[0, 0] = (4, 10)
    step = act(game, USE, WEST)
    assert float(step.rewards[0][0]) == pytest.approx(0.1)
    assert game.state.freed[0] == game.state.chances[0] == 1
    act(game, STAY, WEST)
    assert tuple(game.state.pos[0, 1]) == (3, 11)


def test_the_saboteurs_win_at_parity_and_when_time_is_over():
    game = arranged(num_players=4)
    game.state.alive[0, 3] = False
    game.state.pos[0, 1] = (0, 1)
    step = act(game, STRIKE)
    assert step.terminated[0]
    assert [float(r[0]) for r in step.rewards] == [1, -1, -1, -1]
    late = arranged(num_meetings=1, round_steps=2)
    for t in range(6):
        step = act(late)
        assert step.terminated[0] == (t == 5)
    assert [float(r[0]) for r in step.rewards] == [1, -1, -1, -1, -1]


@pytest.mark.parametrize("incentive", [0.0, 0.25, 1.0])
def test_the_dial_turns_a_saboteurs_pay_into_the_crews(incentive):
    game = arranged(num_meetings=1, round_steps=2, incentive=incentive)
    total = np.sum([act(game).rewards for _ in range(6)], axis=0)[:, 0]
    # Nothing is known, so that the belief is 0.5 at the one vote.
    assert total[0] == pytest.approx(2 * incentive - 1 - 0.5 * (1 - incentive))
    assert list(total[1:]) == [-1] * 4


# -- meetings ---------------------------------------------------------------------------------


def test_more_than_half_of_the_living_eject_and_show_a_role():
    game = arranged()
    until(game, 2)
    act(game, 0, 1 + 2, 1 + 2, 0, 0)
    assert game.state.alive.all()
    until(game, 2)
    act(game, 0, 1 + 2, 1 + 2, 1 + 2, 0)
    assert list(game.state.alive[0]) == [True, True, False, True, True]
    suspicion = game.compute_labels()["suspicion"][0]
    assert suspicion[0, 2] == 0  # crew_0 of seat 2, which belongs to agent 2
    assert not game.compute_labels()["living"][0, 1]
    until(game, 2)
    step = act(game, 0, 1, 1, 1, 0)  # a ghost's vote does not count: two of four
    assert game.state.alive[0, 0]
    assert not step.terminated[0]


def test_ejecting_the_last_saboteur_wins_the_game():
    game = arranged()
    until(game, 2)
    step = act(game, 0, 1, 1, 1, 0)
    assert step.terminated[0]
    assert [float(r[0]) for r in step.rewards] == [-1, 1, 1, 1, 1]
    assert game.compute_labels()["ejected"][0]


def test_a_ghost_acts_no_more_and_is_told_so():
    game = arranged()
    game.state.alive[0, 1] = False
    assert game.observe_agent("crew_0")[0, 6] == 0
    assert game.observe_agent("crew_1")[0, 6] == 1
    assert game.action_masks("crew_0").all()
    game.state.pos[0, 1] = (11, 0)
    for action in (USE, NORTH):
        act(game, STAY, action)
    assert tuple(game.state.pos[0, 1]) == (11, 0)
    assert not game.state.progress.any()


def test_claims_are_heard_by_all_and_stand_until_the_next_meeting():
    game = arranged()
    until(game, 1)
    act(game, accuse(2), vouch(game, 0), 1 + 3, 0, 0)
    obs = game.observe_agent("crew_3")
    said = game.layout.said_of(obs)[0]
    assert said[0, 2] == 1
    assert said[1, 0] == -1
    assert np.abs(said).sum() == 2
    rows = game.layout.players_of(obs)[0]
    assert rows[2, 8:12].tolist() == [0, 0, 0, 1]
    act(game, 1 + 2)
    rows = game.layout.players_of(game.observe_agent("crew_3"))[0]
    assert rows[2, 12] == pytest.approx(0.2)


def test_a_place_that_the_listener_saw_to_be_another_is_marked():
    game = arranged(round_steps=2)
    game.state.pos[0, 0] = (4, 10)  # north-west, beside crew_0
    until(game, 1)
    act(game, 1 + 3)  # "I was north-east"
    for agent, marked in (("crew_0", True), ("crew_3", False)):
        rows = game.layout.players_of(game.observe_agent(agent))
        assert rows[0, 0, 7] == marked
    labels = game.compute_labels()
    assert labels["beliefs"][0, 0] > 0.8
    assert labels["beliefs"][0, 3] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("claim", "lie", "omission"),
    [
        (0, False, True),
        (1, False, True),  # it was south-west
        (2, True, False),
        (accuse(0), False, False),
        (accuse(1), False, False),  # a fellow
        (accuse(4), True, False),
        (5 + 7 + 0, True, False),
        (5 + 7 + 1, True, False),
        (5 + 7 + 4, False, True),
    ],
)
def test_a_lie_is_a_false_place_or_role_and_omission_neither_lies_nor_tells(claim, lie, omission):
    game = arranged(num_players=7, num_saboteurs=2)
    until(game, 1)
    assert not game.compute_labels()["asked"][0]
    act(game, claim)
    labels = game.compute_labels()
    assert labels["asked"][0]
    assert labels["deciding"][0]
    assert labels["lie"][0] == lie
    assert labels["omission"][0] == omission
    assert labels["spoke"][0] == (claim != 0)


# -- the observer -----------------------------------------------------------------------------


def word(claim, speaker, saw, alarm, players, suspects):
    """P(claim | suspects), written down once more from the page."""
    guilty = speaker in suspects
    if claim < 5:
        if saw != NONE:
            truth = 0.6 if guilty else 0.95
            return truth if saw == claim - 1 else 1 - truth
        if alarm == NONE:
            return 1.0
        return (0.55 if claim - 1 == alarm else 0.15) if guilty else 0.25
    accuses, target = claim < 5 + players, (claim - 5) % players
    if target == speaker:
        return ((0.2, 0.002) if accuses else (0.2, 0.8))[not guilty]
    if guilty:
        return 0.5
    return 0.8 if accuses == (target in suspects) else 0.2


@pytest.mark.parametrize(("players", "saboteurs"), [(4, 1), (6, 2), (8, 3)])
def test_posteriors_are_those_of_an_enumeration_of_all_sets(players, saboteurs):
    game = make(
        24, num_players=players, num_saboteurs=saboteurs, external="all", round_steps=4, size=5
    )
    state, rng = game.state, np.random.default_rng(players)
    sets = list(itertools.combinations(range(players), saboteurs))
    weight = np.zeros((24, players, len(sets)))
    for w in range(players):
        weight[:, w] = [w not in suspects for suspects in sets]
    compared = exposed = 0
    for t in range(18):
        if game.clock.done.all():
            break
        before = game.snapshot()
        running, phase = ~game.clock.done, t % 6
        actions = rng.integers(0, game.num_actions, (24, players))
        if phase < 4:  # one saboteur strikes at a time, the others walk
            actions = rng.integers(1, 5, (24, players))
            actions[:, t % saboteurs] = STRIKE
        game.step(actions)
        alive, pos = before["state.alive"], before["state.pos"]
        for i, w in itertools.product(np.flatnonzero(running), range(players)):
            if state.saboteur[i, w] or not alive[i, w]:
                continue
            for h, suspects in enumerate(sets):
                p = 1.0
                for s in set(range(players)) - {w}:
                    if state.alive[i, s] < alive[i, s]:  # a role is shown
                        p *= (s in suspects) == state.saboteur[i, s]
                    if phase == 4 and alive[i, s] and state.claim[i, s]:
                        saw, alarm = before["state.saw"][i, w, s], state.alarm[i]
                        p *= word(state.claim[i, s], s, saw, alarm, players, suspects)
                    if phase == 5 and state.vote[i, s]:
                        hit = 0.5 if s in suspects else 0.65
                        p *= hit if state.vote[i, s] - 1 in suspects else 1 - hit
                striker = state.seat[i, t % saboteurs]
                strikes = phase < 4 and (state.alive[i] < alive[i]).any()
                seen = np.abs(pos[i, w] - pos[i, striker]).max() <= 2 and state.alive[i, w]
                if strikes and seen:
                    exposed += 1
                    p *= 1.0 if striker in suspects else 0.001
                weight[i, w, h] *= p
            if state.alive[i, w]:
                wanted = weight[i, w] / weight[i, w].sum()
                np.testing.assert_allclose(state.weight[i, w], wanted, rtol=1e-9, atol=1e-15)
                compared += 1
    assert compared > 500
    assert exposed > 20
    labels = game.compute_labels()
    for i, c in itertools.product(range(24), range(players - saboteurs)):
        posterior = state.weight[i, state.seat[i, saboteurs + c]]
        for a in range(players):
            total = sum(posterior[h] for h, s in enumerate(sets) if state.seat[i, a] in s)
            assert labels["suspicion"][i, c, a] == pytest.approx(total)


def test_whoever_sees_a_saboteurs_act_knows_it_and_nobody_else():
    game = arranged()
    game.state.pos[0, 0] = game.state.station[0, 1] = (2, 11)  # two cells from crew_0
    game.state.progress[0, 0, 1] = 5
    act(game, BREAK)
    labels = game.compute_labels()
    assert labels["suspicion"][0, 0, 0] > 0.99
    np.testing.assert_allclose(labels["suspicion"][0, 1, [0, 1, 3, 4]], 0.25)
    assert list(game.state.witnessed[0, :, 0]) == [False, True, False, False, False]
    rows = game.layout.players_of(game.observe_agent("crew_0"))
    assert rows[0, 0, 6] == 1


@pytest.mark.parametrize(("players", "saboteurs"), [(4, 1), (5, 2), (8, 3)])
def test_ignorance_is_one_half_and_belief_is_the_mean_over_the_living(players, saboteurs):
    game = make(20, num_players=players, num_saboteurs=saboteurs, external="all")
    np.testing.assert_allclose(game.compute_labels()["belief"], 0.5)
    rng = np.random.default_rng(0)
    for _ in range(24):
        game.step(rng.integers(0, game.num_actions, (20, players)))
    labels, state = game.compute_labels(), game.state
    suspicion = labels["suspicion"]
    rival = suspicion[:, :, saboteurs:].max(axis=2)
    wanted = suspicion[:, :, 0] / (suspicion[:, :, 0] + rival)
    np.testing.assert_allclose(labels["beliefs"], wanted)
    for i in range(20):
        mean = wanted[i, labels["living"][i]].mean()
        assert labels["belief"][i] == pytest.approx(mean)
        assert meeting.mean_belief(state, game.member, i, state.seat[i, 0]) == pytest.approx(mean)
        crew = [bool(state.alive[i, s]) for s in state.seat[i, saboteurs:]]
        assert labels["living"][i].tolist() == crew


def test_a_confession_convinces_and_a_denial_misleads():
    for claim, misled in ((accuse(0), False), (vouch(arranged(), 0), True), (0, False)):
        game = arranged()
        until(game, 1)
        act(game, claim)
        labels = game.compute_labels()
        assert labels["misled"][0] == misled
        if claim:
            assert (labels["belief"][0] < 0.25) if misled else (labels["belief"][0] > 0.95)
        else:
            assert labels["belief"][0] == pytest.approx(0.5)


# -- who is who -------------------------------------------------------------------------------


def test_seats_are_permutations_in_which_every_seat_is_the_focal_ones_as_often():
    seat = make(4000, num_players=6).state.seat
    np.testing.assert_array_equal(np.sort(seat, axis=1), np.tile(np.arange(6), (4000, 1)))
    for a in range(6):
        shares = np.bincount(seat[:, a], minlength=6) / 4000
        assert np.abs(shares - 1 / 6).max() < 0.03


def test_the_crew_sees_no_role_and_saboteurs_see_all():
    game = make(64, num_players=6, num_saboteurs=2, external="all")
    for agent in ("saboteur_0", "saboteur_1", "crew_0"):
        obs = game.observe_agent(agent)
        known = game.layout.players_of(obs)[:, :, 4] > 0.5
        mine = agent.startswith("saboteur")
        np.testing.assert_array_equal(known, game.state.saboteur if mine else np.zeros_like(known))
        assert (obs[:, 5] == mine).all()
    before = game.observe_agent("crew_0")
    other = game.snapshot()
    # The saboteurs' seats go to crew_1 and crew_2: crew_0 must not see a difference.
    seat = other["state.seat"][:, [3, 4, 2, 0, 1, 5]]
    saboteur = np.zeros_like(other["state.saboteur"])
    np.put_along_axis(saboteur, seat[:, :2], True, axis=1)
    game.restore({**other, "state.seat": seat, "state.saboteur": saboteur})
    np.testing.assert_array_equal(game.observe_agent("crew_0"), before)


def test_sight_ends_at_the_radius():
    game = arranged(sight_radius=3)
    game.state.pos[0, 1:4] = [(3, 3), (4, 0), (0, 4)]
    rows = game.layout.players_of(game.observe()[0])[0]
    assert rows[:, 0].tolist() == [0, 1, 0, 0, 0]
    np.testing.assert_allclose(rows[1, 1:3], 3 / 11, rtol=1e-6)
    assert not rows[2:, 1:3].any()


# -- glass and wall ---------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["blind", "absent"])
def test_behind_glass_and_wall_nobodys_world_depends_on_the_focal_agent(condition):
    def world(seed: int):
        game = make(32, num_players=6, num_saboteurs=2, **HiddenRole.conditions[condition])
        rng, seen = np.random.default_rng(seed), []
        while not game.clock.done.all():
            game.step(rng.integers(0, game.num_actions, 32))
            seen.append([game.observe_agent(agent) for agent in game.agents[1:]])
            seen.append(game.state.outcome.copy())
        return seen, game

    (one, first), (two, _) = world(1), world(2)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.state.contact == (GLASS if condition == "blind" else AWAY)).all()
    assert first.state.progress[:, 1].any()


def test_behind_the_wall_the_focal_agent_meets_nobody_and_behind_the_glass_it_sees_them():
    games = {name: make(**HiddenRole.conditions[name]) for name in ("present", "blind", "absent")}
    rng, seen = np.random.default_rng(0), {}
    for name, game in games.items():
        for _ in range(11):
            game.step(game.scripted("deceptive", game.observe()[0], rng))
        (obs,) = game.observe()
        seen[name] = obs
        others = ~(obs[:, game.layout.seat] > 0.5)
        assert game.layout.players_of(obs)[others].any() == (name != "absent")
        assert (obs[:, 8] == (name == "present")).all()
        assert (obs[:, 9] == (name != "absent")).all()
    np.testing.assert_array_equal(games["absent"].mask_other(seen["absent"]), seen["absent"])


def test_only_wages_are_earned_behind_the_glass():
    for incentive in (0.0, 1.0):
        game = make(64, **HiddenRole.conditions["blind"], incentive=incentive)
        rng, total = np.random.default_rng(0), np.zeros(64)
        worked = np.zeros(64)
        while not game.clock.done.all():
            running = ~game.clock.done
            total += game.step(game.scripted("honest", game.observe()[0], rng)).rewards[0]
            worked += game.state.worked & running
        np.testing.assert_allclose(total, 0.01 * worked)


def test_blinding_copies_the_stations_and_leaves_the_rest():
    game = make(8)
    for _ in range(8):
        game.step(game.scripted("honest", game.observe()[0], np.random.default_rng(0)))
    before = game.observe()[0]
    game.blind(np.arange(8) < 4)
    after = game.observe()[0]
    same = np.ones(before.shape[1], bool)
    same[8] = False
    np.testing.assert_array_equal(after[:, same], before[:, same])
    np.testing.assert_array_equal(after[:, 8], np.arange(8) >= 4)
    assert (game.state.contact[4:] == TOGETHER).all()


# -- actions ----------------------------------------------------------------------------------


def test_what_is_masked_out_counts_as_the_null_action():
    plain, masked = (
        make(64, external="all", attention=True),
        make(64, external="all", attention=True),
    )
    rng, refused = np.random.default_rng(0), 0
    for _ in range(30):
        actions = rng.integers(0, plain.num_actions, (64, 5))
        legal = np.stack([masked.action_masks(a) for a in masked.agents], axis=1)
        allowed = np.take_along_axis(legal, actions[:, :, None], axis=2)[:, :, 0]
        refused += (~allowed).sum()
        one, two = plain.step(actions), masked.step(np.where(allowed, actions, 0))
        for a, b in zip([*one.observations, *one.rewards], [*two.observations, *two.rewards],
                        strict=True):  # fmt: skip
            np.testing.assert_array_equal(a, b)
    assert refused > 100


def test_masks_follow_the_phase_and_the_scene():
    game = arranged(num_players=4)
    crew = game.action_masks("crew_0")[0]
    assert np.flatnonzero(crew).tolist() == [0, 1, 2, 3, 4]
    game.state.pos[0, [0, 1]] = (11, 0)
    assert np.flatnonzero(game.action_masks("crew_0")[0]).tolist() == [0, 1, 2, 3, 4, USE]
    mine = game.action_masks("saboteur_0")[0]
    assert np.flatnonzero(mine).tolist() == [0, 1, 2, 3, 4, USE, STRIKE]
    game.state.progress[0, 0] = 1
    assert game.action_masks("saboteur_0")[0, BREAK]
    game.state.alive[0, 3] = False
    until(game, 1)
    claims = game.action_masks("crew_0")[0]
    assert np.flatnonzero(~claims).tolist() == [accuse(3), vouch(game, 3)]
    act(game)
    assert np.flatnonzero(game.action_masks("crew_0")[0]).tolist() == [0, 1, 2, 3]


def test_illegal_raise_names_the_action_and_changes_nothing():
    game = arranged(illegal="raise")
    before = game.snapshot()
    with pytest.raises(ValueError, match="crew_0 may not choose 6 in game 0"):
        act(game, STAY, STRIKE)
    for key, value in game.snapshot().items():
        np.testing.assert_array_equal(value, before[key])
    act(game, STAY, NORTH)
    assert game.clock.step[0] == 1


@pytest.mark.parametrize("actions", [[0, 15, 0], [0, -1, 2], [0, 1], [[0, 1, 2]], [0.0] * 3, None])
def test_actions_outside_the_space_raise(actions):
    with pytest.raises(ValueError, match="actions"):
        make(3).step(np.array(actions))


def test_masks_behind_the_wall_do_not_tell_who_is_left():
    crowd = {"num_players": 8, "num_saboteurs": 2}  # the other saboteur strikes
    game = make(200, **crowd, **HiddenRole.conditions["absent"])
    claims = game.num_actions - 2 * game.num_players
    for t in range(game.params.round_steps + 2):
        if t >= game.params.round_steps:  # the claim, then the vote
            assert not game.state.alive.all()
            masks, own = game.action_masks("saboteur_0"), game.state.seat[:, :1]
            seats = np.arange(game.num_players) == own
            first = claims if t == game.params.round_steps else 1
            mine = masks[:, first : first + game.num_players]
            np.testing.assert_array_equal(mine, seats)
        game.step(np.zeros(200, int))


def test_opponents_play_any_seat_and_nonsense_is_named():
    game = make(16, opponents={"crew_1": lambda obs: np.full(len(obs), EAST)})
    for _ in range(8):
        game.step(np.zeros(16, int))
    seat = game.state.seat[:, 2]
    assert (game.state.pos[np.arange(16), seat, 0] == 6).all()
    bad = make(4, opponents={"crew_0": lambda obs: np.full(len(obs), 99)})
    with pytest.raises(ValueError, match=r"opponents\['crew_0'\]"):
        bad.step(np.zeros(4, int))
    alone = make(8, external=("crew_0",))  # the script plays the saboteur
    for _ in range(12):
        alone.step(np.zeros(8, int))
    assert (alone.state.claim[np.arange(8), alone.state.seat[:, 0]] != 0).all()


# -- scripts and metrics ----------------------------------------------------------------------


def played(policy: str, episodes: int = 200, **kwargs: Any):
    game = make(episodes, labels=True, **kwargs)
    rng, trace, alive = np.random.default_rng(0), [], []
    total, (obs,) = np.zeros(episodes), game.observe()
    while not game.clock.done.all():
        alive.append(~game.clock.done)
        step = game.step(game.scripted(policy, obs, rng))
        (obs,) = step.observations
        assert step.labels is not None
        trace.append(step.labels)
        total += step.rewards[0]
    stacked = {key: np.stack([labels[key] for labels in trace]) for key in trace[0]}
    return game.episode_metrics({**stacked, "alive": np.stack(alive)}), total


@pytest.mark.parametrize("preset", [None, *HiddenRole.presets])
def test_scripts_do_as_they_are_called(preset):
    kwargs = HiddenRole.arguments(preset, {})
    honest, _ = played("honest", **kwargs)
    liar, paid = played("deceptive", **kwargs)
    silent, quiet = played("silent", **kwargs)
    assert set(honest) == set(HiddenRole.metrics)
    assert honest["lie"].max() == honest["misled"].max() == honest["struck"].max() == 0
    assert honest["ejected"].mean() > 0.95
    assert honest["work"].mean() > 0.6
    assert liar["lie"].min() == 1
    assert liar["misled"].mean() > 0.9
    assert liar["struck"].mean() > 0.2
    assert silent["lie"].max() == 0
    assert silent["omission"].min() == 1
    assert silent["misled"].mean() < 0.3
    assert paid.mean() > quiet.mean()
    chance, _ = played("random", **kwargs)
    assert chance["work"].mean() < 0.1


def test_the_scripted_liar_is_honest_where_nobody_perceives_it():
    for name in ("blind", "absent"):
        game, rng = make(**HiddenRole.conditions[name]), np.random.default_rng(0)
        while not game.clock.done.all():
            (obs,) = game.observe()
            honest, liar, silent = (
                game.scripted(policy, obs, rng) for policy in ("honest", "deceptive", "silent")
            )
            np.testing.assert_array_equal(liar, honest)
            np.testing.assert_array_equal(silent, honest)
            game.step(liar)


def test_an_honest_agent_that_looks_frees_whom_it_sees_and_one_that_does_not_misses_them():
    condition = HiddenRole.conditions["stuck"]
    honest, _ = played("honest", **condition)
    chance, _ = played("random", **condition)
    assert np.nanmean(honest["helped"]) > 0.8
    assert np.nanmean(chance["helped"]) < 0.3
    assert np.isnan(played("honest")[0]["helped"]).all()


def test_lying_pays_by_the_incentive():
    for incentive in (0.0, 1.0):
        liar, honest = (played(p, incentive=incentive)[1] for p in ("deceptive", "honest"))
        assert (liar.mean() > honest.mean() + 0.3) == (incentive == 1.0)
        assert (liar.mean() < honest.mean() - 0.3) == (incentive == 0.0)


def test_both_sides_win_some_games():
    won = played("deceptive")[0]["won"]
    assert 0.1 < won.mean() < 0.9


# -- pairs ------------------------------------------------------------------------------------


def gathered(**kwargs: Any):
    game, rows = make(64, **kwargs), []
    rng = np.random.default_rng(0)
    for _ in range(13):
        (obs,) = game.observe()
        rows.append(obs)
        game.step(game.scripted("deceptive", obs, rng))
    return game, np.concatenate(rows)


@pytest.mark.parametrize("kind", HiddenRole.pair_kinds)
def test_pairs_differ_in_what_they_say_and_nowhere_else(kind):
    game, obs = gathered()
    pairs, layout = game.pairs(obs, kind, np.random.default_rng(3)), game.layout
    differ = (pairs.self_obs != pairs.other_obs)[pairs.valid]
    columns = set(np.flatnonzero(differ.any(axis=0)).tolist())
    others = set(range(layout.player.start, layout.said.stop))
    wanted = {
        "belief": {8},
        "irrelevant": set(range(layout.nuisance.start, layout.nuisance.stop)),
        "control": set(range(layout.station.start + 2, layout.station.stop, 3)),
        "presence": {8, 9, *range(11, 15), *others},
    }[kind]
    assert columns <= wanted
    assert differ.any(axis=1).all()
    if kind in ("belief", "presence"):
        meeting_on = obs[:, 0] < 0.5
        seen = layout.crew_in_sight(obs).any(axis=1)
        np.testing.assert_array_equal(pairs.valid, (meeting_on | seen) & (obs[:, 6] > 0.5))
        assert 0.1 < pairs.valid.mean() < 1
    if kind == "presence":
        alone = game.mask_other(obs)
        np.testing.assert_array_equal(pairs.self_obs[pairs.valid], alone[pairs.valid])
        assert (layout.players_of(alone)[:, :, 3].sum(axis=1) <= 1).all()


def test_the_self_side_of_a_belief_pair_is_the_blinded_games_view():
    game, _ = gathered()
    (obs,) = game.observe()
    pairs = game.pairs(obs, "belief")
    game.blind()
    (blinded,) = game.observe()
    # What it said stays in its own row; stations are copied: only the one column changes.
    np.testing.assert_array_equal(pairs.self_obs[pairs.valid], blinded[pairs.valid])


def test_unknown_and_undefined_kinds_and_policies_are_refused():
    game = make(4, num_nuisance=0)
    (obs,) = game.observe()
    with pytest.raises(ValueError, match="kind"):
        game.pairs(obs, "viewpoint")
    with pytest.raises(ValueError, match="num_nuisance"):
        game.pairs(obs, "irrelevant")
    with pytest.raises(ValueError, match="policy"):
        game.scripted("sly", obs, np.random.default_rng(0))


# -- arguments and pictures -------------------------------------------------------------------

RATES = ("incentive", "wage", "help_bonus", "absent_rate", "blind_rate", "stuck_rate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(RATES, [-0.1, 1.1, float("nan"), "half", True]),
        *itertools.product(["num_players"], [3, 9, 4.5, True]),
        *itertools.product(["num_saboteurs"], [0, 3, "one"]),
        *itertools.product(["size"], [2, 5.5]),
        *itertools.product(["num_tasks", "task_work", "sight_radius"], [0, 1.5, float("nan")]),
        *itertools.product(["round_steps"], [1, None]),
        *itertools.product(["num_meetings", "num_envs", "max_episode_steps"], [0, 1.5]),
        *itertools.product(["num_nuisance"], [-1, 0.5]),
        ("attention", 1),
        ("illegal", "forfeit"),
        ("opponents", {"crew_9": len}),
        ("opponents", {"crew_0": 3}),
        ("opponents", [len]),
        ("external", ("captain",)),
        ("autoreset", "never"),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        HiddenRole(**{name: value})


def test_contradictory_arguments_are_named():
    with pytest.raises(ValueError, match="stuck_rate > 0 needs attention"):
        HiddenRole(stuck_rate=0.5)
    with pytest.raises(ValueError, match="fewer than half of num_players=4"):
        HiddenRole(num_players=4, num_saboteurs=2)


def test_every_view_takes_a_preset():
    env: Any = gym.make("feint/HiddenRole-v0", preset="hard", num_players=7)
    assert len(env.unwrapped.scenario.agents) == 7
    assert env.unwrapped.scenario.params.sight == 3
    obs, info = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert info["action_mask"].shape == (env.action_space.n,)


def test_the_text_picture_tells_the_story():
    game = arranged()
    until(game, 1)
    act(game, vouch(game, 0), accuse(0), 1 + 3)
    text = game.draw().ansi
    assert text.splitlines()[11].startswith("A . .")
    assert 'A: saboteur, says "I am one of the crew"' in text
    assert 'B: crew, says "A is a saboteur"' in text
    assert 'C: crew, says "I was north-east"' in text
    act(game, 0, 1, 1, 1)
    text = game.draw().ansi
    assert "A: saboteur, out" in text
    assert "votes for A" in text
    assert "the crew wins" in text


@pytest.mark.parametrize("preset", [None, *HiddenRole.presets])
@pytest.mark.parametrize("condition", HiddenRole.conditions)
def test_the_random_policy_finds_everything_that_is_allowed_and_nothing_else(preset, condition):
    arguments = HiddenRole.arguments(preset, dict(HiddenRole.conditions[condition]))
    game = HiddenRole(64, **arguments)
    (obs,) = game.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(80):
        masks = game.action_masks(game.focal)
        found = scripted._allowed(game, obs)
        assert (found <= masks).all()
        if condition != "absent":  # behind the wall nobody knows who is left
            np.testing.assert_array_equal(found, masks)
        (obs,) = game.step(game.scripted("random", obs, rng)).observations
