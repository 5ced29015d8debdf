import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import dijkstra

from feint.envs.deceptive_path import DeceptivePath, DeceptivePathEnv
from feint.envs.deceptive_path.maps import MOVES, RADIUS_SHARE, random_pool
from feint.envs.deceptive_path.planning import STRATEGIES, decoy_of, plan, target_of
from feint.envs.views import ScenarioEnv
from feint.metrics import goal_posterior, radius_of_maximum_probability, score_path

CORRIDOR = "A...S...B"
YARD = """
    A.......B
    ..#.#.#..
    ....S....
    .#....#..
    C...#...H
"""
NORTH, EAST, SOUTH, WEST = range(4)
GAMES = 200


def make(num_envs: int = GAMES, seed: int = 0, **kwargs: Any) -> DeceptivePath:
    kwargs.setdefault("autoreset", "freeze")
    game = DeceptivePath(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


def play(game: DeceptivePath, policy: str, seed: int = 0, masked: bool = False):
    """An episode of every game: returns, metrics, and the labels of every step, (steps, n)."""
    (obs,), rng = game.reset(seed=seed), np.random.default_rng(seed)
    taken, alive, returns = [], [], np.zeros(game.num_envs)
    while not game.clock.done.all():
        alive.append(~game.clock.done)
        seen = game.mask_other(obs) if masked else obs
        step = game.step(game.scripted(policy, seen, rng))
        taken.append(game.compute_labels())
        returns += step.rewards[0]
        (obs,) = step.observations
    trace = {key: np.stack([labels[key] for labels in taken]) for key in taken[0]}
    trace["alive"] = np.stack(alive)
    return returns, game.episode_metrics(trace), trace


def graph_costs(game: DeceptivePath, which: int) -> np.ndarray:
    """All-pairs costs of one map by scipy, from its walls alone."""
    rows, columns = game.pool.shape
    free = np.isfinite(game.pool.costs[which, :, 0]).reshape(rows, columns)
    weights = np.zeros((rows * columns, rows * columns))
    for (r, c), (dr, dc) in itertools.product(np.argwhere(free), MOVES[: len(game.pool.move_cost)]):
        y, x = r + dr, c + dc
        if 0 <= y < rows and 0 <= x < columns and free[y, x] and free[y, c] and free[r, x]:
            weights[r * columns + c, y * columns + x] = np.hypot(dr, dc)
    return dijkstra(scipy.sparse.csr_array(weights))


# -- maps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("diagonal", [False, True])
def test_costs_are_those_of_scipys_dijkstra(diagonal):
    game = make(1, num_maps=8, diagonal=diagonal, density=0.3)
    for which in range(8):
        costs = graph_costs(game, which)
        places = [*game.pool.goals[which], game.pool.post[which]]
        np.testing.assert_allclose(game.pool.costs[which], costs[:, places], atol=1e-9)


@pytest.mark.parametrize("kwargs", [{}, {"size": 7, "num_goals": 2}, {"diagonal": True}])
def test_drawn_maps_are_connected_and_leave_a_choice(kwargs):
    game = make(1, num_maps=24, **kwargs)
    pool, size = game.pool, game.pool.shape[0]
    finite = np.isfinite(pool.costs)
    assert (finite == finite[..., :1]).all()  # what is free can reach everything
    for which in range(24):
        costs, start = pool.costs[which, :, :-1], pool.start[which]
        goals = pool.goals[which]
        assert len({start, pool.post[which], *goals}) == len(goals) + 2
        between = costs[goals][~np.eye(len(goals), dtype=bool)]
        assert min(costs[start].min(), between.min()) >= 2 * size / 3
        detour = pool.costs[which, start, -1] + costs[pool.post[which]] - costs[start]
        assert (detour >= 2).all()
        past_goal = costs[start] + costs[pool.post[which]]
        assert (past_goal > pool.costs[which, start, -1]).all()
        for truth in range(len(goals)):
            radius, _ = radius_of_maximum_probability(costs[start], costs[goals], truth)
            assert radius <= RADIUS_SHARE * costs[start, truth]


def test_a_pool_is_fixed_by_its_seed_and_shared():
    first, other = (random_pool(seed, 5, 9, 2, 0.2, False) for seed in (0, 1))
    assert random_pool(0, 5, 9, 2, 0.2, False) is first
    assert (first.start != other.start).any()
    assert len({walls.tobytes() for walls in np.isinf(first.costs[:, :, 0])}) == 5
    with pytest.raises(ValueError, match="read-only"):
        first.costs[:] = 0
    random_pool.cache_clear()
    again = random_pool(0, 5, 9, 2, 0.2, False)
    for mine, theirs in zip(again[1:], first[1:], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    longer = random_pool(0, 7, 9, 2, 0.2, False)
    np.testing.assert_array_equal(longer.goals[:5], first.goals)


def test_more_walls_are_drawn_where_they_are_asked_for():
    shares = [
        np.isinf(random_pool(0, 16, 11, 2, density, False).costs[..., 0]).mean()
        for density in (0.0, 0.2, 0.4)
    ]
    assert shares[0] == 0
    assert 0.15 < shares[1] < 0.3 < shares[2]


def test_goals_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="no map of size=5 with num_goals=8"):
        DeceptivePath(size=5, num_goals=8)


def test_a_map_of_text_is_read_as_drawn():
    pool = make(1, map=YARD, attention=True).pool
    assert pool.shape == (5, 9)
    assert pool.goals.tolist() == [[0, 8, 36]]
    assert (pool.start[0], pool.post[0]) == (22, 44)
    closed = np.flatnonzero(np.isinf(pool.costs[0, :, 0]))
    assert closed.tolist() == [11, 13, 15, 28, 33, 40]
    assert pool.costs[0, 22].tolist() == [6, 6, 6, 6]
    unnamed = make(1, map="G..S..G").pool
    assert unnamed.goals.tolist() == [[0, 6]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "map is empty"),
        ("A.B", "one start 'S', got 0"),
        ("ASSB", "one start 'S', got 2"),
        ("AS", "2 to 8 goals, got 1"),
        ("S..", "2 to 8 goals, got 0"),
        ("A.S?B", "unknown character '\\?' in line 1, column 4"),
        ("A.S.B\nA....", "goal 'A' 2 times"),
        ("A.S.C", "named from 'A' on, got A, C"),
        ("A.S.G", "use one or the other"),
        ("A.S.B\n..", "line 2 has 2 cells, but the first has 5"),
        ("A.S#B", "goal B in line 1, column 5 cannot be reached"),
        ("A.S.B#H", "the post 'H' in line 1, column 7 cannot be reached"),
        ("AHSHB", "one post 'H', got 2"),
    ],
)
def test_a_bad_map_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        DeceptivePath(map=text)


