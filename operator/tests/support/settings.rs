//! What an operator is told.

use clap::Parser;
use operator::plan::Settings;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Settings,
}

/// Of an operator that is told `arguments` and nothing else.
pub(crate) fn settings_of(arguments: &[&str]) -> Settings {
    Command::parse_from([&["operator"], arguments].concat()).settings
}
