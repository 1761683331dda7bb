//! From a file's bytes to the model's pixels.

use criterion::{BenchmarkId, Criterion};
use tagpoint::picture::{Detail, Limits, Picture};

use crate::photos::{RULE, photos};

/// Decoding whole, and as far as the resize needs it.
pub(crate) fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, bytes) in photos() {
        for (how, detail) in [("whole", Detail::Full), ("scaled", Detail::For(&RULE))] {
            group.bench_with_input(BenchmarkId::new(how, name), &bytes, |bencher, bytes| {
                bencher.iter(|| Picture::decode(bytes, &Limits::default(), detail).unwrap());
            });
        }
    }
}

/// The resize of what a scaled decode gives.
pub(crate) fn resize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resize");
    let mut pixels = vec![0; 3 * RULE.size.width as usize * RULE.size.height as usize];
    for (name, bytes) in photos() {
        let picture = Picture::decode(&bytes, &Limits::default(), Detail::For(&RULE)).unwrap();
        group.bench_with_input(BenchmarkId::from_parameter(name), &picture, |bencher, picture| {
            bencher.iter(|| picture.resize_into(&RULE, &mut pixels).unwrap());
        });
    }
}
