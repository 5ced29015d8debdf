"""Several SB3 learners on one game at once: every step is one step of each of them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from feint.agents.parallel_vec_env import StageView
from feint.agents.stage import Outcome, Stage


class Lockstep:
    """Lets the `learn()` of several roles step one stage together.

    SB3's `learn` owns its loop, so each role's runs in a thread of its own; but the threads are
    coroutines: one runs at a time, until it asks its view for a step, and then the next one does.
    When all have asked, the stage steps once, with the actions of all. So each learns from the
    other's current policy, nothing is copied from SB3, and the same seed gives the same numbers.

    Args:
        stage: where the game is played; whoever calls `run` has reset it.
        agents: by role, the agents that share its policy.
    """

    def __init__(self, stage: Stage, agents: Mapping[str, Sequence[str]]) -> None:
        self.stage = stage
        #: By role, the `VecEnv` for its learner.
        self.views = {role: LockstepView(self, role, names) for role, names in agents.items()}

    def run(self, jobs: Mapping[str, Callable[[], Any]]) -> None:
        """Run these roles' jobs to their end; all must take the same number of steps.

        Raises:
            RuntimeError: if one of them stops before the others.
        """
        self._order = list(jobs)
        self._moves: dict[str, list[dict[str, Any]]] = {}
        self._outcomes: list[Outcome] = []
        self._gone: list[str] = []
        self._error: BaseException | None = None
        self._turns = {role: threading.Semaphore(0) for role in self._order}
        if len(jobs) == 1:
            next(iter(jobs.values()))()
            return
        threads = [
            threading.Thread(target=self._play, args=item, name=item[0]) for item in jobs.items()
        ]
        for thread in threads:
            thread.start()
        self._turns[self._order[0]].release()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:  # Ctrl-C: let nobody wait for ever
            self._stop(error)
            raise
        if self._error is not None:
            raise self._error

    def exchange(self, role: str, moves: list[dict[str, Any]]) -> list[Outcome]:
        """Give a role's actions, by copy and agent, and get what the common step made of them."""
        if self._gone:
            raise RuntimeError(
                f"{', '.join(self._gone)} stopped learning before {role}; roles that learn at once "
                "take the same number of steps, so let no callback end one of them early"
            )
        self._moves[role] = moves
        if len(self._moves) == len(self._order):
            everyone = zip(*(self._moves[name] for name in self._order), strict=True)
            joint = [{a: m for part in parts for a, m in part.items()} for parts in everyone]
            self._moves = {}
            self._outcomes = self.stage.step(joint)
        self._pass_on(role)
        self._await(role)
        return self._outcomes

    def _play(self, role: str, job: Callable[[], Any]) -> None:
        try:
            self._await(role)
            job()
        except _Stopped:
            return
        except BaseException as error:
            self._stop(error)
            return
        self._gone.append(role)
        self._pass_on(role)

    def _await(self, role: str) -> None:
        self._turns[role].acquire()
        if self._error is not None:
            raise _Stopped

    def _pass_on(self, role: str) -> None:
        after = self._order.index(role) + 1
        self._turns[self._order[after % len(self._order)]].release()

    def _stop(self, error: BaseException) -> None:
        self._error = self._error or error
        for turn in self._turns.values():
            turn.release()


class _Stopped(BaseException):
    """Another role's learner failed; not an `Exception`, so that nobody's handler takes it."""


class LockstepView(StageView):
    """What one role's learner steps."""

    def __init__(self, lockstep: Lockstep, role: str, agents: Sequence[str]) -> None:
        self.lockstep, self.role = lockstep, role
        super().__init__(lockstep.stage, agents)

    def reset(self) -> np.ndarray:
        """The stage as it is: it is reset once for all roles, before they run."""
        return self._first()

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One common step; see `stable_baselines3.common.vec_env.VecEnv`."""
        return self._seen(self.lockstep.exchange(self.role, self._moves()))

    def close(self) -> None:
        """Nothing: the other roles still need the stage."""
