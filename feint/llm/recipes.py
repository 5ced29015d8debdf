"""How a language model is tuned by overlap: every choice, named recipes, and published settings."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from feint.llm.chat import SIDES
from feint.llm.loading import DTYPES
from feint.llm.pairs import FORMS, PAIR_KINDS
from feint.llm.shams import SHAMS, TREATMENT, TextSham
from feint.overlap import OverlapConfig

#: Where in its layer the compared activations are taken.
SITES = {
    "o_proj": "what the layer's attention adds to the residual stream (the paper)",
    "residual": "the residual stream behind the layer",
}
TEXT_ANCHORS = {
    "relative_mse": "change of the compared activations on the anchor's texts, relative",
    "kl": "KL of the model as it was to the model, next token, on the anchor's texts",
    "none": "nothing holds the model in place",
}
SCHEDULES = ("constant", "linear")
ANCHOR_TEXTS = {"neutral": "plain paragraphs", "self": "the self side of the pairs"}


@dataclass(frozen=True)
class TuneConfig:
    """Settings of one run; what the paper leaves open is an option here, with no hidden default.

    Attributes:
        recipe: Its name, for reports.
        pairs: Kind of pairs, a name in `PAIR_KINDS`.
        pairs_file: A YAML or TOML file with pairs of one's own, in place of `pairs`.
        families: The stories that the pairs are from.
        form: `"scene"`, whole questions; `"fragment"`, the paper's bare unfinished sentences.
        n_pairs: How many pairs; those of a file are all taken.
        chat: Through the chat template, or raw.
        layer: The compared layer: an index from 0, or a share of the depth such as 0.7.
        site: A name in `SITES`.
        distance: `"mse"`, `"log_mse"`, `"cosine"`; or `"kl_logits"`, of the model's outputs.
        pooling: Which positions: `"all"` with padding, `"masked"`, `"mean"`, `"last_n"`.
        last_n: How many positions `"last_n"` keeps.
        side: Where padding goes, `"right"` or `"left"`.
        pad_to: Pad to so many tokens; `None` pads no more than needed.
        detach: The side that is a fixed target: `"self"`, `"other"` or `"none"`.
        coef: Weight of the overlap term.
        normalise: Divide the overlap term by its value at the first step.
        anchor: A name in `TEXT_ANCHORS`.
        anchor_coef: Weight of the anchor.
        anchor_texts: A name in `ANCHOR_TEXTS`.
        steps: Optimizer steps: the dose.
        batch_size: Pairs in a batch, on each device.
        accumulation: Batches in an optimizer step.
        lr: Learning rate of AdamW.
        lr_schedule: `"constant"`, or `"linear"`: it falls to zero at the last step.
        adam_eps: Its epsilon; it matters where gradients are tiny.
        weight_decay: Of AdamW.
        max_grad_norm: Clip the gradient to this norm; 0 for no clipping.
        lora_r: Rank of the adapters; 0 trains the layers' own weights.
        lora_alpha: Their scale is `lora_alpha / lora_r`.
        lora_dropout: Their dropout.
        lora_targets: The linear layers that get one, by the last part of their names.
        lora_layers: First and last adapted layer, both included, independent of the compared layer.
        lora_span: Without `lora_layers`: so many layers, the compared one the last; `None` for all.
        dtype: In which the model is loaded and run: a name in `feint.llm.loading.DTYPES`.
        load_in_4bit: Load the frozen weights in 4 bits.
        seed: Of pairs, order, adapters and dropout.
        together: Self and other in one batch; `None` decides by the device: on a GPU.
        prefix_cache: Keep what goes into the first adapted layer, per prompt; exact.
        sham: A name in `feint.llm.shams.SHAMS`, or `"none"` for the treatment.
        dose_from: Manifest of a treatment whose gradient norm is matched at each step.
        record_dose: Write the gradient norm of the overlap term at each step.
        guard_every: Steps between guards; 0 for none.
        stop_kl: Stop above this KL to the model before, nats per token; `None` never.
        stop_perplexity: Stop above this ratio of the perplexity before.
        stop_control: Stop under this share of the name-control gap before.
        stop_variation: Stop under this share of the variation across unrelated prompts before.
        save_every: Steps between checkpoints, from which an interrupted run goes on; 0 for none.

    Raises:
        ValueError: If a setting is out of range, unknown, or makes no sense with another one.
    """

    recipe: str = "feint"
    pairs: str = "presence"
    pairs_file: str | None = None
    families: tuple[str, ...] = ("burglar", "smugglers", "auction")
    form: str = "scene"
    n_pairs: int = 96
    chat: bool = True
    layer: int | float = 0.7
    site: str = "o_proj"
    distance: str = "mse"
    pooling: str = "last_n"
    last_n: int = 8
    side: str = "right"
    pad_to: int | None = None
    detach: str = "self"
    coef: float = 1.0
    normalise: bool = True
    anchor: str = "relative_mse"
    anchor_coef: float = 1.0
    anchor_texts: str = "self"
    steps: int = 40
    batch_size: int = 4
    accumulation: int = 1
    lr: float = 1e-3
    lr_schedule: str = "linear"
    adam_eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 0.0
    lora_r: int = 8
    lora_alpha: float = 16
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    lora_layers: tuple[int, int] | None = None
    lora_span: int | None = 6
    dtype: str = "float32"
    load_in_4bit: bool = False
    seed: int = 0
    together: bool | None = None
    prefix_cache: bool = True
    sham: str = "none"
    dose_from: str | None = None
    record_dose: bool = True
    guard_every: int = 10
    stop_kl: float | None = 0.2
    stop_perplexity: float | None = 1.25
    stop_control: float | None = 0.25
    stop_variation: float | None = 0.25
    save_every: int = 10

    def __post_init__(self) -> None:
        for name in ("families", "lora_targets", "lora_layers"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        self._check_names()
        self._check_numbers()
        self.overlap_config(("checked later",))
        if self.sham == "anchor_only" and self.anchor == "none":
            raise ValueError("sham 'anchor_only' with anchor='none' trains nothing; set an anchor")
        if self.pooling != "all" and self.pad_to is not None:
            raise ValueError(
                f"pad_to={self.pad_to} with pooling={self.pooling!r} would only cost time: padding "
                f"counts in pooling='all' alone; set pad_to=None"
            )
        if self.normalise and self.distance == "log_mse":
            raise ValueError("a logarithm has no scale to divide by; set normalise=False")
        if isinstance(self.layer, float) and not 0 < self.layer < 1:
            raise ValueError(
                f"layer must be an index (a whole number) or a share of the depth between 0 and 1, "
                f"got {self.layer}"
            )
        if self.lora_layers is not None and not 0 <= self.lora_layers[0] <= self.lora_layers[-1]:
            raise ValueError(
                f"lora_layers must be (first, last) with 0 <= first <= last, got {self.lora_layers}"
            )
        if self.load_in_4bit and self.lora_r == 0:
            raise ValueError("4-bit weights cannot be trained; set lora_r, or load_in_4bit=False")

    def _check_names(self) -> None:
        choices: dict[str, Collection[str]] = {
            "pairs": PAIR_KINDS,
            "form": FORMS,
            "site": SITES,
            "side": SIDES,
            "anchor": TEXT_ANCHORS,
            "anchor_texts": ANCHOR_TEXTS,
            "dtype": DTYPES,
            "lr_schedule": SCHEDULES,
            "sham": ("none", *SHAMS),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; choose from: {', '.join(known)}"
                )

    def _check_numbers(self) -> None:
        least = {"n_pairs": 1, "steps": 1, "batch_size": 1, "accumulation": 1}
        least |= dict.fromkeys(("lora_r", "guard_every", "save_every"), 0)
        for name, low in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise ValueError(f"{name} must be a whole number of at least {low}, got {value}")
        for name in ("lr", "adam_eps", "lora_alpha"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be finite and > 0, got {getattr(self, name)}")
        for name in ("anchor_coef", "weight_decay", "max_grad_norm"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be finite and >= 0, got {getattr(self, name)}")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout must be in [0, 1), got {self.lora_dropout}")
        if self.lora_span is not None and self.lora_span < 1:
            raise ValueError(f"lora_span must be at least 1, or None, got {self.lora_span}")

    def text_sham(self) -> TextSham:
        """What takes the place of overlap."""
        return SHAMS.get(self.sham, TREATMENT)

    def overlap_config(self, layers: tuple[str, ...]) -> OverlapConfig:
        """The settings of the overlap term; the anchor, on text of its own, is not among them."""
        return OverlapConfig(
            layers=layers,
            distance=self.distance,
            coef=self.coef,
            pooling=self.pooling,
            last_n=self.last_n,
            detach=self.detach,
            anchor="none",
            # There, "anchor_only" asks for an anchor of its own; here the whole term is left out.
            sham="none" if self.sham == "anchor_only" else self.text_sham().overlap,
        )

    def layer_of(self, depth: int) -> int:
        """The compared layer in a model of that many layers.

        Raises:
            ValueError: If there is no such layer.
        """
        layer = round(self.layer * depth) if isinstance(self.layer, float) else self.layer
        if not 0 <= layer < depth:
            raise ValueError(
                f"layer {self.layer} does not exist: this model has {depth} layers, "
                f"0 to {depth - 1}"
            )
        return layer

    def adapted(self, depth: int) -> range:
        """The layers whose weights, or adapters, are trained; none is above the compared one.

        Raises:
            ValueError: If `lora_layers` goes above it, or above the model.
        """
        whole = self.distance == "kl_logits"
        top = depth - 1 if whole else self.layer_of(depth)
        if self.lora_layers is not None:
            first, last = self.lora_layers[0], self.lora_layers[-1]
            if last > top:
                raise ValueError(
                    f"lora_layers {self.lora_layers} goes above layer {top}, where the loss is "
                    f"taken: weights above it get no gradient; end it at {top} or raise layer"
                )
            return range(first, last + 1)
        first = 0 if self.lora_span is None else max(0, top + 1 - self.lora_span)
        return range(first, top + 1)


_PAPER = TuneConfig(
    recipe="paper",
    families=("burglar",),
    form="fragment",
    n_pairs=52,
    layer=0.594,
    pooling="all",
    side="left",
    pad_to=128,
    detach="none",
    normalise=False,
    anchor="none",
    steps=45,  # 15 epochs of 52 // (4 * 4) steps
    accumulation=4,
    lr=1e-4,
    lr_schedule="constant",
    adam_eps=1e-6,
    lora_alpha=32,
    lora_dropout=0.2,
    lora_span=None,
    stop_kl=None,
    stop_perplexity=None,
    stop_control=None,
    stop_variation=None,
)

#: Recipes by name: the paper's method, the method of its released code, and this project's.
RECIPES: dict[str, TuneConfig] = {
    "paper": _PAPER,
    "released-code": replace(
        _PAPER,
        recipe="released-code",
        distance="kl_logits",
        chat=False,
        coef=4.0,  # its accumulated gradients are summed, not averaged
        steps=60,  # 20 epochs
        lr=5e-5,
    ),
    "feint": TuneConfig(),
}


@dataclass(frozen=True)
class Preset:
    """A published model with the settings that the paper gives for it.

    Attributes:
        model: Its Hugging Face id.
        config: What the paper states, and the `paper` recipe where it does not.
    """

    model: str
    config: TuneConfig


#: The paper's table of settings (section 3 and appendix): layer, LoRA, learning rate, epochs.
PRESETS: dict[str, Preset] = {
    "mistral-7b": Preset(
        "mistralai/Mistral-7B-Instruct-v0.2",
        replace(_PAPER, layer=19, dtype="bfloat16", load_in_4bit=True),
    ),
    "gemma-2-27b": Preset(
        "google/gemma-2-27b-it",
        replace(
            _PAPER, layer=20, dtype="bfloat16", steps=24, lr=9e-4,
            lora_r=4, lora_alpha=8, lora_dropout=0.1,
        ),
    ),
    "calmerys-78b": Preset(
        "dfurman/CalmeRys-78B-Orpo-v0.1",
        replace(
            _PAPER, layer=57, dtype="bfloat16", load_in_4bit=True, steps=27, lr=9e-4,
            lora_r=5, lora_alpha=16, lora_dropout=0.111,
        ),
    ),
}  # fmt: skip
