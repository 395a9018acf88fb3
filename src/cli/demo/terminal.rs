//! Where the demo prints: a terminal that can be redrawn in place, or anything else, line by line.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use super::ink::Line;

/// Standard output, and what it can do.
#[derive(Debug)]
pub(super) struct Terminal {
    redraws: bool,
    colour: bool,
    /// Lines of the picture that is on the terminal now, to be drawn over.
    drawn: usize,
}

/// Columns where there is no terminal to ask.
const WIDTH_ELSEWHERE: usize = 100;

impl Terminal {
    /// Colour only on a terminal, and only when `NO_COLOR` is unset or empty (no-color.org).
    pub(super) fn stdout() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let redraws = io::stdout().is_terminal() && !dumb;
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Terminal { redraws, colour: redraws && !no_colour, drawn: 0 }
    }

    /// Whether a picture can be redrawn, of so many lines.
    pub(super) fn can_redraw(&self, lines: usize) -> bool {
        self.redraws && self.size().1 > lines
    }

    pub(super) fn width(&self) -> usize {
        self.size().0
    }

    /// Prints below whatever is there. Long lines are left to the terminal, so that they can be copied whole.
    pub(super) fn print(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for line in lines {
            writeln!(out, "{}", line.render(usize::MAX, self.colour))?;
        }
        self.drawn = 0;
        out.flush()
    }

    /// Draws a picture over the last one. The cursor is hidden until [`Terminal::leave`].
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let width = self.width();
        let mut picture = String::from("\x1b[?25l");
        if self.drawn > 0 {
            let _ = write!(picture, "\x1b[{}A\r", self.drawn);
        }
        for line in lines {
            picture.push_str(&line.render(width, self.colour));
            picture.push_str("\x1b[K\n");
        }
        self.drawn = lines.len();
        let mut out = io::stdout().lock();
        out.write_all(picture.as_bytes())?;
        out.flush()
    }

    /// Leaves the last picture where it is and shows the cursor again.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.drawn) > 0 {
            let mut out = io::stdout().lock();
            out.write_all(b"\x1b[?25h")?;
            out.flush()?;
        }
        Ok(())
    }

    /// Columns and rows.
    fn size(&self) -> (usize, usize) {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0);
        match size {
            Some(size) if self.redraws => (usize::from(size.ws_col), usize::from(size.ws_row)),
            _ => (WIDTH_ELSEWHERE, usize::MAX),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.leave();
    }
}
