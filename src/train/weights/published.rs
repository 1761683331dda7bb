//! The files that torchvision and timm publish for our architectures.
//!
//! Both name a file after the first eight hexadecimal digits of its SHA-256 (`resnet18-f37072fd.pth`), and publish no
//! more of it. The facts are those of torchvision 0.26 (`torchvision.models.get_model_weights(name)`) and timm 1.0
//! (`timm.models.get_pretrained_cfg(name).url`).

use crate::onnx::arch::Architecture;

/// A file that is published for an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// What it was trained for.
    pub architecture: Architecture,
    /// torchvision's name of the weights, or timm's tag.
    pub entry: &'static str,
    /// Where it is published.
    pub url: &'static str,
}

const fn file(architecture: Architecture, entry: &'static str, url: &'static str) -> Published {
    Published { architecture, entry, url }
}

/// Every file that we know. The first one of an architecture is what `imagenet` means: the weights that fastai's
/// `vision_learner` takes, torchvision's V1.
pub const FILES: [Published; 13] = {
    use Architecture::{MobilenetV2, Resnet18, Resnet34, Resnet50, Resnet101};
    [
        file(Resnet18, "IMAGENET1K_V1", "https://download.pytorch.org/models/resnet18-f37072fd.pth"),
        file(
            Resnet18,
            "a1_in1k",
            "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights/resnet18_a1_0-d63eafa0.pth",
        ),
        file(Resnet34, "IMAGENET1K_V1", "https://download.pytorch.org/models/resnet34-b627a593.pth"),
        file(
            Resnet34,
            "a1_in1k",
            "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights/resnet34_a1_0-46f8f793.pth",
        ),
        file(Resnet50, "IMAGENET1K_V1", "https://download.pytorch.org/models/resnet50-0676ba61.pth"),
        file(Resnet50, "IMAGENET1K_V2", "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"),
        file(
            Resnet50,
            "a1_in1k",
            "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-rsb-weights/resnet50_a1_0-14fe96d1.pth",
        ),
        file(Resnet101, "IMAGENET1K_V1", "https://download.pytorch.org/models/resnet101-63fe2227.pth"),
        file(Resnet101, "IMAGENET1K_V2", "https://download.pytorch.org/models/resnet101-cd907fc2.pth"),
        file(
            Resnet101,
            "a1h_in1k",
            "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-rsb-weights/resnet101_a1h-36d3f2aa.pth",
        ),
        file(MobilenetV2, "IMAGENET1K_V1", "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"),
        file(MobilenetV2, "IMAGENET1K_V2", "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"),
        file(
            MobilenetV2,
            "ra_in1k",
            "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/mobilenetv2_100_ra-b33bc2c4.pth",
        ),
    ]
};

impl Published {
    /// The file of an entry, in upper or lower case; the architecture's first one where none is named.
    ///
    /// # Errors
    /// An entry that the architecture does not have, with those that it has.
    pub fn find(architecture: Architecture, entry: Option<&str>) -> Result<Self, String> {
        let mut own = FILES.into_iter().filter(|file| file.architecture == architecture);
        let found = match entry {
            Some(entry) => own.find(|file| file.entry.eq_ignore_ascii_case(entry)),
            None => own.next(),
        };
        found.ok_or_else(|| {
            let own = FILES.iter().filter(|file| file.architecture == architecture);
            let entries: Vec<&str> = own.map(|file| file.entry).collect();
            let (name, entry) = (architecture.name(), entry.unwrap_or_default());
            format!("there are no weights imagenet:{entry} for {name}: {}", entries.join(", "))
        })
    }

    /// The name of the file.
    pub fn file_name(&self) -> &'static str {
        self.url.rsplit('/').next().unwrap_or(self.url)
    }

    /// The first digits of its SHA-256, in lower case.
    pub fn digest_start(&self) -> &'static str {
        let stem = self.file_name().trim_end_matches(".pth");
        stem.rsplit('-').next().unwrap_or(stem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_name_ends_in_eight_digits_of_its_digest() {
        for file in FILES {
            let digits = file.digest_start();
            assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{file:?}");
            assert!(file.url.starts_with("https://"), "{file:?}");
        }
    }

    #[test]
    fn every_architecture_has_torchvisions_first_weights_as_its_own() {
        for architecture in Architecture::ALL {
            let file = Published::find(architecture, None).unwrap();
            assert_eq!(file.entry, "IMAGENET1K_V1");
            assert!(file.file_name().starts_with(architecture.name()), "{file:?}");
        }
    }
}
