"""Settings are read from whatever people paste."""

from pathlib import Path

import pytest

from diffviz.recipes.settings import Setting, read

COMMAND = r"""
export MODEL="some/model"   # the weights
LR=1e-4
accelerate launch --mixed_precision bf16 --num_processes 2 \
  examples/train_dreambooth_flux.py \
  --pretrained_model_name_or_path=$MODEL \
  --logit-mean -0.5 --use_ema \
  # --logit_std 3 \
  --optimizer_args "a=1" "b=2" \
  --instance_prompt "a photo of # sks" --learning_rate ${LR}
"""


def as_dict(source):
    return {setting.name: setting.value for setting in read(source).settings}


def test_a_command_line_with_all_that_shells_allow():
    pairs = read(COMMAND)
    assert pairs.script == "examples/train_dreambooth_flux.py"
    assert pairs.form == "command line"
    assert {setting.name: setting.value for setting in pairs.settings} == {
        "pretrained_model_name_or_path": "some/model",
        "logit_mean": "-0.5",
        "use_ema": True,
        "optimizer_args": ("a=1", "b=2"),
        "instance_prompt": "a photo of # sks",
        "learning_rate": "1e-4",
    }
    assert pairs.settings[1] == Setting("logit_mean", "-0.5", "--logit-mean")


def test_a_module_is_a_script_too():
    pairs = read("uv run python -m musubi_tuner.wan_train_network --seed 1")
    assert pairs.script == "musubi_tuner.wan_train_network"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("[train]\nshift = 3.0\nkind = 'x'\n", "TOML"),
        ("train:\n  shift: 3.0\n  kind: x\n", "YAML"),
        ('{"train": {"shift": 3.0, "kind": "x"}}', "JSON"),
    ],
)
def test_files_keep_their_nested_names(text, form, tmp_path):
    pairs = read(text)
    assert pairs.form == form
    assert pairs.settings == (
        Setting("train.shift", 3.0, "key train.shift"),
        Setting("train.kind", "x", "key train.kind"),
    )
    file = tmp_path / f"settings.{form.lower()}"
    file.write_text(text)
    assert read(file).settings == read(str(file)).settings == pairs.settings


def test_lists_of_tables_are_numbered_and_other_lists_are_values():
    assert as_dict("a:\n  - b: 1\n  - b: 2\nc: [1, 2]\n") == {"a.0.b": 1, "a.1.b": 2, "c": [1, 2]}


def test_names_and_values_alone_are_read():
    text = "weighting_scheme=logit_normal logit_mean=0.5"
    assert as_dict(text) == {"weighting_scheme": "logit_normal", "logit_mean": "0.5"}


def test_a_mapping_is_read():
    assert as_dict({"a": {"b-c": 1}}) == {"a.b_c": 1}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("  \n", "are empty"),
        ("train_a.py --x 1\ntrain_b.py --x 2", "more than one command"),
        ("train_a.py --x 1 && rm y", "more than one command"),
        ("train_a.py --x 'open", "No closing quotation"),
        ("[a\nb = 1", "cannot be read"),
        ('{"a": ', "cannot be read"),
        ('{"a": ' * 50_000, "cannot be read .JSON: "),
        ("a = " + "[" * 20_000 + "]" * 20_000, "cannot be read .TOML: "),
        ("only words", "no table of names and values"),
        ("a = 1\na = 2\n", "Cannot overwrite"),
        ("b: {a: 1, c: 3, a: 2}", "a is given twice in one table"),
        ('{"a": 1, "a": 2}', "a is given twice in one table"),
        ("note: ' --x 1'\na: 1\na: 2\n", "a is given twice in one table"),
        ("a.py $MORE --x 1", r"\$MORE is not set in the text"),
        ("a.py --ema $MORE_ARGS --x 1", r"\$MORE_ARGS is not set in the text"),
        ("a.py --x 1 %MORE%", "%MORE% is not set in the text"),
        (
            '{"trainer": "musubi", "sentence": "", "nearest": "", "options": []}',
            "an answer of explain, not settings",
        ),
        ("- a\n- b", "no table of names and values"),
    ],
)
def test_what_cannot_be_read_is_refused(source, message):
    with pytest.raises(ValueError, match=message):
        read(source)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"missing\.toml"):
        read("missing.toml")
    with pytest.raises(FileNotFoundError):
        read(Path("missing.toml"))


