use std::{path::PathBuf, time::Duration};

use image::RgbImage;
use resvg::usvg::roxmltree;
use tempfile::TempDir;

use super::*;
use crate::{
    model::{Digest, Label, Points, Task, Values, YRange},
    picture::{PictureSize, ResizeMethod},
    train::{
        dataset::{Example, Target, Targets},
        evaluate::Judge,
        lr_find::{CurvePoint, rate},
    },
};

/// A file name and a label that would be markup if they were not escaped.
const HOSTILE_FILE: &str = "a\"><img src=x onerror=alert(1)>&'.png";
const HOSTILE_LABEL: &str = "</text></svg><script>alert(2)</script>";

const RULE: ResizeRule = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 64, height: 64 } };

/// A finished run that was never run.
struct Run {
    folder: TempDir,
    dataset: Dataset,
    task: Task,
    evaluation: Evaluation,
    history: Vec<EpochReport>,
    steps: Vec<StepReport>,
}

impl Run {
    /// Noise pictures with these targets; the first has a hostile name.
    fn new(task: Task, targets: Targets, truth: Vec<Target>, outputs: Vec<f32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = PictureSize { width: 300, height: 200 };
        let example = |(place, target): (usize, Target)| {
            let file = if place == 0 { HOSTILE_FILE.to_owned() } else { format!("{place}.png") };
            let noise = |x: u32, y: u32, z: u32| ((x * 7919 + y * 104_729 + z * 31 + place as u32) % 251) as u8;
            let picture = RgbImage::from_fn(300, 200, |x, y| image::Rgb([0, 1, 2].map(|z| noise(x * y, y, z))));
            picture.save(folder.path().join(&file)).unwrap();
            Example { file: PathBuf::from(file), row: place as u64 + 2, size, target }
        };
        let valid: Vec<Example> = truth.into_iter().enumerate().map(example).collect();
        let (root, fingerprint) = (folder.path().to_owned(), Digest::of(b"rows"));
        let dataset = Dataset { root, targets, train: valid.clone(), valid, fingerprint };
        let metrics = vec![("map".to_owned(), 0.75), ("point_error_px".to_owned(), 3.5)];
        let evaluation = Evaluation {
            metrics: metrics.clone(),
            details: metrics.clone(),
            ..Evaluation::of(&task, outputs, 0.5, &Judge { dataset: &dataset, rule: RULE, threshold: 0.5 })
        };
        let epoch = |epoch: u64| EpochReport {
            epoch,
            epochs: 3,
            trains: "all".to_owned(),
            train_loss: 1.0 / epoch as f64,
            valid_loss: if epoch == 2 { f64::NAN } else { 1.5 / epoch as f64 },
            metrics: metrics.clone(),
            time: Duration::from_secs(61),
            waiting: 0.1,
            pictures_per_second: 100.0,
        };
        let step = |i: u64| StepReport {
            epoch: i / 10,
            step: i % 10 + 1,
            steps: 10,
            lrs: vec![0.0, 1e-5, 1e-3 * (i + 1) as f64],
            momentum: 0.9,
            loss: 2.0 / (i + 1) as f64,
            pictures: 8,
        };
        let (history, steps) = ((1..=3).map(epoch).collect(), (0..30).map(step).collect());
        Self { folder, dataset, task, evaluation, history, steps }
    }

    /// Writes the report into a folder of the run's, whose path is returned.
    fn write(&self, name: &str) -> Result<PathBuf, ReportError> {
        let folder = self.folder.path().join(name);
        let command = ["tagpoint-train", "fit", "--data", HOSTILE_LABEL].map(str::to_owned);
        let inputs = ReportInputs {
            title: HOSTILE_LABEL,
            command: &command,
            working_folder: Path::new("/data & more"),
            settings: &serde_json::json!({"lr": 0.002, "augmentation": {"flip": true}, "path": HOSTILE_FILE}),
            seed: 7,
            tool: "tagpoint-train",
            history: &self.history,
            steps: &self.steps,
            dataset: &self.dataset,
            task: &self.task,
            rule: RULE,
            evaluation: &self.evaluation,
            notes: &[HOSTILE_LABEL.to_owned()],
        };
        write(&folder, &inputs).map(|()| folder)
    }

    /// The names of the plots, each of which has to be a picture.
    fn plots(&self) -> Vec<String> {
        let folder = self.write("report").unwrap().join("plots");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                assert!(image::open(&path).unwrap().width() > 200, "{path:?}");
                path.file_stem().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        names.sort();
        names
    }
}

