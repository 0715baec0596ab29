"""Sources that entries of several families cite."""

KINGMA_GAO = "Kingma & Gao 2023 (arXiv 2303.00848)"
SONG = "Song et al. 2021 (arXiv 2011.13456), yang-song/score_sde_pytorch losses.py"
ESSER = "Esser et al. 2024 (arXiv 2403.03206)"
SIT = "willisma/SiT transport/transport.py"
SALIMANS_HO = "Salimans & Ho 2022 (arXiv 2202.00512), diffusion_distillation dpm.py"