# -- the game ---------------------------------------------------------------------------------


def test_a_walk_in_a_corridor_earns_what_the_page_says():
    game = make(
        64, map=CORRIDOR, incentive=0.75, step_cost=0.01, **DeceptivePath.conditions["present"]
    )
    left = game.state.goal == 0  # A; the others go to B
    right_hunch = game.state.hunch == game.state.goal
    # One step to the wrong side: nothing is gained, whatever is guessed.
    step = game.step(np.where(left, EAST, WEST))
    np.testing.assert_allclose(step.rewards[0], -0.01)
    np.testing.assert_array_equal(game.state.guess == game.state.goal, right_hunch)
    back = np.where(left, WEST, EAST)
    # Back: the observer is misled, but this way was gained before.
    step = game.step(back)
    np.testing.assert_allclose(step.rewards[0], -0.01)
    assert (game.state.guess != game.state.goal).all()
    # In the middle it cannot tell: the first quarter of the way is gained on its hunch.
    step = game.step(back)
    np.testing.assert_allclose(step.rewards[0], np.where(right_hunch, 0.25, 0.75) / 4 - 0.01)
    # From now on it knows.
    np.testing.assert_allclose(game.step(back).rewards[0], 0.25 / 4 - 0.01)
    np.testing.assert_allclose(game.step(back).rewards[0], 0.25 / 4 - 0.01)
    last = game.step(back)
    np.testing.assert_allclose(last.rewards[0], 0.25 / 4 - 0.01 + 1.0)
    assert last.terminated.all()


