//! `tagpoint pixels`: what a model would see of a picture, as a NumPy file or on its way to another program.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::{Detail, Limits, Picture, PictureSize, Placement, ResizeMethod, ResizeRule, npy};

/// Decodes and resizes one picture as serving and training do, and writes its pixels (.npy, uint8, [H, W, 3], RGB).
#[derive(Clone, Debug, clap::Args)]
pub struct PixelsArgs {
    /// The picture: JPEG, PNG, WebP, GIF or BMP.
    pub file: PathBuf,
    /// The model's frame, width x height.
    #[arg(long, value_name = "WxH", default_value = "224x224")]
    pub size: PictureSize,
    /// What happens to the aspect ratio: squish, crop or pad.
    #[arg(long, value_name = "METHOD", default_value = "squish")]
    pub method: ResizeMethod,
    /// Decode every pixel, even of a JPEG that is far larger than the frame.
    #[arg(long)]
    pub full: bool,
    /// Where to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Runs `tagpoint pixels`; returns where the picture lies in the frame.
///
/// # Errors
/// Where the file cannot be read, decoded or written.
pub fn run(args: &PixelsArgs) -> anyhow::Result<Placement> {
    let bytes = fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let rule = ResizeRule { method: args.method, size: args.size };
    let detail = if args.full { Detail::Full } else { Detail::For(&rule) };
    let picture = Picture::decode(&bytes, &Limits::default(), detail)
        .with_context(|| format!("cannot decode {}", args.file.display()))?;
    let mut pixels = vec![0; 3 * args.size.width as usize * args.size.height as usize];
    let placement = picture.resize_into(&rule, &mut pixels)?;

    let writing = || format!("cannot write {}", args.output.display());
    let mut writer = BufWriter::new(File::create(&args.output).with_context(writing)?);
    npy::write_pixels(&mut writer, &pixels, args.size).with_context(writing)?;
    writer.flush().with_context(writing)?;
    Ok(placement)
}
