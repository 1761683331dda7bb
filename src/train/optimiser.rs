//! AdamW over flat buffers: fastai's Adam with decoupled weight decay.
//!
//! The parameters of a group are views into one buffer, the decayed ones first, so that a step costs a handful of
//! operations on long vectors, however many parameters there are. Gradients are asked of autograd for the trainable
//! parameters alone: a frozen parameter has none, and is neither moved nor decayed.

use tch::{Tensor, no_grad};

use super::network::{Layout, Network, NetworkError, Parameter};

/// Decay of the average of squared gradients (fastai's `sqr_mom`).
const BETA2: f64 = 0.99;
/// What is added to the denominator.
const EPSILON: f64 = 1e-5;

/// The optimiser of a network's parameters.
#[derive(Debug)]
pub struct Optimiser {
    /// The places of each group's parameters in the network, whether they train or not.
    places: Vec<Vec<usize>>,
    /// What trains, group by group.
    groups: Vec<Group>,
    /// Steps since the state was cleared.
    steps: i32,
}

/// The trainable parameters of a group and their state.
#[derive(Debug)]
struct Group {
    /// Every value, decayed parameters first; [`Group::leaves`] are views into it.
    values: Tensor,
    /// How many of the values are decayed.
    decayed: i64,
    leaves: Vec<Leaf>,
    /// Average of gradients.
    average: Tensor,
    /// Average of squared gradients.
    squares: Tensor,
}

#[derive(Debug)]
struct Leaf {
    name: String,
    tensor: Tensor,
    layout: Layout,
}

impl Optimiser {
    /// An optimiser for every parameter; `groups` are places in [`Network::parameters`], and each group gets its own
    /// learning rate.
    ///
    /// # Errors
    /// A place that does not exist or stands in two groups, and libtorch's.
    pub fn new(network: &mut Network, groups: Vec<Vec<usize>>) -> Result<Self, NetworkError> {
        let mut places: Vec<usize> = groups.iter().flatten().copied().collect();
        places.sort_unstable();
        let repeated = places.windows(2).any(|pair| pair[0] == pair[1]);
        if repeated || places.last().is_some_and(|&last| last >= network.parameters().len()) {
            return Err(NetworkError::Graph("parameter groups overlap or name parameters that do not exist".into()));
        }
        let mut optimiser = Self { places: groups, groups: Vec::new(), steps: 0 };
        optimiser.set_trainable(network, |_| true)?;
        Ok(optimiser)
    }

    /// How many learning rates a step takes.
    pub fn group_count(&self) -> usize {
        self.places.len()
    }

    /// Chooses what trains from now on, and clears the state. The other parameters have no gradient any more.
    ///
    /// # Errors
    /// libtorch's.
    pub fn set_trainable(
        &mut self,
        network: &mut Network,
        trains: impl Fn(&Parameter) -> bool,
    ) -> Result<(), NetworkError> {
        for index in 0..network.parameters().len() {
            let frozen = network.parameters()[index].tensor.f_detach()?;
            network.set_parameter(index, frozen)?;
        }
        self.steps = 0;
        self.groups.clear();
        for places in &self.places {
            let chosen = places.iter().copied().filter(|&place| trains(&network.parameters()[place])).collect();
            self.groups.push(Group::new(network, chosen)?);
        }
        Ok(())
    }

    /// One step down the gradient of `loss`, a number; `lrs` are the groups' learning rates in order, `momentum` is
    /// Adam's first beta, also in the bias correction, and `weight_decay` applies to weights alone.
    ///
    /// # Errors
    /// As many learning rates as there are not groups, a trainable parameter that `loss` does not depend on, and
    /// libtorch's.
    pub fn step(&mut self, loss: &Tensor, lrs: &[f64], momentum: f64, weight_decay: f64) -> Result<(), NetworkError> {
        if lrs.len() != self.groups.len() {
            let reason = format!("{} learning rates for {} parameter groups", lrs.len(), self.groups.len());
            return Err(NetworkError::Graph(reason));
        }
        let leaves: Vec<&Tensor> =
            self.groups.iter().flat_map(|group| &group.leaves).map(|leaf| &leaf.tensor).collect();
        let mut gradients = Tensor::f_run_backward(&[loss], &leaves, false, false)?.into_iter();
        self.steps += 1;
        let rule = Rule { momentum, weight_decay, steps: self.steps };
        for (group, &lr) in self.groups.iter_mut().zip(lrs) {
            let count = group.leaves.len();
            no_grad(|| group.update(gradients.by_ref().take(count), lr, rule))?;
        }
        Ok(())
    }
}