def test_a_bump_leaves_the_walker_where_it_is_and_costs_a_step():
    game = make(4, map="A..S..B\n.......", diagonal=True, **DeceptivePath.conditions["absent"])
    for move in (NORTH, 4):  # off the map, straight and diagonally
        assert (game.step(np.full(4, move)).rewards[0] == -0.01).all()
    assert (game.state.cell == 3).all()
    game.step(np.full(4, 5))
    assert (game.state.cell == 7 + 4).all()
    assert game.state.spent[0] == pytest.approx(2 + np.sqrt(2))
    corner = make(4, map="A#S\n..B", diagonal=True)
    corner.step(np.full(4, 6))  # south-west, past the wall
    assert (corner.state.cell == 2).all()


@pytest.mark.parametrize("diagonal", [False, True])
def test_random_games_follow_the_rules_written_down_once_more(diagonal):
    game = make(
        map=YARD, diagonal=diagonal, attention=True, incentive=0.7, external="all", blind_rate=0.5
    )
    state, pool = game.state, game.pool
    costs = graph_costs(game, 0)
    walls = set(np.flatnonzero(np.isinf(pool.costs[0, :, 0])).tolist())
    rng = np.random.default_rng(0)
    kinds = set(zip(state.present, state.sees, state.friend, strict=True))
    seeing = {(True, False, False), (True, True, False), (True, True, True)}
    assert kinds == {(False, False, False), *seeing}
    place, goals = np.full(GAMES, 22), pool.goals[0][state.goal]
    nearest = costs[22, goals]
    whole, waits, done = nearest.copy(), state.friend.copy(), np.zeros(GAMES, bool)
    for _ in range(40):
        moves = rng.integers(0, len(pool.move_cost), GAMES)
        guesses = rng.integers(0, 3, GAMES)
        step = game.step(np.stack([moves, guesses], axis=1))
        for i in np.flatnonzero(~done):
            (r, c), (dr, dc) = divmod(int(place[i]), 9), MOVES[moves[i]]
            y, x = r + dr, c + dc
            free = 0 <= y < 5 and 0 <= x < 9
            free = free and not walls & {y * 9 + x, y * 9 + c, r * 9 + x}
            reward = -0.01 * (np.hypot(dr, dc) if free else 1.0)
            place[i] = y * 9 + x if free else place[i]
            gain = max(0.0, nearest[i] - costs[place[i], goals[i]]) / whole[i]
            nearest[i] = min(nearest[i], costs[place[i], goals[i]])
            right = guesses[i] == state.goal[i]
            if state.friend[i]:
                reward += gain * right
            elif state.present[i]:
                reward += gain * (0.3 if right else 0.7)
            if waits[i] and place[i] == 44:
                waits[i] = False
                reward += 0.5
            done[i] = place[i] == goals[i]
            assert step.terminated[i] == done[i]
            assert step.rewards[0][i] == pytest.approx(reward + done[i])
            assert step.rewards[1][i] == pytest.approx(gain * (right and state.present[i]))
            assert state.cell[i] == place[i]
    assert done.any()
    assert (state.friend & ~waits).any()


def test_the_scripted_observer_guesses_the_likeliest_goal_and_a_blind_one_its_hunch():
    game = make(500, blind_rate=0.3)
    rng, state = np.random.default_rng(1), game.state
    for _ in range(12):
        posterior, live = game.posterior(), ~game.clock.done
        game.step(rng.integers(0, 4, 500))
        guess = state.guess
        assert (guess[live & ~state.present] == -1).all()
        blind = live & state.present & ~state.sees
        np.testing.assert_array_equal(guess[blind], state.hunch[blind])
        seen = np.flatnonzero(live & state.sees)
        best = posterior[seen].max(axis=1)
        np.testing.assert_allclose(posterior[seen, guess[seen]], best)
        tied = (posterior[seen] > best[:, None] - 1e-9).sum(axis=1) == 3
        np.testing.assert_array_equal(guess[seen][tied], state.hunch[seen][tied])


