//! Parameter groups: which parameters share a learning rate.

use super::backbone::Backbone;
use crate::onnx::head::HEAD_PREFIX;

/// How many groups there are.
pub const GROUPS: usize = 3;

/// The places of each group's parameters, from the first layers to the head, which is the last group.
///
/// `names` are in order of first use. A ResNet splits as fastai splits it: stem, layer1 and layer2; layer3 and layer4;
/// head. Another body splits in two halves by depth.
pub fn parameter_groups(backbone: &Backbone, names: &[&str]) -> [Vec<usize>; GROUPS] {
    let (head, body): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(|&i| names[i].starts_with(HEAD_PREFIX));
    let (first, second) = if matches!(backbone, Backbone::Named(architecture) if architecture.name().starts_with("resnet"))
    {
        body.into_iter().partition(|&i| !names[i].starts_with("layer3.") && !names[i].starts_with("layer4."))
    } else {
        let half = body.len() / 2;
        (body[..half].to_vec(), body[half..].to_vec())
    };
    [first, second, head]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::arch::Architecture;

    #[test]
    fn a_resnet_splits_after_layer2_and_before_the_head() {
        let names =
            ["conv1.weight", "layer2.0.bn1.bias", "layer3.0.conv1.weight", "layer4.1.bn2.bias", "head.norm1.weight"];
        assert_eq!(parameter_groups(&Architecture::Resnet18.into(), &names), [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn another_body_splits_in_half() {
        let names = ["a", "b", "c", "d", "head.x"];
        assert_eq!(parameter_groups(&Architecture::MobilenetV2.into(), &names), [vec![0, 1], vec![2, 3], vec![4]]);
    }
}
