"""Scheduler configs of public models: the entries that bear on the training, as published.

Each row has the repository whose ``scheduler_config.json`` was read, or of which a copy was read
that says so (``copy``), and the entries of that file. Entries that only steer sampling are kept
where people may think that they bear on the training.
"""

from typing import Any, NamedTuple


class Model(NamedTuple):
    """A published model.

    ``scheduler`` is its class, ``entries`` what its config says, ``source`` the repository on the
    Hugging Face hub, and ``copy`` the one that was read instead.
    """

    source: str
    scheduler: str
    entries: dict[str, Any]
    copy: str = ""

    @property
    def config(self):
        return {"_class_name": self.scheduler} | self.entries


def betas(schedule, start, end, prediction="epsilon", **more):
    return {
        "num_train_timesteps": 1000,
        "beta_schedule": schedule,
        "beta_start": start,
        "beta_end": end,
        "prediction_type": prediction,
        "trained_betas": None,
    } | more


def latent(prediction="epsilon", **more):
    return betas("scaled_linear", 0.00085, 0.012, prediction, **more)


def flow(shift, **more):
    return {"num_train_timesteps": 1000, "shift": shift} | more


def line(base, highest, first=256, last=4096, **more):
    return {
        "use_dynamic_shifting": True,
        "base_shift": base,
        "max_shift": highest,
        "base_image_seq_len": first,
        "max_image_seq_len": last,
    } | more


def flow_solver(shift, **more):
    solver = {"use_flow_sigmas": True, "flow_shift": shift, "rescale_betas_zero_snr": False}
    return betas("linear", 0.0001, 0.02, "flow_prediction", **solver, **more)