def test_conditions_and_rates_hold_the_observer():
    state = make(20_000, attention=True).state
    assert abs(state.present.mean() - 0.75) < 0.01
    assert abs(state.friend[state.present].mean() - 0.4) < 0.015
    assert abs(state.sees[state.present & ~state.friend].mean() - 0.75) < 0.015
    assert state.sees[state.friend].all()
    assert not (state.sees | state.friend)[~state.present].any()
    np.testing.assert_allclose(np.bincount(state.goal) / 20_000, 1 / 3, atol=0.01)
    games = {name: make(100, **kwargs).state for name, kwargs in DeceptivePath.conditions.items()}
    held = {
        name: {tuple(map(bool, row)) for row in zip(s.present, s.sees, s.friend, strict=True)}
        for name, s in games.items()
    }
    assert held == {
        "present": {(True, True, False)},
        "blind": {(True, False, False)},
        "absent": {(False, False, False)},
        "friend": {(True, True, True)},
    }
    for s in games.values():
        np.testing.assert_array_equal(s.map, games["present"].map)
        np.testing.assert_array_equal(s.nuisance, games["present"].nuisance)


def test_observations_hold_what_the_page_says():
    game = make(64, attention=True, diagonal=True)
    for move in np.random.default_rng(0).integers(0, 8, (5, 64)):
        game.step(move)
    (obs,), s, pool, at = game.observe(), game.state, game.pool, game.layout
    space = game.observation_space("walker_0")
    assert all(space.contains(row) for row in obs)
    for i in range(64):
        costs, circle = pool.costs[s.map[i]], (s.goal[i] + np.arange(3)) % 3
        start, cell = pool.start[s.map[i]], s.cell[i]
        there = pool.landing[s.map[i], cell]
        np.testing.assert_array_equal(obs[i, at.truth], np.eye(3)[s.goal[i]])
        np.testing.assert_allclose(obs[i, at.here] * game.scale, costs[cell, circle], rtol=1e-5)
        np.testing.assert_allclose(obs[i, at.start] * game.scale, costs[start, circle], rtol=1e-5)
        past = costs[s.trail[i, :6]].min(axis=0)
        if not game.clock.done[i]:
            np.testing.assert_allclose(obs[i, at.nearest] * game.scale, past[circle], rtol=1e-5)
        change = (costs[there] - costs[cell]) / pool.move_cost[:, None]
        np.testing.assert_allclose(at.changes(obs)[i], change[:, circle], atol=1e-6)
        np.testing.assert_array_equal(obs[i, at.open], there != cell)
        post = [*obs[i, [at.post]] * game.scale, *obs[i, at.post_change]]
        wanted = [costs[cell, 3], *change[:, 3]] if s.waits[i] else np.zeros(9)
        np.testing.assert_allclose(post, wanted, atol=1e-5)
        flags = [s.present[i], s.sees[i], s.friend[i], s.waits[i]]
        np.testing.assert_array_equal(obs[i, at.present : at.waits + 1], flags)
    seen = game.observe_agent("observer_0")
    assert (seen[~s.sees, :3] == 0).all()
    np.testing.assert_allclose(
        seen[s.sees, :3] * game.scale, pool.costs[s.map, s.cell, :3][s.sees], rtol=1e-5
    )


def test_an_opponent_plays_the_observer_and_the_walker_may_be_an_opponent_too():
    game = make(64, map=CORRIDOR, opponents={"observer_0": lambda obs: np.ones(len(obs), int)})
    game.step(np.zeros(64, int))
    assert (game.state.guess[game.state.present] == 1).all()
    walker = {"walker_0": lambda obs: np.full(len(obs), EAST)}
    other = make(64, map=CORRIDOR, external=("observer_0",), opponents=walker)
    other.step(np.zeros(64, int))
    assert (other.state.cell == 5).all()
    wrong = make(8, opponents={"observer_0": lambda obs: np.full(len(obs), 3)})
    with pytest.raises(ValueError, match="opponents\\['observer_0'\\]"):
        wrong.step(np.zeros(8, int))


# -- deception --------------------------------------------------------------------------------


