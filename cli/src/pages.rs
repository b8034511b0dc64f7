//! Shell completions and man pages, generated from the commands.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, ValueEnum};
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use continuo_files::{Kind, Output, Replace, check_folder};

use crate::print;

/// Print a shell completion or a man page, or write all of them into a folder
///
/// `cargo xtask bundle` puts them into the folder `shell` beside the bundles.
#[derive(clap::Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Pages {
    /// Print the completion for this shell
    #[arg(long, value_name = "SHELL")]
    completion: Option<Shell>,
    /// Print the man page of the program, or of one of its commands
    #[arg(long, value_name = "COMMAND", num_args = 0..=1, default_missing_value = "")]
    man: Option<String>,
    /// Write all completions and man pages into this folder
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
}

/// Kind of the pages; each page contains the program's name.
const PAGE: Kind = Kind {
    name: "a page of continuo",
    endings: &["1", "bash", "fish", "elv", "ps1"],
    by_name: false,
    any_ending: true,
    binary: false,
    recognises: |head| String::from_utf8_lossy(head).contains("continuo"),
};

impl Pages {
    /// Prints or writes the requested pages of a program.
    ///
    /// # Errors
    /// Fails if the command does not exist, or a page cannot be written.
    pub fn run(&self, mut program: Command) -> anyhow::Result<()> {
        // The pages of commands also begin with the program's name, like those of git.
        program.build();
        let name = program.get_name().to_string();
        if let Some(folder) = &self.all {
            return write_all(&program, folder);
        }
        if let Some(shell) = self.completion {
            return print(&String::from_utf8_lossy(&completion(&program, shell)));
        }
        let command = match self.man.as_deref().unwrap_or_default() {
            "" => &program,
            wanted => match program.find_subcommand(wanted) {
                Some(found) => found,
                None => anyhow::bail!("--man {wanted}: {name} has no such command"),
            },
        };
        print(&String::from_utf8_lossy(&man(command)?))
    }
}

fn completion(program: &Command, shell: Shell) -> Vec<u8> {
    let (mut page, name) = (Vec::new(), program.get_name());
    clap_complete::generate(shell, &mut program.clone(), name, &mut page);
    page
}

fn man(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

fn write_all(program: &Command, folder: &Path) -> anyhow::Result<()> {
    check_folder(folder)?;
    fs::create_dir_all(folder)?;
    let write = |name: String, page: &[u8]| {
        Output::check(&folder.join(name), &PAGE, Replace::SameKind)?.write(page)
    };
    for shell in Shell::value_variants() {
        let name = shell.file_name(program.get_name());
        write(name, &completion(program, *shell))?;
    }
    let commands = program.get_subcommands().filter(|c| c.get_name() != "help");
    for command in commands.chain([program]) {
        write(Man::new(command.clone()).get_filename(), &man(command)?)?;
    }
    Ok(())
}
