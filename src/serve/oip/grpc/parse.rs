//! A request's message → [`InferRequest`].

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;

use super::{
    super::{
        datatype::Datatype,
        no_shared_memory,
        request::{InferRequest, RequestedOutput},
        tensor::{Elements, Header, Tensor},
        wrong,
    },
    proto::{
        InferParameter, InferTensorContents, ModelInferRequest,
        infer_parameter::ParameterChoice as Choice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    },
};
use crate::error::Error;

/// The most entries of a list: no model has more inputs or outputs.
const MOST_ENTRIES: usize = 64;

type Parameters = HashMap<String, InferParameter>;

/// Reads a message; its model is the caller's business.
///
/// # Errors
/// A message that is not such a request, says what and where.
pub(super) fn parse(message: ModelInferRequest) -> Result<InferRequest, Error> {
    let ModelInferRequest { id, parameters, inputs, outputs, raw_input_contents: raw, .. } = message;
    if inputs.len() > MOST_ENTRIES || outputs.len() > MOST_ENTRIES {
        return Err(wrong(format!("the request has more than {MOST_ENTRIES} inputs or outputs")));
    }
    let inputs = if raw.is_empty() {
        inputs.into_iter().map(typed_tensor).collect::<Result<_, _>>()?
    } else if raw.len() == inputs.len() {
        inputs.into_iter().zip(raw).map(|(input, raw)| raw_tensor(input, raw)).collect::<Result<_, _>>()?
    } else {
        return Err(wrong(format!("raw_input_contents has {} entries for {} inputs", raw.len(), inputs.len())));
    };
    let timeout = whole_number("timeout", &parameters)?.filter(|&timeout| timeout > 0);
    Ok(InferRequest {
        id: Some(id).filter(|id| !id.is_empty()),
        priority: whole_number("priority", &parameters)?.unwrap_or(0),
        timeout: timeout.map(Duration::from_micros),
        inputs,
        outputs: outputs.into_iter().map(requested).collect::<Result<_, _>>()?,
        binary_by_default: true,
    })
}

fn header(input: InferInputTensor) -> Result<(Header, Option<InferTensorContents>), Error> {
    if input.parameters.contains_key("shared_memory_region") {
        return Err(no_shared_memory(&input.name));
    }
    Ok((Header::new(input.name, &input.datatype, &input.shape)?, input.contents))
}

fn raw_tensor(input: InferInputTensor, raw: Bytes) -> Result<Tensor, Error> {
    let (header, contents) = header(input)?;
    match contents {
        None => header.with_raw(raw),
        Some(_) => Err(wrong(format!("input {:?} has both contents and raw_input_contents", header.name))),
    }
}

fn typed_tensor(input: InferInputTensor) -> Result<Tensor, Error> {
    let (header, contents) = header(input)?;
    let name = header.name.clone();
    let contents =
        contents.ok_or_else(|| wrong(format!("input {name:?} has neither contents nor raw_input_contents")))?;
    match header.datatype {
        Datatype::Bytes => header.with_bytes(contents.bytes_contents),
        Datatype::Uint8 => {
            header.check_count(contents.uint_contents.len())?;
            let mut raw = Vec::with_capacity(contents.uint_contents.len());
            for (place, number) in contents.uint_contents.into_iter().enumerate() {
                raw.push(u8::try_from(number).map_err(|_| {
                    wrong(format!("input {name:?}: element {place} is {number}, not a whole number from 0 to 255"))
                })?);
            }
            Ok(Tensor { header, elements: Elements::Fixed(raw.into()) })
        }
        other => Err(wrong(format!("input {name:?}: models take UINT8 or BYTES, not {}", other.name()))),
    }
}

fn requested(output: InferRequestedOutputTensor) -> Result<RequestedOutput, Error> {
    if output.parameters.contains_key("shared_memory_region") {
        return Err(no_shared_memory(&output.name));
    }
    let classes = whole_number("classification", &output.parameters)?.filter(|&classes| classes > 0);
    let classes = classes.map(|classes| usize::try_from(classes).unwrap_or(usize::MAX));
    Ok(RequestedOutput { name: output.name, classes, binary: true })
}

