//! What a request asks of a model's outputs, checked before the model runs, and the tensors of the answer.

use uuid::Uuid;

use super::{request::RequestedOutput, wrong};
use crate::{
    answer::{Answer, Selection, answer},
    error::Error,
    model::{Manifest, Task},
    picture::PictureSize,
};

/// The name of the output that only a request for it gets: points in pixels of the original picture, FP32 [N, K, 2].
pub(super) const POINTS_PX: &str = "points_px";

/// The parameter of an answer that names what is remembered of it: the id of each picture, in their order, with commas
/// between them; nothing stands for a picture that is not remembered.
pub(super) const PREDICTION_ID: &str = "prediction_id";

/// What the model gave for one picture.
#[derive(Clone, Debug)]
pub(super) struct PictureOutput {
    /// The model's elements.
    pub(super) values: Vec<f32>,
    /// The picture's own size, where it came encoded.
    pub(super) original: Option<PictureSize>,
    /// The id under which the answer is remembered, if it is.
    pub(super) recorded: Option<Uuid>,
}

/// The answer to an inference request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InferAnswer {
    /// The request's own id.
    pub(super) id: Option<String>,
    /// The model.
    pub(super) model: String,
    /// Its version.
    pub(super) version: String,
    /// The value of [`PREDICTION_ID`]; none where no picture's answer is remembered.
    pub(super) prediction_id: Option<String>,
    /// The tensors that were asked for.
    pub(super) outputs: Vec<OutputTensor>,
}

/// A tensor of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OutputTensor {
    /// Its name.
    pub(super) name: String,
    /// Its dimensions; the first one is the number of pictures.
    pub(super) shape: Vec<usize>,
    /// Its elements, row-major.
    pub(super) elements: OutputElements,
    /// Whether it travels in binary, where there is a choice.
    pub(super) binary: bool,
}

/// An answer's elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OutputElements {
    Fp32(Vec<f32>),
    Text(Vec<String>),
}

/// One output to be made.
#[derive(Debug)]
struct Planned {
    name: String,
    kind: Kind,
    binary: bool,
}

/// How an output is made.
#[derive(Debug)]
enum Kind {
    /// The graph's own.
    Own,
    /// The best labels of the graph's own.
    Classes(usize),
    /// Points in pixels.
    PointsPx,
}

/// The outputs to be made.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    manifest: &'a Manifest,
    outputs: Vec<Planned>,
}

impl<'a> Plan<'a> {
    /// Checks what is asked for; nothing asked for means the graph's own output. `encoded` is whether the request has
    /// encoded pictures.
    ///
    /// # Errors
    /// An output that is not there, is asked for twice, or cannot be made of this request.
    pub(super) fn new(
        manifest: &'a Manifest,
        requested: &[RequestedOutput],
        binary_by_default: bool,
        encoded: bool,
    ) -> Result<Self, Error> {
        let own = &manifest.output.name;
        if requested.is_empty() {
            let planned = Planned { name: own.clone(), kind: Kind::Own, binary: binary_by_default };
            return Ok(Self { manifest, outputs: vec![planned] });
        }
        let mut outputs: Vec<Planned> = Vec::with_capacity(requested.len());
        for RequestedOutput { name, classes, binary } in requested {
            if outputs.iter().any(|earlier| earlier.name == *name) {
                return Err(wrong(format!("output {name:?} is asked for twice")));
            }
            let kind = if name == own {
                own_kind(name, *classes, &manifest.task)?
            } else {
                points_kind(name, *classes, manifest, encoded)?
            };
            outputs.push(Planned { name: name.clone(), kind, binary: *binary });
        }
        Ok(Self { manifest, outputs })
    }

    /// The tensors of the answer.
    ///
    /// # Errors
    /// An element that is not a number where it has to be one.
    pub(super) fn fill(self, results: &[PictureOutput]) -> Result<Vec<OutputTensor>, Error> {
        self.outputs.iter().map(|output| self.output(output, results)).collect()
    }

    fn output(&self, output: &Planned, results: &[PictureOutput]) -> Result<OutputTensor, Error> {
        let (shape, elements) = match output.kind {
            Kind::Own => {
                let values: Vec<f32> = results.iter().flat_map(|result| &result.values).copied().collect();
                if !output.binary
                    && let Some(place) = values.iter().position(|value| !value.is_finite())
                {
                    let (name, value) = (&output.name, values[place]);
                    return Err(wrong(format!(
                        "output {name:?}: element {place} is {value}, which JSON cannot say: ask for it in binary"
                    )));
                }
                (own_shape(&self.manifest.task), OutputElements::Fp32(values))
            }
            Kind::Classes(most) => {
                let labels: Vec<&str> = self.manifest.task.labels().iter().map(|label| label.name.as_str()).collect();
                let best = results.iter().flat_map(|result| best(&labels, &result.values, most));
                (vec![most.min(labels.len())], OutputElements::Text(best.collect()))
            }
            Kind::PointsPx => {
                let mut pixels = Vec::new();
                for result in results {
                    pixels.extend(self.points_px(result)?);
                }
                (own_shape(&self.manifest.task), OutputElements::Fp32(pixels))
            }
        };
        let shape = [vec![results.len()], shape].concat();
        Ok(OutputTensor { name: output.name.clone(), shape, elements, binary: output.binary })
    }

