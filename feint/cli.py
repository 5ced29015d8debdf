"""The `feint` command; each of its commands is a class in `feint.commands`."""

import sys
from typing import Annotated

import tyro
from tyro.conf import subcommand

from feint.commands.demo import Demo
from feint.commands.envs import Envs
from feint.commands.evaluate import Eval
from feint.commands.play import Play
from feint.commands.selfmodel import SelfModel
from feint.commands.train import Train

Command = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Eval, subcommand("eval")]
    | Annotated[Envs, subcommand("envs")]
    | Annotated[SelfModel, subcommand("selfmodel")]
    | Annotated[Play, subcommand("play")]
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits 0 when done, 1 when a run failed, 2 on wrong input, 130 on Ctrl-C."""
    command = tyro.cli(
        Command,  # pyright: ignore[reportArgumentType]
        prog="feint",
        description="Deceptive-agent environments, and the training that makes agents honest.",
        args=arguments,
    )
    try:
        code = command.run()  # pyright: ignore[reportAttributeAccessIssue]
    except (ValueError, TypeError) as error:
        code = _fail(str(error), 2)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0
    except RuntimeError as error:
        code = _fail(str(error), 1)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    print(f"feint: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
