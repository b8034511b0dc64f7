//! A software renderer of egui's triangles: pictures need no GPU, driver or display, and are the same on every
//! machine.

use std::collections::HashMap;

use dream_soft_render::{ClipRect, Color, Mesh, SoftwareRenderer, TextureId, Vertex};
use egui::epaint::{ImageDelta, Primitive};
use egui_kittest::TestRenderer;
use image::{Rgba, RgbaImage};

/// The largest surface of the rasteriser, in pixels: larger pictures are made of tiles.
const SURFACE: [u32; 2] = [1280, 720];

/// Overlap of tiles on every side, in pixels, which is cut off: shapes that cross the edge of a surface have a
/// faint seam there.
const EDGE: u32 = 8;

/// A renderer for egui's test harness.
#[derive(Default)]
pub(crate) struct SnapshotRenderer {
    renderer: SoftwareRenderer,
    textures: HashMap<egui::TextureId, TextureId>,
}

impl SnapshotRenderer {
    fn update(&mut self, id: egui::TextureId, delta: &ImageDelta) {
        let egui::ImageData::Color(image) = &delta.image;
        let [width, height] = image.size;
        let bytes: Vec<u8> = image.pixels.iter().flat_map(|p| p.to_array()).collect();
        if let (Some(&texture), Some([x, y])) = (self.textures.get(&id), delta.pos) {
            let updated = self
                .renderer
                .update_texture(texture, x, y, width, height, &bytes);
            updated.expect("egui's update lies inside its texture");
            return;
        }
        if let Some(old) = self.textures.remove(&id) {
            self.renderer.free_texture(old).expect("it was ours");
        }
        let texture = self.renderer.create_texture(width, height, &bytes);
        self.textures.insert(id, texture.expect("egui's font fits"));
    }

    /// Draws the tile of a picture from `left` and `top` on, in pixels.
    fn tile(
        &mut self,
        primitives: &[egui::ClippedPrimitive],
        scale: f32,
        [left, top]: [f32; 2],
    ) -> Result<&[u8], String> {
        let size = SURFACE;
        let mut frame = self
            .renderer
            .begin_frame(size[0] as usize, size[1] as usize)
            .map_err(|e| e.to_string())?;
        frame.clear(Color::BLACK);
        for primitive in primitives {
            let Primitive::Mesh(mesh) = &primitive.primitive else {
                return Err("the editor draws no callbacks".into());
            };
            let vertices: Vec<_> = mesh
                .vertices
                .iter()
                .map(|v| {
                    let [r, g, b, a] = v.color.to_array();
                    let at = [v.pos.x * scale - left, v.pos.y * scale - top];
                    let color = Color::from_rgba_premultiplied(r, g, b, a);
                    Vertex::new(at, [v.uv.x, v.uv.y], color)
                })
                .collect();
            let clip = primitive.clip_rect * scale;
            let edge =
                |v: f32, from: f32, most: u32| (v.round() - from).clamp(0.0, most as f32) as u32;
            let clip = ClipRect::new(
                edge(clip.min.x, left, size[0]),
                edge(clip.min.y, top, size[1]),
                edge(clip.max.x, left, size[0]),
                edge(clip.max.y, top, size[1]),
            );
            let mesh = Mesh {
                vertices: &vertices,
                indices: &mesh.indices,
                texture: self.textures.get(&mesh.texture_id).copied(),
            };
            frame.mesh(mesh, clip).map_err(|e| e.to_string())?;
        }
        Ok(&self.renderer.surface().pixels)
    }
}

impl TestRenderer for SnapshotRenderer {
    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        for (id, images) in delta.set.drain() {
            for image in images {
                self.update(id, &image);
            }
        }
        delta.free.clear();
    }

    fn render(
        &mut self,
        ctx: &egui::Context,
        output: &egui::FullOutput,
    ) -> Result<RgbaImage, String> {
        let scale = ctx.pixels_per_point();
        let primitives = ctx.tessellate(output.shapes.clone(), scale);
        let size = ctx.content_rect().size() * scale;
        let [width, height] = [size.x.round() as u32, size.y.round() as u32];
        let mut picture = RgbaImage::from_pixel(width, height, Rgba([0, 0, 0, 255]));
        let inner = SURFACE.map(|side| side - 2 * EDGE);
        for top in (0..height).step_by(inner[1] as usize) {
            for left in (0..width).step_by(inner[0] as usize) {
                let origin = [left, top].map(|v| v as f32 - EDGE as f32);
                let pixels = self.tile(&primitives, scale, origin)?;
                let row = 4 * SURFACE[0];
                for y in 0..inner[1].min(height - top) {
                    for x in 0..inner[0].min(width - left) {
                        let at = ((y + EDGE) * row + 4 * (x + EDGE)) as usize;
                        let pixel = Rgba([pixels[at], pixels[at + 1], pixels[at + 2], 255]);
                        picture.put_pixel(left + x, top + y, pixel);
                    }
                }
            }
        }
        Ok(picture)
    }
}
