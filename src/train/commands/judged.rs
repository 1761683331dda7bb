//! A model file judged on a data set: what `evaluate` and `thresholds` have in common.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use clap::ValueEnum;
use tch::{Device, Kind};

use super::{
    data::{self, DataArgs},
    vocabulary::fit_vocabulary,
};
use crate::{
    infer::Runtime,
    model::{Manifest, ModelFile, Task},
    onnx::{GraphProto, ModelProto, OPSET_VERSION, quantize::is_quantised},
    output::say,
    train::{
        dataset::{Dataset, Needed},
        evaluate::{Evaluation, Judge, evaluate},
        loader::{Loader, LoaderOptions},
        losses::LossSettings,
        network::Network,
        objective::Objective,
        quantize,
        recipe::Recipe,
        tta::{TestTime, outputs_of_views},
    },
};

/// Which pictures of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitArg {
    /// Those that validate.
    Valid,
    /// Those that train.
    Train,
    /// Both, training pictures first.
    All,
}

impl From<SplitArg> for Needed {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Valid => Self::Valid,
            SplitArg::Train => Self::Train,
            SplitArg::All => Self::Any,
        }
    }
}

/// How to judge.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) split: SplitArg,
    pub(super) batch_size: usize,
    /// Augmented views of each picture; 0 for the picture alone.
    pub(super) views: u64,
    /// Of `accuracy_multi`; the one that the model was trained with where there is none.
    pub(super) threshold: Option<f64>,
    /// As of [`Subject::seed`].
    pub(super) seed: Option<u64>,
}

/// A model file and the model in it.
pub(super) struct Subject {
    pub(super) file: ModelFile,
    pub(super) model: ModelProto,
}

impl Subject {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = ModelFile::read(path).with_context(|| path.display().to_string())?;
        let model = prost::Message::decode(file.bytes.as_slice())?;
        Ok(Self { file, model })
    }

    pub(super) fn graph(&mut self) -> &mut GraphProto {
        self.model.graph.get_or_insert_default()
    }

    /// The interpreter's network of the graph as it is now.
    pub(super) fn network(&mut self) -> anyhow::Result<Network> {
        let opset = self.model.opset_import.iter().find(|set| matches!(set.domain(), "" | "ai.onnx"));
        let opset = opset.map_or(OPSET_VERSION, |set| set.version());
        Ok(Network::new(self.graph(), opset, Device::Cpu, Kind::Float)?)
    }

    /// The threshold of `accuracy_multi` that the model was trained with.
    pub(super) fn accuracy_threshold(&self) -> f64 {
        let settings = &self.file.manifest.provenance.settings;
        settings.get("accuracy_threshold").and_then(serde_json::Value::as_f64).unwrap_or(0.5)
    }

    /// The seed that draws: that of the model's own run unless another is given, so that a drawn split is the one that it
    /// was trained with.
    pub(super) fn seed(&self, given: Option<u64>) -> u64 {
        let recorded = self.file.manifest.provenance.settings.get("seed").and_then(serde_json::Value::as_u64);
        given.or(recorded).unwrap_or(Recipe::default().seed)
    }

    /// Reads a data set, whose targets get the model's order.
    pub(super) fn read_data(&self, data: &DataArgs, seed: u64, needed: Needed) -> anyhow::Result<Dataset> {
        let Manifest { task, provenance, .. } = &self.file.manifest;
        let mut dataset = data::read_for_model(data, task.into(), seed, needed)?;
        if data.valid_pct.is_some() && provenance.data.is_some_and(|trained_on| trained_on != dataset.fingerprint) {
            say!(
                "note: the model was trained on other data, or on another split of it: pictures that it has seen may be \
                 among those that validate (the same data, --valid-pct and --seed give the same split)"
            );
        }
        fit_vocabulary(&mut dataset, task)?;
        Ok(dataset)
    }

    /// Judges the graph as it is now with the interpreter, whose outputs are ONNX Runtime's to 1e-4. The data set's
    /// validation split then is the split that was judged.
    pub(super) fn judge(
        &mut self,
        task: &Task,
        data: &DataArgs,
        options: &Options,
    ) -> anyhow::Result<(Arc<Dataset>, Evaluation)> {
        let mut dataset = self.read_data(data, self.seed(options.seed), options.split.into())?;
        // The loss of values is on the scale that the model was trained on, whatever it is judged on.
        let objective = Objective::new(task, &dataset, &LossSettings::default())?.on_scale_of(self.graph());
        match options.split {
            SplitArg::Valid => {}
            SplitArg::Train => dataset.valid.clone_from(&dataset.train),
            SplitArg::All => dataset.valid = [dataset.train.as_slice(), &dataset.valid].concat(),
        }
        let dataset = Arc::new(dataset);
        let rule = self.file.manifest.input.resize;
        if is_quantised(self.graph()) {
            return self.judge_in_integers(task, dataset, options);
        }
        let mut network = self.network()?;
        let of_rule = LoaderOptions { valid_batch_size: options.batch_size, ..LoaderOptions::new(rule) };
        let loader = Loader::new(Arc::clone(&dataset), of_rule.of_task(task));
        let threshold = options.threshold.unwrap_or_else(|| self.accuracy_threshold());
        let judge = Judge { dataset: &dataset, rule, threshold };
        let mut evaluation = evaluate(&mut network, task, &loader, &objective, &judge)?;
        if options.views > 0 {
            let test_time = TestTime::of(&self.file.manifest, options.views, 0);
            let views = outputs_of_views(&mut network, task, &loader, rule.size, &test_time)?;
            let outputs = TestTime::blend(&evaluation.outputs, &views);
            // The loss is that of the pictures alone.
            evaluation = Evaluation::of(task, outputs, f64::NAN, &judge);
        }
        Ok((dataset, evaluation))
    }
}

impl Subject {
    /// The interpreter has no integer operators, so a quantised graph is judged with ONNX Runtime; there is no loss.
    fn judge_in_integers(
        &self,
        task: &Task,
        dataset: Arc<Dataset>,
        options: &Options,
    ) -> anyhow::Result<(Arc<Dataset>, Evaluation)> {
        anyhow::ensure!(options.views == 0, "augmented views (--tta) are for float32 models");
        let rule = self.file.manifest.input.resize;
        let threshold = options.threshold.unwrap_or_else(|| self.accuracy_threshold());
        let outputs = quantize::outputs(&Runtime::load(None)?, &self.file, &dataset)?;
        let judge = Judge { dataset: &dataset, rule, threshold };
        let evaluation = Evaluation::of(task, outputs, f64::NAN, &judge);
        Ok((dataset, evaluation))
    }
}
