//! A chart: series over two axes, with a title and a legend.

use super::{
    axis::{Axis, number},
    style::SERIES,
    svg::{Anchor, Drawing, shorten},
};

/// Width of a character of a chart's text, about, in its units.
const CHARACTER: f64 = 7.0;
/// Points of a line; longer ones are thinned out.
const MOST_POINTS: usize = 500;
/// A chart's usual size, which is still read on a phone.
pub(super) const SIZE: (f64, f64) = (440.0, 290.0);

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A line; a dot at each point too where there are few.
    Line,
    /// Dots alone.
    Dots,
}

/// Points with a name.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn line(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), kind: Kind::Line, points }
    }
}

/// Series over two axes.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) size: (f64, f64),
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    /// Upright lines: name and place.
    pub(super) marks: Vec<(String, f64)>,
    /// Whether series and marks are named above the axes.
    pub(super) legend: bool,
    /// Whether the points of a line are dots too where they are few.
    pub(super) few: bool,
    /// Whether the diagonal from the lowest to the highest values is drawn.
    pub(super) diagonal: bool,
}

/// Where the axes' frame lies in the drawing.
struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Chart {
    pub(super) fn new(title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Self {
        let legend = series.len() > 1;
        Self {
            title: title.to_owned(),
            size: SIZE,
            x,
            y,
            series,
            marks: Vec::new(),
            legend,
            few: true,
            diagonal: false,
        }
    }

    pub(super) fn drawing(&self) -> Drawing {
        let (width, height) = self.size;
        let mut drawing = Drawing::new(width, height, &self.words());
        let most = (width / 8.0) as usize;
        drawing.text("title", (4.0, 16.0), Anchor::Start, &shorten(&self.title, most));
        let legend = if self.legend { self.draw_legend(&mut drawing, 36.0) } else { 20.0 };
        let longest = self.y.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0);
        let frame = Frame {
            left: 14.0 + longest as f64 * CHARACTER,
            top: legend + 12.0 + if self.y.label.is_empty() { 0.0 } else { 14.0 },
            right: width - 16.0,
            bottom: height - if self.x.label.is_empty() { 22.0 } else { 38.0 },
        };
        self.axes(&mut drawing, &frame);
        for (place, series) in self.series.iter().enumerate() {
            draw(series, (place, self.few), &mut drawing, &|point| self.at(&frame, point));
        }
        for (place, (_, value)) in self.marks.iter().enumerate() {
            let (x, _) = self.at(&frame, (*value, 0.0));
            let class = format!("line dashed k{}", (place + 1) % SERIES);
            drawing.line(&class, (x, frame.top), (x, frame.bottom));
        }
        drawing
    }

    fn at(&self, frame: &Frame, (x, y): (f64, f64)) -> (f64, f64) {
        let across = frame.left + self.x.place(x) * (frame.right - frame.left);
        (across, frame.bottom - self.y.place(y) * (frame.bottom - frame.top))
    }

    /// Names beside samples of their lines, in as many rows as they need. Returns the last row's baseline.
    fn draw_legend(&self, drawing: &mut Drawing, top: f64) -> f64 {
        let (mut x, mut y) = (4.0, top);
        let series = self.series.iter().enumerate().map(|(place, series)| (place, &series.name, ""));
        let marks = self.marks.iter().enumerate().map(|(place, (name, _))| (place + 1, name, " dashed"));
        for (place, name, dashed) in series.chain(marks) {
            let name = shorten(name, (self.size.0 / 9.0) as usize);
            let width = 22.0 + name.chars().count() as f64 * CHARACTER + 12.0;
            if x > 4.0 && x + width > self.size.0 {
                (x, y) = (4.0, y + 17.0);
            }
            let again = if place >= SERIES { " dashed" } else { dashed };
            drawing.line(&format!("line k{}{again}", place % SERIES), (x, y - 4.0), (x + 16.0, y - 4.0));
            drawing.text("", (x + 22.0, y), Anchor::Start, &name);
            x += width;
        }
        y
    }

    fn axes(&self, drawing: &mut Drawing, frame: &Frame) {
        for (value, label) in &self.y.ticks {
            let (_, y) = self.at(frame, (0.0, *value));
            drawing.line("grid", (frame.left, y), (frame.right, y));
            drawing.text("soft", (frame.left - 6.0, y + 4.0), Anchor::End, label);
        }
        for (value, label) in &self.x.ticks {
            let (x, _) = self.at(frame, (*value, 0.0));
            drawing.line("axis", (x, frame.bottom), (x, frame.bottom + 4.0));
            drawing.text("soft", (x, frame.bottom + 17.0), Anchor::Middle, label);
        }
        drawing.line("axis", (frame.left, frame.bottom), (frame.right, frame.bottom));
        if self.diagonal {
            drawing.line("faint", (frame.left, frame.bottom), (frame.right, frame.top));
        }
        drawing.text("soft", (4.0, frame.top - 10.0), Anchor::Start, &self.y.label);
        let middle = (frame.left + frame.right) / 2.0;
        drawing.text("soft", (middle, self.size.1 - 5.0), Anchor::Middle, &self.x.label);
    }

    /// The title, and where each series begins and ends.
    fn words(&self) -> String {
        let ends = |series: &Series| {
            let (first, last) = (series.points.first()?.1, series.points.last()?.1);
            Some(format!("{} from {} to {}", series.name, number(first), number(last)))
        };
        let mut words: Vec<String> = self.series.iter().filter(|s| s.kind == Kind::Line).filter_map(ends).collect();
        words.extend(self.marks.iter().map(|(name, value)| format!("{name} at {}", number(*value))));
        if words.is_empty() { self.title.clone() } else { format!("{}: {}", self.title, words.join(", ")) }
    }
}

fn draw(series: &Series, (place, dotted): (usize, bool), drawing: &mut Drawing, at: &dyn Fn((f64, f64)) -> (f64, f64)) {
    let colour = place % SERIES;
    let places: Vec<(f64, f64)> = thinned(&series.points).into_iter().map(at).collect();
    let few = places.len() <= 30;
    if series.kind == Kind::Line {
        let dashed = if place >= SERIES { " dashed" } else { "" };
        drawing.path(&format!("line k{colour}{dashed}"), &places);
    }
    if (few && dotted) || series.kind == Kind::Dots {
        let radius = if few { 2.6 } else { 1.8 };
        for point in places.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            drawing.circle(&format!("f{colour}"), point, radius);
        }
    }
}

/// Evenly chosen points, the last one among them.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last).map(|(_, point)| *point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::report::axis::Scale;

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_ends() {
        let points: Vec<(f64, f64)> = (0..12_345).map(|i| (f64::from(i), 0.0)).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS + 1 && thin[0].0 == 0.0 && thin.last().unwrap().0 == 12_344.0);
    }

    #[test]
    fn a_series_with_gaps_is_drawn_around_them_and_told_in_words() {
        let points = vec![(1.0, 0.5), (2.0, f64::NAN), (3.0, 0.25)];
        let axis = |place: fn(&(f64, f64)) -> f64| Axis::covering("", Scale::Linear, points.iter().map(place));
        let chart = Chart::new("loss", axis(|p| p.0), axis(|p| p.1), vec![Series::line("valid", points.clone())]);
        let drawing = chart.drawing();
        assert_eq!(drawing.words, "loss: valid from 0.5000 to 0.2500");
        assert!(!drawing.body.contains("NaN"));
        assert_eq!(drawing.body.matches("<circle").count(), 2);
    }
}
