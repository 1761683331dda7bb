//! Batch isolation, as a property of the whole service: at equal batch size and slot, what else is in a batch changes no
//! bit of an answer; against a batch of one it changes at most 1e-5. Whatever the others are: black, white or noise, one
//! pixel or a thread of them, no picture at all, or of clients that go away.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;
use tagpoint::infer::{Precision, PrecisionChoice};
use tokio::runtime::Runtime;

use crate::helpers::{App, models, pictures};

/// A picture, by what is extreme about it.
#[derive(Clone, Debug)]
enum Content {
    Plain([u8; 3]),
    OnePixel([u8; 3]),
    Noise { seed: u64, width: u32, height: u32 },
    Wide(u32),
    Tall(u32),
    Pattern(u32),
    Turned,
}

/// What is no picture, or none that can be decoded.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Text,
    Nothing,
    CutOff,
    Heic,
}

/// What surrounds our picture in a batch, and beside it.
#[derive(Clone, Debug)]
struct Company {
    /// The other pictures of the batch, as many as there are other slots at most.
    others: Vec<Content>,
    /// Bodies that never come into the batch, and where among the pictures they are sent.
    broken: Vec<(Broken, Index)>,
    /// Requests that wait before the batch and go away before it runs.
    gone_before: usize,
    /// Whether the batch's last picture is of a client that goes away while it runs.
    last_one_goes: bool,
}

#[derive(Clone, Debug)]
struct Case {
    ours: Content,
    batch: usize,
    /// Where our picture is in the batch.
    slot: Index,
    companies: [Company; 2],
}

const BATCHES: [usize; 3] = [2, 3, 6];

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Plain(colour) => pictures::plain(40, 30, colour),
            Self::OnePixel(colour) => pictures::plain(1, 1, colour),
            Self::Noise { seed, width, height } => pictures::noise(width, height, seed),
            Self::Wide(width) => pictures::noise(width, 1, 7),
            Self::Tall(height) => pictures::noise(1, height, 7),
            Self::Pattern(seed) => pictures::pattern(64, seed),
            Self::Turned => pictures::turned_jpeg(60, 20, [200, 30, 90]),
        }
    }
}

impl Broken {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text => b"this is no picture".to_vec(),
            Self::Nothing => Vec::new(),
            Self::CutOff => pictures::noise(50, 50, 1)[..900].to_vec(),
            Self::Heic => b"\0\0\0\x18ftypheic\0\0\0\0heicmif1".to_vec(),
        }
    }
}

fn content() -> impl Strategy<Value = Content> {
    let colour = prop_oneof![Just([0; 3]), Just([255; 3]), any::<[u8; 3]>()].boxed();
    prop_oneof![
        colour.clone().prop_map(Content::Plain),
        colour.prop_map(Content::OnePixel),
        (any::<u64>(), 1..300_u32, 1..300_u32).prop_map(|(seed, width, height)| Content::Noise { seed, width, height }),
        (1000..8000_u32).prop_map(Content::Wide),
        (1000..8000_u32).prop_map(Content::Tall),
        any::<u8>().prop_map(|seed| Content::Pattern(seed.into())),
        Just(Content::Turned),
    ]
}

fn company() -> impl Strategy<Value = Company> {
    let broken = prop_oneof![Just(Broken::Text), Just(Broken::Nothing), Just(Broken::CutOff), Just(Broken::Heic)];
    let most = BATCHES[BATCHES.len() - 1] - 1;
    (
        prop::collection::vec(content(), most),
        prop::collection::vec((broken, any::<Index>()), 0..3),
        0..2_usize,
        any::<bool>(),
    )
        .prop_map(|(others, broken, gone_before, last_one_goes)| Company {
            others,
            broken,
            gone_before,
            last_one_goes,
        })
}

fn case() -> impl Strategy<Value = Case> {
    (content(), prop::sample::select(&BATCHES), any::<Index>(), [company(), company()])
        .prop_map(|(ours, batch, slot, companies)| Case { ours, batch, slot, companies })
}

/// A model served in batches of each size, full ones only, and one by one.
struct Served {
    name: &'static str,
    by_batch: BTreeMap<usize, App>,
}

impl Served {
    async fn start(name: &'static str, start: impl AsyncFn(usize) -> App) -> Self {
        let mut by_batch = BTreeMap::new();
        for batch in BATCHES.into_iter().chain([1]) {
            by_batch.insert(batch, start(batch).await);
        }
        Self { name, by_batch }
    }

