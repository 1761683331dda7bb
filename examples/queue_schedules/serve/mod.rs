//! In the place of `src/serve`: its queue, and what the queue needs.

#[path = "../../../src/serve/queue/mod.rs"]
mod queue;
pub mod scenarios;
mod sync;

mod metrics {
    pub(super) struct BatchMetrics;

    impl BatchMetrics {
        pub(super) fn record(&self, _pictures: usize, _took: std::time::Duration) {}
    }
}

mod statistics {
    #[derive(Default)]
    pub(super) struct Statistics;

    impl Statistics {
        pub(super) fn batch(&self, _pictures: usize, _took: std::time::Duration) {}
    }
}
