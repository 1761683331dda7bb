//! Tensors of an ONNX file: typed construction and reading.

use super::{OnnxError, TensorProto, proto::DataType};

impl TensorProto {
    /// A float32 tensor; `values` in row-major order.
    pub fn from_f32(name: &str, dims: &[i64], values: &[f32]) -> Self {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::from_raw(name, dims, DataType::Float, raw)
    }

    /// An int64 tensor; `values` in row-major order.
    pub fn from_i64(name: &str, dims: &[i64], values: &[i64]) -> Self {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::from_raw(name, dims, DataType::Int64, raw)
    }

    /// A tensor of little-endian, row-major bytes.
    pub fn from_raw(name: &str, dims: &[i64], data_type: DataType, raw: Vec<u8>) -> Self {
        Self {
            name: Some(name.to_owned()),
            dims: dims.to_vec(),
            data_type: Some(data_type as i32),
            raw_data: Some(raw),
            ..Self::default()
        }
    }

    /// The number of elements that the shape asks for.
    ///
    /// # Errors
    /// A negative dimension, or a product over `usize`.
    pub fn element_count(&self) -> Result<usize, OnnxError> {
        self.dims
            .iter()
            .try_fold(1_usize, |count, &dim| count.checked_mul(usize::try_from(dim).ok()?))
            .ok_or_else(|| self.error(format!("impossible shape {:?}", self.dims)))
    }

    /// The values as float32, in row-major order.
    ///
    /// # Errors
    /// Another element type, data outside the file, or data that do not fit the shape.
    pub fn to_f32(&self) -> Result<Vec<f32>, OnnxError> {
        self.expect_type(DataType::Float)?;
        let bytes = self.little_endian_bytes()?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
    }

    /// The values as int64, in row-major order.
    ///
    /// # Errors
    /// Another element type, data outside the file, or data that do not fit the shape.
    pub fn to_i64(&self) -> Result<Vec<i64>, OnnxError> {
        self.expect_type(DataType::Int64)?;
        let bytes = self.little_endian_bytes()?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect())
    }

    /// The data as little-endian, row-major bytes, whichever of the format's fields they stand in.
    ///
    /// # Errors
    /// String and complex elements, data outside the file, or data that do not fit the shape.
    pub fn little_endian_bytes(&self) -> Result<Vec<u8>, OnnxError> {
        if self.data_location() == super::proto::DataLocation::External {
            return Err(self.error("its data are in another file, which is not supported"));
        }
        let width = match self.data_type() {
            DataType::Bool | DataType::Uint8 | DataType::Int8 => 1,
            DataType::Float16 | DataType::Bfloat16 | DataType::Uint16 | DataType::Int16 => 2,
            DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
            DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
            other => return Err(self.error(format!("elements of type {other:?} are not supported"))),
        };
        let bytes = match &self.raw_data {
            Some(raw) => raw.clone(),
            None => self.typed_field_bytes(width),
        };
        let wanted = self.element_count()?.checked_mul(width);
        if wanted != Some(bytes.len()) {
            return Err(self.error(format!("{} bytes of data for shape {:?}", bytes.len(), self.dims)));
        }
        Ok(bytes)
    }

    /// The repeated field that the standard names for this element type (`int32_data` holds every narrow type).
    fn typed_field_bytes(&self, width: usize) -> Vec<u8> {
        match self.data_type() {
            DataType::Float => self.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            DataType::Double => self.double_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            DataType::Int64 => self.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            DataType::Uint32 | DataType::Uint64 => {
                self.uint64_data.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec()).collect()
            }
            _ => self.int32_data.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec()).collect(),
        }
    }

    fn expect_type(&self, wanted: DataType) -> Result<(), OnnxError> {
        if self.data_type() == wanted {
            return Ok(());
        }
        Err(self.error(format!("has elements of type {:?}, expected {wanted:?}", self.data_type())))
    }

    fn error(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Tensor { name: self.name().to_owned(), reason: reason.into() }
    }
}
