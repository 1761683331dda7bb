//! timm's names for the parameters of MobileNetV2, which are not torchvision's. Its ResNets have torchvision's names.
//!
//! tests/fixtures/weights/timm-mobilenetv2.json has the whole table. scripts/fixtures/weights.py makes it by order, and
//! proves it: a torchvision model with a timm model's weights gives the same logits.

use super::state_dict::StateDict;

/// A parameter that only timm's EfficientNet family has.
const SIGN: &str = "conv_stem.weight";
/// The place of each stage's first block among torchvision's `features`.
const FIRST_BLOCKS: [usize; 7] = [1, 2, 4, 7, 11, 14, 17];

/// Renames timm's parameters of MobileNetV2 to torchvision's, where the file has them.
pub(super) fn rename(dict: &mut StateDict) {
    if dict.shape(SIGN).is_some() {
        dict.rename(torchvision_name, "with timm's names of parameters");
    }
}

/// torchvision's name for timm's; none where timm has no such parameter.
fn torchvision_name(name: &str) -> Option<String> {
    let (module, parameter) = name.rsplit_once('.')?;
    let module = match module {
        "conv_stem" => "features.0.0".to_owned(),
        "bn1" => "features.0.1".to_owned(),
        "conv_head" => "features.18.0".to_owned(),
        "bn2" => "features.18.1".to_owned(),
        "classifier" => "classifier.1".to_owned(),
        _ => block(module.strip_prefix("blocks.")?)?,
    };
    Some(format!("{module}.{parameter}"))
}

/// `STAGE.BLOCK.LAYER`: the first stage's block has no expansion, so its layers are one fewer.
fn block(module: &str) -> Option<String> {
    let mut parts = module.splitn(3, '.');
    let stage: usize = parts.next()?.parse().ok()?;
    let block: usize = parts.next()?.parse().ok()?;
    let layer = match (stage, parts.next()?) {
        (0, "conv_dw") => "0.0",
        (0, "bn1") => "0.1",
        (0, "conv_pw") => "1",
        (0, "bn2") => "2",
        (_, "conv_pw") => "0.0",
        (_, "bn1") => "0.1",
        (_, "conv_dw") => "1.0",
        (_, "bn2") => "1.1",
        (_, "conv_pwl") => "2",
        (_, "bn3") => "3",
        _ => return None,
    };
    Some(format!("features.{}.conv.{layer}", FIRST_BLOCKS.get(stage)? + block))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_name_is_the_one_that_gives_the_same_logits_in_python() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/weights/timm-mobilenetv2.json");
        let table: BTreeMap<String, String> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(table.len(), 262);
        for (timm, torchvision) in table {
            assert_eq!(torchvision_name(&timm).as_ref(), Some(&torchvision), "{timm}");
        }
    }

    #[test]
    fn a_name_that_timm_does_not_have_is_left_alone() {
        for name in ["fc.weight", "blocks.9.0.bn1.weight", "blocks.0.0.se.weight", "blocks.x.0.bn1.bias", "weight"] {
            assert_eq!(torchvision_name(name), None, "{name}");
        }
    }
}
