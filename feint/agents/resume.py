"""Exact resume: all that fixes the rest of a training run, in one file that needs no unpickling.

A run that is killed and goes on from its last state ends with the parameters that it would have
had, to the last bit. `Saver` writes the state between one rollout and the next, where nothing is
pending.
"""

import json
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from feint.agents.vec_env import GymVecEnv
from feint.files import write_atomically

SCHEMA = 1
_KEY = "feint-resume"

#: Plain attributes of SB3's algorithms that change while they learn.
_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_n_calls",
    "_episode_num",
    "_current_progress_remaining",
    "exploration_rate",
)
_REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def save_state(model: BaseAlgorithm, path: str | Path, settings: Mapping[str, Any]) -> None:
    """Write the state of a run, atomically.

    Args:
        model: between two rollouts, on a `GymVecEnv` over a Feint scenario, not wrapped.
        path: the file.
        settings: what the run was started with (JSON values); `load_state` wants the same.

    Raises:
        ValueError: for an environment whose state cannot be read.
    """
    write_state(_state(model), path, settings)


def write_state(state: Any, path: str | Path, settings: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of tensors, arrays and plain values, atomically."""
    arrays: dict[str, np.ndarray] = {}
    content = {"schema": SCHEMA, "settings": dict(settings), "state": _pack(state, arrays)}
    write_atomically(Path(path), save(arrays, metadata={_KEY: json.dumps(content)}))


def load_state(model: BaseAlgorithm, path: str | Path, settings: Mapping[str, Any]) -> int:
    """Put `model`, made as the interrupted one was, where `save_state` found that.

    Returns:
        Steps taken so far. Go on with
        `model.learn(total - steps, reset_num_timesteps=False)`.

    Raises:
        ValueError: if the file is missing or damaged, or of a run with other settings.
    """
    _restore(model, read_state(path, settings))
    return int(model.num_timesteps)


def read_state(path: str | Path, settings: Mapping[str, Any]) -> Any:
    """What `write_state` wrote.

    Raises:
        ValueError: if the file is missing or damaged, or was written under other settings.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            found = json.loads((file.metadata() or {})[_KEY])
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        if not Path(path).exists():
            raise ValueError(f"there is no saved state {path}: nothing to resume") from error
        raise ValueError(f"{path} is not a whole saved state: {error}") from error
    if found.get("schema") != SCHEMA:
        raise ValueError(f"{path} has schema {found.get('schema')!r}; this Feint reads {SCHEMA}")
    wanted = json.loads(json.dumps(dict(settings)))
    if found["settings"] != wanted:
        other = sorted(
            key
            for key in found["settings"].keys() | wanted.keys()
            if found["settings"].get(key) != wanted.get(key)
        )
        raise ValueError(
            f"{path} is of a run with another {', '.join(other)}; resume with the same settings, "
            "or start anew"
        )
    return _unpack(found["state"], arrays)


class Saver(BaseCallback):
    """Saves the state every so many steps, when a rollout begins.

    Args:
        path: the file, replaced each time.
        settings: see `save_state`.
        every: environment steps between two states.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], every: int) -> None:
        super().__init__()
        self.path, self.settings, self.every = Path(path), settings, every
        self._last = 0

    def _on_training_start(self) -> None:
        self._last = self.model.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps - self._last >= self.every:
            self._last = self.model.num_timesteps
            save_state(self.model, self.path, self.settings)


# -- what a run's state is ------------------------------------------------------------------------


def _state(model: Any) -> dict[str, Any]:
    env = _env_of(model)
    return {
        **learner_state(model),
        "luck": {
            "torch": torch.get_rng_state(),
            "numpy": list(np.random.get_state(legacy=True)),  # noqa: NPY002 - SB3 draws from it
            "python": random.getstate(),
            "actions": model.action_space.np_random.bit_generator.state,
        },
        "env": {
            "games": env.venv.unwrapped.scenario.snapshot(),  # pyright: ignore
            "returns": env._returns,
            "lengths": env._lengths,
        },
        "last": {
            "obs": model._last_obs,
            "original_obs": getattr(model, "_last_original_obs", None),
            "episode_starts": getattr(model, "_last_episode_starts", None),
            "lstm": getattr(model, "_last_lstm_states", None),
        },
    }


def learner_state(model: Any) -> dict[str, Any]:
    """What a model has learnt and remembers, without its environment and the luck to come."""
    return {
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "policy": dict(model.policy.state_dict()),
        "optimizers": [optimizer.state_dict() for optimizer in _optimizers(model)],
        "log_ent_coef": getattr(model, "log_ent_coef", None),
        "bound": [bound.state() for bound in getattr(model, "bound", [])],
        "episodes": list(model.ep_info_buffer or ()),
        "replay": _replay(model),
    }


def _restore(model: Any, state: dict[str, Any]) -> None:
    env = _env_of(model)
    restore_learner(model, state)
    env.venv.unwrapped.scenario.restore(state["env"]["games"])  # pyright: ignore
    env._returns[:], env._lengths[:] = state["env"]["returns"], state["env"]["lengths"]
    last = state["last"]
    model._last_obs, model._last_original_obs = last["obs"], last["original_obs"]
    if last["episode_starts"] is not None:
        model._last_episode_starts = last["episode_starts"]
    if last["lstm"] is not None:
        kind = type(model._last_lstm_states)
        model._last_lstm_states = kind(*(tuple(part) for part in last["lstm"]))
    luck = state["luck"]
    model.action_space.np_random.bit_generator.state = luck["actions"]
    version, words, gauss = luck["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(luck["numpy"]))  # noqa: NPY002
    torch.set_rng_state(luck["torch"])


def restore_learner(model: Any, state: dict[str, Any]) -> None:
    """Undo `learner_state` on a model that was made in the same way."""
    for name, value in state["counters"].items():
        setattr(model, name, value)
    model.policy.load_state_dict(state["policy"])
    for optimizer, saved in zip(_optimizers(model), state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    if state["log_ent_coef"] is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(state["log_ent_coef"])
    for bound, saved in zip(getattr(model, "bound", []), state["bound"], strict=True):
        bound.restore(saved)
    model.ep_info_buffer = deque(state["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    if state["replay"] is not None:
        buffer, saved = model.replay_buffer, state["replay"]
        for name in _REPLAY:
            filled = saved[name]
            getattr(buffer, name)[: len(filled)] = filled
        buffer.pos, buffer.full = saved["pos"], saved["full"]


def _env_of(model: Any) -> GymVecEnv:
    env = model.get_env()
    if not isinstance(env, GymVecEnv) or not hasattr(env.venv.unwrapped, "scenario"):
        raise ValueError(
            "exact resume needs a Feint scenario made with make_vec_env(), not wrapped; "
            f"got {type(env).__name__}"
        )
    return env


def _optimizers(model: Any) -> list[Any]:
    owners = [getattr(model, "actor", None), getattr(model, "critic", None)]
    found = [owner.optimizer for owner in owners if owner is not None]
    found = found or [model.policy.optimizer]
    entropy = getattr(model, "ent_coef_optimizer", None)
    return found if entropy is None else [*found, entropy]


def _replay(model: Any) -> dict[str, Any] | None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return None
    filled = buffer.buffer_size if buffer.full else buffer.pos
    kept = {name: getattr(buffer, name)[:filled] for name in _REPLAY}
    return {**kept, "pos": buffer.pos, "full": buffer.full}


# -- nested values as JSON and arrays -------------------------------------------------------------


def _pack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """`value` as JSON, with tensors and arrays moved into `arrays`."""
    if isinstance(value, Tensor | np.ndarray):
        key = f"a{len(arrays)}"
        tensor = isinstance(value, Tensor)
        array = value.detach().cpu().numpy() if tensor else value
        arrays[key] = np.array(array, order="C")  # a copy, in the one order that the format knows
        return {"tensor" if tensor else "array": key}
    if isinstance(value, Mapping):
        return {"items": [[_pack(k, arrays), _pack(v, arrays)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_pack(item, arrays) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"a run's state holds a {type(value).__name__}, which cannot be saved")


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return torch.from_numpy(arrays[content].copy())
    if kind == "array":
        return arrays[content].copy()
    if kind == "list":
        return [_unpack(item, arrays) for item in content]
    return {_unpack(k, arrays): _unpack(v, arrays) for k, v in content}
