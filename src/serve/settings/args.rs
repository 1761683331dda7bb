//! What was typed and what stands in the environment, as text.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

use super::table::{Entry, TABLE};

/// The flags and environment variables of the server, as text; a flag wins over its variable.
#[derive(Clone, Debug, Default)]
pub struct ServeArgs {
    /// TOML file with settings; flags and environment win over it.
    pub config: Option<PathBuf>,
    /// What was given, by the setting's name.
    pub(super) given: BTreeMap<&'static str, Given>,
    /// Variables of the environment that look like settings and are none, each with what is said of it.
    pub(super) passed_over: Vec<String>,
}

/// How variables begin that other programs of ours read.
const OF_OTHERS: [&str; 3] = ["TAGPOINT_WEIGHTS_", "TAGPOINT_FUZZ", "TAGPOINT_TEST_"];

/// A setting's text and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) source: Source,
}

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File,
    /// A `TAGPOINT_` variable.
    Environment,
    /// A flag.
    Flag,
}

impl ServeArgs {
    /// A configuration file and nothing else.
    pub fn of_file(config: PathBuf) -> Self {
        Self { config: Some(config), ..Self::default() }
    }

    /// Flags by name, as if they had been typed.
    #[cfg(test)]
    pub(super) fn typed<const N: usize>(given: [(&'static str, &str); N]) -> Self {
        let given = given.map(|(name, text)| (name, Given { text: text.to_owned(), source: Source::Flag }));
        Self { given: given.into(), ..Self::default() }
    }
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let defaults = super::Settings::default();
        let config = Arg::new("config")
            .long("config")
            .env("TAGPOINT_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(
                "TOML file with settings, named as the flags but with underscores; flags and environment win over it",
            );
        TABLE.iter().fold(command.arg(config), |command, entry| {
            let default = (entry.show)(&defaults);
            let default = if default.is_empty() { "none".to_owned() } else { default };
            let help = format!("{} [default: {default}]", entry.help);
            let arg = Arg::new(entry.name).long(entry.flag()).env(entry.variable()).value_name(entry.value);
            command.arg(arg.help(help).hide_env_values(entry.may_be_secret()))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        for entry in TABLE {
            if let Some(text) = matches.get_one::<String>(entry.name) {
                let from_environment = matches.value_source(entry.name) == Some(ValueSource::EnvVariable);
                let source = if from_environment { Source::Environment } else { Source::Flag };
                self.given.insert(entry.name, Given { text: text.clone(), source });
            }
        }
        self.passed_over = passed_over(std::env::vars_os());
        Ok(())
    }
}

/// What is said of variables that begin as settings do and are none. Values are not shown: they may be secret.
fn passed_over(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let mut said = Vec::new();
    for (variable, value) in variables {
        let (variable, value) = (variable.to_string_lossy(), value.to_string_lossy());
        let is_known = TABLE.iter().any(|entry| entry.variable() == variable)
            || matches!(&*variable, "TAGPOINT_CONFIG" | "TAGPOINT_KEY")
            || OF_OTHERS.iter().any(|beginning| variable.starts_with(beginning))
            || is_of_kubernetes(&variable, &value);
        if !variable.starts_with("TAGPOINT_") || is_known {
            continue;
        }
        let bare = |name: &str| name.replace('_', "");
        let meant = TABLE.iter().map(Entry::variable).find(|known| bare(known) == bare(&variable));
        let hint = meant.map(|meant| format!("; {meant} is one")).unwrap_or_default();
        said.push(format!("{variable} in the environment is no setting and is passed over{hint}"));
    }
    said.sort();
    said
}

/// Whether Kubernetes made a variable of a Service, for every container beside it: `TAGPOINT_SERVICE_HOST`,
/// `TAGPOINT_PORT_8000_TCP`, `TAGPOINT_PORT` with an address.
fn is_of_kubernetes(variable: &str, value: &str) -> bool {
    variable.contains("_SERVICE_")
        || variable.contains("_PORT_")
        || (variable.ends_with("_PORT") && value.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_no_settings_are_named_but_those_of_others_are_not() {
        let variables = [
            ("TAGPOINT_MAXBATCH", "3"),
            ("TAGPOINT_PORT", "9000"),
            ("TAGPOINT_MAX_BATCH", "3"),
            ("TAGPOINT_CONFIG", "tagpoint.toml"),
            ("TAGPOINT_KEY", "a-key"),
            ("TAGPOINT_WEIGHTS_CACHE", "weights"),
            ("TAGPOINT_SERVICE_HOST", "10.0.0.1"),
            ("TAGPOINT_GPU_PORT", "tcp://10.0.0.1:8000"),
            ("TAGPOINT_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("PATH", "/bin"),
        ];
        let said = passed_over(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("TAGPOINT_MAXBATCH ") && said[0].ends_with("; TAGPOINT_MAX_BATCH is one"),
            "{said:?}"
        );
        assert!(said[1].starts_with("TAGPOINT_PORT ") && !said[1].contains("9000"), "{said:?}");
    }
}
