//! A request's body → [`InferRequest`]: JSON, and behind it the tensors that travel in binary.

use std::time::Duration;

use bytes::Bytes;

use super::{
    super::{
        datatype::Datatype,
        request::{InferRequest, RequestedOutput},
        tensor::{Elements, Header, Tensor},
        wrong,
    },
    elements::JsonElements,
    wire,
};
use crate::error::Error;

/// Reads a body. `json_length` is the header `Inference-Header-Content-Length`: the bytes of the JSON, behind which the
/// binary tensors follow in the order of the inputs; without it all of the body is JSON. 0 says that all of the body is
/// the one element of the one input, `input`.
///
/// # Errors
/// A body that is not such a request, says what and where.
pub(super) fn parse(mut body: Bytes, json_length: Option<usize>, input: &str) -> Result<InferRequest, Error> {
    if json_length == Some(0) {
        let image = Header::new(input.to_owned(), "BYTES", &[1])?.with_bytes(vec![body])?;
        return Ok(InferRequest { inputs: vec![image], ..InferRequest::default() });
    }
    let length = json_length.unwrap_or(body.len());
    if length > body.len() {
        return Err(wrong(format!("{} says {length} bytes, but the body has {}", super::HEADER_LENGTH, body.len())));
    }
    let json = body.split_to(length);
    let request: wire::Request =
        serde_json::from_slice(&json).map_err(|error| wrong(format!("the request's JSON: {error}")))?;
    let mut binary = json_length.map(|_| body);
    let inputs = request.inputs.0.into_iter().map(|input| tensor(input, &mut binary)).collect::<Result<_, _>>()?;
    if let Some(rest) = binary
        && !rest.is_empty()
    {
        return Err(wrong(format!("{} bytes are left over behind the last input's", rest.len())));
    }
    let binary_by_default = request.parameters.binary_data_output;
    let outputs = request.outputs.0.into_iter().map(|output| requested(output, binary_by_default));
    Ok(InferRequest {
        id: request.id,
        priority: request.parameters.priority,
        timeout: request.parameters.timeout.filter(|&timeout| timeout > 0).map(Duration::from_micros),
        inputs,
        outputs: outputs.collect::<Result<_, _>>()?,
        binary_by_default,
    })
}

/// One input, with its elements from the JSON or from the front of the binary part.
fn tensor(input: wire::Input, binary: &mut Option<Bytes>) -> Result<Tensor, Error> {
    let name = &input.name;
    no_shared_memory(name, input.parameters.shared_memory_region)?;
    let header = Header::new(name.clone(), &input.datatype, &input.shape.0)?;
    match (input.parameters.binary_data_size, input.data) {
        (None, Some(data)) => from_json(header, data),
        (None, None) => Err(wrong(format!("input {name:?} has neither data nor binary_data_size"))),
        (Some(_), Some(_)) => Err(wrong(format!("input {name:?} has both data and binary_data_size"))),
        (Some(size), None) => {
            let Some(binary) = binary else {
                let header = super::HEADER_LENGTH;
                return Err(wrong(format!("input {name:?} has binary_data_size, but there is no header {header}")));
            };
            if size > binary.len() {
                let left = binary.len();
                return Err(wrong(format!(
                    "input {name:?} has {size} bytes by its binary_data_size; {left} are there"
                )));
            }
            header.with_raw(binary.split_to(size))
        }
    }
}

fn from_json(header: Header, data: JsonElements) -> Result<Tensor, Error> {
    header.check_count(data.count)?;
    let name = &header.name;
    match header.datatype {
        Datatype::Uint8 => match data.not_uint8 {
            None => Ok(Tensor { elements: Elements::Fixed(data.numbers.into()), header }),
            Some(misfit) => Err(wrong(format!("input {name:?}: {misfit}, not a whole number from 0 to 255"))),
        },
        Datatype::Bytes => match data.not_text {
            None => header.with_bytes(data.texts),
            Some(misfit) => Err(wrong(format!("input {name:?}: {misfit}, not text"))),
        },
        // No model takes another type, so its elements need not be kept to say so.
        other => Err(wrong(format!("input {name:?}: models take UINT8 or BYTES, not {}", other.name()))),
    }
}

fn requested(output: wire::Output, binary_by_default: bool) -> Result<RequestedOutput, Error> {
    no_shared_memory(&output.name, output.parameters.shared_memory_region)?;
    Ok(RequestedOutput {
        name: output.name,
        classes: Some(output.parameters.classification).filter(|&classes| classes > 0),
        binary: output.parameters.binary_data.unwrap_or(binary_by_default),
    })
}

