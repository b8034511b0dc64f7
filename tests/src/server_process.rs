//! A server that a test starts for itself, for example Xvfb or D-Bus.

use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A running server. Dropping it ends the process.
pub struct ServerProcess {
    process: Child,
    /// First line of its standard output, for example its address.
    pub address: String,
}

impl ServerProcess {
    /// Starts a server and waits until it prints a line. Returns `None` if it is not installed.
    ///
    /// # Errors
    /// Fails when it is installed and does not start, or ends without a line.
    pub fn start(command: &mut Command) -> Result<Option<Self>> {
        let name = command.get_program().display().to_string();
        let process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = match process {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot start {name}")),
        };
        let stdout = process.stdout.take();
        let mut server = Self {
            process,
            address: String::new(),
        };
        let stdout = stdout.with_context(|| format!("{name} has no output"))?;
        BufReader::new(stdout).read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        ensure!(
            !server.address.is_empty(),
            "{name} ended before it printed its address"
        );
        Ok(Some(server))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