FLOW = "FlowMatchEulerDiscreteScheduler"
UNIPC = "UniPCMultistepScheduler"
DPM = "DPMSolverMultistepScheduler"
STATIC = {"use_dynamic_shifting": False}
LTX = {"first": 1024, "last": 4096, "shift_terminal": 0.1}
MODELS = {
    "SD 1.5": Model(
        "runwayml/stable-diffusion-v1-5",
        "PNDMScheduler",
        latent(steps_offset=1),
        copy="HDRJ-One/runwayml-stable-diffusion-v1-5",
    ),
    "SD 2.1": Model(
        "stabilityai/stable-diffusion-2-1",
        "FlaxDDIMScheduler",
        latent("v_prediction"),
        copy="Vikas-2025/Hugging_face_sta_dif_2.1",
    ),
    "SDXL": Model(
        "stabilityai/stable-diffusion-xl-base-1.0",
        "EulerDiscreteScheduler",
        latent(interpolation_type="linear", timestep_spacing="leading", use_karras_sigmas=False),
        copy="YuCollection/sdxl-1.0-base-diffusers",
    ),
    "Terminus XL": Model(
        "bghira/terminus-xl-gamma-training",
        "DDIMScheduler",
        latent("v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"),
    ),
    "Playground 2.5": Model(
        "playgroundai/playground-v2.5-1024px-aesthetic",
        "EDMDPMSolverMultistepScheduler",
        {
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "rho": 7.0,
            "sigma_data": 0.5,
            "sigma_max": 80.0,
            "sigma_min": 0.002,
        },
    ),
    "DDPM CelebA-HQ": Model(
        "google/ddpm-celebahq-256",
        "DDPMScheduler",
        betas("linear", 0.0001, 0.02, variance_type="fixed_small"),
        copy="Mou11209203/ddpm-celebahq-256",
    ),
    "DeepFloyd IF": Model(
        "DeepFloyd/IF-I-XL-v1.0",
        "DDPMScheduler",
        betas("squaredcos_cap_v2", 0.0001, 0.02, thresholding=True, variance_type="learned_range"),
        copy="ckpt/IF-I-XL-v1.0-16bit",
    ),
    "Kandinsky 2.1": Model(
        "kandinsky-community/kandinsky-2-1", "DDIMScheduler", betas("linear", 0.00085, 0.012)
    ),
    "Kandinsky 2.2": Model(
        "kandinsky-community/kandinsky-2-2-decoder-refiner",
        "DDPMScheduler",
        betas("linear", 0.00085, 0.012),
    ),
    "Kandinsky 3": Model(
        "kandinsky-community/kandinsky-3",
        "DDPMScheduler",
        betas("squaredcos_cap_v2", 0.00085, 0.012),
    ),
    "MVDream": Model(
        "KokeCacao/mvdream-hf",
        "DDIMScheduler",
        latent(rescale_betas_zero_snr=False, timestep_spacing="leading"),
    ),
    "AudioLDM 2": Model(
        "cvssp/audioldm2-large",
        "DDIMScheduler",
        betas("scaled_linear", 0.0015, 0.0195, rescale_betas_zero_snr=False),
    ),
    "PixArt (900M)": Model(
        "terminusresearch/pixart-900m-1024-ft-v0.6",
        DPM,
        betas("linear", 0.0001, 0.02, rescale_betas_zero_snr=False, variance_type=None),
    ),
    "CogVideoX 2B": Model(
        "THUDM/CogVideoX-2b",
        "CogVideoXDDIMScheduler",
        latent(
            "v_prediction",
            rescale_betas_zero_snr=True,
            snr_shift_scale=3.0,
            timestep_spacing="trailing",
        ),
    ),
    "SD 3": Model(
        "stabilityai/stable-diffusion-3-medium-diffusers",
        FLOW,
        flow(3.0),
        copy="Hydrahost/stable-diffusion-3-medium-diffusers",
    ),
    "SD 3.5 Turbo": Model(
        "stabilityai/stable-diffusion-3.5-large-turbo",
        FLOW,
        flow(3.0, **line(0.5, 1.15) | STATIC),
        copy="AIFunOver/stable-diffusion-3.5-large-turbo-openvino-fp16",
    ),
    "FLUX.1 dev": Model(
        "black-forest-labs/FLUX.1-dev",
        FLOW,
        flow(3.0, **line(0.5, 1.15)),
        copy="AIFunOver/FLUX.1-dev-openvino-4bit",
    ),
    "FLUX.1 schnell": Model(
        "black-forest-labs/FLUX.1-schnell", FLOW, flow(1.0, **line(0.5, 1.15) | STATIC)
    ),
    "FLUX.2 klein": Model(
        "black-forest-labs/FLUX.2-klein-4B",
        FLOW,
        flow(3.0, time_shift_type="exponential", shift_terminal=None, **line(0.5, 1.15)),
    ),
    "Qwen-Image": Model(
        "Qwen/Qwen-Image",
        FLOW,
        flow(1.0, **line(0.5, 0.9, last=8192, shift_terminal=0.02)),
        copy="tensorhub/qwen-image",
    ),
    "Qwen-Image-Layered": Model(
        "diffusers/Qwen-Image-Layered-modular",
        FLOW,
        flow(1.0, **line(0.5, 0.9, last=8192, time_shift_type="linear", shift_terminal=False)),
    ),
    "Z-Image": Model("Tongyi-MAI/Z-Image", FLOW, flow(6.0, **STATIC), copy="tensorhub/z-image"),
    "ERNIE-Image": Model("baidu/ERNIE-Image", FLOW, flow(4.0, **line(0.5, 1.15) | STATIC)),
    "BRIA 3.2": Model(
        "briaai/BRIA-3.2", FLOW, flow(3.0, **line(0.5, 1.15)), copy="Bria-AI/BRIA-3.2"
    ),
    "Lumina-Image 2.0": Model(
        "Alpha-VLLM/Lumina-Image-2.0", FLOW, flow(6.0, **line(0.5, 1.15) | STATIC)
    ),
    "CogView4": Model(
        "THUDM/CogView4-6B", FLOW, flow(1.0, **line(0.25, 0.75, time_shift_type="linear"))
    ),
    "Sana 1.6B": Model("Efficient-Large-Model/Sana_1600M_512px_diffusers", DPM, flow_solver(3.0)),
    "InternVL-U": Model("InternVL-U/InternVL-U", DPM, flow_solver(3.0)),
    "LTX-Video": Model("Lightricks/LTX-Video", FLOW, flow(1.0, **line(0.95, 2.05, **LTX))),
    "Mochi 1": Model(
        "genmo/mochi-1-preview",
        FLOW,
        flow(1.0, invert_sigmas=True, **line(0.5, 1.15) | STATIC),
    ),
    "HunyuanVideo": Model(
        "hunyuanvideo-community/HunyuanVideo",
        FLOW,
        flow(7.0, **line(0.5, 1.15) | STATIC),
        copy="jbilcke-hf/HunyuanVideo-HFIE",
    ),
    "Wan 2.1 VACE": Model(
        "Wan-AI/Wan2.1-VACE-14B-diffusers",
        UNIPC,
        flow_solver(3.0, predict_x0=True),
        copy="JackIsNotInTheBox/Video_Watermark_Remover_Checkpoints",
    ),
    "LingBot World": Model(
        "FastVideo/LingBot-World-Base-Cam-Diffusers",
        UNIPC,
        flow_solver(3.0, predict_x0=True, **STATIC, time_shift_type="exponential"),
    ),
}

# published configs that state no training, and what the refusal says
REFUSED = {
    "Stable Video Diffusion": (
        Model(
            "stabilityai/stable-video-diffusion-img2vid-xt",
            "EulerDiscreteScheduler",
            latent(
                "v_prediction",
                sigma_max=700.0,
                sigma_min=0.002,
                timestep_type="continuous",
                use_karras_sigmas=True,
            ),
        ),
        "states no law of training",
    ),
    "Stable Audio Open": (
        Model(
            "stabilityai/stable-audio-open-1.0",
            "CosineDPMSolverMultistepScheduler",
            {
                "num_train_timesteps": 1000,
                "prediction_type": "v_prediction",
                "rho": 7.0,
                "sigma_data": 1.0,
                "sigma_max": 500,
                "sigma_min": 0.3,
                "sigma_schedule": "exponential",
            },
        ),
        "v on the cosine path",
    ),
    "Sana 1024 (first upload)": (
        Model(
            "Warlord-K/Sana-1024",
            "FlowDPMSolverMultistepScheduler",
            {"flow_shift": 3.0, "num_train_timesteps": 1000, "prediction_type": "flow_prediction"},
        ),
        "unknown scheduler 'FlowDPMSolverMultistepScheduler'; did you mean 'DPMSolverMultistep",
    ),
}
