//! The look of charts and page: that of the server's page, whose colours and rules are read from its own source.

/// Colours in light and dark, type, cards and tables; the colours of its first block are one a line.
const SHARED: &str = include_str!("../../../web/src/style/shared.css");

/// Series that have a colour of their own; later ones use the colours again, dashed.
pub(super) const SERIES: usize = 6;

/// What every drawing needs, on a page or alone.
const CHART: &str = "
svg text{font-family:'DejaVu Sans',system-ui,-apple-system,'Segoe UI',sans-serif;font-size:12px;fill:var(--ink)}
svg .title{font-size:14px}
svg .soft{fill:var(--quiet)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--quiet);stroke-width:1}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:6 3}
svg .faint{stroke:var(--quiet);stroke-width:1;stroke-dasharray:3 3}
svg .bar{fill:var(--shade)}
svg .cell{fill:var(--shade);stroke:var(--line);stroke-width:1}
svg .bright{fill:#ffffff}
svg .ground{fill:var(--surface)}
svg .blank{fill:var(--line)}
svg .k0{stroke:var(--c0)}svg .k1{stroke:var(--c1)}svg .k2{stroke:var(--c2)}svg .k3{stroke:var(--c3)}svg .k4{stroke:var(--c4)}svg .k5{stroke:var(--c5)}
svg .f0{fill:var(--c0)}svg .f1{fill:var(--c1)}svg .f2{fill:var(--c2)}svg .f3{fill:var(--c3)}svg .f4{fill:var(--c4)}svg .f5{fill:var(--c5)}
svg .expected{fill:none;stroke:#00e58a}
svg .predicted{fill:#ff2f7d;stroke:#000000;stroke-opacity:.45}
svg .between{stroke:#ffe14a}
svg .p0{fill:#3db2ff}svg .p1{fill:#ff9a3d}svg .p2{fill:#48e08b}
svg .dot{stroke:#000000;stroke-opacity:.6}
svg .number{stroke:#000000;stroke-opacity:.75;paint-order:stroke;fill:#ffffff}
";

/// The rules of a drawing that stands alone, in the light colours.
pub(super) fn alone() -> String {
    let (light, _) = SHARED.split_once('}').unwrap_or_default();
    colours(light).fold(CHART.to_owned(), |css, (name, value)| css.replace(&format!("var({name})"), value))
}

/// The rules of a page with drawings on it. They follow the reader's preference; paper is always light.
pub(super) fn on_page() -> String {
    // A page that is kept needs no comments.
    let rules = SHARED.split_once("*/").map_or(SHARED, |(_, rules)| rules);
    format!("{rules}{CHART}")
}

/// The custom properties of a block, `--name` and value.
fn colours(block: &str) -> impl Iterator<Item = (&str, &str)> {
    let properties = block.lines().filter_map(|line| line.trim().strip_suffix(';')?.split_once(": "));
    properties.filter(|(name, _)| name.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_drawing_that_stands_alone_has_every_colour_it_names() {
        assert!(CHART.contains("var(--c5)"));
        assert!(!alone().contains("var("), "{}", alone());
    }

    /// Relative luminance, as WCAG defines it.
    fn luminance(colour: &str) -> f64 {
        let part = |place: usize| {
            let value = f64::from(u8::from_str_radix(&colour[place..place + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    #[test]
    fn words_and_series_stand_out_from_every_ground_in_light_and_dark() {
        let blocks: Vec<&str> = SHARED.split('}').collect();
        let light: BTreeMap<&str, &str> = colours(blocks[0]).collect();
        let dark: BTreeMap<&str, &str> = colours(blocks[1]).collect();
        for palette in [&light, &dark] {
            let contrast = |a: &str, b: &str| {
                let (a, b) = (luminance(a), luminance(b));
                (a.max(b) + 0.05) / (a.min(b) + 0.05)
            };
            for name in ["--ink", "--quiet", "--good", "--bad", "--c0", "--c1", "--c2", "--c3", "--c4", "--c5"] {
                for ground in ["--paper", "--surface", "--sunk"] {
                    let found = contrast(palette[name], palette[ground]);
                    assert!(found >= 4.5, "{name} on {ground}: {found:.2}");
                }
            }
            assert!(contrast(palette["--shade"], "#ffffff") >= 4.5);
        }
    }
}
