"""Synthetic degradations with physical parameters.

Every function takes an RGB image, float32 ``(H, W, 3)`` sRGB values in [0, 1], and returns a new
one, whose values may leave that range (:func:`quantise` clips them). All randomness comes from the
``numpy.random.Generator`` argument: the same state gives the same pixels.

Functions named after a degradation take its physical parameters. Each ``random_*`` draws them as
the training sources do, except for those that are given.
"""

from __future__ import annotations

from models.light import Image, floating, quantise, to_linear, to_srgb
from train.degradations.catalogue import KINDS, Kind, Step, degrade, parse
from train.degradations.compression import jpeg, random_jpeg, stored_jpeg
from train.degradations.errors import DegradationError
from train.degradations.exposure import low_light, random_low_light, random_night
from train.degradations.film import film_grain, random_film_grain
from train.degradations.noise import gaussian_noise, random_noise
from train.degradations.scattering import depth_field, follow_edges, haze, random_haze
from train.degradations.sensor import camera_noise, random_camera_noise, sensor_noise
from train.degradations.shake import motion_blur, random_motion_blur, random_shake, shake_kernel
from train.degradations.streaks import rain, rain_layer, random_rain, shower_layer, veil
from train.degradations.water import JERLOV, random_underwater, underwater

__all__ = [
    "JERLOV",
    "KINDS",
    "DegradationError",
    "Image",
    "Kind",
    "Step",
    "camera_noise",
    "degrade",
    "depth_field",
    "film_grain",
    "floating",
    "follow_edges",
    "gaussian_noise",
    "haze",
    "jpeg",
    "low_light",
    "motion_blur",
    "parse",
    "quantise",
    "rain",
    "rain_layer",
    "random_camera_noise",
    "random_film_grain",
    "random_haze",
    "random_jpeg",
    "random_low_light",
    "random_motion_blur",
    "random_night",
    "random_noise",
    "random_rain",
    "random_shake",
    "random_underwater",
    "sensor_noise",
    "shake_kernel",
    "shower_layer",
    "stored_jpeg",
    "to_linear",
    "to_srgb",
    "underwater",
    "veil",
]
