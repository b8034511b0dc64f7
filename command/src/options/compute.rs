//! Where to compute, as options.

use continuo_cli::number;

use continuo_engine::device::Device;
use continuo_engine::model::ModelOptions;

/// Device, threads, variant, memories.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Computing")]
pub struct ComputeOptions {
    /// Devices in order of preference: cpu, cuda, directml, coreml, with commas; auto tries all
    #[arg(long, value_name = "DEVICES", default_value = "cpu")]
    device: String,
    /// Threads inside one run of the network
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Variant of the model to load [default: the one made for the device]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Tokens of its song that the kNN memory lets a token see, and as many of what was learned
    /// [default: what the model was trained with]
    #[arg(long, value_name = "N", value_parser = number(1usize, 1 << 22))]
    memories: Option<usize>,
}

impl ComputeOptions {
    /// The options of loading a model.
    ///
    /// # Errors
    /// If a device's name is unknown.
    pub fn model_options(&self) -> anyhow::Result<ModelOptions> {
        Ok(ModelOptions {
            threads: usize::from(self.threads),
            devices: Device::list(&self.device)?,
            variants: self.variant.iter().cloned().collect(),
            knn_capacity: self.memories,
        })
    }
}
