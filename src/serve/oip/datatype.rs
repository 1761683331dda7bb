//! The protocol's element types.

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// Every type with its name and the bytes of one element; BYTES elements carry their own length.
    const ALL: [(Self, &'static str, Option<usize>); 14] = [
        (Self::Bool, "BOOL", Some(1)),
        (Self::Uint8, "UINT8", Some(1)),
        (Self::Uint16, "UINT16", Some(2)),
        (Self::Uint32, "UINT32", Some(4)),
        (Self::Uint64, "UINT64", Some(8)),
        (Self::Int8, "INT8", Some(1)),
        (Self::Int16, "INT16", Some(2)),
        (Self::Int32, "INT32", Some(4)),
        (Self::Int64, "INT64", Some(8)),
        (Self::Fp16, "FP16", Some(2)),
        (Self::Bf16, "BF16", Some(2)),
        (Self::Fp32, "FP32", Some(4)),
        (Self::Fp64, "FP64", Some(8)),
        (Self::Bytes, "BYTES", None),
    ];

    /// The type of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(datatype, ..)| *datatype)
    }

    /// The type's name.
    pub(super) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The bytes of one element; none for BYTES.
    pub(super) fn size(self) -> Option<usize> {
        Self::ALL[self as usize].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_own_name() {
        for (datatype, name, size) in Datatype::ALL {
            assert_eq!(Datatype::named(name), Some(datatype));
            assert_eq!((datatype.name(), datatype.size()), (name, size));
        }
        assert_eq!(Datatype::named("uint8"), None);
    }
}
