//! AdamW over flat buffers: fastai's Adam with decoupled weight decay.
//!
//! The parameters of a group are views into one buffer, the decayed ones first, so that a step costs a handful of
//! operations on long vectors, however many parameters there are. Gradients are asked of autograd for the trainable
//! parameters alone: a frozen parameter has none, and is neither moved nor decayed.

use tch::{Kind, Tensor, no_grad};

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
    /// Gradients that were added up since the last update.
    added: usize,
}

/// What one update uses.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The groups' learning rates, in order.
    pub lrs: &'a [f64],
    /// Adam's first beta, also in the bias correction.
    pub momentum: f64,
    /// Decoupled weight decay, of weights alone.
    pub weight_decay: f64,
    /// The gradients are scaled down to this norm, over all groups, where they are longer.
    pub clip: Option<f64>,
}

/// The state that an update leaves.
#[derive(Debug)]
pub struct OptimiserState {
    /// Updates since the state was cleared.
    pub steps: i32,
    /// Averages of the gradients and of their squares, of each group.
    pub averages: Vec<[Tensor; 2]>,
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
    /// The sum of the gradients since the last update; none where there is none yet.
    gradient: Option<Tensor>,
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
        let mut optimiser = Self { places: groups, groups: Vec::new(), steps: 0, added: 0 };
        optimiser.set_trainable(network, |_, _| true)?;
        Ok(optimiser)
    }

    /// How many learning rates a step takes.
    pub fn group_count(&self) -> usize {
        self.places.len()
    }

    /// Chooses what trains from now on, from a parameter and its group's place, and clears the state. The other
    /// parameters have no gradient any more.
    ///
    /// # Errors
    /// libtorch's.
    pub fn set_trainable(
        &mut self,
        network: &mut Network,
        trains: impl Fn(usize, &Parameter) -> bool,
    ) -> Result<(), NetworkError> {
        for index in 0..network.parameters().len() {
            let frozen = network.parameters()[index].tensor.f_detach()?;
            network.set_parameter(index, frozen)?;
        }
        (self.steps, self.added) = (0, 0);
        self.groups.clear();
        for (group, places) in self.places.iter().enumerate() {
            let trains = |&place: &usize| trains(group, &network.parameters()[place]);
            let chosen = places.iter().copied().filter(trains).collect();
            self.groups.push(Group::new(network, chosen)?);
        }
        Ok(())
    }

    /// Adds the gradient of `loss`, a number, to those since the last update.
    ///
    /// # Errors
    /// A trainable parameter that `loss` does not depend on, and libtorch's.
    pub fn backward(&mut self, loss: &Tensor) -> Result<(), NetworkError> {
        let leaves: Vec<&Tensor> =
            self.groups.iter().flat_map(|group| &group.leaves).map(|leaf| &leaf.tensor).collect();
        let mut gradients = Tensor::f_run_backward(&[loss], &leaves, false, false)?.into_iter();
        for group in &mut self.groups {
            let count = group.leaves.len();
            no_grad(|| group.add(gradients.by_ref().take(count)))?;
        }
        self.added += 1;
        Ok(())
    }

    /// One step down the mean of the gradients since the last one.
    ///
    /// # Errors
    /// As many learning rates as there are not groups, no gradient, and libtorch's.
    pub fn update(&mut self, update: &Update<'_>) -> Result<(), NetworkError> {
        if update.lrs.len() != self.groups.len() {
            let reason = format!("{} learning rates for {} parameter groups", update.lrs.len(), self.groups.len());
            return Err(NetworkError::Graph(reason));
        }
        if self.added == 0 {
            return Err(NetworkError::Graph("there is no gradient to follow".into()));
        }
        self.steps += 1;
        no_grad(|| self.take_mean(update.clip))?;
        let rule = Rule { momentum: update.momentum, weight_decay: update.weight_decay, steps: self.steps };
        for (group, &lr) in self.groups.iter_mut().zip(update.lrs) {
            no_grad(|| group.update(lr, rule))?;
        }
        self.added = 0;
        Ok(())
    }

    /// Makes the sum of the gradients their mean, clipped to a norm as `torch.nn.utils.clip_grad_norm_` does. The norm stays
    /// on the device: nothing here waits for it.
    fn take_mean(&mut self, clip: Option<f64>) -> Result<(), NetworkError> {
        let mut gradients: Vec<&mut Tensor> =
            self.groups.iter_mut().filter_map(|group| group.gradient.as_mut()).collect();
        if self.added > 1 {
            for gradient in &mut gradients {
                let _ = gradient.f_div_scalar_(self.added as f64)?;
            }
        }
        let Some(clip) = clip.filter(|_| !gradients.is_empty()) else { return Ok(()) };
        let square = |gradient: &&mut Tensor| gradient.f_square()?.f_sum(Kind::Double);
        let squares = gradients.iter().map(square).collect::<Result<Vec<_>, _>>()?;
        let norm = Tensor::f_stack(&squares, 0)?.f_sum(Kind::Double)?.f_sqrt()?;
        let scale = norm.f_add_scalar(1e-6)?.f_reciprocal()?.f_mul_scalar(clip)?.f_clamp_max(1.0)?;
        for gradient in gradients {
            let _ = gradient.f_mul_(&scale)?;
        }
        Ok(())
    }

    /// The state as it is now, sharing its memory: the next update changes it.
    pub fn state(&self) -> OptimiserState {
        let shared = |group: &Group| [group.average.shallow_clone(), group.squares.shallow_clone()];
        OptimiserState { steps: self.steps, averages: self.groups.iter().map(shared).collect() }
    }

    /// Puts a saved state back; what trains has to be what trained when it was saved.
    ///
    /// # Errors
    /// A state of other groups, and libtorch's.
    pub fn restore(&mut self, state: &OptimiserState) -> Result<(), NetworkError> {
        let fits = state.averages.len() == self.groups.len()
            && self.groups.iter().zip(&state.averages).all(|(group, [average, squares])| {
                group.average.size() == average.size() && group.squares.size() == squares.size()
            });
        if !fits {
            return Err(NetworkError::Graph("the optimiser's state is that of other parameters".into()));
        }
        for (group, [average, squares]) in self.groups.iter_mut().zip(&state.averages) {
            group.average.f_copy_(average)?;
            group.squares.f_copy_(squares)?;
        }
        (self.steps, self.added) = (state.steps, 0);
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
        Ok(Self { values, decayed, leaves, average, squares, gradient: None })
    }

    /// `p *= 1 − lr·wd`, then `p −= lr / (1 − β1ᵗ) · m / (√(v / (1 − β2ᵗ)) + ε)`.
    fn update(&mut self, lr: f64, rule: Rule) -> Result<(), NetworkError> {
        let Some(mut gradient) = self.gradient.take() else { return Ok(()) };
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

    /// Adds gradients, in the order of the leaves, to those since the last update.
    fn add(&mut self, gradients: impl Iterator<Item = Tensor>) -> Result<(), NetworkError> {
        let gradient = self.flatten(gradients)?;
        self.gradient = match self.gradient.take() {
            _ if self.leaves.is_empty() => None,
            Some(mut sum) => Some(sum.f_add_(&gradient)?),
            None => Some(gradient),
        };
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
