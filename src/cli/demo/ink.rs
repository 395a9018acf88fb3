//! Lines made of coloured pieces, cut to a width, with or without the colour.

use std::fmt::Write as _;

/// How a piece of text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ink {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Accent,
}

impl Ink {
    /// The "select graphic rendition" parameter of ECMA-48, section 8.3.117.
    const fn code(self) -> &'static str {
        match self {
            Ink::Plain => "0",
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Accent => "36",
        }
    }
}

/// One line, piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Ink, String)>);

impl Line {
    pub(super) fn new() -> Self {
        Line::default()
    }

    #[must_use]
    pub(super) fn put(mut self, ink: Ink, text: impl Into<String>) -> Self {
        self.0.push((ink, text.into()));
        self
    }

    #[must_use]
    pub(super) fn plain(self, text: impl Into<String>) -> Self {
        self.put(Ink::Plain, text)
    }

    /// The text, at most `width` characters of it; what was cut ends in `…`. Trailing blanks are left out.
    pub(super) fn render(&self, width: usize, colour: bool) -> String {
        let mut rendered = String::new();
        let mut room = width;
        let length: usize = self.0.iter().map(|(_, text)| text.chars().count()).sum();
        let last = self.0.len().saturating_sub(1);
        for (at, (ink, text)) in self.0.iter().enumerate() {
            let chars = text.chars().count();
            let cut = length > width && chars >= room;
            let mut piece: String =
                text.chars().take(if cut { room.saturating_sub(1) } else { chars }).collect();
            if cut && room > 0 {
                piece.push('…');
            }
            room = room.saturating_sub(chars);
            let piece = if at == last { piece.trim_end() } else { &piece };
            if colour && *ink != Ink::Plain && !piece.is_empty() {
                let _ = write!(rendered, "\x1b[{}m{piece}\x1b[0m", ink.code());
            } else {
                rendered.push_str(piece);
            }
            if room == 0 {
                break;
            }
        }
        if colour { rendered } else { rendered.trim_end().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a line never takes more than its width, counted in characters, and says when it was cut.
    #[test]
    fn lines_are_cut_to_the_width() {
        let line = Line::new().plain("weir ").put(Ink::Good, "lets ü through");
        assert_eq!(line.render(80, false), "weir lets ü through");
        assert_eq!(line.render(19, false), "weir lets ü through");
        assert_eq!(line.render(18, false), "weir lets ü throu…");
        assert_eq!(line.render(5, false), "weir…");
        assert_eq!(line.render(0, false), "");
    }

    /// Promise: without colour there is no escape sequence, and with it every one is closed.
    #[test]
    fn colour_is_opened_and_closed() {
        let line = Line::new().put(Ink::Bad, "429").plain(" over");
        assert_eq!(line.render(80, false), "429 over");
        assert_eq!(line.render(80, true), "\x1b[31m429\x1b[0m over");
        assert_eq!(line.render(2, true), "\x1b[31m4…\x1b[0m");
    }
}
