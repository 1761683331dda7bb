//! Which models and versions there are, and the state of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    choice::{Choice, ShadowChoice},
    served::ServedModel,
};
use crate::{error::Error, model::ModelVersion};

/// Every model that is known, by name.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct Catalog {
    /// Whether loading at the start is over.
    pub(in crate::serve) loaded: bool,
    /// Why the models folder cannot be read, where it cannot.
    pub(in crate::serve) repository_error: Option<String>,
    pub(in crate::serve) models: BTreeMap<String, Entry>,
}

/// One model.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct Entry {
    /// Which of its versions answer, as far as somebody chose.
    pub(in crate::serve) choice: Choice,
    pub(in crate::serve) versions: BTreeMap<ModelVersion, State>,
    /// Versions that somebody loaded by hand: they stay, whatever is newest.
    pub(super) kept: BTreeSet<ModelVersion>,
    /// Versions that somebody unloaded by hand: they stay away, until somebody loads them or the server starts again.
    pub(super) put_away: BTreeSet<ModelVersion>,
}

/// The state of a version.
#[derive(Clone, Debug)]
pub(in crate::serve) enum State {
    /// In the repository, but not in memory.
    Unloaded,
    /// Being opened and checked.
    Loading,
    /// Opened, checked, and taking pictures.
    Ready(Arc<ServedModel>),
    /// Not served, and why; opening it again would end the same.
    Refused(String),
    /// Not in memory yet, for a reason that may pass: it is tried again.
    Delayed(String),
    /// Takes no picture any more; those that it has are finished.
    Unloading,
}

impl State {
    pub(in crate::serve) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

impl Catalog {
    /// A model by name, in whatever state.
    ///
    /// # Errors
    /// `UnknownModel`, or `NotReady` while the repository has not been read, or cannot be.
    pub(in crate::serve) fn entry(&self, name: &str) -> Result<&Entry, Error> {
        self.models.get(name).ok_or_else(|| match &self.repository_error {
            Some(reason) => Error::NotReady(reason.clone()),
            None if self.loaded || !self.models.is_empty() => Error::UnknownModel(name.to_owned()),
            None => Error::NotReady("the models are still loading".to_owned()),
        })
    }

    /// A version, if it takes pictures; the default one where none is named.
    ///
    /// # Errors
    /// `UnknownModel`, `UnknownVersion`, `NotLoaded`, `NotReady` or `Refused`.
    pub(super) fn find(&self, name: &str, version: Option<ModelVersion>) -> Result<Arc<ServedModel>, Error> {
        let entry = self.entry(name)?;
        let version =
            version.or_else(|| entry.default_version()).ok_or_else(|| Error::UnknownModel(name.to_owned()))?;
        let model = || name.to_owned();
        match entry.versions.get(&version) {
            None => Err(Error::unknown_version(name, version)),
            Some(State::Ready(served)) => Ok(Arc::clone(served)),
            Some(State::Loading) => Err(Error::NotReady(format!("model {name:?} version {version} is still loading"))),
            Some(State::Delayed(reason)) => {
                Err(Error::NotReady(format!("model {name:?} version {version} is not loaded yet: {reason}")))
            }
            Some(State::Refused(reason)) => {
                Err(Error::Refused { model: model(), version: version.0, reason: reason.clone() })
            }
            Some(State::Unloaded | State::Unloading) => Err(Error::NotLoaded { model: model(), version: version.0 }),
        }
    }

    /// Why the server is not ready; empty where it is.
    pub(in crate::serve) fn hindrances(&self) -> Vec<String> {
        // A repository that cannot be read keeps nothing from answering that is loaded.
        let unread = self.repository_error.iter().filter(|_| self.models.is_empty());
        let mut found: Vec<String> = unread.cloned().collect();
        found.extend(self.models.iter().filter_map(|(name, entry)| entry.hindrance(name)));
        if !self.loaded && found.is_empty() {
            found.push("the models are still loading".to_owned());
        } else if self.models.is_empty() && found.is_empty() {
            found.push("there is no model".to_owned());
        }
        found
    }

    /// Whether something is to be tried again: a version that is delayed, or a repository of which nothing has been seen.
    pub(super) fn is_unfinished(&self) -> bool {
        let unseen = self.repository_error.is_some() && self.models.is_empty();
        let mut states = self.models.values().flat_map(|entry| entry.versions.values());
        unseen || states.any(|state| matches!(state, State::Delayed(_)))
    }

    /// The versions to unload: the named one, or all of the model's.
    ///
    /// # Errors
    /// `UnknownModel`, `UnknownVersion`, `NotReady`, or `Conflict` for the version that answers while others are loaded.
    pub(super) fn to_unload(&self, name: &str, version: Option<ModelVersion>) -> Result<Vec<ModelVersion>, Error> {
        let entry = self.entry(name)?;
        let Some(version) = version else { return Ok(entry.versions.keys().copied().collect()) };
        if !entry.versions.contains_key(&version) {
            return Err(Error::unknown_version(name, version));
        }
        let others_are_ready = entry.versions.iter().any(|(other, state)| *other != version && state.is_ready());
        if entry.default_version() == Some(version) && others_are_ready {
            return Err(Error::Conflict(format!(
                "version {version} of model {name:?} is the one that answers: promote another version first, or unload \
                 the whole model"
            )));
        }
        Ok(vec![version])
    }