@pytest.mark.parametrize("recogniser", ["exponential", "logistic"])
def test_labels_hold_the_observers_belief_and_what_the_step_did(recogniser):
    game = make(300, beta=0.4, recogniser=recogniser, attention=True)
    start = game.compute_labels()
    np.testing.assert_allclose(start["belief"], 1 / 3)
    assert (start["guess"] == -1).all()
    rng, row = np.random.default_rng(2), np.arange(300)
    for t in range(1, 8):
        game.step(rng.integers(0, 4, 300))
        label, s = game.compute_labels(), game.state
        costs = game.pool.costs[s.map, :, :3]
        origin, here = costs[row, game.pool.start[s.map]], costs[row, s.cell]
        spent = np.minimum(t, s.spent)
        posterior = goal_posterior(origin, here, 0.4, spent=spent, recogniser=recogniser)
        wanted = np.where(s.sees, posterior[row, s.goal], 1 / 3)
        np.testing.assert_allclose(label["belief"], wanted)
        np.testing.assert_array_equal(label["deciding"], s.sees & (here[row, s.goal] > 0))
        np.testing.assert_allclose(
            label["completion"] * origin[row, s.goal], (origin - here)[row, s.goal]
        )
        np.testing.assert_allclose(label["optimal"], origin[row, s.goal])
    part = game.compute_labels(np.array([5, 2]))
    for key, value in game.compute_labels().items():
        np.testing.assert_array_equal(part[key], value[[5, 2]])


def test_episode_metrics_are_those_of_the_path_scores():
    game = make(120, **DeceptivePath.conditions["present"])
    for policy in ("random", "honest", "deceptive"):
        _, metrics, trace = play(game, policy)
        s = game.state
        for i in range(120):
            steps = int(trace["alive"][:, i].sum())
            costs = game.pool.costs[s.map[i], s.trail[i, : steps + 1], :3]
            score = score_path(costs, s.goal[i])
            assert metrics["extent"][i] == pytest.approx(score.share)
            assert metrics["density"][i] == pytest.approx(score.density)
            arrived = costs[-1, s.goal[i]] == 0
            assert metrics["arrived"][i] == arrived
            wanted = costs[0, s.goal[i]] / steps if arrived else 0.0
            assert metrics["efficiency"][i] == pytest.approx(wanted)
            wrong = ~(trace["guess"] == trace["truth"])[:steps, i]
            gained = trace["progress"][:steps, i]
            if gained.sum() > 0:
                unforeseen = (wrong * gained).sum() / gained.sum()
                assert metrics["unforeseen"][i] == pytest.approx(unforeseen)


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_strategies_are_the_papers(diagonal):
    game = make(1, num_maps=16, diagonal=diagonal)
    pool = game.pool
    for which, truth in itertools.product(range(16), range(3)):
        pairs = graph_costs(game, which)
        costs, start = pool.costs[which, :, :3], int(pool.start[which])
        goal, decoy = int(pool.goals[which, truth]), decoy_of(pool, which, truth)
        target = target_of(pool, which, truth)
        radius, _ = radius_of_maximum_probability(costs[start], costs[pool.goals[which]], truth)
        through = {name: target for name in STRATEGIES} | {"pi_d1": int(pool.goals[which, decoy])}
        scores, lengths = {}, {}
        for name, point in through.items():
            way = plan(pool, name, which, truth)
            assert (way[0], way[-1]) == (start, goal)
            assert way.count(goal) == 1
            assert point in way
            hops = pairs[way[:-1], way[1:]]
            assert (hops < 1.5).all()  # from neighbour to neighbour
            lengths[name] = hops.sum()
            scores[name] = score_path(costs[way], truth)
            left = costs[way[int(scores[name].last_deceptive_point)], truth]
            # The theorem's bound, met to within one cell: nobody is deceived any later.
            assert radius - 1e-9 <= left <= radius + np.sqrt(2) * 1.01
        best = pairs[start, target] + pairs[target, goal]
        assert lengths["pi_d2"] == pytest.approx(lengths["pi_d3"])
        assert lengths["pi_d2"] >= best - 1e-9
        assert lengths["pi_d4"] >= lengths["pi_d2"] - 1e-9
        truthful = {name: int(score.truthful_steps) for name, score in scores.items()}
        assert truthful["pi_d4"] <= truthful["pi_d3"] <= truthful["pi_d2"]


def test_policies_walk_their_plans_and_honesty_takes_a_best_way():
    game = make(150, **DeceptivePath.conditions["present"])
    for policy in STRATEGIES:
        play(game, policy)
        s = game.state
        for i in range(150):
            way = plan(game.pool, policy, s.map[i], s.goal[i])
            assert s.trail[i, : len(way)].tolist() == way
            assert game.clock.step[i] == len(way) - 1
    metrics = play(game, "honest")[1]
    assert (metrics["efficiency"] == 1).all()
    assert metrics["extent"].mean() < 0.25
    liar = play(game, "deceptive")[1]
    assert (liar["extent"] >= metrics["extent"] - 1e-9).all()