fn label(name: &str, threshold: Option<f32>) -> Label {
    let thresholds = threshold.map(|threshold| (Label::DEFAULT_OPERATING_POINT.to_owned(), threshold));
    Label { name: name.to_owned(), thresholds: thresholds.into_iter().collect(), train_count: 2, valid_count: 2 }
}

/// Three pictures: the first as wrong as can be, the second a little, the third right.
fn multi_label() -> Run {
    let names = [HOSTILE_LABEL, "car"];
    let targets = Targets::MultiLabel { labels: names.map(str::to_owned).to_vec() };
    let truth = [vec![0, 1], vec![1], vec![]].map(Target::Labels).to_vec();
    let task = Task::MultiLabel { labels: names.map(|name| label(name, Some(0.5))).to_vec() };
    Run::new(task, targets, truth, vec![0.0, 0.01, 0.6, 0.9, 0.1, 0.1])
}

fn single_label() -> Run {
    let names = [HOSTILE_LABEL, "car"];
    let targets = Targets::SingleLabel { labels: names.map(str::to_owned).to_vec() };
    let truth = [vec![0], vec![1], vec![0]].map(Target::Labels).to_vec();
    let task = Task::SingleLabel { labels: names.map(|name| label(name, None)).to_vec() };
    Run::new(task, targets, truth, vec![0.1, 0.9, 0.2, 0.8, 0.7, 0.3])
}

fn points() -> Run {
    let names: Vec<String> = ["left", HOSTILE_LABEL].map(str::to_owned).to_vec();
    let truth = vec![
        Target::Points(vec![Some((10.0, 20.0)), None]),
        Target::Points(vec![Some((150.0, 100.0)), Some((250.0, 100.0))]),
    ];
    let y_range = YRange { low: -1.2, high: 1.2 };
    let task = Task::Points(Points { names: names.clone(), flip_pairs: vec![(0, 1)], y_range, nme_pair: Some((0, 1)) });
    Run::new(task, Targets::Points { names }, truth, vec![0.0, 0.0, 1.1, 0.5, 0.0, 0.0, 0.7, 0.0])
}

fn values() -> Run {
    let names: Vec<String> = ["age", HOSTILE_LABEL].map(str::to_owned).to_vec();
    let truth = vec![Target::Values(vec![Some(30.0), None]), Target::Values(vec![Some(50.0), Some(1.0)])];
    let task = Task::Values(Values { names: names.clone(), y_ranges: Vec::new() });
    Run::new(task, Targets::Values { names }, truth, vec![31.0, 2.0, 45.0, 1.5])
}

/// The page as a document, without the text of its script, which is no XML.
fn without_script(page: &str) -> String {
    let (before, rest) = page.split_once("<script>").unwrap();
    let (_, after) = rest.split_once("</script>").unwrap();
    format!("{before}{after}")
}

#[test]
fn the_page_is_well_formed_loads_nothing_and_takes_no_name_for_markup() {
    for run in [multi_label(), single_label(), points(), values()] {
        let page = std::fs::read_to_string(run.write("report").unwrap().join("report.html")).unwrap();
        assert!(page.len() < 1_000_000, "{}", page.len());
        assert!(!page.contains("http:") && !page.contains("https:"));
        let page = without_script(&page);
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
        let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
        for element in document.descendants().filter(roxmltree::Node::is_element) {
            assert!(!["img", "script", "link", "iframe", "object"].contains(&element.tag_name().name()));
            for attribute in element.attributes() {
                assert!(!attribute.name().starts_with("on") && attribute.name() != "src", "{attribute:?}");
                assert!(attribute.name() != "href" || attribute.value().starts_with("data:image/jpeg;base64,"));
            }
        }
        let text: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
        assert!(text.contains(&HOSTILE_FILE) && text.contains(&HOSTILE_LABEL));
        let pictures = document.descendants().filter(|node| node.tag_name().name() == "svg");
        assert!(pictures.into_iter().all(|svg| {
            svg.attribute("aria-hidden").is_some() || svg.attribute("aria-label").is_some_and(|words| !words.is_empty())
        }));
    }
}

