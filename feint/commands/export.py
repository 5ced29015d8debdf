"""`feint export`: an agent as a folder for others, with a model card."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Export:
    """Write an agent as a folder for others: checkpoint, settings, and a model card.

    The card, README.md, is in Hugging Face's form. It says in its first line whether the agent
    deceives, and shows the numbers beside the scenario's scripted policies and the free baseline.

    feint export liar.safetensors --out liar
    """

    agent: Positional[Path]
    """Checkpoint of `feint train` or `feint demo`."""
    out: Path
    """Folder to write."""
    episodes: int = 1000
    """Held-out episodes per condition, for the agent and for each control."""
    seed: int = 1_000_000_000
    """Game i is seeded seed + i; training seeds lie below the default."""

    def run(self) -> int:
        """Evaluate and write."""
        from feint.agents.model_card import export_agent
        from feint.envs.validation import check_int

        check_int("episodes", self.episodes, at_least=1)
        check_int("seed", self.seed, at_least=0)
        page = export_agent(self.agent, self.out, self.episodes, self.seed)
        print(f"wrote {page.parent}: agent.safetensors, config.json and the card {page.name}")
        return 0
