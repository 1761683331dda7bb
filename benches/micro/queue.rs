//! Requests through the whole server, to a model that takes no time.

use criterion::{BenchmarkId, Criterion, Throughput};
use futures_util::future::join_all;

use crate::helpers::{App, models, pictures};

/// One request at a time, and 64 at once, whose pictures form batches. Client and server share the processors.
pub(crate) fn queue(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let app = runtime.block_on(App::start(&[("colours", &models::colours())]));
    let picture = pictures::plain(8, 8, [250, 120, 10]);
    let mut group = criterion.benchmark_group("queue");
    for requests in [1, 64] {
        group.throughput(Throughput::Elements(requests));
        group.bench_function(BenchmarkId::from_parameter(requests), |bencher| {
            bencher.iter(|| {
                let answers = (0..requests).map(|_| async {
                    let response = app.predict("colours/predict", &picture).send().await.unwrap();
                    response.error_for_status().unwrap().bytes().await.unwrap()
                });
                runtime.block_on(join_all(answers))
            });
        });
    }
}
