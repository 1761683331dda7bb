//! What training makes small. All take and give float tensors; the result is a scalar.

use tch::{Reduction, TchError, Tensor};

/// Binary cross-entropy on logits, the mean over pictures and labels.
///
/// `logits` and `targets` are [B, L]; targets are 0 or 1.
///
/// # Errors
/// Where the shapes differ.
pub fn multi_label(logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    logits.f_binary_cross_entropy_with_logits(targets, None::<Tensor>, None::<Tensor>, Reduction::Mean)
}

/// Softmax cross-entropy, the mean over pictures.
///
/// `logits` and `targets` are [B, L]; each row of the targets sums to 1, as one label or a mixture of several.
///
/// # Errors
/// Where the shapes do not fit.
pub fn single_label(logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    /// torch's default for `ignore_index`, which has no meaning for targets that are shares.
    const NO_CLASS: i64 = -100;
    logits.f_cross_entropy_loss(targets, None::<Tensor>, Reduction::Mean, NO_CLASS, 0.0)
}

/// Squared error, the mean over what the mask keeps; 0 where it keeps nothing.
///
/// All have one shape, [B, K, 2] or [B, K]; the mask is 1 for an element that counts and 0 for one that does not, whose target may be any
/// finite number.
///
/// # Errors
/// Where the shapes differ.
pub fn squared_error(predicted: &Tensor, targets: &Tensor, mask: &Tensor) -> Result<Tensor, TchError> {
    let squares = predicted.f_sub(targets)?.f_square()?.f_mul(mask)?;
    squares.f_sum(None)?.f_div(&mask.f_sum(None)?.f_clamp_min(1.0)?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        logits: Vec<f32>,
        targets: Vec<f32>,
        classes: Vec<i64>,
        bce: f64,
        cross_entropy: f64,
        points: Vec<f32>,
        truth: Vec<f32>,
        mask: Vec<f32>,
        mse: f64,
        masked_mse: f64,
    }

    fn fixture() -> Fixture {
        serde_json::from_str(include_str!("../../tests/fixtures/training/losses.json")).unwrap()
    }

    fn assert_near(loss: &Tensor, expected: f64) {
        assert!(loss.size().is_empty());
        let loss = loss.double_value(&[]);
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    }

    #[test]
    fn labels_losses_are_torchs() {
        let fixture = fixture();
        let logits = Tensor::from_slice(&fixture.logits).view((4, 5));
        let targets = Tensor::from_slice(&fixture.targets).view((4, 5));
        assert_near(&multi_label(&logits, &targets).unwrap(), fixture.bce);
        let classes = Tensor::from_slice(&fixture.classes).one_hot(5).to_kind(tch::Kind::Float);
        assert_near(&single_label(&logits, &classes).unwrap(), fixture.cross_entropy);
        assert!(multi_label(&logits, &targets.view((5, 4))).is_err());
    }

    #[test]
    fn points_loss_is_torchs_over_what_the_mask_keeps() {
        let fixture = fixture();
        let [predicted, truth, mask] =
            [&fixture.points, &fixture.truth, &fixture.mask].map(|values| Tensor::from_slice(values).view((3, 4, 2)));
        assert_near(&squared_error(&predicted, &truth, &mask.ones_like()).unwrap(), fixture.mse);
        assert_near(&squared_error(&predicted, &truth, &mask).unwrap(), fixture.masked_mse);
    }

    #[test]
    fn a_batch_without_a_point_costs_nothing_and_moves_nothing() {
        let predicted = Tensor::from_slice(&[0.5_f32, -0.5]).view((1, 1, 2)).set_requires_grad(true);
        let zeros = Tensor::zeros([1, 1, 2], (tch::Kind::Float, tch::Device::Cpu));
        let loss = squared_error(&predicted, &zeros, &zeros).unwrap();
        assert_near(&loss, 0.0);
        loss.backward();
        assert_eq!(Vec::<f32>::try_from(predicted.grad().view(-1)).unwrap(), [0.0, 0.0]);
    }
}
