//! Layout of the panel of controls: the place of each group and of each control. Plain geometry, any thread.

use continuo_score::Part;
use egui::{Pos2, Rect, pos2, vec2};

use super::theme;
use super::view::{BandColumn, Control, Group};

/// Least width of a column, in points.
const MIN_COLUMN: f32 = 138.0;

/// Least rows of a group shown alone, so that most groups have one height.
const MIN_ROWS: usize = 3;

/// Columns of the panel that the table of the band takes.
const TABLE_COLUMNS: usize = 2;

/// Groups that lie below another where that saves height, each with the upper one.
const BELOW: [(Group, Group); 2] = [(Group::Groove, Group::Band), (Group::Ears, Group::Memory)];

/// Height of a title, in points.
const TITLE: f32 = 20.0;

/// Height of a row with the gap below it, in points.
const PITCH: f32 = theme::ROW + theme::SMALL_GAP;

/// A group with its place in the panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The group.
    pub group: Group,
    /// Whether it is a table with a row for each part, and heads above its columns.
    pub is_table: bool,
    /// Its first column of the panel.
    column: usize,
    columns: usize,
    rows: usize,
    /// Top of its first row below the panel's head, in points.
    top: f32,
}

impl Block {
    /// Whether its title lies in the panel's head, which does not scroll.
    pub fn is_on_top(&self) -> bool {
        self.top == 0.0
    }

    fn bottom(&self) -> f32 {
        self.top + self.rows as f32 * PITCH
    }
}

/// Layout of the controls at a width.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelLayout {
    /// The groups shown.
    pub blocks: Vec<Block>,
    /// Number of columns of the panel.
    columns: usize,
    /// Whether one group is shown, below tabs.
    pub is_single: bool,
}

/// The controls of a group with their indices, in the order of Tab.
fn members(controls: &[Control], group: Group) -> Vec<(usize, &Control)> {
    let all = controls.iter().enumerate();
    let mut members: Vec<_> = all.filter(|(_, c)| c.group == group).collect();
    members.sort_by_key(|(_, control)| control.cell);
    members
}

/// The groups that have controls.
pub fn groups(controls: &[Control]) -> Vec<Group> {
    let all = Group::COLUMNS.into_iter();
    all.filter(|&group| controls.iter().any(|c| c.group == group))
        .collect()
}

impl PanelLayout {
    /// The layout for a width: all groups side by side if they fit, with spare columns for the longest;
    /// else `tab` alone.
    pub fn new(controls: &[Control], width: f32, tab: Group) -> Self {
        let fit = (((width + theme::GAP) / (MIN_COLUMN + theme::GAP)) as usize).max(1);
        let layouts = [false, true].map(|stacks| Self::side_by_side(controls, fit, stacks));
        let lowest =
            (layouts.into_iter().flatten()).min_by(|a, b| a.height().total_cmp(&b.height()));
        lowest.unwrap_or_else(|| Self::single(controls, fit, tab))
    }

    /// All groups side by side, with some below others if `stacks`; `None` if they do not fit.
    fn side_by_side(controls: &[Control], fit: usize, stacks: bool) -> Option<Self> {
        let all = groups(controls);
        let is_stacked = |&&(below, upper): &&(Group, Group)| {
            let is_wide = upper != Group::Band || is_table(controls, upper);
            stacks && is_wide && all.contains(&below) && all.contains(&upper)
        };
        let stacked: Vec<_> = BELOW.iter().filter(is_stacked).copied().collect();
        let mut widths: Vec<(Group, usize)> = (all.iter().copied())
            .filter(|&group| stacked.iter().all(|&(below, _)| below != group))
            .map(|group| match is_table(controls, group) {
                true => (group, TABLE_COLUMNS),
                false => (group, 1),
            })
            .collect();
        let used: usize = widths.iter().map(|width| width.1).sum();
        let rows = |&(group, columns): &(Group, usize)| rows(controls, group, columns);
        for _ in used..fit {
            let spreads = |width: &&mut (Group, usize)| !is_table(controls, width.0);
            let longest = widths.iter_mut().filter(spreads).max_by_key(|w| rows(w));
            if let Some(width) = longest.filter(|w| rows(w) > 1) {
                width.1 += 1;
            }
        }
        let mut layout = Self {
            blocks: Vec::new(),
            columns: 0,
            is_single: false,
        };
        for (group, columns) in widths {
            let column = layout.columns;
            layout.columns += columns;
            layout.add(controls, group, column..layout.columns, 0.0);
            for &(below, _) in stacked.iter().filter(|&&(_, upper)| upper == group) {
                let top = layout.blocks.last().map_or(0.0, Block::bottom) + TITLE;
                layout.add(controls, below, column..layout.columns, top);
            }
        }
        (used <= fit).then_some(layout)
    }

