//! Weight files as PyTorch writes them, read without running anything from them.
//!
//! scripts/fixtures/weights.py makes the files.

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;
use serde::Deserialize;
use tagpoint::train::weights::StateDict;

use crate::{root, shared};

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn path(file: &str) -> PathBuf {
    root().join("tests/fixtures/weights").join(file)
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(path(file)).unwrap()
}

fn refusal(bytes: Vec<u8>) -> String {
    StateDict::read(bytes).unwrap_err()
}

#[test]
fn the_zip_format_the_older_one_and_newer_pickles_give_what_pytorch_saved() {
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&bytes("expected.json")).unwrap();
    assert_eq!(expected.len(), 13);
    for file in ["plain.pth", "legacy.pth", "protocol-4.pth"] {
        let dict = StateDict::read(bytes(file)).unwrap();
        for (name, Expected { shape, values }) in &expected {
            assert_eq!(dict.shape(name).unwrap(), shape, "{name} of {file}");
            assert_eq!(&dict.values(name).unwrap(), values, "{name} of {file}");
        }
        // The counter of batch norm is left out; other whole numbers are seen, but are no weights.
        assert_eq!(dict.names().count(), expected.len() + 1, "{file}");
        assert!(dict.values("counts").unwrap_err().contains("whole numbers"));
        assert_eq!(dict.notes(), [""; 0]);
    }
}

#[test]
fn a_checkpoint_is_unwrapped_and_its_averaged_weights_are_taken() {
    let dict = StateDict::read(bytes("checkpoint.pth")).unwrap();
    let names: Vec<&str> = dict.names().collect();
    let norm = ["norm.bias", "norm.running_mean", "norm.running_var", "norm.weight"];
    assert_eq!(names, [&["first.bias", "first.weight"][..], &norm[..]].concat());
    assert_eq!(dict.values("first.weight").unwrap(), [10.0; 4]);
    assert_eq!(dict.notes(), ["from its entry \"state_dict_ema\"", "without the prefix \"module.\""]);
}

#[test]
fn a_hostile_file_is_refused_by_what_it_wants_to_run() {
    for file in ["hostile.pth", "hostile-legacy.pth"] {
        let message = refusal(bytes(file));
        assert!(message.contains("posix.system") && message.contains("torch.save"), "{file}: {message}");
    }
    assert!(!PathBuf::from("hostile-was-run").exists());
}

#[test]
fn what_is_no_state_dict_is_refused_by_what_it_is() {
    for (file, part) in [
        ("whole-model.pth", "torch.nn.modules.linear.Linear"),
        ("script.pt", "TorchScript"),
        ("compressed.pth", "compressed"),
        ("tensors.pth", "holds a list, not a state dict"),
        ("old.tar", "tar archive"),
        ("expected.json", "neither a .safetensors file nor a PyTorch state dict"),
    ] {
        let message = refusal(bytes(file));
        assert!(message.contains(part), "{file}: {message}");
    }
    assert!(refusal(b"\n<!DOCTYPE html>".to_vec()).contains("web page"));
    assert!(refusal(b"version https://git-lfs.github.com/spec/v1\n".to_vec()).contains("git lfs pull"));
    assert!(refusal(b"\x80\x02K\x07.".to_vec()).contains("not a file of PyTorch's"));
    assert!(refusal(Vec::new()).contains("neither"));
}

#[test]
fn a_file_that_was_cut_off_or_has_one_bit_changed_in_its_numbers_is_refused() {
    for file in ["plain.pth", "legacy.pth"] {
        let whole = bytes(file);
        for length in (0..whole.len()).step_by(7) {
            assert!(StateDict::read(whole[..length].to_vec()).is_err(), "{length} bytes of {file}");
        }
    }
    // The archive has checksums; the older format has none.
    let mut changed = bytes("plain.pth");
    let number = changed.windows(4).position(|bytes| bytes == 65504_f32.to_le_bytes() || bytes == [0, 0, 0, 0x3f]);
    changed[number.unwrap()] ^= 1;
    assert!(refusal(changed).contains("broken zip archive"));
}

