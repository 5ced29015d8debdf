"""`feint check`: the conformance suite over our scenarios, or over yours."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from feint.commands.arguments import env_arguments, import_packages


@dataclass(frozen=True)
class Check:
    """Hold scenarios to what a scenario promises: the conformance suite.

    Without an ID it runs over all of Feint's own, in two minutes or so. It needs no checkout, and
    so tells whether an installation is whole. A check that has no meaning for a scenario is left
    out, and the reason printed. Exits with 1 where a scenario fails.

    Examples:
      feint check

      feint check RoomSignal KuhnPoker --preset hard

      feint check mine/Whisper-v0 --gym-packages whisper --skip dial
    """

    envs: Annotated[Positional[tuple[str, ...]], arg(metavar="[ID ...]")] = ()
    """Scenarios; `feint envs` lists ours."""
    preset: str | None = None
    """A named difficulty to check them at."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the scenarios, as key:value; they win over the preset."""
    skip: tuple[str, ...] = ()
    """Checks to leave out."""
    gym_packages: tuple[str, ...] = ()
    """Modules to import first: they register scenarios of your own."""

    def run(self) -> int:
        """Check and report."""
        from pathlib import Path

        import feint
        from feint.envs import SCENARIOS, scenario_class
        from feint.envs.registry import full_id
        from feint.testing import check_scenario

        import_packages(self.gym_packages)
        ids = [full_id(name) for name in self.envs] or [entry.id for entry in SCENARIOS]
        given = {i: env_arguments(scenario_class(i), self.env_kwargs, self.preset) for i in ids}
        print(f"feint {feint.__version__} in {Path(feint.__file__).parent}", flush=True)
        failed = 0
        for env_id, kwargs in given.items():
            try:
                print(check_scenario(env_id, skip=self.skip, **kwargs), flush=True)
            except AssertionError as error:
                failed += 1
                print(error, flush=True)
        print(f"{len(given) - failed} of {len(given)} scenarios keep the contract")
        return 1 if failed else 0