/// A parameter that is a whole number from 0, whichever of the two types it was given.
fn whole_number(name: &str, parameters: &Parameters) -> Result<Option<u64>, Error> {
    let Some(parameter) = parameters.get(name) else { return Ok(None) };
    let number = match parameter.parameter_choice {
        Some(Choice::Uint64Param(number)) => Some(number),
        Some(Choice::Int64Param(number)) => u64::try_from(number).ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| wrong(format!("parameter {name:?} is not a whole number from 0")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn input(datatype: &str, shape: &[i64], contents: Option<InferTensorContents>) -> InferInputTensor {
        let (name, datatype) = ("image".to_owned(), datatype.to_owned());
        InferInputTensor { name, datatype, shape: shape.to_vec(), contents, ..InferInputTensor::default() }
    }

    fn parsed(inputs: Vec<InferInputTensor>, raw: &[&'static [u8]]) -> Result<Vec<Elements>, String> {
        let raw_input_contents = raw.iter().map(|raw| Bytes::from_static(raw)).collect();
        let message = ModelInferRequest { inputs, raw_input_contents, ..ModelInferRequest::default() };
        let request = parse(message).map_err(|error| error.to_string())?;
        Ok(request.inputs.into_iter().map(|tensor| tensor.elements).collect())
    }

    fn numbers(numbers: &[u32]) -> Option<InferTensorContents> {
        Some(InferTensorContents { uint_contents: numbers.to_vec(), ..InferTensorContents::default() })
    }

    #[test]
    fn the_same_tensor_comes_out_of_raw_and_typed_contents() {
        let pixels = vec![Elements::Fixed(Bytes::from_static(&[7, 8]))];
        assert_eq!(parsed(vec![input("UINT8", &[2], None)], &[&[7, 8]]).unwrap(), pixels);
        assert_eq!(parsed(vec![input("UINT8", &[2], numbers(&[7, 8]))], &[]).unwrap(), pixels);
        let text = vec![Elements::Bytes(vec![Bytes::from_static(b"ab")])];
        assert_eq!(parsed(vec![input("BYTES", &[1], None)], &[b"\x02\0\0\0ab"]).unwrap(), text);
        let bytes_contents = vec![Bytes::from_static(b"ab")];
        let contents = InferTensorContents { bytes_contents, ..InferTensorContents::default() };
        assert_eq!(parsed(vec![input("BYTES", &[1], Some(contents))], &[]).unwrap(), text);
    }

    #[test]
    fn contents_that_do_not_fit_are_refused_with_their_place() {
        for (inputs, raw, said) in [
            (vec![input("UINT8", &[2], None)], &[][..], "neither contents"),
            (vec![input("UINT8", &[2], numbers(&[1, 2]))], &[&b"ab"[..]], "both contents"),
            (vec![input("UINT8", &[2], None)], &[b"a", b"b"], "2 entries for 1 inputs"),
            (vec![input("UINT8", &[2], numbers(&[1]))], &[], "1 elements"),
            (vec![input("UINT8", &[2], numbers(&[1, 256]))], &[], "element 1 is 256"),
            (vec![input("FP32", &[2], numbers(&[1, 2]))], &[], "not FP32"),
            (vec![input("UINT8", &[1], None); 65], &[], "more than 64"),
        ] {
            let error = parsed(inputs, raw).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn parameters_are_whole_numbers_of_either_type() {
        let choices = [Choice::Int64Param(5), Choice::Uint64Param(5), Choice::Int64Param(-5), Choice::BoolParam(true)];
        let read = choices.map(|choice| {
            let parameter = InferParameter { parameter_choice: Some(choice) };
            whole_number("priority", &Parameters::from([("priority".to_owned(), parameter)])).ok()
        });
        assert_eq!(read, [Some(Some(5)), Some(Some(5)), None, None]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = ModelInferRequest::decode(bytes.as_slice()) {
                let _ = parse(message);
            }
        }
    }
}