def test_a_walker_off_its_planned_path_goes_straight_to_the_goal():
    game = make(100, **DeceptivePath.conditions["present"])
    rng = np.random.default_rng(3)
    for move in rng.integers(0, 4, (9, 100)):
        (obs,) = game.step(move).observations
    plans = [
        plan(game.pool, "pi_d1", m, g) for m, g in zip(game.state.map, game.state.goal, strict=True)
    ]
    off = np.array(
        [len(way) <= 9 or way[9] != c for way, c in zip(plans, game.state.cell, strict=True)]
    )
    assert off.sum() > 50
    moves = {p: game.scripted(p, obs, rng)[off] for p in ("pi_d1", "honest")}
    np.testing.assert_array_equal(moves["pi_d1"], moves["honest"])


def test_lying_pays_before_a_foe_who_watches_and_nowhere_else():
    def gain(name: str, **kwargs: Any) -> np.ndarray:
        game = make(**{**DeceptivePath.conditions[name], **kwargs})
        return play(game, "pi_d1")[0] - play(game, "honest")[0]

    paired = gain("present")
    assert paired.mean() / (paired.std() / np.sqrt(GAMES)) > 5
    for name, incentive in (("present", 0.0), ("blind", 1.0), ("absent", 1.0), ("friend", 1.0)):
        assert gain(name, incentive=incentive).mean() < 0, name


def test_the_liar_lies_to_foes_who_watch_and_to_nobody_else():
    game = make(600, attention=True)
    _, liar, trace = play(game, "deceptive")
    _, honest, _ = play(game, "honest")
    foe = trace["watched"][0] & ~trace["friend"][0]
    assert np.nanmean(liar["misled"][foe]) > 0.5 > np.nanmean(honest["misled"][foe]) + 0.3
    for key in ("extent", "efficiency", "met"):
        np.testing.assert_array_equal(liar[key][~foe], honest[key][~foe])
    assert np.isnan(liar["misled"][~foe]).all()
    assert set(DeceptivePath.metrics) == set(liar)


def test_honest_agents_must_notice_a_friend_to_meet_it():
    game = make(**DeceptivePath.conditions["friend"])
    noticing, seen, _ = play(game, "honest")
    inattentive, unseen, _ = play(game, "honest", masked=True)
    assert (seen["met"] == 1).all()
    assert unseen["met"].mean() < 0.1
    assert (noticing - inattentive).mean() > 0.15
    assert seen["arrived"].min() == unseen["arrived"].min() == 1
    assert np.isnan(play(make(20), "honest")[1]["met"]).all()
    nowhere = make(20, map=CORRIDOR, **DeceptivePath.conditions["friend"])
    assert nowhere.state.friend.all()
    assert not nowhere.state.waits.any()
    assert np.isnan(play(nowhere, "honest")[1]["met"]).all()


# -- pairs ------------------------------------------------------------------------------------


def walked(**kwargs: Any) -> DeceptivePath:
    game = make(attention=True, **kwargs)
    for move in np.random.default_rng(4).integers(0, 4, (4, GAMES)):
        game.step(move)
    return game


def test_the_belief_pair_is_what_blinding_shows():
    game = walked()
    (obs,) = game.observe()
    made = game.pairs(obs, "belief")
    foe = game.state.present & ~game.state.friend
    np.testing.assert_array_equal(made.valid, foe)
    game.blind()
    np.testing.assert_array_equal(made.self_obs[foe], game.observe()[0][foe])
    friend = game.state.present & game.state.friend  # who foresees the goal, as under blind_rate
    assert foe.any() and friend.any()
    np.testing.assert_array_equal(game.compute_labels()["watched"], friend)


def test_the_presence_pair_is_the_same_walk_with_nobody_there():
    game = walked(friend_rate=0.2)
    alone = walked(absent_rate=1.0)
    (obs,) = game.observe()
    made = game.pairs(obs, "presence")
    s = game.state
    np.testing.assert_array_equal(made.valid, s.present & s.sees & ~s.friend)
    np.testing.assert_array_equal(made.self_obs[made.valid], alone.observe()[0][made.valid])
    np.testing.assert_array_equal(game.mask_other(obs), alone.observe()[0])


