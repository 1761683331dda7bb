//! What was typed and what stands in the environment, as text.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

use super::table::TABLE;

/// The flags and environment variables of the server, as text; a flag wins over its variable.
#[derive(Clone, Debug, Default)]
pub struct ServeArgs {
    /// TOML file with settings; flags and environment win over it.
    pub config: Option<PathBuf>,
    /// What was given, by the setting's name.
    pub(super) given: BTreeMap<&'static str, Given>,
}

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
        Self { config: None, given: given.into() }
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
        Ok(())
    }
}
