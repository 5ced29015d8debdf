"""Submissions: what is written, and everything hostile that is refused in one clear line."""

import hashlib
import json
import os
import pickle
import re
import zipfile

import pytest
from safetensors.numpy import save as save_tensors

from feint.bench.leaderboard.submission import MANIFEST, read, write

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def sent(result, tmp_path):
    """A good submission of one run."""
    return write([result("deceptive")], [], "Ada", tmp_path / "sent")


def refused(message, *arguments, **kwargs):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        write(*arguments, **kwargs)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_submission_holds_results_checkpoints_and_sums_and_reads_back(result, tmp_path):
    arms = ("deceptive", "honest", "overlap_belief", "masked")
    files = [result(arm, seed) for arm in arms for seed in (1, 2)]
    folder = write(files, [], "Ada Lovelace, 1843", tmp_path / "sent")
    assert folder.name == "ada-lovelace-1843"
    found = read(folder)
    assert found.name == "Ada Lovelace, 1843" and found.suite.seeds == (1, 2)
    assert [r.run for r in found.results] == [
        f"kuhn_poker/{arm}/seed{seed}" for arm in arms for seed in (1, 2)
    ]
    assert len(found.models) == 6  # masked plays with the deceptive agent's
    manifest = json.loads((folder / MANIFEST).read_text())
    assert len(manifest["sha256"]) == 14
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_nothing_is_left_where_it_cannot_be_written_or_is_there_already(result, tmp_path, sent):
    refused("is there already", [result("deceptive")], [], "Ada", tmp_path / "sent")
    refused("1 of these runs trained", [result("honest")], ["a", "b"], "Bob", tmp_path / "sent")
    assert [path.name for path in (tmp_path / "sent").iterdir()] == ["ada"]


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the name must be a text"),
        ("x" * 81, "81 letters; at most 80"),
        ("a\nb", "cannot be printed"),
        ("a\x1b[31mb", "cannot be printed"),
        ("\u202eevil", "cannot be printed"),
    ],
)
def test_names_are_short_and_printable(result, tmp_path, name, message):
    refused(message, [result("deceptive")], [], name, tmp_path)


def test_a_script_in_the_name_stays_text_and_stays_out_of_paths(result, tmp_path):
    name = "<script>alert(1)</script>/../../x"
    folder = write([result("deceptive")], [], name, tmp_path / "sent")
    assert folder == tmp_path / "sent" / "script-alert-1-script-x"
    assert read(folder).name == name  # for the page to escape


# -- results --------------------------------------------------------------------------------------


def moments(data, **changes):
    data["payload"]["evaluation"]["present"]["misled"] |= changes


def deep(data):
    return json.dumps(data)[:-1] + ',"x":' + "[" * 100_000 + "]" * 100_000 + "}"


def nested(data):
    data["payload"]["note"] = inner = {}
    for _ in range(40):
        inner["x"] = inner = {}