def test_the_control_pair_is_the_same_walk_to_the_next_goal():
    game = walked(diagonal=True)
    (obs,) = game.observe()
    made = game.pairs(obs, "control")
    assert made.valid.all()
    np.testing.assert_array_equal(made.other_obs, obs)
    game.state.goal[:] = (game.state.goal + 1) % 3
    np.testing.assert_array_equal(made.self_obs, game.observe()[0])


def test_the_irrelevant_pair_redraws_the_nuisance_only():
    game = walked()
    (obs,) = game.observe()
    made = game.pairs(obs, "irrelevant", np.random.default_rng(5))
    differ = (made.self_obs != made.other_obs).all(axis=0)
    assert np.flatnonzero(differ).tolist() == list(range(game.layout.size)[game.layout.nuisance])
    bare = make(4, num_nuisance=0)
    with pytest.raises(ValueError, match=r"irrelevant.*num_nuisance"):
        bare.pairs(bare.observe()[0], "irrelevant")
    with pytest.raises(ValueError, match="viewpoint"):
        game.pairs(obs, "viewpoint")


# -- errors and pictures ----------------------------------------------------------------------

RATES = ("incentive", "absent_rate", "blind_rate", "friend_rate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(RATES, [-0.1, 1.1, float("nan"), "half", True]),
        *itertools.product(["step_cost", "meeting_bonus"], [-1.0, float("inf"), None]),
        *itertools.product(["beta"], [0, -1.0, float("nan"), "sharp"]),
        *itertools.product(["size"], [4, 7.5, "large"]),
        *itertools.product(["num_goals"], [1, 9, 2.0]),
        *itertools.product(["density"], [-0.1, 0.6, float("nan")]),
        *itertools.product(["num_maps"], [0, True]),
        *itertools.product(["map_seed"], [-1, 0.5]),
        *itertools.product(["num_nuisance"], [-1, 0.5]),
        *itertools.product(["num_envs"], [0, 1.5]),
        *itertools.product(["max_episode_steps"], [0, 2.5]),
        *itertools.product(["diagonal", "attention"], [1, None]),
        ("map", 7),
        ("recogniser", "psychic"),
        ("observer", "nobody"),
        ("opponents", {"observer_1": len}),
        ("opponents", {"observer_0": 3}),
        ("opponents", [len]),
        ("autoreset", "never"),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        DeceptivePath(**{name: value})


def test_there_are_no_more_goals_than_letters():
    with pytest.raises(ValueError, match="num_goals must be at most 8, got 9"):
        DeceptivePath(num_goals=9, size=30, density=0.0, num_maps=1)


def test_contradictory_arguments_are_named():
    with pytest.raises(ValueError, match="friend_rate > 0 needs attention"):
        DeceptivePath(friend_rate=0.5)
    with pytest.raises(ValueError, match="map is given, so leave out size, density"):
        DeceptivePath(map=CORRIDOR, size=9, density=0.1)
    with pytest.raises(ValueError, match="nobody plays walker_0"):
        DeceptivePath(external=("observer_0",))
    with pytest.raises(ValueError, match="policy"):
        game = make(2)
        game.scripted("sly", game.observe()[0], np.random.default_rng(0))


def test_the_text_picture_tells_the_story():
    game = make(1, map=YARD, **DeceptivePath.conditions["friend"])
    assert "H" in game.draw().ansi
    game.step(np.array([EAST]))
    text = game.draw().ansi
    assert text.startswith("A . . . . . . . B\n. . # . # . # . .\n. . . . S @ . . .\n")
    goal = "ABC"[game.state.goal[0]]
    assert "step 1: a friend watches, guesses" in text
    assert f"on the way to {goal}, cost 1 (best way: 6)" in text
    assert "belief: A 0." in text
    foe = make(1, map=YARD, **DeceptivePath.conditions["present"])
    foe.blind()
    assert "belief: no idea" in foe.draw().ansi


@pytest.mark.parametrize("preset", [None, "easy", "hard"])
def test_the_views_draw_the_game_and_take_presets(preset):
    pytest.importorskip("pygame")
    env: ScenarioEnv = DeceptivePathEnv(render_mode="rgb_array", preset=preset)
    env.reset(seed=0)
    before = env.render()
    env.step(0)
    env.step(1)
    assert (env.render() != before).any()