fn no_shared_memory(tensor: &str, region: Option<String>) -> Result<(), Error> {
    match region {
        None => Ok(()),
        Some(_) => Err(super::super::no_shared_memory(tensor)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(json: &str, binary: Option<&[u8]>) -> Result<InferRequest, String> {
        let body = [json.as_bytes(), binary.unwrap_or_default()].concat();
        parse(body.into(), binary.map(|_| json.len()), "image").map_err(|error| error.to_string())
    }

    fn input(rest: &str) -> String {
        format!(r#"{{"inputs":[{{"name":"image","shape":[1,2],"datatype":"UINT8",{rest}}}]}}"#)
    }

    fn elements(request: &InferRequest) -> &Elements {
        &request.inputs[0].elements
    }

    #[test]
    fn the_same_tensor_comes_out_of_flat_json_nested_json_and_binary() {
        let flat = parsed(&input(r#""data":[7,8]"#), None).unwrap();
        assert_eq!(elements(&flat), &Elements::Fixed(Bytes::from_static(&[7, 8])));
        assert_eq!(parsed(&input(r#""data":[[7,8]]"#), None).unwrap(), flat);
        let binary = parsed(&input(r#""parameters":{"binary_data_size":2}"#), Some(&[7, 8])).unwrap();
        assert_eq!(binary, flat);
    }

    #[test]
    fn binary_tensors_follow_in_the_order_of_the_inputs() {
        let one = r#"{"name":"a","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}"#;
        let two = r#"{"name":"b","shape":[1],"datatype":"INT16","parameters":{"binary_data_size":2}}"#;
        let request = parsed(&format!(r#"{{"inputs":[{one},{two}]}}"#), Some(&[1, 2, 3])).unwrap();
        assert_eq!(elements(&request), &Elements::Fixed(Bytes::from_static(&[1])));
        assert_eq!(request.inputs[1].elements, Elements::Fixed(Bytes::from_static(&[2, 3])));
    }

    #[test]
    fn everything_else_of_a_request_is_read() {
        let json = r#"{"id":"7","parameters":{"priority":2,"timeout":1500,"mine":[1]},
            "inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["text"]}],
            "outputs":[{"name":"scores","parameters":{"classification":3,"binary_data":true}},{"name":"points"}]}"#;
        let request = parsed(json, None).unwrap();
        assert_eq!((request.id.as_deref(), request.priority), (Some("7"), 2));
        assert_eq!(request.timeout, Some(Duration::from_micros(1500)));
        let scores = RequestedOutput { name: "scores".to_owned(), classes: Some(3), binary: true };
        let points = RequestedOutput { name: "points".to_owned(), classes: None, binary: false };
        assert_eq!(request.outputs, [scores, points]);
        assert_eq!(elements(&request), &Elements::Bytes(vec![Bytes::from_static(b"text")]));
    }

    #[test]
    fn outputs_travel_in_binary_where_the_request_says_so_for_all() {
        let json = r#"{"parameters":{"binary_data_output":true},"inputs":[],
            "outputs":[{"name":"a"},{"name":"b","parameters":{"binary_data":false}}]}"#;
        let request = parsed(json, None).unwrap();
        assert!(request.binary_by_default && request.outputs[0].binary && !request.outputs[1].binary);
    }

    #[test]
    fn a_body_without_json_is_one_encoded_picture() {
        let request = parse(Bytes::from_static(b"picture"), Some(0), "image").unwrap();
        assert_eq!(elements(&request), &Elements::Bytes(vec![Bytes::from_static(b"picture")]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let size = |bytes: usize| input(&format!(r#""parameters":{{"binary_data_size":{bytes}}}"#));
        for (json, binary, said) in [
            ("", None, "EOF"),
            ("{", None, "line 1"),
            ("[]", None, "the request's JSON"),
            ("{}", None, "inputs"),
            (&input(r#""data":[1,2,3]"#), None, "3 elements"),
            (&input(r#""data":[1,256]"#), None, "element 1 is 256"),
            (&input(r#""data":["a","b"]"#), None, "element 0 is text"),
            (&input(r#""parameters":{}"#), None, "neither data nor binary_data_size"),
            (&input(r#""data":[1,2],"parameters":{"binary_data_size":2}"#), Some(&[1, 2][..]), "both"),
            (&size(2), None, "there is no header inference-header-content-length"),
            (&size(2), Some(&[1]), "1 are there"),
            (&size(2), Some(&[1, 2, 3]), "1 bytes are left over"),
            (&size(1), Some(&[1]), "1 bytes, but shape [1, 2]"),
            (&input(r#""data":[1,2]"#).replace("UINT8", "FP32"), None, "not FP32"),
            (&input(r#""parameters":{"shared_memory_region":"r"}"#), None, "shared memory"),
        ] {
            let error = parsed(json, binary).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
        let error = parse(Bytes::from_static(b"{}"), Some(3), "image").unwrap_err().to_string();
        assert!(error.contains("says 3 bytes, but the body has 2"), "{error}");
        let many = vec![r#"{"name":""}"#; 65].join(",");
        assert!(parsed(&format!(r#"{{"inputs":[],"outputs":[{many}]}}"#), None).unwrap_err().contains("at most 64"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(body in prop::collection::vec(any::<u8>(), 0..200), length in 0_usize..220) {
            let _ = parse(body.into(), Some(length).filter(|&length| length < 210), "image");
        }

        #[test]
        fn no_json_around_a_tensor_makes_the_parser_panic(
            datatype in prop::sample::select(vec!["UINT8", "BYTES", "FP16", "INT64", "BOOL", "?"]),
            shape in prop::collection::vec(-1_i64..5, 0..4),
            size in prop::option::of(0_usize..40),
            data in prop::option::of("[\\[\\], 0-9.\"a-]{0,12}"),
            binary in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, 255]), 0..40),
        ) {
            let mut json = format!(r#"{{"inputs":[{{"name":"image","datatype":"{datatype}","shape":{shape:?}"#);
            if let Some(size) = size {
                json += &format!(r#","parameters":{{"binary_data_size":{size}}}"#);
            }
            if let Some(data) = data {
                json += &format!(r#","data":[{data}]"#);
            }
            json += "}]}";
            if let Ok(request) = parsed(&json, Some(&binary)) {
                // What is accepted has as many elements as its shape.
                let tensor = &request.inputs[0];
                match &tensor.elements {
                    Elements::Fixed(raw) => {
                        let size = tensor.header.datatype.size().unwrap();
                        prop_assert_eq!(raw.len(), tensor.header.count * size);
                    }
                    Elements::Bytes(elements) => prop_assert_eq!(elements.len(), tensor.header.count),
                }
            }
        }
    }
}
