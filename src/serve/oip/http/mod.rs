mod elements;
mod parse;
mod respond;
mod wire;
const HEADER_LENGTH: &str = "inference-header-content-length";
