//! The values of a network's parameters and running statistics, set aside to come back to.

use std::collections::HashMap;

use tch::{Device, Tensor, no_grad};

use super::{Network, NetworkError, convert::copy_of};

/// Values by the initializers' names.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Name and values, of the shape that the initializer has; parameters in order of first use, then statistics.
    pub values: Vec<(String, Tensor)>,
}

impl Snapshot {
    /// A copy.
    ///
    /// # Errors
    /// libtorch's.
    pub fn copy(&self) -> Result<Self, NetworkError> {
        let copy = |(name, value): &(String, Tensor)| Ok((name.clone(), copy_of(value)?));
        Ok(Self { values: self.values.iter().map(copy).collect::<Result<_, NetworkError>>()? })
    }

    /// The same values on a device.
    ///
    /// # Errors
    /// libtorch's.
    pub fn on(mut self, device: Device) -> Result<Self, NetworkError> {
        for (_, value) in &mut self.values {
            *value = value.f_to_device(device)?;
        }
        Ok(self)
    }

    /// Moves each value towards the network's by `share` of the way: 0 stays, 1 is the network.
    ///
    /// # Errors
    /// A snapshot of another network, and libtorch's.
    pub fn approach(&mut self, network: &Network, share: f64) -> Result<(), NetworkError> {
        let now = network.values();
        no_grad(|| {
            for (name, value) in &mut self.values {
                let _ = value.f_lerp_(now.get(name.as_str()).ok_or_else(|| unknown(name))?, share)?;
            }
            Ok(())
        })
    }
}

impl Network {
    /// Copies of all values.
    ///
    /// # Errors
    /// libtorch's.
    pub fn snapshot(&self) -> Result<Snapshot, NetworkError> {
        let parameters = self.parameters.iter().map(|parameter| (parameter.name.as_str(), &parameter.tensor));
        let copy = |(name, tensor): (&str, &Tensor)| Ok((name.to_owned(), copy_of(tensor)?));
        Ok(Snapshot { values: parameters.chain(self.statistics()).map(copy).collect::<Result<_, NetworkError>>()? })
    }

    /// Puts all values of a snapshot back, in place: views into an optimiser's buffer stay views.
    ///
    /// # Errors
    /// A snapshot of another network, and libtorch's.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), NetworkError> {
        let mut now = self.values();
        no_grad(|| {
            for (name, value) in &snapshot.values {
                let tensor = now.get_mut(name.as_str()).ok_or_else(|| unknown(name))?;
                if tensor.size() != value.size() {
                    let (ours, theirs) = (tensor.size(), value.size());
                    return Err(NetworkError::Graph(format!("{name:?} is {theirs:?} in place of {ours:?}")));
                }
                tensor.f_copy_(value)?;
            }
            Ok(())
        })
    }

    /// Every parameter and statistic by name, sharing the network's memory.
    pub fn values(&self) -> HashMap<&str, Tensor> {
        let parameters = self.parameters.iter().map(|parameter| (parameter.name.as_str(), &parameter.tensor));
        parameters.chain(self.statistics()).map(|(name, tensor)| (name, tensor.shallow_clone())).collect()
    }
}

fn unknown(name: &str) -> NetworkError {
    NetworkError::Graph(format!("the network has no parameter or statistic {name:?}"))
}
