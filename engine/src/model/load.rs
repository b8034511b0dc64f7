//! Loads a model directory onto a device.

use std::path::Path;

use continuo_score::Vocabulary;
use continuo_score::manifest::Manifest;

use super::directory::{self, bad};
use super::graph::{Graph, Role};
use super::options::ModelOptions;
use crate::device::{self, Device, UnavailableDevice};
use crate::error::EngineError;
use crate::kv_cache::CacheLayout;
use crate::runtime::Runtime;

/// Maximum size of one listener's caches, in bytes.
const MAX_CACHE: usize = 1 << 32;

/// A model directory with its graphs on a device.
pub(super) struct Loaded {
    pub(super) manifest: Manifest,
    pub(super) vocabulary: Vocabulary,
    pub(super) variant: String,
    pub(super) knn_capacity: usize,
    pub(super) device: Device,
    pub(super) layout: Option<CacheLayout>,
    pub(super) graphs: Vec<Graph>,
}

/// Loads the model in `directory` onto the first device on which `build` succeeds. Returns its result,
/// and the devices before it with their errors.
///
/// # Errors
/// Fails if no device accepts it, with the reason of each.
pub(super) fn load<T>(
    runtime: &Runtime,
    directory: &Path,
    options: &ModelOptions,
    build: impl Fn(Loaded) -> Result<T, EngineError>,
) -> Result<(T, Vec<UnavailableDevice>), EngineError> {
    let (manifest, vocabulary) = directory::read(directory)?;
    let mut unavailable = Vec::new();
    for &device in &options.devices {
        let loaded = load_on(runtime, directory, options, &manifest, &vocabulary, device);
        match loaded.and_then(|loaded| build(loaded).map_err(|e| bad(directory, e))) {
            Ok(built) => return Ok((built, unavailable)),
            // The only device: its own error is the clearest.
            Err(error) if options.devices.len() == 1 => return Err(error),
            Err(error) => unavailable.push(UnavailableDevice {
                device,
                reason: error.to_string(),
            }),
        }
    }
    let reasons: Vec<String> = unavailable
        .iter()
        .map(UnavailableDevice::to_string)
        .collect();
    Err(match reasons.is_empty() {
        true => bad(directory, "no device was asked for"),
        false => bad(directory, reasons.join("; ")),
    })
}

fn load_on(
    runtime: &Runtime,
    directory: &Path,
    options: &ModelOptions,
    manifest: &Manifest,
    vocabulary: &Vocabulary,
    device: Device,
) -> Result<Loaded, EngineError> {
    let made_for = || device.variants().map(str::to_owned).collect::<Vec<_>>();
    let wanted = match options.variants.is_empty() {
        true => made_for(),
        false => options.variants.clone(),
    };
    let (variant, files) = directory::graphs(directory, manifest, &wanted)?;
    let roles: &[Role] = match manifest.shape.knn {
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
        .any(|g| g.has_caches() && g.in_place() != in_place)
    {
        let reason = "one graph changes its caches in place and one does not";
        return Err(bad(directory, format!("variant {variant}: {reason}")));
    }
    let layout = in_place.then(|| layout(manifest.shape.window, device));
    let cache = layout.map_or(0, |layout| cache_bytes(manifest, layout));
    if cache > MAX_CACHE {
        let reason = format!("caches of {cache} bytes are too large");
        return Err(bad(directory, reason));
    }
    let trained = manifest.shape.knn.map_or(0, |knn| knn.capacity);
    let capacity = options.knn_capacity.unwrap_or(trained);
    Ok(Loaded {
        manifest: manifest.clone(),
        vocabulary: vocabulary.clone(),
        variant,
        knn_capacity: capacity.clamp(1, directory::MAX_KNN_CAPACITY),
        device,
        layout,
        graphs,
    })
}

/// Maximum size of one listener's caches, in bytes.
fn cache_bytes(manifest: &Manifest, layout: CacheLayout) -> usize {
    let sizes = &manifest.shape.sizes;
    let row = 2 * sizes.layers * sizes.heads * sizes.head_dim * size_of::<f32>();
    layout.rows.saturating_mul(row)
}

/// Buffers of twice the window are compacted once a window; CUDA's kernel needs buffers of one.
fn layout(window: usize, device: Device) -> CacheLayout {
    match device {
        Device::Cuda => CacheLayout::new(window, window),
        _ => CacheLayout::new(2 * window - 1, window),
    }
}
