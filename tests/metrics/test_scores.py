import subprocess
import sys
from typing import Any

import pytest

from feint.metrics import Metric

GOOD: dict[str, Any] = {
    "name": "misled_rate",
    "description": "Steps.",
    "better": "lower",
    "role": "deception",
}


def test_a_metric_is_declared_in_one_line():
    metric = Metric("close", "Steps near the other.", "metres", better="higher", role="attention")
    assert (metric.unit, Metric(**GOOD).unit) == ("metres", "")
    assert Metric(**GOOD) == Metric(**GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Misled rate"}, "snake case.*got 'Misled rate'"),
        ({"name": ""}, "name must be"),
        ({"description": " "}, "'misled_rate' has no description"),
        ({"better": "less"}, "better of metric 'misled_rate' must be one of lower, higher"),
        ({"role": "lie"}, "role of metric .* got 'lie'"),
    ],
)
def test_a_malformed_metric_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Metric(**GOOD | change)


def test_declaring_metrics_loads_nothing_heavy():
    code = (
        "import sys, feint.metrics\n"
        "heavy = {'torch', 'numba', 'transformers', 'scipy.stats'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")