#[test]
fn the_page_lets_its_own_script_run_and_no_other() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sha2::{Digest as _, Sha256};
    let page = std::fs::read_to_string(multi_label().write("report").unwrap().join("report.html")).unwrap();
    let script = page.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let hash = BASE64_STANDARD.encode(Sha256::digest(script));
    assert!(page.contains(&format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'"
    )));
}

#[test]
fn the_same_inputs_make_the_same_files() {
    let run = points();
    let (a, b) = (run.write("a").unwrap(), run.write("b").unwrap());
    for file in ["history.csv", "report.html", "plots/worst.png", "plots/point-errors.png", "plots/schedule.png"] {
        assert_eq!(std::fs::read(a.join(file)).unwrap(), std::fs::read(b.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn each_task_has_its_plots() {
    let common = ["loss", "metrics", "predictions", "schedule", "worst"];
    let expect = |own: &[&str]| {
        let mut names: Vec<String> = common.iter().chain(own).map(|&name| name.to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(multi_label().plots(), expect(&["pr"]));
    assert_eq!(single_label().plots(), expect(&["pr", "confusion"]));
    assert_eq!(points().plots(), expect(&["point-errors", "cumulative-error"]));
    assert_eq!(values().plots(), expect(&["values"]));
}

#[test]
fn the_worst_picture_comes_first_with_what_was_expected_and_missed() {
    let run = multi_label();
    let page = std::fs::read_to_string(run.write("report").unwrap().join("report.html")).unwrap();
    let (_, worst) = page.split_once("<h2>The worst pictures</h2>").unwrap();
    let first = worst.split_once("</figure>").unwrap().0;
    assert!(first.contains("onerror=alert(1)&gt;"), "{first}");
    assert!(first.contains("missed: ") && first.contains("car 0.01") && first.contains("expected: "));
    // −ln(10⁻⁷) and −ln .01, over two labels.
    assert!(first.contains("loss: 10.36"), "{first}");
}

#[test]
fn losses_are_those_of_the_task() {
    let losses = |run: &Run| {
        let page = std::fs::read_to_string(run.write("report").unwrap().join("report.html")).unwrap();
        page.split_once("<h2>The worst pictures</h2>").unwrap().1.to_owned()
    };
    // −ln .1
    assert!(losses(&single_label()).contains("loss: 2.303"));
    // In pixels of the original, (150, 100) is the centre, and (.7, 0) is (255, 100): 0 and 5 off, over 100.
    let points = losses(&points());
    assert!(points.contains("error: 2.500 px, 2 of 2 points") && points.contains("normalised error: 0.0250"));
    // Deviations 10 and 1: the second picture's (.5² + .5²) / 2.
    assert!(losses(&values()).contains("loss: 0.2500"));
}

#[test]
fn outputs_of_another_data_set_are_refused() {
    let mut run = multi_label();
    run.evaluation.outputs.pop();
    assert!(run.write("report").unwrap_err().to_string().contains("5 outputs are not 3 validation pictures"));
    let mut run = points();
    run.dataset.targets = Targets::Values { names: vec!["a".to_owned()] };
    assert!(matches!(run.write("report"), Err(ReportError::Outputs { .. })));
}

#[test]
fn the_finders_curve_is_drawn_with_its_suggestions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lr_find.png");
    let loss = |i: usize| if i > 95 { f64::NAN } else { 1.0 - 0.005 * i as f64 + (i as f64 / 60.0).powi(12) };
    let curve: Vec<CurvePoint> = (0..100).map(|i| CurvePoint { lr: rate(i), loss: loss(i) }).collect();
    lr_find_plot(&path, &curve, &[("valley", 1e-3), ("steep", 1e-4), ("minimum", 1e-2), ("slide", 5e-2)]).unwrap();
    assert_eq!(image::open(&path).unwrap().width(), 1280);
    lr_find_plot(&path, &[], &[]).unwrap();
}

/// In Chromium, by axe: in light, in dark, and on a phone.
#[test]
fn everybody_can_read_the_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (task, run) in
        [("labels", multi_label()), ("one-label", single_label()), ("points", points()), ("values", values())]
    {
        let page = format!("file://{}", run.write("report").unwrap().join("report.html").display());
        let mut command = std::process::Command::new("node");
        command.arg("tests/page/report.mjs").arg(page).arg(root.join("target/page")).arg(task).current_dir(root);
        let output = command.output().expect("scripts/test-environment installs what tests need");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.ends_with("ok\n"), "{task}: {said}");
    }
}
