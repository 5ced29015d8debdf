"""The `feint` command; each of its commands is a class in `feint.commands`."""

import sys
from typing import Annotated, Any, Union

import tyro
from tyro.conf import subcommand

from feint.commands.bench import Bench
from feint.commands.check import Check
from feint.commands.demo import Demo
from feint.commands.enjoy import Enjoy
from feint.commands.envs import Envs
from feint.commands.evaluate import Eval
from feint.commands.export import Export
from feint.commands.leaderboard import Leaderboard
from feint.commands.llm import Llm
from feint.commands.play import Play
from feint.commands.report import Report
from feint.commands.selfmodel import SelfModel
from feint.commands.sweep import Sweep
from feint.commands.train import Train

#: The first line of a command's docstring is what `feint --help` says of it.
_COMMANDS = {
    "demo": Demo,
    "train": Train,
    "eval": Eval,
    "enjoy": Enjoy,
    "sweep": Sweep,
    "export": Export,
    "envs": Envs,
    "play": Play,
    "check": Check,
    "bench": Bench,
    "leaderboard": Leaderboard,
    "report": Report,
    "selfmodel": SelfModel,
    "llm": Llm,
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits 0 when done, 1 when a run failed, 2 on wrong input, 130 on Ctrl-C."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = _parse(given).run()
    except (ValueError, TypeError) as error:
        code = _fail(str(error), 2)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0
    except RuntimeError as error:
        code = _fail(str(error), 1)
    sys.exit(code)


def _parse(given: list[str]) -> Any:
    if given and given[0] in _COMMANDS:
        return tyro.cli(_COMMANDS[given[0]], prog=f"feint {given[0]}", args=given[1:])
    named = [  # the list of commands has a line for each, where tyro would show the whole docstring
        Annotated[cls, subcommand(name, description=(cls.__doc__ or "").partition("\n")[0])]
        for name, cls in _COMMANDS.items()
    ]
    return tyro.cli(
        Union[tuple(named)],  # pyright: ignore # noqa: UP007 - made at run time
        prog="feint",
        description="Deceptive-agent environments, and the training that makes agents honest.",
        args=given,
    )


def _fail(message: str, code: int) -> int:
    print(f"feint: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
