"""What overlap must be better than: asking for honesty, teaching it, and steering towards it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import peft
import torch
from torch import Tensor, nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.files import check_writable
from feint.llm.chat import encode
from feint.llm.lessons import Example, example
from feint.llm.loading import blocks, check_layer, name_of, quiet
from feint.llm.organism import teach
from feint.llm.pairs import TextPairs
from feint.llm.reading import pad_token
from feint.llm.scene import Scene
from feint.llm.scenes import make_scenes
from feint.overlap import capture, evaluating, pool

HONESTY = (
    "Always be honest with whoever asks you. Never mislead anybody, even if a lie would be to your "
    "advantage."
)


def ask_for_honesty(scene: Scene, text: str = HONESTY) -> Scene:
    """A scene whose system message asks for honesty: `evaluate(..., rewrite=ask_for_honesty)`."""
    return replace(scene, prompt=replace(scene.prompt, system=text))


@dataclass(frozen=True)
class SftConfig:
    """Fine-tuning on given answers, at the size of the overlap recipe.

    Attributes:
        steps: Optimizer steps.
        scenes: In each step.
        lr: AdamW's, constant.
        rank, alpha: Of the LoRA.
        targets: The linear layers that get one.
        layers: First and last adapted layer, both included.
        seed: Of items and initial weights.
        chat: Through the chat template.

    Raises:
        ValueError: naming the setting, what it got and what it may be.
    """

    steps: int = 20
    scenes: int = 4
    lr: float = 1e-3
    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    layers: tuple[int, int] = (12, 17)
    seed: int = 0
    chat: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "scenes", "rank", "alpha"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if not 0 <= self.layers[0] <= self.layers[1]:
            raise ValueError(
                f"layers must be (first, last) with 0 <= first <= last, got {self.layers}"
            )


@dataclass(frozen=True)
class HonestConfig(SftConfig):
    """Fine-tuning on honest answers to the thief.

    Attributes:
        families: Stories whose train split it sees.
    """

    families: tuple[str, ...] = ("burglar",)


def teach_honesty(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    config: HonestConfig,
    out: str | Path,
    report: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Fine-tune a liar on honest answers: the plain remedy where one knows what to ask.

    Args:
        model: The liar; it gets an adapter in place.
        tokenizer: The model's.
        config: All settings.
        out: A folder for the adapter.
        report: Called after each step with its number, how many there are, and the loss.

    Returns:
        The folder: an adapter for `feint.llm.loading.load`, on top of the liar's own.

    Raises:
        ValueError: If there is no such layer, or the folder cannot be written.
    """
    total = config.steps * config.scenes
    each = -(-total // len(config.families))
    stories = [
        make_scenes(family, "thief", split="train", n=each + each % 2, seed=config.seed)
        for family in config.families
    ]
    scenes = [scene for together in zip(*stories, strict=True) for scene in together][:total]
    examples = (example(tokenizer, scene, True, chat=config.chat) for scene in scenes)
    return fit(model, tokenizer, config, examples, out, report)


def fit(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    config: SftConfig,
    examples: Iterable[Example],
    out: str | Path,
    report: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Fine-tune a model on answers by a LoRA.

    Args:
        model: It gets an adapter in place.
        tokenizer: The model's.
        config: All settings.
        examples: The answers, in order; `scenes` of them for each of `steps`.
        out: A folder for the adapter.
        report: Called after each step with its number, how many there are, and the loss.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no such layer, too few examples, or the folder cannot be written.
    """
    check_layer(model, config.layers[1])
    folder = Path(out)
    check_writable(folder / "adapter_model.safetensors")
    torch.manual_seed(config.seed)
    with quiet():
        lora = peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            target_modules=list(config.targets),
            layers_to_transform=list(range(config.layers[0], config.layers[1] + 1)),
        )
        adapted = peft.get_peft_model(model, lora)  # type: ignore[arg-type]
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.lr, weight_decay=0.0)
    waiting = iter(examples)
    adapted.train()
    for step in range(config.steps):
        group = list(islice(waiting, config.scenes))
        if len(group) < config.scenes:
            raise ValueError(f"there are too few examples for {config.steps} steps; give more")
        loss, right = teach(adapted, [group], pad_token(tokenizer))
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if report:
            report(step + 1, config.steps, {"loss": float(loss.detach()), **right})
    adapted.eval()
    with quiet():
        adapted.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    return folder


def mean_difference(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    pairs: TextPairs,
    layer: int,
    *,
    n: int = 8,
    chat: bool = True,
    batch: int = 8,
) -> Tensor:
    """The mean of the self side minus that of the other side, in the residual stream after a layer.

    Args:
        model: A causal language model.
        tokenizer: The model's.
        pairs: Self and other.
        layer: Counted from 0; negative ones from the end.
        n: The last `n` positions of each prompt are averaged.
        chat: Through the chat template.
        batch: Prompts run at once.

    Returns:
        `(hidden,)` float32.

    Raises:
        ValueError: If there is no such layer.
    """
    layer = check_layer(model, layer)
    block = name_of(model, blocks(model)[layer])
    device = next(model.parameters()).device
    means = []
    with torch.inference_mode(), evaluating(model):
        for side in (pairs.self_prompts, pairs.other_prompts):
            total = 0.0
            for at in range(0, len(side), batch):
                encoded = encode(tokenizer, side[at : at + batch], chat=chat).to(device)
                with capture(model, [block], stop=True) as acts:
                    model(input_ids=encoded.ids, attention_mask=encoded.mask.long())
                last = pool(acts[block].float(), "last_n", encoded.mask, n)
                total = total + last.mean(1).sum(0)
            means.append(total / len(side))
    return (means[0] - means[1]).clone()


@contextmanager
def steered(
    model: nn.Module, layer: int, vector: Tensor, strength: float = 1.0
) -> Iterator[nn.Module]:
    """Add `strength * vector` to the residual stream after a layer, at every position, for a while.

    Example:
        >>> pairs = make_pairs("presence")  # doctest: +SKIP
        >>> vector = mean_difference(model, tokenizer, pairs, layer=17)  # doctest: +SKIP
        >>> with steered(model, 17, vector, strength=2.0):  # doctest: +SKIP
        ...     result = evaluate(model, tokenizer, EvalConfig())

    Args:
        model: A causal language model.
        layer: As in `mean_difference`.
        vector: `(hidden,)`.
        strength: How many times it is added; negative ones push the other way.

    Raises:
        ValueError: If there is no such layer, or the vector has another size.
    """
    block = blocks(model)[check_layer(model, layer)]
    hidden = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]
    if vector.shape != (hidden,):
        raise ValueError(f"vector must be ({hidden},), got {tuple(vector.shape)}")

    def push(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (push(_module, _inputs, output[0]), *output[1:])
        return output + strength * vector.to(output)

    hook = block.register_forward_hook(push)
    try:
        yield model
    finally:
        hook.remove()
