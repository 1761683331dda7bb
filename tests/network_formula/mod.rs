//! Weights and pictures by formula, the same as in scripts/fixtures/network.py.

use tch::{Kind, Tensor};

/// Numbers in [0, 1) that depend on the name and the place alone: FNV-1a of the name, then splitmix64.
pub(crate) fn uniform(name: &str, count: usize) -> Vec<f64> {
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    (1..=count as u64)
        .map(|place| {
            let z = seed.wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect()
}

/// The values of a parameter, by name and shape.
pub(crate) fn weights(name: &str, shape: &[i64]) -> Vec<f32> {
    let count = shape.iter().product::<i64>() as usize;
    let scale = (6.0 / shape.iter().skip(1).product::<i64>() as f64).sqrt();
    let value = |u: f64| {
        if name.ends_with("running_var") {
            0.5 + u
        } else if shape.len() > 1 {
            (2.0 * u - 1.0) * scale
        } else if name.ends_with("weight") {
            0.25 + 0.5 * u
        } else {
            0.1 * (2.0 * u - 1.0)
        }
    };
    uniform(name, count).into_iter().map(|u| value(u) as f32).collect()
}

/// Uniform numbers as float64 tensor.
pub(crate) fn tensor(name: &str, shape: &[i64]) -> Tensor {
    let values = uniform(name, shape.iter().product::<i64>() as usize);
    Tensor::from_slice(&values).view(shape).to_kind(Kind::Double)
}
