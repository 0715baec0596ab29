"""Colours and dashes: one for each objective in every plot."""

from zlib import crc32

from diffviz import checks

DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))
COLOURS = {
    "elbo": "#000000",
    "iddpm-cosine": "#0072B2",
    "fm-ot": "#D55E00",
    "edm": "#009E73",
    "sd3": "#CC79A7",
    "min-snr-5-eps": "#E69F00",
    "p2-gamma1": "#56B4E9",
    "indi": "#661100",
    "sigmoid-bias2": "#7A7A00",
    "v-cosine": "#6A3D9A",
    "ddpm-linear": "#7F7F7F",
}
BROUGHT = {"FPO's default": "#CC6677"}  # a weighting that a method of policy learning brings
# Of methods of policy learning: none is near the colour of a weighting, which stands beside them.
METHOD_COLOURS = {
    "FPO": "#B5179E",
    "AWR": "#3D6B1F",
    "DPO": "#003CD8",
    "FPO + KL": "#332288",
    "DDPO": "#5A78FF",
    "AWM": "#0099B3",
    "NFT": "#B8860B",
    "Flow-GRPO": "#A0522D",
    "DanceGRPO": "#8FBC3F",
    "CPS": "#882255",
    "DDIM": "#4E7A8A",
}
PALETTE = (  # for what is no objective, so that a colour above stands for one thing in all pictures
    "#4477AA",
    "#CC6677",
    "#228833",
    "#AA4499",
    "#B8860B",
    "#3BA7A0",
    "#882255",
    "#999933",
    "#332288",
    "#8C8C8C",
)
# More of the same, for figures of many curves: neighbours differ in lightness.
OTHERS = (
    "#332288",
    "#44AA99",
    "#882255",
    "#8FBC3F",
    "#AA4499",
    "#A0522D",
    "#117733",
    "#2F4F4F",
)
UNIFORM = OTHERS[2]  # of a law or a grid with λ spread evenly
BLUES = "#2B4C6F", PALETTE[0], "#9DB9D6"  # from dark to pale, for what has an order
LINE_BLUE = "#6C9ACB"  # paler than the second of BLUES, and dark enough for a line
SIZE_BLUES = "#12263A", *BLUES[:2], LINE_BLUE  # of sizes, from the largest to the smallest
VIVID = "#2255DD", "#11AA33", "#DD2266", "#EE9900"  # what lies between is mixed of them
LIGHTER = "#D9A383", "#BD7048"  # shades of the sixth of OTHERS, for its variants
NEGATIVE = "#CC3311"  # parts of a density below 0
DRAWN = "#D0006F"  # what a reader draws by hand
BEST = "#222222"  # the best that there can be; nearly black, since black is the ELBO's colour
FOCUS = "#4433EE"  # what a picture is about
REFERENCE = "#A5A5A5"  # what is known exactly, or lies behind the rest


def colour(name: str) -> str:
    """The colour of an objective, the same in every picture.

    Args:
        name: Name of the objective. One without a colour of its own takes a colour of the palette,
            chosen by a checksum of the name.

    Returns:
        The colour as "#RRGGBB".

    Raises:
        TypeError: The name is no text.
    """
    checks.require(isinstance(name, str), f"name must be text, got {name!r}", TypeError)
    content = name.encode(errors="surrogatepass")
    return COLOURS.get(name) or BROUGHT.get(name) or PALETTE[crc32(content) % len(PALETTE)]
