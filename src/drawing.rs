//! SVG as pixels with a font of our own, so that a drawing needs no font, browser or library of the machine.
//!
//! The report of a training run and the pictures with their answers are both drawn with it.

use std::sync::{Arc, LazyLock};

use resvg::{
    tiny_skia::{PixmapMut, Transform},
    usvg::{Error, Options, Tree, fontdb::Database},
};

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    Arc::new(fonts)
});

/// Reads an SVG document; its text stands in DejaVu Sans. Nothing outside of the text is loaded.
///
/// # Errors
/// The text is not SVG.
pub(crate) fn parse(svg: &str) -> Result<Tree, Error> {
    let options = Options { fontdb: Arc::clone(&FONTS), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    Tree::from_str(svg, &options)
}

/// Draws over what is there, this many pixels for each unit of the drawing.
pub(crate) fn paint(tree: &Tree, scale: f32, pixels: &mut PixmapMut<'_>) {
    resvg::render(tree, Transform::from_scale(scale, scale), pixels);
}

/// Text as HTML and XML write it, in elements and in quoted attributes. What XML cannot say becomes U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// At most so many characters, the last one an ellipsis where some were left out.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_text_says_is_markup() {
        let hostile = "</text><script>alert('x')</script>\u{0}&\"";
        assert_eq!(escape(hostile), "&lt;/text&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{fffd}&amp;&quot;");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shorten("äöüß", 4), "äöüß");
        assert_eq!(shorten("äöüßx", 4), "äöü…");
    }
}
