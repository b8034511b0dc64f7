//! Shell completions and man pages, made of the commands themselves.

use clap::Command;
use clap_complete::Shell;

use crate::print;

/// Print a shell completion or a man page
///
/// `cargo xtask bundle` puts all of them beside the bundles.
#[derive(clap::Args, Clone, Debug)]
pub struct Pages {
    /// The completion for this shell
    #[arg(long, value_name = "SHELL", required_unless_present = "man")]
    completion: Option<Shell>,
    /// The man page of the program, or of one of its commands
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "completion"
    )]
    man: Option<String>,
}

impl Pages {
    /// Prints what is asked for, of a program.
    ///
    /// # Errors
    /// When there is no such command, or standard output cannot be written.
    pub fn run(&self, mut program: Command) -> anyhow::Result<()> {
        let name = program.get_name().to_string();
        let mut page = Vec::new();
        if let Some(shell) = self.completion {
            clap_complete::generate(shell, &mut program, name, &mut page);
            return print(&String::from_utf8_lossy(&page));
        }
        program.build();
        let command = match self.man.as_deref().unwrap_or_default() {
            "" => program,
            wanted => {
                let Some(found) = program.find_subcommand(wanted) else {
                    anyhow::bail!("--man {wanted}: {name} has no such command");
                };
                // Its page bears the program's name too, as git's do: `build` has seen to it.
                found.clone()
            }
        };
        clap_mangen::Man::new(command).render(&mut page)?;
        print(&String::from_utf8_lossy(&page))
    }
}