HOSTILE = {
    "wrong schema": (lambda d: d.update(schema=99), "result schema 99"),
    "no schema": (lambda d: "[]", "result schema None"),
    "not JSON": (lambda d: "{", "cannot be taken"),
    "unknown key": (lambda d: d.update(evil=1), "unknown key evil"),
    "NaN": (lambda d: moments(d, mean=float("nan")), "NaN, which is no number"),
    "infinite": (lambda d: moments(d, mean=float("inf")), "Infinity, which is no number"),
    "overflowing": (lambda d: json.dumps(d).replace('"seed": 1', '"seed": 1e999'), "1e999"),
    "huge": (lambda d: moments(d, mean=1e300), "at most 1e"),
    "endless digits": (
        lambda d: json.dumps(d).replace('"seed": 1', '"seed": ' + "9" * 5000), "5000 digits"),
    "key twice": (lambda d: json.dumps(d)[:-1] + ',"seed":2}', "the key 'seed' twice"),
    "bottomless": (deep, "nested more than 16 deep"),
    "deep": (nested, "nested more than 16 deep"),
    "long text": (lambda d: d.update(started="x" * 20_000), "a text of 20,000 letters"),
    "big file": (lambda d: json.dumps(d) + " " * (5 << 20), "bytes; at most 4,194,304"),
    "unknown suite": (lambda d: d.update(suite="../../etc"), "there is no suite"),
    "unknown scenario": (lambda d: d.update(scenario="<b>"), "has no scenario"),
    "path in the arm": (lambda d: d.update(arm="../../x"), "must be of a-z"),
    "path in the run": (lambda d: d.update(run="../../../etc/passwd"), "must be called"),
    "script in the arm": (lambda d: d.update(arm="<script>"), "must be of a-z"),
    "role": (lambda d: d.update(role="judge"), "role must be one of"),
    "another role": (lambda d: d.update(role="sham"), "deceptive is a reference, not a sham"),
    "own reference": (
        lambda d: d.update(arm="mine", run="kuhn_poker/mine/seed1"), "references are the suite's"),
    "version": (lambda d: d["versions"].update({"<b>" * 20: "1"}), "a package's name"),
    "commit": (lambda d: d.update(commit="<script>"), "commit must be a revision"),
    "seed": (lambda d: d.update(seed=5000, run="kuhn_poker/deceptive/seed5000"), "must be < 1000"),
    "easier games": (
        lambda d: d["settings"]["env_kwargs"].update(attention=False), "its settings are not"),
    "other training": (lambda d: d["settings"].update(steps=10**9), "its settings are not"),
    "no numbers": (lambda d: d["payload"].pop("evaluation"), "payload.evaluation must have"),
    "fewer conditions": (
        lambda d: d["payload"]["evaluation"].pop("blind"), "payload.evaluation must have"),
    "a metric less": (
        lambda d: d["payload"]["evaluation"]["present"].pop("misled"), "lacks present/misled"),
    "a share of nothing": (lambda d: moments(d, n=0), "must be a mean"),
    "more episodes": (lambda d: moments(d, n=10**6), "at most 120"),
    "negative spread": (lambda d: moments(d, sd=-1.0), "must be a mean"),
    "text for a number": (lambda d: moments(d, mean="0"), "must be a mean"),
    "odd guards": (lambda d: d["payload"].update(guards={"belief": 1}), "guards is damaged"),
    "odd time": (lambda d: d["payload"].update(train_s="x"), "train_s must be a number"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_result_is_refused(result, changed, tmp_path, change, message):
    refused(message, [changed(result("deceptive"), change)], [], "Mallory", tmp_path / "sent")
    assert not (tmp_path / "sent").exists()


def test_a_method_of_ones_own_is_judged_as_the_suite_judges(result, changed, tmp_path):
    def mine(data):
        data.update(arm="mine", run="kuhn_poker/mine/seed1", role="treatment")
        data["settings"]["algo"]["learning_rate"] = 0.5

    def mine_but_easier(data):
        mine(data)
        data["settings"]["conditions"].reverse()

    path = changed(result("overlap_belief"), mine)
    assert read(write([path], [], "Ada", tmp_path / "sent")).suite.arms[0].title == "mine"
    path = changed(result("overlap_belief"), mine_but_easier)
    refused("settings.conditions differs", [path], [], "Mallory", tmp_path)


def test_a_seed_counts_once_and_so_does_its_checkpoint(result, changed, tmp_path):
    one = result("deceptive")
    refused("is there twice", [one, one], [], "Mallory", tmp_path)
    other = changed(one, lambda d: d.update(seed=7, run="kuhn_poker/deceptive/seed7"))
    refused("have the same checkpoint", [one, other], [], "Mallory", tmp_path)


def test_links_and_pipes_are_not_followed(result, tmp_path):
    (tmp_path / "link.json").symlink_to(result("deceptive"))
    refused("is a symbolic link", [tmp_path / "link.json"], [], "Mallory", tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    refused("is no regular file", [tmp_path / "pipe.json"], [], "Mallory", tmp_path)
    model = tmp_path / "agent.safetensors"
    model.symlink_to(result("deceptive").parent / "agent.safetensors")
    refused("is a symbolic link", [result("deceptive")], [model], "Mallory", tmp_path)


# -- checkpoints ----------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def header(table, data=b"", length=None):
    text = json.dumps(table).encode() if isinstance(table, dict) else table
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def with_card(**changes):
    def make(good):
        length = int.from_bytes(good[:8], "little")
        table = json.loads(good[8 : 8 + length])
        card = json.loads(table["__metadata__"]["feint"]) | changes
        table["__metadata__"]["feint"] = json.dumps(card)
        return header(table, good[8 + length :])

    return make


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
MODELS = {
    "pickle": (lambda good: pickle.dumps(Bomb()), "is a pickle: loading it could run code"),
    "old pickle": (lambda good: pickle.dumps(Bomb(), 0), "no whole safetensors file"),
    "text": (lambda good: b"hi", "no whole safetensors file"),
    "cut short": (lambda good: good[:-1], "not what its header says"),
    "padded": (lambda good: good + b"x" * 99, "not what its header says"),
    "huge header": (lambda good: header({}, b"", 1 << 60), "no whole safetensors file"),
    "deep header": (lambda good: header(b"[" * 100_000), "nested more than 16 deep"),
    "header of a list": (lambda good: header(b"[]"), "no table of tensors"),
    "huge tensor": (
        lambda good: header({"x": TENSOR | {"shape": [1 << 40]}}, b"x" * 8), "damaged entry"),
    "negative": (
        lambda good: header({"x": TENSOR | {"data_offsets": [-8, 0]}}, b"x" * 8), "damaged entry"),
    "overlapping": (
        lambda good: header({"x": TENSOR, "y": TENSOR}, b"x" * 8), "overlap or leave holes"),
    "not an agent": (lambda good: save_tensors({}), "cannot be taken"),
    "huge nets": (with_card(net_arch=[10**9]), "at most 4096 units"),
    "deep nets": (with_card(net_arch=[8] * 99), "at most 8 layers"),
    "huge memory": (with_card(lstm=10**9), "at most 4096 units"),
    "another game": (with_card(scenario="feint/RoomSignal-v0"), "for another game"),
    "an easier game": (with_card(env_kwargs={"attention": False}), "for another game"),
    "a policy from a file": (
        with_card(env_kwargs={"attention": True, "red_policy": "/etc/passwd"}), "another game"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), MODELS.values(), ids=MODELS)
def test_a_hostile_checkpoint_is_refused(result, tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "agent.safetensors"
    model.write_bytes(make((result("deceptive").parent / model.name).read_bytes()))
    refused(message, [result("deceptive")], [model], "Mallory", tmp_path / "sent")
    assert not (tmp_path / "executed").exists() and not (tmp_path / "sent").exists()


def test_a_zip_bomb_is_not_opened(result, tmp_path):
    bomb = tmp_path / "agent.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", b"\0" * (64 << 20))
    assert bomb.stat().st_size < 1 << 20
    refused("is a zip archive", [result("deceptive")], [bomb], "Mallory", tmp_path)


def test_a_huge_checkpoint_is_not_read(result, tmp_path):
    model = tmp_path / "agent.safetensors"
    with open(model, "wb") as file:
        file.truncate(10 << 30)
    refused("at most 268,435,456", [result("deceptive")], [model], "Mallory", tmp_path)


# -- folders --------------------------------------------------------------------------------------


def manifest_with(sent, change):
    data = json.loads((sent / MANIFEST).read_text())
    change(data)
    (sent / MANIFEST).write_text(json.dumps(data))


def outside(data):
    data["runs"][0]["result"] = "../../etc/passwd"


def absolute(data):
    data["runs"][0]["model"] = "/etc/passwd"


FOLDERS = {
    "path upwards": (outside, "no plain path inside"),
    "absolute path": (absolute, "no plain path inside"),
    "hidden": (lambda d: d["runs"][0].update(result=".git/config"), "no plain path inside"),
    "backslash": (lambda d: d["runs"][0].update(result="..\\x"), "no plain path inside"),
    "schema": (lambda d: d.update(schema=2), "must have schema 1"),
    "name": (lambda d: d.update(name="x\u202e"), "cannot be printed"),
    "name of another kind": (lambda d: d.update(name={"x": 1}), "must be a text"),
    "no runs": (lambda d: d.update(runs=[]), "holds 'models/"),
    "many runs": (lambda d: d.update(runs=d["runs"] * 501), "must list its runs"),
    "other run": (lambda d: d["runs"][0].update(run="x"), "is the result of"),
    "odd run": (lambda d: d.update(runs=[1]), "damaged list of runs"),
    "other sum": (
        lambda d: d["sha256"].update(dict.fromkeys(d["sha256"], "0" * 64)), "not the file whose"),
    "no model": (lambda d: d["runs"][0].update(model=None), "which its manifest does not list"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), FOLDERS.values(), ids=FOLDERS)
def test_a_hostile_folder_is_refused(sent, change, message):
    manifest_with(sent, change)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read(sent)
    assert "\n" not in str(caught.value)


def test_a_file_that_was_changed_or_added_or_linked_is_seen(sent):
    stray = sent / "results" / "run.sh"
    stray.write_text("#!/bin/sh")
    with pytest.raises(ValueError, match=r"'results/run\.sh', which its manifest does not list"):
        read(sent)
    stray.unlink()
    (sent / "results" / "link").symlink_to("/etc")
    with pytest.raises(ValueError, match="'results/link'"):
        read(sent)
    (sent / "results" / "link").unlink()
    read(sent)
    model = sent / "models/kuhn_poker/deceptive/seed1.safetensors"
    kept = model.read_bytes()
    model.write_bytes(kept[:-1] + b"\0")
    with pytest.raises(ValueError, match="is not the file whose sha256"):
        read(sent)
    elsewhere = sent.parent / "kept"
    elsewhere.write_bytes(kept)
    assert hashlib.sha256(kept).hexdigest() in (sent / MANIFEST).read_text()
    model.unlink()
    model.symlink_to(elsewhere)
    with pytest.raises(ValueError, match="symbolic link"):
        read(sent)