    /// One group alone.
    fn single(controls: &[Control], fit: usize, tab: Group) -> Self {
        let mut layout = Self {
            blocks: Vec::new(),
            columns: fit,
            is_single: true,
        };
        // The tabs have the titles, and a table has its heads.
        let top = if is_table(controls, tab) { TITLE } else { 0.0 };
        layout.add(controls, tab, 0..fit, top);
        layout
    }

    fn add(
        &mut self,
        controls: &[Control],
        group: Group,
        columns: std::ops::Range<usize>,
        top: f32,
    ) {
        self.blocks.push(Block {
            group,
            is_table: is_table(controls, group),
            column: columns.start,
            columns: columns.len(),
            rows: rows(controls, group, columns.len()),
            top,
        });
    }

    /// Height of the titles, or of the tabs in their place, in points.
    pub fn head(&self) -> f32 {
        match self.is_single {
            true => PITCH,
            false => TITLE,
        }
    }

    /// Height below the head, in points.
    pub fn body(&self) -> f32 {
        let least = match self.is_single {
            true => MIN_ROWS as f32 * PITCH,
            false => 0.0,
        };
        self.blocks.iter().map(Block::bottom).fold(least, f32::max)
    }

    /// Height of all, in points.
    pub fn height(&self) -> f32 {
        self.head() + self.body()
    }

    /// The strip for the title of a block and the heads of its columns. `origin` is the left end of the
    /// panel below its head.
    pub fn title(&self, block: &Block, origin: Pos2, width: f32) -> Rect {
        let (left, width) = span(
            block.column..block.column + block.columns,
            self.columns,
            width,
        );
        let min = pos2(origin.x + left, origin.y + block.top - TITLE);
        Rect::from_min_size(min, vec2(width, TITLE))
    }

    /// The controls of a block by index, each with its place. `origin` is as for [`PanelLayout::title`].
    pub fn cells(
        &self,
        block: &Block,
        controls: &[Control],
        origin: Pos2,
        width: f32,
    ) -> Vec<(usize, Rect)> {
        let at = |x: f32, row: usize, width: f32| {
            let y = block.top + row as f32 * PITCH;
            Rect::from_min_size(origin + vec2(x, y), vec2(width, theme::ROW))
        };
        let place = |(number, (index, control)): (usize, (usize, &Control))| {
            let rect = match control.cell {
                Some(cell) => {
                    let end = block.column + block.columns;
                    let (left, width) = span(block.column..end, self.columns, width);
                    let (x, width) = table_column(cell.column, width);
                    at(left + x, cell.part.index(), width)
                }
                None => {
                    let column = block.column + number / block.rows.max(1);
                    let (x, width) = span(column..column + 1, self.columns, width);
                    at(x, number % block.rows.max(1), width)
                }
            };
            (index, rect)
        };
        let members = members(controls, block.group).into_iter();
        members.enumerate().map(place).collect()
    }
}

/// Whether the controls of a group are cells of a table.
fn is_table(controls: &[Control], group: Group) -> bool {
    let mut cells = controls.iter().filter(|c| c.group == group);
    cells.any(|control| control.cell.is_some())
}

/// Number of rows of a group in that number of columns of the panel.
fn rows(controls: &[Control], group: Group, columns: usize) -> usize {
    match is_table(controls, group) {
        true => Part::COUNT,
        false => members(controls, group).len().div_ceil(columns.max(1)),
    }
}

/// Left edge and width of some of the panel's columns.
fn span(columns: std::ops::Range<usize>, of: usize, width: f32) -> (f32, f32) {
    let each = (width - theme::GAP * of.saturating_sub(1) as f32) / of.max(1) as f32;
    let left = (each + theme::GAP) * columns.start as f32;
    let width = (each + theme::GAP) * columns.len() as f32 - theme::GAP;
    (left, width)
}