/// What is common to all groups of a step.
#[derive(Clone, Copy)]
struct Rule {
    momentum: f64,
    weight_decay: f64,
    steps: i32,
}

impl Group {
    /// Moves the parameters at `places` into one buffer.
    fn new(network: &mut Network, mut places: Vec<usize>) -> Result<Self, NetworkError> {
        places.sort_by_key(|&place| !network.parameters()[place].role.decays());
        let options = (network.kind(), network.device());
        let mut parts = vec![Tensor::f_zeros([0], options)?];
        let mut decayed = 0;
        for &place in &places {
            let parameter = &network.parameters()[place];
            parts.push(parameter.layout.flatten(&parameter.tensor)?);
            decayed += if parameter.role.decays() { parameter.tensor.numel() as i64 } else { 0 };
        }
        let values = Tensor::f_cat(&parts, 0)?;
        let mut leaves = Vec::with_capacity(places.len());
        let mut start = 0;
        for place in places {
            let Parameter { name, tensor, layout, .. } = &network.parameters()[place];
            let length = tensor.numel() as i64;
            let view = layout.view(&values.f_narrow(0, start, length)?, &tensor.size())?;
            let leaf =
                Leaf { name: name.clone(), tensor: view.f_detach()?.f_set_requires_grad(true)?, layout: *layout };
            network.set_parameter(place, leaf.tensor.shallow_clone())?;
            leaves.push(leaf);
            start += length;
        }
        let (average, squares) = (values.f_zeros_like()?, values.f_zeros_like()?);
        Ok(Self { values, decayed, leaves, average, squares })
    }

    /// `p *= 1 − lr·wd`, then `p −= lr / (1 − β1ᵗ) · m / (√(v / (1 − β2ᵗ)) + ε)`.
    fn update(&mut self, gradients: impl Iterator<Item = Tensor>, lr: f64, rule: Rule) -> Result<(), NetworkError> {
        let mut gradient = self.flatten(gradients)?;
        if self.leaves.is_empty() {
            return Ok(());
        }
        let _ = self.average.f_lerp_(&gradient, 1.0 - rule.momentum)?;
        // The binding's addcmul has no factor, so the gradient carries its root.
        let _ = gradient.f_mul_scalar_((1.0 - BETA2).sqrt())?;
        let _ = self.squares.f_mul_scalar_(BETA2)?.f_addcmul_(&gradient, &gradient)?;
        if lr == 0.0 {
            return Ok(());
        }
        if rule.weight_decay != 0.0 && self.decayed > 0 {
            let _ = self.values.f_narrow(0, 0, self.decayed)?.f_mul_scalar_(1.0 - lr * rule.weight_decay)?;
        }
        let first = 1.0 - rule.momentum.powi(rule.steps);
        let second = 1.0 - BETA2.powi(rule.steps);
        // Nor has addcdiv: −lr / first goes into the denominator. The gradient's memory is free by now.
        let factor = -first / lr;
        let mut denominator = gradient;
        denominator.f_copy_(&self.squares)?;
        let _ = denominator.f_sqrt_()?.f_mul_scalar_(factor / second.sqrt())?.f_add_scalar_(factor * EPSILON)?;
        let _ = self.values.f_addcdiv_(&self.average, &denominator)?;
        Ok(())
    }

    /// The gradients as one vector, in the order of the values.
    fn flatten(&self, gradients: impl Iterator<Item = Tensor>) -> Result<Tensor, NetworkError> {
        let mut parts = vec![Tensor::f_zeros([0], (self.values.kind(), self.values.device()))?];
        for (leaf, gradient) in self.leaves.iter().zip(gradients) {
            if !gradient.defined() {
                return Err(NetworkError::Graph(format!("the loss does not depend on parameter {:?}", leaf.name)));
            }
            parts.push(leaf.layout.flatten(&gradient)?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}
