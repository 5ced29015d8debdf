"""The conformance suite: what a scenario promises, as checks that anybody can run.

Our own tests run it over every registered id; a scenario of your own takes one line:

    from feint.testing import check_scenario

    def test_my_scenario_keeps_the_contract():
        print(check_scenario("mine/Poker-v0"))

The id must be registered with Gymnasium, its class a `feint.envs.views.ScenarioEnv`. The PettingZoo
views are looked up under the snake-case id (`mine/poker-v0`), and left out where there is none.
Each check is a function of a `Subject` in `CHECKS`; to add one, write a function that asserts,
raises `Skip(reason)` where it has no meaning, and returns a note or nothing.
"""

from feint.testing.subject import Skip, Subject
from feint.testing.suite import CHECKS, Check, Report, check_scenario

__all__ = ["CHECKS", "Check", "Report", "Skip", "Subject", "check_scenario"]
