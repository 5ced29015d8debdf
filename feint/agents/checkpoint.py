"""Checkpoints that need no unpickling: one safetensors file, with the description as its header.

SB3's own `load` unpickles, and so must not be given files from strangers.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from feint.agents.algorithms import ALGORITHMS, algorithm
from feint.agents.regularizer import acts_without
from feint.envs import full_id, scenario_class
from feint.files import write_atomically

SCHEMA = 1


@dataclass(frozen=True)
class AgentCard:
    """What a checkpoint says of itself.

    Attributes:
        algorithm: lower-case name, as `feint train --algo` takes it.
        scenario: Gymnasium id.
        env_kwargs: arguments of the scenario.
        net_arch: widths of the hidden layers.
        activation: "tanh" or "relu".
        seed: training seed.
        steps: environment steps trained.
        note: free text, such as the arm's name.
        lstm: units of the LSTM, in a recurrent policy.
        params: arguments of the algorithm that it was trained with.
        schema: version of this format.
    """

    algorithm: str
    scenario: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    seed: int = 0
    steps: int = 0
    note: str = ""
    lstm: int = 64
    params: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


def save_agent(model: BaseAlgorithm, card: AgentCard, path: str | Path) -> None:
    """Write the policy's parameters and `card`, atomically."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in _acting(model).items()}
    data = save(tensors, metadata={"feint": json.dumps(asdict(card))})
    write_atomically(Path(path), data)


def card_of(
    model: BaseAlgorithm, scenario: str, env_kwargs: Mapping[str, Any], note: str = ""
) -> AgentCard:
    """The card of a model as it is now.

    Raises:
        ValueError: if its class is none of `feint.agents.algorithms`.
    """
    names = [made.name for made in ALGORITHMS.values() if made.cls is type(model)]
    if not names:
        raise ValueError(
            f"a checkpoint cannot say what a {type(model).__name__} is; "
            f"use one of {', '.join(ALGORITHMS)}"
        )
    policy: Any = model.policy
    widths = policy.net_arch["pi"] if isinstance(policy.net_arch, dict) else policy.net_arch
    lstm = getattr(policy, "lstm_actor", None)
    return AgentCard(
        algorithm=names[0],
        scenario=scenario,
        env_kwargs=dict(env_kwargs),
        net_arch=tuple(widths),
        activation=policy.activation_fn.__name__.lower(),
        seed=model.seed or 0,
        steps=model.num_timesteps,
        note=note,
        lstm=64 if lstm is None else lstm.hidden_size,
    )


def read_card(path: str | Path) -> AgentCard:
    """The description in a checkpoint.

    Raises:
        ValueError: if the file is missing, damaged, or not one of ours.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            fields = json.loads((file.metadata() or {})["feint"])
    except KeyError as error:
        raise ValueError(f"{path} is a safetensors file, but not a Feint agent") from error
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        if not Path(path).exists():
            raise ValueError(f"there is no checkpoint {path}") from error
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    if not isinstance(fields, dict) or fields.get("schema") != SCHEMA:
        found = fields.get("schema") if isinstance(fields, dict) else None
        raise ValueError(f"{path} has schema {found!r}; this version of Feint reads {SCHEMA}")
    try:
        fields["net_arch"] = tuple(fields["net_arch"])
        card = AgentCard(**fields)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} has a damaged description: {error}") from error
    if card.algorithm not in ALGORITHMS or card.activation not in ("tanh", "relu"):
        raise ValueError(f"{path}: unknown algorithm or activation in {card}")
    return card


def load_into(model: BaseAlgorithm, path: str | Path, scenario: str | None = None) -> AgentCard:
    """Copy a checkpoint's policy into `model`, which must have the same networks.

    Args:
        model: keeps its own optimizer and settings.
        path: the file.
        scenario: if given, refuse an agent of any other scenario.

    Raises:
        ValueError: if the file is damaged, or its networks or scenario do not fit.
    """
    card = read_card(path)
    _check_scenario(card, path, scenario)
    with safe_open(str(path), framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    mine = _acting(model)
    if mine.keys() != tensors.keys() or any(mine[k].shape != tensors[k].shape for k in mine):
        raise ValueError(
            f"{path} is an agent for {card.scenario} {card.env_kwargs} with nets {card.net_arch}; "
            "its networks do not fit this environment and algorithm"
        )
    if not all(torch.isfinite(t).all() for t in tensors.values()):
        raise ValueError(f"{path} holds values that are not finite")
    model.policy.load_state_dict({**model.policy.state_dict(), **tensors})
    if hasattr(model, "_bound"):
        model._bound = None  # pyright: ignore[reportAttributeAccessIssue]
    return card


def load_agent(
    path: str | Path, scenario: str | None = None, env: VecEnv | None = None
) -> tuple[BaseAlgorithm, AgentCard]:
    """A model ready to `predict`, from a checkpoint of `save_agent`.

    Args:
        path: the file.
        scenario: if given, refuse an agent of any other scenario.
        env: with the agent's spaces; needed where its environment is no scenario of Feint.

    Raises:
        ValueError: if the file is damaged, not ours, or of another scenario.
    """
    from feint.agents.vec_env import make_vec_env

    card = read_card(path)
    _check_scenario(card, path, scenario)
    if env is None:
        env = make_vec_env(full_id(card.scenario), 1, **card.env_kwargs)
    chosen = algorithm(card.algorithm.removeprefix("soo"))
    model = chosen.cls(
        chosen.policy,
        env,
        device="cpu",
        policy_kwargs=chosen.policy_kwargs(card.net_arch, card.activation, card.lstm),
        **chosen.least,  # nothing will fill these buffers
    )
    load_into(model, path)
    return model, card


def _acting(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """The policy's parameters, without those that only a regularizer needs."""
    return {k: v for k, v in model.policy.state_dict().items() if not acts_without(k)}


def _check_scenario(card: AgentCard, path: str | Path, scenario: str | None) -> None:
    if scenario is not None and scenario_class(scenario) is not scenario_class(card.scenario):
        raise ValueError(f"{path} is an agent for {card.scenario}, not for {scenario}")
