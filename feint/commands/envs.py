"""`feint envs`: what scenarios there are, and what each is about."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Envs:
    """List the scenarios, or show one scenario's page.

    The list says of each id who deceives whom, what is seen and done, and what is measured. Pairs
    are what overlap compares; conditions hold the other in one state; presets are difficulties.

    Examples:
      feint envs

      feint envs RoomSignal

      feint envs --json
    """

    env: Annotated[Positional[str | None], arg(metavar="[ID]")] = None
    """Show the whole page of this scenario: rules, rewards, arguments, who deceives whom."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print the list or the page."""
        import json

        from feint.envs import SCENARIOS, scenario_class
        from feint.envs.describe import describe

        if self.env is None:
            found = [describe(entry) for entry in SCENARIOS]
            print(json.dumps(found, indent=1) if self.json else "\n".join(map(_card, found)))
            return 0
        cls = scenario_class(self.env)
        entries = [entry for entry in SCENARIOS if scenario_class(entry.id) is cls]
        if not entries:
            raise ValueError(f"{self.env!r} is not one of Feint's own scenarios: see its docstring")
        shown = describe(entries[0])
        if self.json:
            print(json.dumps(shown, indent=1))
        else:
            _page(shown)
        return 0


def _card(shown: dict[str, Any]) -> str:
    focal = shown["focal"]
    turns = ", in turns" if shown["turn_based"] else ""
    rows = {
        "agents": f"{_list(shown['agents'])}{turns}; single-agent views play {focal}",
        "observation": shown["observation_spaces"][focal],
        "action": shown["action_spaces"][focal],
        "pairs": _list(shown["pairs"]),
        "metrics": _list(shown["metrics"]),
        "conditions": _list(shown["conditions"]),
        "presets": _list(shown["presets"]),
        "policies": _list(shown["policies"]),
    }
    lines = [f"  {name:<12} {value}" for name, value in rows.items() if value]
    head = [f"{shown['id']}  (PettingZoo: {shown['pettingzoo_id']})", f"  {shown['deception']}"]
    return "\n".join([*head, *lines, ""])


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _page(shown: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console = console if console.is_terminal else Console(width=100)
    console.print(Markdown(f"# {shown['id']}\n\n{shown['page']}"))
    console.print()
    console.print(_card(shown), highlight=False, markup=False)
