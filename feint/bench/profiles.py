"""The behavioural profiles of a suite's runs on PhysicalDeception: recorded, then compared."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feint.agents import play
from feint.agents.evaluation import Act
from feint.bench.results import RunResult
from feint.envs import scenario_class
from feint.files import write_atomically
from feint.metrics.profile import behavioural_difference, detours

if TYPE_CHECKING:
    from feint.bench.settings import Settings

PROFILE = "profile.npz"


def record_profile(act: Act, s: "Settings", seed: int, folder: Path) -> dict[str, Any] | None:
    """Play, and keep the records of `feint.metrics.profile.detours` in `folder`.

    Returns:
        {"records": how many}; None in scenarios that have no goal and decoy.
    """
    condition = s.deception.split("/")[0]
    game: Any = scenario_class(s.id)(1, **s.env_kwargs)  # pyright: ignore[reportCallIssue]
    if game.name != "PhysicalDeception-v0" or game.layout.landmarks != slice(2, 6):
        return None
    seen = play(act, s.id, s.env_kwargs, condition=condition, episodes=s.episodes, seed=seed)
    steps, games, width = seen.observations.shape
    goal, first, second = (seen.observations[..., k : k + 2] for k in (0, 2, 4))
    is_first = np.abs(goal - first).max(axis=2, keepdims=True) < 1e-6
    in_sight = game.layout.sees_red(seen.observations.reshape(-1, width)).reshape(steps, games)
    records = detours(goal, np.where(is_first, second, first), in_sight, seen.alive)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, records=records.astype(np.float32))
    write_atomically(folder / PROFILE, buffer.getvalue())
    return {"records": len(records)}


def with_differences(results: Iterable[RunResult], out: Path) -> list[RunResult]:
    """The results, with how far each run's profile is from its seed's two references.

    As in the paper, the records of run and references are cut to the shortest of the three. Where
    a run or a reference has no profile, nothing is added.

    Args:
        results: of one suite.
        out: the folder in which it ran.

    Returns:
        Where there are profiles, `payload["profile"]` also has "compared", the number of records
        of each; "to_honest", "to_deceptive" and "between", the mean squared differences of count
        grids: to both, and between the two.
    """
    given = list(results)
    folders = {(r.scenario, r.arm, r.seed): out / "runs" / r.run / PROFILE for r in given}
    done = []
    for result in given:
        trio = [
            folders.get((result.scenario, arm, result.seed))
            for arm in (result.arm, "honest", "deceptive")
        ]
        paths = [path for path in trio if path is not None and path.exists()]
        if not result.payload.get("profile") or len(paths) < 3:
            done.append(result)
            continue
        records = [_load(path) for path in paths]
        shortest = min(len(r) for r in records)
        mine, honest, liar = (r[:shortest] for r in records)
        compared = {
            "compared": shortest,
            "to_honest": behavioural_difference(mine, honest),
            "to_deceptive": behavioural_difference(mine, liar),
            "between": behavioural_difference(honest, liar),
        }
        profile = {**result.payload["profile"], **compared}
        payload = {**result.payload, "profile": profile}
        done.append(result.model_copy(update={"payload": payload}))
    return done


def _load(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        return file["records"]