    /// Every version that takes pictures.
    pub(in crate::serve) fn served(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.models.values().flat_map(|entry| entry.versions.values()).filter_map(|state| match state {
            State::Ready(served) => Some(served),
            _ => None,
        })
    }
}

impl Entry {
    /// The version that answers where a request names none: the promoted one, else the newest that is ready, else the
    /// newest that is not put away.
    pub(in crate::serve) fn default_version(&self) -> Option<ModelVersion> {
        let newest = |wanted: &dyn Fn(&State) -> bool| {
            self.versions.iter().rev().find(|(_, state)| wanted(state)).map(|(version, _)| *version)
        };
        self.choice
            .default
            .or_else(|| newest(&State::is_ready))
            .or_else(|| newest(&|state| !matches!(state, State::Unloaded | State::Unloading)))
            .or_else(|| newest(&|_| true))
    }

    /// The version on trial, as long as another one answers.
    pub(super) fn trial(&self) -> Option<ShadowChoice> {
        self.choice.shadow.filter(|shadow| self.default_version() != Some(shadow.version))
    }

    /// Why the model does not answer, where it should.
    fn hindrance(&self, name: &str) -> Option<String> {
        let version = self.default_version()?;
        let what = format!("model {name:?} version {version}");
        match self.versions.get(&version) {
            Some(State::Ready(served)) => Some(format!("{what}: {}", served.ailment()?)),
            Some(State::Loading) => Some(format!("{what} is still loading")),
            Some(State::Delayed(reason)) => Some(format!("{what} is not loaded yet: {reason}")),
            Some(State::Refused(reason)) => Some(format!("{what} is refused: {reason}")),
            None => Some(format!("{what} is promoted but is not there")),
            // Somebody wanted it so.
            Some(State::Unloaded | State::Unloading) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(loaded: bool, models: &[(&str, &[State])]) -> Catalog {
        let versions = |states: &[State]| (1..).map(ModelVersion).zip(states.iter().cloned()).collect();
        let entry = |states: &[State]| Entry { versions: versions(states), ..Entry::default() };
        let models = models.iter().map(|(name, states)| ((*name).to_owned(), entry(states))).collect();
        Catalog { loaded, repository_error: None, models }
    }

    #[test]
    fn before_the_folder_is_read_no_model_is_unknown() {
        assert!(matches!(catalog(false, &[]).find("scenes", None), Err(Error::NotReady(_))));
        assert_eq!(catalog(false, &[]).hindrances(), ["the models are still loading"]);
        assert!(matches!(catalog(true, &[]).find("scenes", None), Err(Error::UnknownModel(_))));
        assert_eq!(catalog(true, &[]).hindrances(), ["there is no model"]);
    }

    #[test]
    fn a_model_that_loads_does_not_make_others_known() {
        let catalog = catalog(false, &[("scenes", &[State::Loading])]);
        assert!(matches!(catalog.find("scenes", None), Err(Error::NotReady(_))));
        assert!(matches!(catalog.find("faces", None), Err(Error::UnknownModel(_))));
        assert!(matches!(catalog.find("scenes", Some(ModelVersion(2))), Err(Error::UnknownVersion { .. })));
    }

    #[test]
    fn what_is_delayed_hinders_and_is_tried_again_and_what_is_refused_only_hinders() {
        let delayed = catalog(true, &[("scenes", &[State::Delayed("the disk is full".to_owned())])]);
        assert_eq!(delayed.hindrances(), ["model \"scenes\" version 1 is not loaded yet: the disk is full"]);
        assert!(matches!(delayed.find("scenes", None), Err(Error::NotReady(_))));
        assert!(delayed.is_unfinished());
        let refused = catalog(true, &[("scenes", &[State::Refused("it drifts".to_owned()), State::Unloaded])]);
        assert!(matches!(refused.find("scenes", None), Err(Error::Refused { .. })));
        assert!(!refused.is_unfinished());
    }

    #[test]
    fn a_repository_that_cannot_be_read_is_tried_again_while_nothing_of_it_is_known() {
        let unread = |models| Catalog { repository_error: Some("no answer".to_owned()), ..catalog(true, models) };
        assert!(unread(&[]).is_unfinished());
        assert!(!unread(&[("scenes", &[State::Unloaded])]).is_unfinished());
        assert!(!catalog(true, &[]).is_unfinished());
    }

    #[test]
    fn a_version_that_is_promoted_but_gone_hinders_and_one_put_away_does_not() {
        let mut catalog = catalog(true, &[("scenes", &[State::Unloaded, State::Refused("it drifts".to_owned())])]);
        assert_eq!(catalog.hindrances(), ["model \"scenes\" version 2 is refused: it drifts"]);
        let entry = catalog.models.get_mut("scenes").unwrap();
        entry.choice.default = Some(ModelVersion(7));
        assert_eq!(catalog.hindrances(), ["model \"scenes\" version 7 is promoted but is not there"]);
        catalog.models.get_mut("scenes").unwrap().choice.default = Some(ModelVersion(1));
        assert!(catalog.hindrances().is_empty());
        assert!(matches!(catalog.find("scenes", None), Err(Error::NotLoaded { version: 1, .. })));
    }
}