    /// x and y of each point, in the picture as EXIF orients it.
    fn points_px(&self, result: &PictureOutput) -> Result<Vec<f32>, Error> {
        let rule = &self.manifest.input.resize;
        let original = result.original.unwrap_or(rule.size);
        let answer = answer(&self.manifest.task, rule, original, &result.values, &Selection::default());
        match answer.map_err(Error::internal)? {
            Answer::Points { points } => Ok(points.iter().flat_map(|point| [point.x, point.y]).collect()),
            Answer::Labels { .. } | Answer::Values { .. } => Ok(Vec::new()),
        }
    }
}

/// The value of [`PREDICTION_ID`] for these pictures.
pub(super) fn prediction_id(results: &[PictureOutput]) -> Option<String> {
    let ids: Vec<String> = results.iter().map(|it| it.recorded.map(|id| id.to_string()).unwrap_or_default()).collect();
    ids.iter().any(|id| !id.is_empty()).then(|| ids.join(","))
}

fn own_kind(name: &str, classes: Option<usize>, task: &Task) -> Result<Kind, Error> {
    match classes {
        None => Ok(Kind::Own),
        Some(most) if !task.labels().is_empty() => Ok(Kind::Classes(most)),
        Some(_) => Err(wrong(format!("output {name:?}: classification is for labels, and the model has none"))),
    }
}

fn points_kind(name: &str, classes: Option<usize>, manifest: &Manifest, encoded: bool) -> Result<Kind, Error> {
    let points = matches!(manifest.task, Task::Points(_));
    if name != POINTS_PX || !points {
        let own = &manifest.output.name;
        let more = if points { ", and points_px" } else { "" };
        return Err(wrong(format!("there is no output {name:?}; the model gives {own:?}{more}")));
    }
    if !encoded {
        return Err(wrong(format!(
            "output {name:?} is in pixels of the original picture: send encoded pictures (BYTES) for it"
        )));
    }
    match classes {
        None => Ok(Kind::PointsPx),
        Some(_) => Err(wrong(format!("output {name:?}: classification is for labels"))),
    }
}

/// The shape of a task's output for one picture.
pub(super) fn own_shape(task: &Task) -> Vec<usize> {
    match task {
        Task::MultiLabel { labels } | Task::SingleLabel { labels } => vec![labels.len()],
        Task::Points(points) => vec![points.names.len(), 2],
        Task::Values(values) => vec![values.names.len()],
    }
}

/// `value:index:label` of the best labels, by descending value; equal values keep the model's order.
fn best(labels: &[&str], values: &[f32], most: usize) -> Vec<String> {
    let mut ranked: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let entry = |(index, value): (usize, f32)| format!("{value}:{index}:{}", labels.get(index).unwrap_or(&""));
    ranked.into_iter().take(most).map(entry).collect()
}

impl OutputElements {
    /// The elements' type.
    pub(super) fn datatype(&self) -> &'static str {
        match self {
            Self::Fp32(_) => "FP32",
            Self::Text(_) => "BYTES",
        }
    }

    /// The elements as they travel in binary: little-endian, text behind its length as a u32.
    pub(super) fn raw(&self) -> Vec<u8> {
        match self {
            Self::Fp32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Text(texts) => texts
                .iter()
                .flat_map(|text| {
                    // A label is far shorter than 4 GiB.
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
                    length.into_iter().chain(text.bytes())
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ranked_and_written_with_value_index_and_label() {
        let labels = ["red", "green", "blue"];
        let found = best(&labels, &[0.25, 0.5, 0.5], 2);
        assert_eq!(found, ["0.5:1:green", "0.5:2:blue"]);
        assert_eq!(best(&labels, &[0.25, 0.5, 1e-7], 9)[2], "0.0000001:2:blue");
    }

    #[test]
    fn numbers_and_text_travel_little_endian() {
        assert_eq!(OutputElements::Fp32(vec![1.0, -2.0]).raw(), [0, 0, 128, 63, 0, 0, 0, 192]);
        let text = OutputElements::Text(vec!["ab".to_owned(), String::new()]);
        assert_eq!(text.raw(), b"\x02\0\0\0ab\0\0\0\0");
    }

    #[test]
    fn ids_keep_the_pictures_order_and_there_are_none_where_nothing_is_remembered() {
        let result = |recorded| PictureOutput { values: Vec::new(), original: None, recorded };
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(prediction_id(&[result(Some(first))]), Some(first.to_string()));
        let three = [result(Some(first)), result(None), result(Some(second))];
        assert_eq!(prediction_id(&three), Some(format!("{first},,{second}")));
        assert_eq!(prediction_id(&[result(None), result(None)]), None);
    }
}
