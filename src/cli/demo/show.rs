//! The show itself: start everything, draw while it runs, sum up, and perhaps stay.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::Options;
use super::cast::{Schedule, Visitor};
use super::feed::News;
use super::ink::{Ink, Line};
use super::screen;
use super::site::Site;
use super::summary::Summary;
use super::tally::Tally;
use super::terminal::Terminal;
use super::visitors::{self, Addresses, Stage, Visit};
use super::weir::Weir;
use crate::clock::Clock;

/// Between two pictures.
const REDRAW: Duration = Duration::from_millis(100);
/// Between two lines of counts, where there is no terminal to draw on.
const RECOUNT: Duration = Duration::from_secs(5);
/// Decisions about guests that are shown one by one, of one look.
const GUEST_LINES_MAX: usize = 10;
/// Reports of visitors that may wait to be counted.
const VISITS_MAX: usize = 4096;

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let site = Site::start().context("cannot start the sample site")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = Clock::start();
        let addresses = Addresses::of_this_machine();
        let weir = Weir::start(site.address, addresses, clock)?;
        let show = Show {
            schedule: Schedule { total: Duration::from_secs(options.seconds.into()) },
            clock,
            addresses,
            app: site.address,
            tally: Tally::new(weir.limits().clone()),
            weir,
            how: if options.json { How::Silent } else { How::on(&Terminal::stdout()) },
        };
        show.play(options).await
    })
}

/// How the running show is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Silent,
    /// A picture, redrawn in place.
    Picture,
    /// A line for whatever is news.
    Lines,
}

impl How {
    fn on(terminal: &Terminal) -> Self {
        if terminal.can_redraw(screen::FRAME_LINES) { How::Picture } else { How::Lines }
    }
}

/// The running demo.
#[derive(Debug)]
struct Show {
    schedule: Schedule,
    clock: Clock,
    addresses: Addresses,
    app: SocketAddr,
    weir: Weir,
    tally: Tally,
    how: How,
}

