//! Loading and unloading by the protocol's repository extension, which knows models and no versions.

use crate::{error::Error, serve::http::App};

/// Loads a model: the version that answers, where the model was put away; whatever is new in the repository besides.
///
/// # Errors
/// `UnknownModel`; `Rejected` where the version is refused; `NotReady` where it cannot be loaded now;
/// `Unsupported` for files or a configuration in the request.
pub(super) async fn load(app: &App, name: &str, with_files: bool) -> Result<(), Error> {
    if with_files {
        return Err(Error::Unsupported(
            "a model is loaded as it lies in the repository: a configuration or files in the request are not taken"
                .to_owned(),
        ));
    }
    let models = &app.pipeline.models;
    models.rescan().await?;
    let version = models.catalog().entry(name)?.default_version();
    let version = version.ok_or_else(|| Error::UnknownModel(name.to_owned()))?;
    models.bring_back(name.to_owned(), version).await?;
    Ok(())
}

/// Takes every version of a model out of memory, once the requests that it has are answered.
///
/// # Errors
/// `UnknownModel`.
pub(super) async fn unload(app: &App, name: &str) -> Result<(), Error> {
    app.pipeline.models.unload(name.to_owned(), None).await?;
    Ok(())
}
