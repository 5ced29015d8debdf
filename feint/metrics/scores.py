"""The contract by which a scenario declares what it measures."""

import re
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

Better = Literal["lower", "higher"]
Role = Literal["deception", "task", "attention", "other"]


@dataclass(frozen=True)
class Metric:
    """One number that a scenario reports about an agent.

    Example:
        >>> Metric("misled", "Steps with belief below 0.4.", better="lower", role="deception").name
        'misled'

    Args:
        name: Snake case; the key in results and tables.
        description: What is counted, over what, in one sentence.
        unit: Of the value, such as `"metres"`; empty for a share.
        better: Which way is better, `"lower"` or `"higher"`, for an honest agent.
        role: What it speaks of: `"deception"`, the own `"task"`, honest `"attention"` to the
            other (what overlap may erase), or `"other"`.

    Raises:
        ValueError: If a field is malformed; the message names the field.
    """

    name: str
    description: str
    unit: str = ""
    _: KW_ONLY
    better: Better
    role: Role

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(
                f"name must be snake case, such as 'misled_rate', as it is a key; got {self.name!r}"
            )
        if not self.description.strip():
            raise ValueError(f"metric {self.name!r} has no description; say what it counts")
        for field, allowed in (("better", get_args(Better)), ("role", get_args(Role))):
            value = getattr(self, field)
            if value not in allowed:
                raise ValueError(
                    f"{field} of metric {self.name!r} must be one of {', '.join(allowed)}; "
                    f"got {value!r}"
                )