/// Left edge and width of a column of the table of the band.
pub fn table_column(column: BandColumn, width: f32) -> (f32, f32) {
    let gaps = theme::SMALL_GAP * (BandColumn::ALL.len() - 1) as f32;
    let room = (width - gaps).max(0.0);
    let before = BandColumn::ALL.into_iter().take_while(|&c| c != column);
    let left = before.map(|c| c.share() * room + theme::SMALL_GAP).sum();
    (left, column.share() * room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::editor::view::{BandCell, ControlKind};

    fn control(group: Group, number: usize, cell: Option<BandCell>) -> Control {
        Control {
            name: format!("{group:?} {number}"),
            group,
            cell,
            kind: ControlKind::Number,
            value: 0.0,
            default: 0.0,
            step: 0.01,
            fine: 0.001,
            text: String::new(),
            help: "",
        }
    }

    fn controls(of: &[(Group, usize)]) -> Vec<Control> {
        let each = |&(group, count): &(Group, usize)| {
            (0..count).map(move |number| control(group, number, None))
        };
        of.iter().flat_map(each).collect()
    }

    /// The groups with their columns.
    fn columns(layout: &PanelLayout) -> Vec<(Group, usize)> {
        let blocks = layout.blocks.iter();
        blocks.map(|block| (block.group, block.columns)).collect()
    }

    fn rows(layout: &PanelLayout) -> usize {
        (layout.body() / PITCH).round() as usize
    }

    fn width(columns: usize) -> f32 {
        columns as f32 * (MIN_COLUMN + theme::GAP)
    }

    #[test]
    fn spare_columns_go_to_the_longest_group() {
        let controls = controls(&[(Group::When, 4), (Group::What, 10), (Group::Output, 2)]);
        let layout = PanelLayout::new(&controls, width(4), Group::When);
        assert_eq!(
            columns(&layout),
            [(Group::When, 1), (Group::What, 2), (Group::Output, 1)]
        );
        assert_eq!(rows(&layout), 5);
        let wide = PanelLayout::new(&controls, width(40), Group::When);
        assert_eq!(rows(&wide), 1);
    }

    #[test]
    fn a_small_window_shows_one_group_at_a_time() {
        let controls = controls(&[(Group::When, 4), (Group::What, 10), (Group::Output, 2)]);
        for (tab, expected) in [(Group::What, 5), (Group::When, MIN_ROWS)] {
            let layout = PanelLayout::new(&controls, width(2), tab);
            assert!(layout.is_single);
            assert_eq!(
                (columns(&layout), rows(&layout)),
                (vec![(tab, 2)], expected)
            );
        }
        let nothing = PanelLayout::new(&[], 300.0, Group::When);
        assert_eq!((nothing.blocks.len(), nothing.body()), (0, 0.0));
    }

    /// The band's table is fully as wide as two columns; a short group lies below it only where that makes
    /// the panel lower.
    #[test]
    fn a_group_lies_below_the_table_of_the_band_where_that_saves_height() {
        let mut all = controls(&[(Group::When, 8), (Group::What, 16), (Group::Groove, 4)]);
        for part in Part::ALL {
            let cells = BandColumn::ALL.map(|column| Some(BandCell { part, column }));
            all.extend(cells.map(|cell| control(Group::Band, 0, cell)));
        }
        let layout = PanelLayout::new(&all, width(5), Group::When);
        let stacked = [
            (Group::When, 1),
            (Group::What, 2),
            (Group::Band, 2),
            (Group::Groove, 2),
        ];
        assert_eq!(columns(&layout), stacked);
        assert_eq!(layout.body(), 8.0 * PITCH);
        let wide = PanelLayout::new(&all, width(8), Group::When);
        assert!(wide.blocks.iter().all(Block::is_on_top));
        // No two controls overlap.
        for layout in [layout, wide, PanelLayout::new(&all, width(3), Group::Band)] {
            let mut taken: Vec<Rect> = Vec::new();
            for block in &layout.blocks {
                let cells = layout.cells(block, &all, Pos2::ZERO, width(5));
                for (_, rect) in cells {
                    assert!(
                        taken
                            .iter()
                            .all(|other| !other.shrink(0.01).intersects(rect))
                    );
                    assert!(rect.right() <= width(5) + 0.01 && rect.bottom() <= layout.body());
                    taken.push(rect);
                }
            }
            assert!(taken.len() >= 25);
        }
    }
}
