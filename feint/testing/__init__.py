"""The conformance suite: what a scenario promises, as checks that anybody can run.

Our own tests run it over every registered id; a scenario of your own takes one line:

    from feint.testing import check_scenario

    def test_my_scenario_keeps_the_contract():
        print(check_scenario("mine/Poker-v0"))

The id must be registered with Gymnasium, its class a `feint.envs.views.ScenarioEnv`. The PettingZoo
views are looked up under the snake-case id (`mine/poker-v0`), and left out where there is none.
Arguments after the id are the scenario's own, `preset="hard"` included: test each preset so.

What is checked, in this order (each check's docstring says it in full):

- what a reader meets: the page has all its sections, arguments and pair kinds, a bad argument is
  refused by name, every preset plays in every view;
- the views: Gymnasium's, SB3's and PettingZoo's own test suites, the step limit, JSON and pickle,
  illegal actions, pictures; action masks, where there are some;
- play: fresh arrays, a batch against single games under every autoreset mode, snapshots;
- deception: labels, secrets, scripted policies, pairs, conditions, blinding;
- claims: the honest twin, metrics that find the liar, a dial that makes the lie pay.

Where masks forbid something, the suite plays what they allow; illegal play has its own checks.
Each check is a function of a `Subject` in `CHECKS`; to add one, write a function that asserts,
raises `Skip(reason)` where it has no meaning, and returns a note or nothing.
"""

from feint.testing.subject import Skip, Subject
from feint.testing.suite import CHECKS, Check, Report, check_scenario

__all__ = ["CHECKS", "Check", "Report", "Skip", "Subject", "check_scenario"]
