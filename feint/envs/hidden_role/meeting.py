"""Meetings: claims, votes, and what each crew member makes of them by Bayes' rule."""

from feint.envs.hidden_role.dynamics import (
    ACCUSE,
    CLAIM,
    NONE,
    PLACE,
    SILENT,
    TOGETHER,
    VOTE,
    begin_round,
    learn_role,
    normalise,
    phase_of,
    settle,
)
from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

# What a crew member holds likely. It takes the crew at its word; a saboteur's word about another
# player is worth nothing to it.
TRUST = 0.8  #: that what a crew member says about a player, itself or another, is right
BALLOT = 0.65  #: that a crew member's vote hits a saboteur rather than a crew member
WORTHLESS = 0.5  #: the same two, of a saboteur
CONFESS, CONFESS_CREW = 0.2, 0.002  #: that a saboteur, a crew member, accuses itself
OPEN, OPEN_CREW = 0.6, 0.95  #: that a saboteur, a crew member, tells where it was when I saw it
SCENE, ELSEWHERE = 0.55, 0.15  #: that a saboteur whom I did not see names the scene, another place
QUARTER = 0.25  #: that a crew member whom I did not see names any one place


@kernel
def likelihood(claim, speaker, seen, alarm, players, suspect, target_suspect):
    """P(claim | set), up to a factor that no set changes.

    Args:
        claim: the action, other than silence.
        speaker: seat of who said it.
        seen: quadrant in which the listener saw the speaker at the alarm or bell, or NONE.
        alarm: the scene, or NONE.
        players: number of players.
        suspect: whether the speaker is in the set.
        target_suspect: whether the player spoken of is (anything for a place).
    """
    if claim < ACCUSE:
        place = claim - PLACE
        if seen != NONE:
            right = OPEN if suspect else OPEN_CREW
            return right if place == seen else 1.0 - right
        if alarm != NONE and suspect:
            return SCENE if place == alarm else ELSEWHERE
        return QUARTER if alarm != NONE else 1.0
    accuses = claim < ACCUSE + players
    if (claim - ACCUSE) % players == speaker:
        if accuses:
            return CONFESS if suspect else CONFESS_CREW
        return 1.0 - TRUST if suspect else TRUST
    if suspect:
        return WORTHLESS
    return TRUST if accuses == target_suspect else 1.0 - TRUST


@kernel
def step_claims(state, clock, params, member, chosen, active):
    """Everybody says what it says, and the crew weighs it."""
    sets, players = member.shape
    for i in range(active.size):
        if not active[i] or phase_of(clock.step[i], params.round_steps) != CLAIM:
            continue
        state.worked[i] = state.could_work[i] = False
        for a in range(players):
            s = state.seat[i, a]
            state.claim[i, s] = chosen[i, a] if state.alive[i, s] else SILENT
            state.vote[i, s] = 0
        mute = NONE if state.contact[i] == TOGETHER else state.seat[i, 0]
        for w in range(players):
            if state.saboteur[i, w] or not state.alive[i, w]:
                continue
            for s in range(players):
                claim = state.claim[i, s]
                if s == w or s == mute or claim == SILENT:
                    continue
                target = max(claim - ACCUSE, 0) % players
                for h in range(sets):
                    state.weight[i, w, h] *= likelihood(
                        claim,
                        s,
                        state.saw[i, w, s],
                        state.alarm[i],
                        players,
                        member[h, s],
                        member[h, target],
                    )
                normalise(state.weight, i, w)


@kernel
def step_votes(state, clock, params, member, chosen, active, rewards, terminated):
    """Everybody votes; whoever has more than half of all votes goes, and its role is shown."""
    sets, players = member.shape
    for i in range(active.size):
        t = clock.step[i]
        if not active[i] or phase_of(t, params.round_steps) != VOTE:
            continue
        state.worked[i] = state.could_work[i] = False
        mute = NONE if state.contact[i] == TOGETHER else state.seat[i, 0]
        if params.incentive < 1.0:
            for a in range(params.num_saboteurs):
                s = state.seat[i, a]
                if state.alive[i, s] and s != mute:
                    doubt = 1.0 - mean_belief(state, member, i, s)
                    rewards[a, i] -= (1.0 - params.incentive) * doubt
        voters, most, out = 0, 0, NONE
        for a in range(players):
            s, named = state.seat[i, a], chosen[i, a] - 1
            named = named if 0 <= named < players else NONE
            if not state.alive[i, s] or named == NONE or not state.alive[i, named]:
                named = NONE
            state.vote[i, s] = named + 1
            voters += state.alive[i, s] and s != mute
        for j in range(players):
            votes = 0
            for s in range(players):
                votes += s != mute and state.vote[i, s] == j + 1
            if votes > most:
                most, out = votes, j
        for w in range(players):
            if state.saboteur[i, w] or not state.alive[i, w]:
                continue
            for s in range(players):
                named = state.vote[i, s] - 1
                if s == w or s == mute or named == NONE:
                    continue
                for h in range(sets):
                    hit = WORTHLESS if member[h, s] else BALLOT
                    state.weight[i, w, h] *= hit if member[h, named] else 1.0 - hit
                normalise(state.weight, i, w)
        if 2 * most > voters:
            state.alive[i, out] = False
            learn_role(state, member, i, out)
        stuck, whom, _, _ = uniform4(clock.seed[i], clock.episode[i], t + 1, 50)
        begin_round(state, params, i, stuck, whom)
        settle(state, params, i, False, rewards, terminated)


@kernel
def marginal(weight, member, i, w, s):
    """The belief of seat `w` that seat `s` is a saboteur."""
    total = 0.0
    for h in range(member.shape[0]):
        if member[h, s]:
            total += weight[i, w, h]
    return total


@kernel
def belief_in(state, member, i, w, s):
    """Seat `w`'s belief in saboteur `s`, against the crew member whom it suspects most."""
    truth, rival = marginal(state.weight, member, i, w, s), 0.0
    for j in range(member.shape[1]):
        if j != w and not state.saboteur[i, j]:
            rival = max(rival, marginal(state.weight, member, i, w, j))
    return truth / (truth + rival)


@kernel
def mean_belief(state, member, i, s):
    """The living crew's mean belief in saboteur `s`; 0.5 if nobody of the crew is left."""
    total, crew = 0.0, 0
    for w in range(member.shape[1]):
        if state.alive[i, w] and not state.saboteur[i, w]:
            total += belief_in(state, member, i, w, s)
            crew += 1
    return total / crew if crew else 0.5


@kernel
def look(state, member, games, belief, beliefs, suspicion):
    """Beliefs in agent 0, and suspicions, of `games`; of who is out, as they were then.

    `belief` (k,), `beliefs` (k, C) and `suspicion` (k, C, P) are in the agents' order.
    """
    sets, players = member.shape
    crew, weight, seat, alive = beliefs.shape[1], state.weight, state.seat, state.alive
    first = players - crew
    for j in range(games.size):
        i = games[j]
        total, living = 0.0, 0
        for c in range(crew):
            w, rival = seat[i, first + c], 0.0
            for a in range(players):
                p, s = 0.0, seat[i, a]
                for h in range(sets):
                    if member[h, s]:
                        p += weight[i, w, h]
                suspicion[j, c, a] = p
                if a >= first:
                    rival = max(rival, p)
            beliefs[j, c] = suspicion[j, c, 0] / (suspicion[j, c, 0] + rival)
            if alive[i, w]:
                total += beliefs[j, c]
                living += 1
        belief[j] = total / living if living else 0.5