    /// The settings of batches: pictures come into them in the order of the form.
    fn adjust(settings: &mut tagpoint::serve::Settings, batch: usize) {
        // The faster one may be another for each of them.
        settings.precision = PrecisionChoice::Only(Precision::Float32);
        settings.max_batch = batch;
        settings.max_delay = Duration::from_secs(600);
        settings.decode_threads = 1;
    }

    fn target(&self) -> String {
        format!("{}/predict?all=true", self.name)
    }

    /// Sends a picture by itself; aborting the task is hanging up.
    fn send(&self, app: &App, content: &Content) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
        // A connection of its own, which is closed when the client goes away.
        let url = app.url(&format!("/v1/models/{}", self.target()));
        let request = crate::helpers::client().post(url).header("content-type", "image/*").body(content.bytes());
        tokio::spawn(request.send())
    }

    /// The scores of our picture, by label, in a full batch of this size, in this slot, among this company.
    async fn scores(&self, case: &Case, company: &Company) -> BTreeMap<String, f32> {
        let app = &self.by_batch[&case.batch];
        for other in &company.others[..company.gone_before.min(case.batch - 1)] {
            let client = self.send(app, other);
            app.until_waiting(self.name, |length| length == 1).await;
            client.abort();
            app.until_waiting(self.name, |length| length == 0).await;
        }
        let slot = case.slot.index(case.batch);
        // The last one can only go where it is not ours.
        let goes = company.last_one_goes && slot + 1 < case.batch;
        let mut pictures: Vec<(&str, Vec<u8>)> =
            company.others[..case.batch - 1].iter().map(|other| ("other", other.bytes())).collect();
        pictures.insert(slot, ("ours", case.ours.bytes()));
        let last = if goes { company.others.get(case.batch - 2) } else { None };
        pictures.truncate(case.batch - usize::from(goes));
        for (broken, place) in &company.broken {
            pictures.insert(place.index(pictures.len() + 1), ("broken", broken.bytes()));
        }
        let parts: Vec<(&str, &[u8])> = pictures.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let target = self.target();
        let form = app.form(&target, &parts);
        let leave = async {
            let Some(last) = last else { return };
            app.until_waiting(self.name, |length| length == case.batch - 1).await;
            let client = self.send(app, last);
            app.until_waiting(self.name, |length| length == 0).await;
            client.abort();
        };
        let ((status, body), ()) = tokio::join!(form, leave);
        assert_eq!(status, 200, "{body}");
        for result in body["results"].as_array().unwrap() {
            if result["file"] == "broken" {
                assert!([415, 422].contains(&result["error"]["status"].as_u64().unwrap()), "{result}");
            } else {
                assert_eq!(result["batch_size"], case.batch, "{result}");
            }
        }
        let ours = body["results"].as_array().unwrap().iter().find(|result| result["file"] == "ours");
        scores(ours.unwrap())
    }

    async fn alone(&self, case: &Case) -> BTreeMap<String, f32> {
        scores(&self.by_batch[&1].answer(&self.target(), &case.ours.bytes()).await)
    }
}

fn scores(answer: &Value) -> BTreeMap<String, f32> {
    let labels = answer["labels"].as_array().unwrap();
    labels.iter().map(|l| (l["label"].as_str().unwrap().to_owned(), l["score"].as_f64().unwrap() as f32)).collect()
}

fn holds(served: &Served, runtime: &Runtime, cases: u32) {
    let config = Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&case(), |case| {
        let [first, second, alone] = runtime.block_on(async {
            let [one, other] = &case.companies;
            [served.scores(&case, one).await, served.scores(&case, other).await, served.alone(&case).await]
        });
        for (label, score) in &first {
            let bits = [score.to_bits(), second[label].to_bits()];
            prop_assert_eq!(bits[0], bits[1], "{}: {} in one company, {} in the other", label, score, second[label]);
            let difference = (score - alone[label]).abs();
            prop_assert!(difference <= 1e-5, "{label}: {score} in a batch, {} alone", alone[label]);
        }
        prop_assert_eq!(first.len(), alone.len());
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn whatever_else_is_in_a_batch_changes_no_answer_of_a_small_network() {
    let runtime = runtime();
    let start =
        async |batch| App::start_with(&[("slow", &models::slow(1))], |settings| Served::adjust(settings, batch)).await;
    holds(&runtime.block_on(Served::start("slow", start)), &runtime, 32);
}

#[test]
fn whatever_else_is_in_a_batch_changes_no_answer_of_the_shipped_model() {
    let runtime = runtime();
    let start = async |batch| {
        App::start_with(&[], |settings| {
            settings.models = concat!(env!("CARGO_MANIFEST_DIR"), "/models").into();
            Served::adjust(settings, batch);
        })
        .await
    };
    holds(&runtime.block_on(Served::start("scenes", start)), &runtime, 8);
}
