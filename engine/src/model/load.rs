//! From a model directory to a model on a device.

use std::path::Path;
use std::sync::Mutex;

use continuo_score::Vocabulary;
use continuo_score::manifest::Manifest;

use super::graph::{Graph, Role};
use super::{Model, ModelOptions, bad, directory};
use crate::device::{self, Device, UnavailableDevice};
use crate::error::EngineError;
use crate::kv_cache::CacheLayout;
use crate::runtime::Runtime;

/// Bytes that the caches of one listener may take.
const MOST_CACHE: usize = 1 << 32;

/// Loads the model in `directory` onto the first device that takes it. The error has every
/// refusal.
pub(super) fn load(
    runtime: &Runtime,
    directory: &Path,
    options: &ModelOptions,
) -> Result<Model, EngineError> {
    let (manifest, vocabulary) = directory::read(directory)?;
    let mut unavailable_devices = Vec::new();
    for &device in &options.devices {
        match on(runtime, directory, options, &manifest, &vocabulary, device) {
            Ok(model) => {
                return Ok(Model {
                    unavailable_devices,
                    ..model
                });
            }
            // Nothing else to try: the error itself says most.
            Err(error) if options.devices.len() == 1 => return Err(error),
            Err(error) => unavailable_devices.push(UnavailableDevice {
                device,
                reason: error.to_string(),
            }),
        }
    }
    let reasons: Vec<String> = unavailable_devices
        .iter()
        .map(UnavailableDevice::to_string)
        .collect();
    Err(match reasons.is_empty() {
        true => bad(directory, "no device was asked for"),
        false => bad(directory, reasons.join("; ")),
    })
}

fn on(
    runtime: &Runtime,
    directory: &Path,
    options: &ModelOptions,
    manifest: &Manifest,
    vocabulary: &Vocabulary,
    device: Device,
) -> Result<Model, EngineError> {
    let made_for = || device.variants().map(str::to_owned).collect::<Vec<_>>();
    let wanted = match options.variants.is_empty() {
        true => made_for(),
        false => options.variants.clone(),
    };
    let (variant, files) = directory::graphs(directory, manifest, &wanted)?;
    let roles: &[Role] = match manifest.knn {
        None => &[Role::Whole],
        Some(_) => &[Role::Lower, Role::Upper],
    };
    let mut graphs = Vec::new();
    for (file, &role) in files.iter().zip(roles) {
        let session =
            device::open(runtime, file, options.threads, device).map_err(|e| bad(file, e))?;
        graphs.push(Graph::new(session, file, manifest, role)?);
    }
    let in_place = graphs.iter().any(Graph::in_place);
    if graphs
        .iter()
        .any(|g| g.looks_back() && g.in_place() != in_place)
    {
        let reason = "one graph changes its caches in place and one does not";
        return Err(bad(directory, format!("variant {variant}: {reason}")));
    }
    let layout = in_place.then(|| layout(manifest.window, device));
    let cache = layout.map_or(0, |layout| cache_bytes(manifest, layout));
    if cache > MOST_CACHE {
        let reason = format!("caches of {cache} bytes are too large");
        return Err(bad(directory, reason));
    }
    let trained = manifest.knn.map_or(0, |knn| knn.capacity);
    let memories = options.knn_capacity.unwrap_or(trained);
    let model = Model {
        capacity: memories.clamp(1, directory::MOST_MEMORIES),
        manifest: manifest.clone(),
        vocabulary: vocabulary.clone(),
        variant,
        device,
        unavailable_devices: Vec::new(),
        layout,
        graphs: Mutex::new(graphs),
    };
    model.warm_up().map_err(|e| bad(directory, e))?;
    Ok(model)
}

/// What one listener's caches take at most.
fn cache_bytes(manifest: &Manifest, layout: CacheLayout) -> usize {
    let sizes = &manifest.sizes;
    let row = 2 * sizes.layers * sizes.heads * sizes.head_dim * size_of::<f32>();
    layout.rows.saturating_mul(row)
}

/// Buffers of twice the window are compacted once a window. CUDA's kernel wants the window.
fn layout(window: usize, device: Device) -> CacheLayout {
    match device {
        Device::Cuda => CacheLayout::new(window, window),
        _ => CacheLayout::new(2 * window - 1, window),
    }
}
