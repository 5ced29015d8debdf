"""`check_scenario`: every check in turn, and a report of what passed and what was left out."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from feint.testing import claims, contract, interfaces, masks, pages, rollouts
from feint.testing.subject import Skip, Subject, snake_id

Check = Callable[[Subject], str | None]
"""Asserts something about a scenario; may return a note for the report, or raise `Skip`."""

CHECKS: tuple[Check, ...] = (
    pages.page,
    pages.arguments,
    interfaces.gymnasium_api,
    interfaces.sb3_api,
    interfaces.pettingzoo_parallel,
    interfaces.pettingzoo_aec,
    interfaces.pettingzoo_max_cycles,
    interfaces.step_limit,
    interfaces.spec_json,
    interfaces.pickling,
    interfaces.illegal_actions,
    interfaces.rendering,
    pages.presets,
    masks.action_masks,
    rollouts.fresh_arrays,
    rollouts.vector_next_step,
    rollouts.vector_same_step,
    rollouts.vector_disabled,
    rollouts.snapshot_restore,
    contract.labels,
    contract.secrecy,
    contract.policies,
    contract.pairs,
    rollouts.conditions,
    rollouts.blinding,
    claims.honest_twin,
    claims.metrics,
    claims.dial,
)
"""All checks, in the order in which they run: the cheap and the telling first."""


@dataclass(frozen=True)
class Report:
    """What `check_scenario` found.

    Attributes:
        env_id: the scenario.
        passed: names of the checks that passed, each with its note ("" for most).
        skipped: names of the checks that were left out, each with the reason.
    """

    env_id: str
    passed: Mapping[str, str]
    skipped: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{self.env_id}: {len(self.passed)} checks passed, {len(self.skipped)} skipped"]
        lines += [f"  {name}: {note}" for name, note in self.passed.items() if note]
        lines += [f"  {name}: skipped, {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def check_scenario(
    env_id: str,
    *,
    skip: Collection[str] = (),
    pettingzoo_id: str | None = None,
    **kwargs: Any,
) -> Report:
    """Run the conformance suite on a registered scenario.

    Example:
        >>> report = check_scenario("feint/RoomSignal-v0", num_rooms=3)
        >>> "dial" in report.passed
        True

    Args:
        env_id: a Gymnasium id.
        skip: names of checks to leave out; the report lists them.
        pettingzoo_id: id in the PettingZoo registries; by default `env_id` in snake case.
        kwargs: the scenario's arguments to test it with.

    Raises:
        AssertionError: naming the first check that failed, and what it found.
        ValueError: for an id that is not a scenario's, or an unknown name in `skip`.
    """
    names = [check.__name__ for check in CHECKS]
    if unknown := sorted(set(skip) - set(names)):
        raise ValueError(f"skip names no such check: {', '.join(unknown)}; there are: {names}")
    subject = Subject(env_id, pettingzoo_id or snake_id(env_id), kwargs)
    assert subject.scenario  # an unknown id is the caller's mistake, not a failed check
    passed, skipped = {}, dict.fromkeys(skip, "left out by the caller")
    for check in CHECKS:
        name = check.__name__
        if name in skip:
            continue
        try:
            passed[name] = check(subject) or ""
        except Skip as reason:
            skipped[name] = str(reason)
        except Exception as error:
            raise AssertionError(
                f"{env_id}: check {name!r} failed: {str(error) or type(error).__name__}"
            ) from error
    return Report(env_id, passed, skipped)
