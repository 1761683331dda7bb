//! The colours and rules of charts and page: one palette, light and dark.

/// A colour's name, and what it is on a light and on a dark ground. Each is at least 4.5 to 1 against its ground, and
/// series differ in brightness too, for those who do not tell the hues apart.
const PALETTE: [(&str, &str, &str); 12] = [
    ("ink", "#1b1e21", "#e6e8ea"),
    ("soft", "#59626a", "#a3acb3"),
    ("rule", "#d8dde1", "#3b4248"),
    ("ground", "#ffffff", "#14171a"),
    ("panel", "#f4f6f7", "#1f2428"),
    ("s0", "#1663b0", "#74b6f5"),
    ("s1", "#bf4c06", "#f7a05c"),
    ("s2", "#147348", "#5ecb99"),
    ("s3", "#8437a3", "#d598ea"),
    ("s4", "#7d6300", "#dcc04f"),
    ("s5", "#b01f47", "#f58aa5"),
    ("shade", "#1663b0", "#2f78c4"),
];

/// Series that have a colour of their own; later ones use the colours again, dashed.
pub(super) const SERIES: usize = 6;

/// What every drawing needs, on a page or alone. `$name` is a colour of the palette.
const CHART: &str = "
svg text{font-family:'DejaVu Sans',system-ui,-apple-system,'Segoe UI',sans-serif;font-size:12px;fill:$ink}
svg .title{font-size:14px}
svg .soft{fill:$soft}
svg .grid{stroke:$rule;stroke-width:1}
svg .axis{stroke:$soft;stroke-width:1}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:6 3}
svg .faint{stroke:$soft;stroke-width:1;stroke-dasharray:3 3}
svg .bar{fill:$shade}
svg .cell{fill:$shade;stroke:$rule;stroke-width:1}
svg .bright{fill:#ffffff}
svg .ground{fill:$ground}
svg .blank{fill:$rule}
svg .k0{stroke:$s0}svg .k1{stroke:$s1}svg .k2{stroke:$s2}svg .k3{stroke:$s3}svg .k4{stroke:$s4}svg .k5{stroke:$s5}
svg .f0{fill:$s0}svg .f1{fill:$s1}svg .f2{fill:$s2}svg .f3{fill:$s3}svg .f4{fill:$s4}svg .f5{fill:$s5}
svg .expected{fill:none;stroke:#00e58a}
svg .predicted{fill:#ff2f7d;stroke:#000000;stroke-opacity:.45}
svg .between{stroke:#ffe14a}
svg .p0{fill:#3db2ff}svg .p1{fill:#ff9a3d}svg .p2{fill:#48e08b}
svg .dot{stroke:#000000;stroke-opacity:.6}
svg .number{stroke:#000000;stroke-opacity:.75;paint-order:stroke;fill:#ffffff}
";

/// The rules of a drawing that stands alone, in the light colours.
pub(super) fn alone() -> String {
    fill_in(|(_, light, _)| (*light).to_owned())
}

/// The rules of drawings on a page, by custom properties that follow the reader's preference; paper is always light.
pub(super) fn on_page() -> String {
    let properties = |place: fn(&(&str, &str, &str)) -> String| PALETTE.iter().map(place).collect::<String>();
    let light = properties(|(name, light, _)| format!("--{name}:{light};"));
    let dark = properties(|(name, _, dark)| format!("--{name}:{dark};"));
    let rules = fill_in(|(name, ..)| format!("var(--{name})"));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{rules}"
    )
}

fn fill_in(value: impl Fn(&(&str, &str, &str)) -> String) -> String {
    PALETTE.iter().fold(CHART.to_owned(), |css, colour| css.replace(&format!("${}", colour.0), &value(colour)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_stays_without_a_value() {
        for css in [alone(), on_page()] {
            assert!(!css.contains('$'), "{css}");
        }
    }
}
