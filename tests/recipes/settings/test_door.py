"""From settings to an objective: the trainer is found, and what is wrong is named."""

import io
import json
import pickle

import pytest

import diffviz as dv
from diffviz.__main__ import main
from diffviz.recipes import settings
from diffviz.recipes.settings import Option, Setting
from diffviz.recipes.settings.trainer import by_name

FLUX = "flux_train_network.py --timestep_sampling shift --discrete_flow_shift 3.1582 "


def test_the_same_settings_in_every_form_are_one_objective(tmp_path):
    line = dv.from_settings(FLUX)
    file = tmp_path / "settings.toml"
    file.write_text("[training]\ntimestep_sampling = 'shift'\ndiscrete_flow_shift = 3.1582\n")
    forms = [
        dv.from_settings(file, trainer="sd-scripts-flux"),
        dv.from_settings("timestep_sampling: shift\ndiscrete_flow_shift: 3.1582", trainer="musubi"),
        dv.from_settings(
            trainer="sd-scripts-flux", timestep_sampling="shift", discrete_flow_shift=3.1582
        ),
        dv.from_settings("flux_train_network.py --config_file " + str(file)),
    ]
    assert {form.identity for form in forms} == {line.identity}


def test_the_command_line_comes_before_its_file(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("timestep_sampling = 'shift'\ndiscrete_flow_shift = 9.0\n")
    line = f"flux_train_network.py --config_file {file} --discrete_flow_shift 3.1582"
    assert dv.from_settings(line).identity == dv.from_settings(FLUX).identity


def test_what_is_wrong_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "flux.toml"
    line = f"flux_train_network.py --config_file {file}"
    file.write_text("timestep_sampling = \n")
    for source in (file, str(file), line):
        with pytest.raises(ValueError, match=r"flux\.toml: the settings cannot be read \(TOML"):
            dv.from_settings(source)
    file.write_text("timestep_sampling = 'shift'\ndiscrete_flow_shift = 0.0\n")
    with pytest.raises(ValueError, match=r"key discrete_flow_shift of flux\.toml"):
        dv.from_settings(line)


@pytest.mark.parametrize("nothing", ["None", "null", "none"])
@pytest.mark.parametrize(
    ("script", "option"),
    [
        ("train_text_to_image.py", "prediction_type"),
        ("train_dreambooth_lora_sdxl.py", "snr_gamma"),
        ("train_dreambooth_lora_sd3.py", "logit_mean"),
        ("sdxl_train.py --noise_offset 0.03", "adaptive_noise_scale"),
    ],
)
def test_an_option_that_is_given_as_null_is_at_its_default(script, option, nothing):
    line = script if "--" in script else f"{script} --seed 0"
    default = dv.from_settings(line)
    given = dv.from_settings(f"{line} --{option} {nothing}")
    assert given.identity == default.identity
    assert given.name == default.name


def test_none_that_is_a_choice_is_a_choice_and_null_is_not():
    line = "train_dreambooth_lora_sd3.py --weighting_scheme "
    default = dv.from_settings("train_dreambooth_lora_sd3.py --seed 0")
    assert dv.from_settings(line + "null").name == default.name
    assert dv.from_settings(line + "none").identity != default.identity


@pytest.mark.parametrize("name", ["settings.toml", "settings"])
def test_the_ending_of_a_file_of_settings_may_be_left_out(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "timestep_sampling = 'shift'\ndiscrete_flow_shift = 3.1582\n"
    (tmp_path / "settings.toml").write_text(text)
    wanted = dv.from_settings(FLUX).identity
    assert dv.from_settings(f"flux_train_network.py --config_file {name}").identity == wanted
    assert dv.from_settings(trainer="sd-scripts-flux", config_file=name).identity == wanted


@pytest.mark.parametrize("name", ["nothere.toml", "nothere", "x" * 5000])
def test_a_file_of_settings_that_is_not_here_is_named(name):
    line = f"flux_train_network.py --config_file {name} --discrete_flow_shift 3.1582"
    for read in (dv.from_settings, settings.explain):
        with pytest.raises(FileNotFoundError, match=r"config_file names a file .*paste its conte"):
            read(line)
    with pytest.raises(FileNotFoundError, match=rf"not here, '{name[:10]}.*argument config_file"):
        dv.from_settings(trainer="sd-scripts-flux", config_file=name)


def test_an_option_for_a_file_of_settings_may_be_null_but_needs_a_name():
    own = {"timestep_sampling": "shift", "discrete_flow_shift": 3.1582}
    for nothing in (None, "", "None"):
        given = dv.from_settings(own, trainer="sd-scripts-flux", config_file=nothing)
        assert given.identity == dv.from_settings(FLUX).identity
    for line in (FLUX + "--config_file", FLUX + "--config_file a b"):
        with pytest.raises(ValueError, match=r"config_file must name one file, got .*--config_f"):
            dv.from_settings(line)


def test_a_long_place_moves_the_whole_column(tmp_path):
    file = tmp_path / "the-settings-of-the-last-run.toml"
    file.write_text("timestep_sampling = 'shift'\ndiscrete_flow_shift = 3.1582\nseed = 1\n")
    table = settings.explain(f"flux_train_network.py --config_file {file}").table()
    places = {row.find(file.name) + len(file.name) for row in table.splitlines()}
    assert "seed" in table
    assert len({row.index(" passed over") for row in table.splitlines() if "passed" in row}) == 1
    assert max(places) <= table.splitlines()[-1].index(" passed over")


def test_keywords_come_with_a_text():
    line = "flux_train_network.py --timestep_sampling shift"
    assert dv.from_settings(line, discrete_flow_shift=3.1582).identity == (
        dv.from_settings(FLUX).identity
    )


@pytest.mark.parametrize(
    ("script", "trainer"),
    [
        ("sd-scripts/sdxl_train_network.py", "sd-scripts"),
        (r"C:\ai\flux_train_network.py", "sd-scripts-flux"),
        ("python -m musubi_tuner.wan_train_network", "musubi"),
        ("examples/text_to_image/train_text_to_image_lora_sdxl.py", "diffusers"),
        ("train_dreambooth_lora_flux.py", "diffusers-flow"),
        ("train_dreambooth_lora_sdxl.py", "diffusers"),
    ],
)
def test_the_script_shows_the_trainer(script, trainer):
    assert settings.explain(script.replace("\\", "/") + " --seed 0").trainer.name == trainer


def test_options_that_only_one_trainer_has_show_it():
    assert settings.explain("--debiased_estimation_loss").trainer.name == "sd-scripts"


def test_settings_that_fit_several_trainers_ask_for_one():
    with pytest.raises(ValueError, match=r"pass trainer=, such as .*musubi"):
        dv.from_settings("--timestep_sampling shift")


def test_a_misspelt_option_is_named_where_the_trainer_is_not_clear():
    line = "train.py --flow_weighting_scheem logit_normal --seed 1"
    with pytest.raises(ValueError, match=r"pass trainer=, such as .*finetrainers") as error:
        dv.from_settings(line)
    assert "'flow_weighting_scheem' (--flow_weighting_scheem)" in str(error.value)
    assert "did you mean 'flow_weighting_scheme'" in str(error.value)
    assert "'seed'" not in str(error.value)


def test_explain_says_what_was_read_from_where_and_what_had_no_effect():
    explained = settings.explain(FLUX + "--logit_mean 0.5 --train_batch_size 4")
    lines = {line.name: line for line in explained.lines}
    assert lines["discrete_flow_shift"].value == 3.1582
    assert lines["discrete_flow_shift"].where == "--discrete_flow_shift"
    assert lines["discrete_flow_shift"].has_effect and not lines["logit_mean"].has_effect
    assert lines["sigmoid_scale"].where == "default"
    assert "mode_scale" not in lines
    assert [setting.name for setting in explained.passed_over] == ["train_batch_size"]
    assert explained.nearest.startswith("flux (deviates by 0.00%")
    assert "Median λ = -2.30" in str(explained)
    assert "no effect" in explained.table() and "passed over" in explained.table()


def test_a_table_is_known_as_that_of_its_entry():
    nearest = settings.explain("train_text_to_image.py --snr_gamma 5").nearest
    assert "the T = 1000 table of min-snr-5-eps-scaled-linear" in nearest


@pytest.mark.parametrize("name", settings.trainers())
def test_what_is_known_of_a_trainer_is_consistent(name):
    trainer = settings.trainers()[name]
    assert trainer.version and trainer.source and trainer.title
    for option in trainer.options.values():
        assert not trainer.passes_over(option.name) or trainer.option_of(option.name) is option
        if option.kind == "choice" and option.default is not None:
            assert option.default in option.choices


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "there are no settings"),
        ({"text": FLUX, "trainer": "kohya"}, ValueError, "unknown trainer 'kohya'"),
        ({"text": FLUX + "--logit_maen 1"}, ValueError, "did you mean 'logit_mean'"),
        ({"text": FLUX + "--sigmoid_scale abc"}, ValueError, "sigmoid_scale must be a number"),
        ({"text": FLUX + "--sigmoid_scale -1"}, ValueError, "sigmoid_scale must lie in"),
        ({"text": FLUX + "--weighting_scheme modes"}, ValueError, "did you mean 'mode'"),
        ({"text": FLUX + "--discrete_flow_shift 4"}, ValueError, "is given twice: '3.1582'"),
        ({"text": FLUX, "tokens": 4096}, ValueError, "tokens=4096 has no effect"),
        ({"text": FLUX, "tokens": 0}, ValueError, "tokens must be at least 1"),
        ({"text": FLUX, "model": "dev"}, ValueError, "takes no model"),
        ({"text": "train_text_to_image.py --seed 0", "model": "sd9"}, ValueError, "unknown model"),
        ({"text": 3}, TypeError, "got int"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(arguments, error, message):
    with pytest.raises(error, match=message):
        dv.from_settings(**arguments)


def test_a_wrong_value_is_refused_where_it_has_no_effect_too():
    with pytest.raises(ValueError, match="logit_mean must be a number, got 'high'"):
        dv.from_settings(FLUX + "--logit_mean high")


@pytest.mark.parametrize(
    ("option", "value", "result"),
    [
        (Option("a", "flag", False, ""), "true", True),
        (Option("a", "flag", False, ""), True, True),
        (Option("a", "flag", True, ""), "0", False),
        (Option("a", "whole", 1, ""), "20", 20),
        (Option("a", "number", 1.0, ""), "1e-3", 1e-3),
        (Option("a", "number", 1.0, ""), None, 1.0),
        (Option("a", "number", None, ""), "None", None),
        (Option("a", "choice", "x", "", ("x", "none")), "none", "none"),
        (Option("a", "text", "", ""), 5, "5"),
    ],
)
def test_an_option_gives_its_value_in_its_own_kind(option, value, result):
    given = option.value(Setting("a", value, "here"))
    assert given == result and type(given) is type(result)


def test_a_flag_or_a_whole_number_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="a must be true or false, got 'maybe'"):
        Option("a", "flag", False, "").value(Setting("a", "maybe", "here"))
    with pytest.raises(TypeError, match=r"a must be a whole number, got 2\.5"):
        Option("a", "whole", 0, "").value(Setting("a", "2.5", "here"))


def test_the_longest_end_of_a_dotted_name_finds_the_option():
    trainer = settings.trainers()["musubi"]
    both = by_name(Option("shift", "number", 1, ""), Option("train.shift", "number", 2, ""))
    trainer = type(trainer)(**{**vars(trainer), "options": both})
    assert trainer.option_of("config.train.shift").default == 2
    assert trainer.option_of("config.sample.shift").default == 1
    assert trainer.option_of("shifty") is None


def test_objectives_from_settings_pickle():
    for line in (FLUX, "sdxl_train.py --min_snr_gamma 5", "train_dreambooth_sd3.py --seed 1"):
        objective = dv.from_settings(line)
        assert pickle.loads(pickle.dumps(objective)).identity == objective.identity


def test_the_command_prints_text_a_table_or_json(capsys, monkeypatch):
    assert main(["settings", FLUX + "--logit_mean 1", "--explain"]) == 0
    out = capsys.readouterr().out
    assert "Nearest entry: flux" in out and "logit_mean has no effect" in out
    assert "--discrete_flow_shift" in out
    assert main(["settings", "--timestep_sampling sigmoid", "--trainer", "musubi", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["trainer"] == "musubi" and read["median"] == pytest.approx(0, abs=1e-9)
    assert main(["settings", "flux_train.py --nonsense 1"]) == 2
    assert "unknown option 'nonsense'" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO(FLUX))
    assert main(["settings", "-"]) == 0
    assert "sd-scripts trains the velocity" in capsys.readouterr().out


# command lines with the options that people usually give beside those that count
USUAL = (
    "accelerate launch --num_cpu_threads_per_process 1 flux_train_network.py --clip_l c --t5xxl t "
    "--ae a --cache_latents_to_disk --save_model_as safetensors --sdpa --persistent_data_loader_wor"
    "kers --max_data_loader_n_workers 2 --seed 42 --gradient_checkpointing --mixed_precision bf16 "
    "--save_precision bf16 --network_module networks.lora_flux --network_dim 4 --optimizer_type ada"
    "mw8bit --learning_rate 1e-4 --cache_text_encoder_outputs --fp8_base --highvram --max_train_ep"
    "ochs 4 --save_every_n_epochs 1 --dataset_config d.toml --output_dir o --output_name n "
    "--timestep_sampling shift --discrete_flow_shift 3.1582 --model_prediction_type raw "
    "--guidance_scale 1.0 --loss_type l2 --blocks_to_swap 18 --apply_t5_attn_mask",
    "accelerate launch src/musubi_tuner/hv_train_network.py --dit d --dataset_config c --sdpa "
    "--mixed_precision bf16 --fp8_base --optimizer_type adamw8bit --learning_rate 2e-4 "
    "--max_data_loader_n_workers 2 --network_module networks.lora --network_dim 32 "
    "--timestep_sampling shift --discrete_flow_shift 7.0 --max_train_epochs 16 --seed 42 "
    "--save_every_n_epochs=1 --output_dir o --output_name n --vae_chunk_size 32 --split_attn",
    "accelerate launch train_dreambooth_lora_sdxl.py --pretrained_model_name_or_path=sdxl "
    "--instance_data_dir=i --pretrained_vae_model_name_or_path=v --output_dir=o --mixed_precision="
    "fp16 --instance_prompt='a photo' --resolution=1024 --train_batch_size=1 --gradient_accumulatio"
    "n_steps=4 --learning_rate=1e-4 --report_to=wandb --lr_scheduler=constant --lr_warmup_steps=0 "
    "--max_train_steps=500 --validation_prompt='x' --validation_epochs=25 --seed=0 --push_to_hub",
    "accelerate launch sdxl_train.py --pretrained_model_name_or_path m --train_data_dir t "
    "--resolution 1024,1024 --enable_bucket --min_bucket_reso 256 --bucket_no_upscale "
    "--caption_extension .txt --shuffle_caption --keep_tokens 1 --train_batch_size 4 --xformers "
    "--full_bf16 --no_half_vae --lr_scheduler cosine --save_every_n_steps 500 --noise_offset 0.03 "
    "--min_snr_gamma 5 --max_token_length 225 --clip_skip 2 --logging_dir l --log_with wandb",
)


@pytest.mark.parametrize("line", USUAL)
def test_usual_options_beside_those_that_count_are_passed_over(line):
    explained = settings.explain(line)
    assert len(explained.passed_over) > 10
    assert not explained.no_effect


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("acceleration: {compile_with_inductor: false}", "ltx-video-trainer"),
        ("training_strategy: {name: text_to_video}", "ltx2-trainer"),
    ],
)
def test_the_trainer_with_the_most_marks_is_taken(own, name):
    shared = "flow_matching: {timestep_sampling_mode: uniform}\nmodel: {load_checkpoint: null}\n"
    assert settings.explain(shared + own).trainer.name == name


@pytest.mark.parametrize(
    ("option", "values", "got"),
    [("timestep_sampling", "", "none"), ("discrete_flow_shift", "3 4", "3 4")],
)
def test_an_option_without_its_one_value_is_named(option, values, got):
    with pytest.raises(ValueError, match=f"{option} needs one value, got {got}"):
        dv.from_settings(f"wan_train_network.py --{option} {values}")
