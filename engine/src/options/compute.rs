//! Where to compute, as options.

use crate::device::Device;
use crate::model::ModelOptions;

/// Device, threads, variant.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Computing")]
pub struct ComputeOptions {
    /// Devices in order of preference: cpu, cuda, directml, coreml, with commas; auto tries all
    #[arg(long, value_name = "DEVICES", default_value = "cpu")]
    device: String,
    /// Threads inside one run of the network
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Variant of the model to load [default: the best it has]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
}

impl ComputeOptions {
    /// What was asked for, or which name is no device's.
    pub fn model_options(&self) -> anyhow::Result<ModelOptions> {
        let named = self.variant.clone().map(|name| vec![name]);
        Ok(ModelOptions {
            threads: usize::from(self.threads),
            devices: Device::list(&self.device)?,
            variants: named.unwrap_or(ModelOptions::default().variants),
            memories: None,
        })
    }
}
