//! Command-line options for devices, threads and memories.

use continuo_cli::number;

use continuo_engine::device::Device;
use continuo_engine::model::ModelOptions;

/// Options of loading a model: devices, threads, variant, memories.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Computing")]
pub struct ComputeOptions {
    /// Devices in order of preference, separated by commas: cpu, cuda, directml, coreml, webgpu;
    /// auto tries all
    #[arg(long, value_name = "DEVICES", default_value = "cpu")]
    device: String,
    /// Number of threads for one run of the network
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = number(1u16, 256))]
    threads: u16,
    /// Variant of the model to load [default: the one for the device]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Reach of the kNN memory: number of earlier tokens of the song that a token can attend to,
    /// and number of tokens of learned pieces [default: that of the model's training]
    #[arg(long, value_name = "N", value_parser = number(1usize, 1 << 22))]
    memories: Option<usize>,
}

impl ComputeOptions {
    /// Returns the options for loading a model.
    ///
    /// # Errors
    /// Fails if the name of a device is unknown.
    pub fn model_options(&self) -> anyhow::Result<ModelOptions> {
        Ok(ModelOptions {
            threads: usize::from(self.threads),
            devices: Device::list(&self.device)?,
            variants: self.variant.iter().cloned().collect(),
            knn_capacity: self.memories,
        })
    }
}
