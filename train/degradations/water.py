"""Underwater colours, which fade with distance and depth, each at its own rate."""

from __future__ import annotations

import numpy as np

from models.light import Image, to_linear, to_srgb
from train.degradations.draws import given_or
from train.degradations.scattering import depth_field, follow_edges

JERLOV: dict[str, tuple[float, float, float]] = {
    "I": (0.235, 0.043, 0.018),
    "IA": (0.240, 0.048, 0.025),
    "IB": (0.245, 0.054, 0.033),
    "II": (0.260, 0.076, 0.062),
    "III": (0.295, 0.116, 0.116),
    "1C": (0.300, 0.130, 0.170),
    "3C": (0.330, 0.200, 0.290),
    "5C": (0.400, 0.310, 0.430),
    "7C": (0.480, 0.490, 0.710),
    "9C": (0.600, 0.780, 1.230),
}
"""Attenuation of light at 600, 525 and 475 nm, per metre, in oceans (I to III) and along coasts
(1C to 9C): Jerlov, "Marine Optics", 1976, table XXVII."""


def underwater(
    image: Image,
    distance: Image,
    *,
    attenuation: tuple[float, float, float],
    depth: float,
    scatter: float = 0.5,
) -> Image:
    """A photograph taken through water, in linear light:

        I_c = E_c (J_c t_c + w_c (1 - t_c)),   t_c = exp(-a_c z),   E_c ~ exp(-a_c D)

    Direct light and backscatter as in the simplified image formation model (Li, Anwar and
    Porikli, "Underwater scene prior inspired deep underwater image and video enhancement",
    Pattern Recognition 2020), both lit by the daylight that remains at depth D. Open water has the
    colour w_c ~ b / a_c of Akkaynak and Treibitz ("A revised underwater image formation model",
    CVPR 2018), with scattering b equal in all channels. They distinguish the coefficients of
    absorption and scattering; here they are one. The camera is exposed for the brightest channel
    that remains.

    Args:
        distance: z from camera to scene, ``(H, W)``, in metres.
        attenuation: a_c of red, green and blue, per metre; see :data:`JERLOV`.
        depth: D, of the scene below the surface, in metres.
        scatter: the largest w_c, open water relative to white in the same light.
    """
    rates = np.asarray(attenuation, np.float32)
    ambient = np.exp(-rates * np.float32(depth))
    ambient /= ambient.max()
    open_water = np.float32(scatter) * rates.min() / rates
    transmission = np.exp(-rates * distance[..., None])
    light = to_linear(image) * transmission + open_water * (1 - transmission)
    return to_srgb(ambient * light)


def random_underwater(
    image: Image,
    rng: np.random.Generator,
    *,
    water: str | None = None,
    distance: float | None = None,
    depth: float | None = None,
    scatter: float | None = None,
    window: float | None = None,
    relief: float | None = None,
) -> Image:
    """Three to ten metres of clear water, two to twelve below the surface; less in murky water.

    Args:
        water: a type of :data:`JERLOV`; drawn from IB to 5C.
        distance: to the farthest things, in metres.
        window, relief: as in :func:`train.degradations.depth_field`.
    """
    drawn = ["IB", "II", "III", "1C", "3C", "5C"][int(rng.integers(6))]
    rates = JERLOV[given_or(water, drawn)]
    clearness = JERLOV["1C"][1] / max(rates[1], JERLOV["1C"][1])
    farthest = given_or(distance, rng.uniform(3, 10) * clearness)
    field = depth_field(image.shape[:2], rng, window=window, relief=relief)
    if rng.random() < 0.5:
        field = follow_edges(field, image, rng)
    return underwater(
        image,
        field * np.float32(farthest),
        attenuation=rates,
        depth=given_or(depth, rng.uniform(2, 12) * clearness),
        scatter=given_or(scatter, rng.uniform(0.3, 0.7)),
    )
