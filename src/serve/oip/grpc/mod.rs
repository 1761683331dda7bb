mod parse;
#[allow(missing_docs, unreachable_pub, reason = "made from the .proto, where the comments are")]
#[allow(clippy::all, reason = "made by prost and tonic")]
pub(super) mod proto {
    tonic::include_proto!("inference");
}

/// A configuration's type by its name.
fn type_name<S: serde::Serializer>(data_type: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    let data_type = proto::DataType::try_from(*data_type).unwrap_or(proto::DataType::TypeInvalid);
    serializer.serialize_str(data_type.as_str_name())
}