/// Reads everything that a file offers, whose values are no more than a hundredfold of the file.
fn read_all(bytes: Vec<u8>) {
    let most = 100 * bytes.len();
    let Ok(dict) = StateDict::read(bytes) else { return };
    for name in dict.names() {
        let count = dict.shape(name).unwrap().iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
        if count.is_some_and(|count| count <= most) {
            assert!(dict.values(name).is_err() || dict.values(name).unwrap().len() == count.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_make_it_panic(
        file in prop::sample::select(vec!["plain.pth", "legacy.pth", "protocol-4.pth", "checkpoint.pth", "hostile.pth"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        cut in prop::bool::weighted(0.1),
    ) {
        let mut bytes = bytes(file);
        for (place, byte) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        read_all(bytes);
    }

    #[test]
    fn arbitrary_operations_never_make_it_panic(
        operations in prop::collection::vec(
            prop::sample::select(b"\x80\x02.(01NJKMGXUT)t\x85\x86\x87]l}dae s u q r h j c Q R b \x88\x89\x8a\x93\x94".to_vec()),
            0..200,
        ),
    ) {
        // Behind the magic number, version and machine of the older format, where an object is expected.
        let mut bytes = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
        bytes.extend(operations);
        read_all(bytes);
    }
}

/// A file of the older format with one tensor, of this shape, with these strides, over a storage of `count` floats.
fn with_tensor(shape: &str, strides: &str, offset: &str, count: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    let operations = |text: &str| -> Vec<u8> {
        // `L` and eight bytes stand for LONG1, so that sizes up to 2⁶³ can be written.
        let number = |text: &str| [&[0x8a, 8][..], &text.parse::<i64>().unwrap().to_le_bytes()].concat();
        let numbers: Vec<u8> = text.split_whitespace().flat_map(number).collect();
        [&b"("[..], &numbers, b"t"].concat()
    };
    let number = |text: &str| [&[0x8a, 8][..], &text.parse::<i64>().unwrap().to_le_bytes()].concat();
    bytes.extend(b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage");
    bytes.extend(b"ctorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpu");
    bytes.extend(number(count));
    bytes.extend(b"NtQ");
    bytes.extend(number(offset));
    bytes.extend(operations(shape));
    bytes.extend(operations(strides));
    bytes.extend(b"\x89NtRs.\x80\x02]X\x01\0\0\0ka.");
    bytes.extend(count.parse::<i64>().unwrap().to_le_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn a_tensor_that_reaches_over_its_storage_is_refused_before_anything_is_allocated_for_it() {
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let whole = StateDict::read(with_tensor("2 2", "1 2", "0", "4", &data)).unwrap();
    assert_eq!(whole.values("w").unwrap(), [1.0, 3.0, 2.0, 4.0]);
    let huge = i64::MAX.to_string();
    for (shape, strides, offset) in [
        ("2 2", "1 2", "1"),
        ("5", "1", "0"),
        (&*format!("{huge} {huge}"), "0 0", "0"),
        ("1099511627776", "1", "0"),
        ("2 2", &*format!("{huge} {huge}"), "0"),
        ("2", "1", &*huge),
        ("1 3", &*format!("{huge} 2"), "0"),
    ] {
        let dict = StateDict::read(with_tensor(shape, strides, offset, "4", &data)).unwrap();
        assert!(dict.values("w").unwrap_err().contains("more than its storage holds"), "{shape}, {strides}, {offset}");
    }
    // A storage that the file does not have, and sizes below zero.
    for count in ["5", "1099511627776", huge.as_str()] {
        assert!(refusal(with_tensor("1", "1", "0", count, &data)).contains("breaks off"), "{count}");
    }
    assert!(refusal(with_tensor("-1", "1", "0", "4", &data)).contains("impossible size -1"));
    assert!(refusal(with_tensor("1 1", "1", "0", "4", &data)).contains("too few"));
}

#[test]
fn the_imagenet_weights_of_shared_have_every_parameter_of_mobilenet() {
    let Some(path) = shared("weights/mobilenet_v2-imagenet.safetensors") else { return };
    let dict = StateDict::read(std::fs::read(path).unwrap()).unwrap();
    assert_eq!(dict.shape("features.0.0.weight"), Some(&[32, 3, 3, 3][..]));
    assert_eq!(dict.names().count(), 262);
}