impl Show {
    async fn play(mut self, options: &Options) -> anyhow::Result<()> {
        let mut terminal = Terminal::stdout();
        if self.how != How::Silent {
            terminal.print(&self.introduction())?;
        }
        let finished = self.watch(&mut terminal).await?;
        terminal.leave()?;
        if !finished {
            return Ok(());
        }
        let metrics = self.weir.metrics().await?;
        let summary = Summary::of(&self.tally, self.schedule, &self.weir.findings(), metrics);
        if options.json {
            return Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&summary)?)?);
        }
        terminal.print(&[Line::new()])?;
        terminal.print(&summary.lines())?;
        terminal.print(&[Line::new()])?;
        if options.serve {
            terminal.print(&self.invitation())?;
            self.stay(&mut terminal).await
        } else {
            Ok(terminal.print(&what_next())?)
        }
    }

    /// Lets the visitors in and shows what is decided, until the time is over. `false`: Ctrl-C came first.
    async fn watch(&mut self, terminal: &mut Terminal) -> anyhow::Result<bool> {
        let (visits, mut arriving) = mpsc::channel::<Visit>(VISITS_MAX);
        let stage = Stage {
            clock: self.clock,
            schedule: self.schedule,
            weir: self.weir.address(),
            app: self.app,
            addresses: self.addresses,
            visits,
        };
        // Dropped at the end of this function, and with it everyone still on the way.
        let _visitors = visitors::send_all(&stage);
        let mut redraw = tokio::time::interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut counted = Duration::ZERO;
        loop {
            tokio::select! {
                stopped = tokio::signal::ctrl_c() => {
                    stopped?;
                    return Ok(false);
                }
                Some(visit) = arriving.recv() => self.tally.visited(&visit),
                _ = redraw.tick() => {
                    let now = Duration::from_nanos(self.clock.now().as_nanos());
                    self.show(terminal, now, &mut counted)?;
                    if now >= self.schedule.total {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn show(&mut self, terminal: &mut Terminal, now: Duration, counted: &mut Duration) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for decided in self.weir.decisions() {
            if self.tally.decided(&decided) == Some(News::Turn) {
                lines.push(screen::decision(&self.tally, &decided, terminal.width()));
            }
        }
        match self.how {
            How::Silent => {}
            How::Picture => {
                let picture = screen::frame(&self.tally, self.schedule, now, terminal.width());
                terminal.draw(&picture)?;
            }
            How::Lines => {
                if now.saturating_sub(*counted) >= RECOUNT {
                    *counted = now;
                    lines.push(screen::standing(&self.tally, now));
                }
                terminal.print(&lines)?;
            }
        }
        Ok(())
    }

    /// Shows what is decided about guests, until Ctrl-C.
    async fn stay(&mut self, terminal: &mut Terminal) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(REDRAW);
        loop {
            tokio::select! {
                stopped = tokio::signal::ctrl_c() => {
                    stopped?;
                    return Ok(terminal.print(&[Line::new()])?);
                }
                _ = look.tick() => {
                    let decided = self.weir.decisions();
                    let shown = decided.iter().take(GUEST_LINES_MAX);
                    let mut lines: Vec<Line> =
                        shown.map(|decided| screen::decision(&self.tally, decided, terminal.width())).collect();
                    if decided.len() > GUEST_LINES_MAX {
                        lines.push(Line::new().put(Ink::Dim, format!("   … and {} more", decided.len() - GUEST_LINES_MAX)));
                    }
                    terminal.print(&lines)?;
                }
            }
        }
    }

    fn introduction(&self) -> Vec<Line> {
        let mut lines = vec![
            Line::new(),
            Line::new().plain(" A sample help centre  ").put(Ink::Accent, format!("http://{}/", self.app)),
            Line::new()
                .plain(" weir in front of it   ")
                .put(Ink::Accent, format!("http://{}/", self.weir.address())),
            Line::new().plain(" Four visitors, made up, on this machine:"),
            Line::new(),
        ];
        lines.extend(Visitor::ALL.map(|visitor| {
            Line::new()
                .put(Ink::Bold, format!("   {:<12}", visitor.name()))
                .put(Ink::Dim, format!("{:<12}", visitor.address().to_string()))
                .plain(visitor.conduct())
        }));
        lines.push(Line::new());
        lines
    }

    /// What to do with a demo that stays up.
    fn invitation(&self) -> Vec<Line> {
        let (weir, admin) = (self.weir.address(), self.weir.admin());
        let command = |text: String| Line::new().put(Ink::Accent, format!("   {text}"));
        let link =
            |name: &str, url: String| Line::new().plain(format!("   {name:<17}")).put(Ink::Accent, url);
        let page = format!("http://{weir}/articles/who-can-see-a-tag");
        vec![
            Line::new().put(Ink::Bold, " Still up, until Ctrl-C"),
            link("in a browser", format!("http://{weir}/")),
            link("past weir", format!("http://{}/", self.app)),
            link("metrics", format!("http://{admin}/metrics")),
            link("running policy", format!("http://{admin}/config")),
            Line::new(),
            Line::new().put(Ink::Bold, " Be the crawler: thirty articles are admitted in ten seconds"),
            command(format!("for i in $(seq 40); do curl -so /dev/null -w '%{{http_code}} ' {page}; done")),
            Line::new(),
            Line::new().put(Ink::Bold, " Read a refusal, right after that"),
            command(format!("curl -i {page}")),
            Line::new(),
            Line::new().put(Ink::Dim, " What is decided about you shows here:"),
        ]
    }
}

/// Where to go from a demo that is over.
fn what_next() -> Vec<Line> {
    let next = |command: &str, what: &str| {
        Line::new().put(Ink::Accent, format!("   {command:<30}")).plain(what.to_owned())
    };
    vec![
        Line::new().put(Ink::Bold, " What to try next"),
        next("weir demo --serve", "the same, then stays up for curl and a browser"),
        next("weir check config/weir.toml", "every key there is, with comments"),
        next("weir run config/minimal.toml", "in front of your own application"),
        Line::new(),
    ]
}