def test_another_kind_of_thing_is_refused():
    with pytest.raises(TypeError, match="got list"):
        read(["--a", "1"])


SCRIPT_WITH_ARRAYS = """#!/bin/bash
set -e -x
NUM_GPUS=2
DDP_2="--parallel_backend ptd --dp_degree $NUM_GPUS"

parallel_cmd=(
  $DDP_2
)
# We target the attention layers.
training_cmd=(
  --seed 42
  # --resume_from_checkpoint 3000
  --target_modules "blocks.*(to_q|to_k)"
  --enable_tiling
)
torchrun --standalone --nnodes=1 --rdzv_endpoint="localhost:0" train.py \\
  "${parallel_cmd[@]}" \\
  "${training_cmd[@]}"
echo -ne "finished"
"""


def test_the_arrays_of_bash_are_filled_in():
    pairs = read(SCRIPT_WITH_ARRAYS)
    assert pairs.script == "train.py"
    assert {one.name: one.value for one in pairs.settings} == {
        "parallel_backend": "ptd",
        "dp_degree": "2",
        "seed": "42",
        "target_modules": "blocks.*(to_q|to_k)",
        "enable_tiling": True,
    }


@pytest.mark.parametrize(
    "launcher", ["accelerate launch --multi_gpu", 'torchrun --rdzv_endpoint="localhost:0"']
)
def test_the_options_of_a_launcher_are_left_out(launcher):
    pairs = read(f"{launcher} train.py --seed 1")
    assert (pairs.script, [one.name for one in pairs.settings]) == ("train.py", ["seed"])


@pytest.mark.parametrize(
    "text",
    [
        'prompt = "a cat --w 512"\nx = 1\n',
        "prompt: a cat --w 512\nx: 1\n",
        '{"prompt": "a cat --w 512", "x": 1}',
    ],
)
def test_a_file_with_dashes_in_a_value_is_no_command_line(text):
    assert as_dict(text) == {"prompt": "a cat --w 512", "x": 1}


@pytest.mark.parametrize(
    "text",
    [
        'ARGS=(--x 1\n  --kind k # last\n)\na.py "${ARGS[@]}"',
        "ARGS=(--x 1)\nARGS+=(--kind k)\na.py ${ARGS[@]}",
        'ARGS="--x 1 --kind k"\na.py $ARGS',
        "set X=1\r\npython a.py --x %X% ^\r\n --kind k",
        "a.py —x 1 –kind k",
        "a.py --x 1 --kind k > a.log 2>&1",
        "nohup a.py --x 1 --kind k &",
        "a.py --x 1 --kind k 2>&1 | tee -a a.log",
        "```bash\na.py --x 1 --kind k\n```",
    ],
)
def test_what_shells_and_web_pages_do_to_a_command_line(text):
    assert as_dict(text) == {"x": "1", "kind": "k"}


def test_backslashes_of_windows_paths_escape_nothing():
    pairs = read('C:\\py.exe "C:\\my tools\\a.py" --out "D:\\new\\" --x 1')
    assert pairs.script == "C:/my tools/a.py"
    assert {one.name: one.value for one in pairs.settings} == {"out": "D:/new/", "x": "1"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_any_editor_are_read(encoding, tmp_path):
    file = tmp_path / "run.ps1"
    file.write_text("python a.py `\n --x 1", encoding=encoding)
    assert as_dict(file) == as_dict(str(file)) == {"x": "1"}
    (tmp_path / "a.JSON").write_text('{"x": "1"}', encoding=encoding)
    assert as_dict(tmp_path / "a.JSON") == {"x": "1"}


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"x = 1 # \xe9")
    with pytest.raises(ValueError, match=r"a\.toml as text.*UTF-8"):
        read(tmp_path / "a.toml")
    with pytest.raises(IsADirectoryError):
        read(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a.py --x ${X:-3}", "3"),
        ("a.py --x=${X-3}", "3"),
        ('a.py --x "${X:-3}"', "3"),
        ("export X=4\na.py --x ${X:-3}", "4"),
        ('export X=""\na.py --x ${X:-3}', "3"),
        ("export Y=5\na.py --x ${X:-$Y}", "5"),
    ],
)
def test_a_variable_that_is_not_set_has_the_default_beside_it(line, value):
    assert [(s.name, s.value) for s in read(line).settings] == [("x", value)]
