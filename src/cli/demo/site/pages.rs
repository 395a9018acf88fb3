//! The help centre's HTML, and what else it serves as text.

use std::fmt::Write as _;

use super::articles::{Article, Library, TOPICS, Topic};

/// The front page: search, and the ten topics.
pub(super) fn home(library: &Library) -> String {
    let mut cards = String::new();
    for topic in &TOPICS {
        let count = library.in_topic(topic).count();
        let _ = write!(
            cards,
            r#"<a class="card" href="/topics/{slug}"><img src="/images/{slug}.svg" alt="">
<h2>{title}</h2><p>{blurb} {count} articles.</p></a>
"#,
            slug = topic.slug,
            title = topic.title,
            blurb = topic.blurb,
        );
    }
    let body = format!(
        r#"<section class="hero"><h1>How can we help?</h1>
<p>{count} answers about Tidewater, the shared inbox for small teams.</p>
{search}</section>
<section class="cards">
{cards}</section>"#,
        count = library.all().len(),
        search = search_form(""),
    );
    layout("Help centre", &body)
}

pub(super) fn topic(library: &Library, topic: &Topic) -> String {
    let body = format!(
        r#"<p class="crumbs"><a href="/">Help centre</a></p>
<section class="listing"><h1>{title}</h1><p class="lead">{blurb}</p>
<ul>
{items}</ul></section>"#,
        title = topic.title,
        blurb = topic.blurb,
        items = listing(library.in_topic(topic)),
    );
    layout(topic.title, &body)
}

pub(super) fn article(library: &Library, article: &Article) -> String {
    let steps: String =
        article.steps.iter().fold(String::new(), |html, step| html + "<li>" + step + "</li>\n");
    let related = library.related(article).fold(String::new(), |html, next| {
        format!("{html}<li><a href=\"/articles/{}\">{}</a></li>\n", next.slug, next.title)
    });
    let body = format!(
        r#"<p class="crumbs"><a href="/">Help centre</a> › <a href="/topics/{topic_slug}">{topic_title}</a></p>
<div class="page"><article><h1>{title}</h1>
<p class="lead">{summary}</p>
<img class="picture" src="/images/{topic_slug}.svg" alt="">
<ol class="steps">
{steps}</ol>
<p class="note">{note}</p>
<p class="helpful">Was this helpful? <button type="button">Yes</button><button type="button">No</button></p>
</article>
<aside><h2>Read next</h2><ul>
{related}</ul></aside></div>"#,
        topic_slug = article.topic.slug,
        topic_title = article.topic.title,
        title = article.title,
        summary = article.summary,
        note = article.note,
    );
    layout(&article.title, &body)
}

pub(super) fn search(library: &Library, query: &str) -> String {
    let found = library.search(query);
    let body = format!(
        r#"<section class="hero">{form}</section>
<section class="listing"><h1>{count} found</h1>
<ul>
{items}</ul></section>"#,
        form = search_form(query),
        count = found.len(),
        items = listing(found.into_iter().take(SEARCH_RESULTS_MAX)),
    );
    layout("Search", &body)
}

const SEARCH_RESULTS_MAX: usize = 20;

/// The sign-in form; `notice` is what went wrong the last time.
pub(super) fn login(notice: Option<&str>) -> String {
    let notice = notice.map(|text| format!(r#"<p class="note">{text}</p>"#)).unwrap_or_default();
    let body = format!(
        r#"<section class="narrow"><h1>Sign in</h1>{notice}
<form method="post" action="/login">
<label>Name<input name="name" autocomplete="username"></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button></form>
<p class="lead">In this sample the name and the password are both “demo”.</p></section>"#
    );
    layout("Sign in", &body)
}

pub(super) fn not_found() -> String {
    let body = format!(
        r#"<section class="hero"><h1>There is no such page</h1>
<p>It may have moved. Try a search, or start from the <a href="/">help centre</a>.</p>{}</section>"#,
        search_form("")
    );
    layout("Not found", &body)
}

/// A topic's illustration: hills and a sun in its colour.
pub(super) fn illustration(topic: &Topic) -> String {
    let hue = topic.hue;
    let sun = 80 + hue % 240;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 160" preserveAspectRatio="xMidYMid slice">
<rect width="400" height="160" fill="hsl({hue} 55% 88%)"/>
<circle cx="{sun}" cy="58" r="26" fill="hsl({hue} 80% 96%)"/>
<path d="M0 110c60-46 120-46 190-8s140 30 210-14v72H0z" fill="hsl({hue} 42% 72%)"/>
<path d="M0 138c80-34 150-30 220-6s120 18 180-8v36H0z" fill="hsl({hue} 46% 48%)"/>
</svg>
"#
    )
}

pub(super) const ROBOTS_TXT: &str = "\
User-agent: *
Disallow: /search
Disallow: /login
Crawl-delay: 5

Sitemap: /sitemap.xml
";

/// Paths only: the sample does not know under which name it is reached.
pub(super) fn sitemap(library: &Library) -> String {
    let topics = TOPICS.iter().map(|topic| format!("/topics/{}", topic.slug));
    let articles = library.all().iter().map(|article| format!("/articles/{}", article.slug));
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for path in ["/".to_owned()].into_iter().chain(topics).chain(articles) {
        let _ = writeln!(xml, "<url><loc>{path}</loc></url>");
    }
    xml + "</urlset>\n"
}

fn listing<'a>(articles: impl Iterator<Item = &'a Article>) -> String {
    articles.fold(String::new(), |html, article| {
        let Article { slug, title, summary, .. } = article;
        format!("{html}<li><a href=\"/articles/{slug}\">{title}</a><span>{summary}</span></li>\n")
    })
}

fn search_form(query: &str) -> String {
    format!(
        r#"<form class="search" action="/search"><input name="q" value="{}" placeholder="Search the help centre"
 aria-label="Search"><button>Search</button></form>"#,
        escape(query)
    )
}

fn layout(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Tidewater</title>
<link rel="icon" href="/assets/logo.svg">
<link rel="stylesheet" href="/assets/site.css">
<script src="/assets/site.js" defer></script>
</head>
<body>
<header><nav class="bar"><a class="brand" href="/"><img src="/assets/logo.svg" alt="">Tidewater help</a>
<a href="/search?q=limits">Search</a><a href="/topics/developers">Developers</a><a href="/login">Sign in</a></nav></header>
<main>
{body}
</main>
<footer>Tidewater is not a real product: this is the sample site of <b>weir demo</b>.
It also has <a href="/api/v1/articles">an API</a>, <a href="/robots.txt">robots.txt</a> and
<a href="/sitemap.xml">a sitemap</a>.</footer>
</body>
</html>
"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: what a visitor searches for is shown as text, never as markup.
    #[test]
    fn a_query_is_escaped() {
        let html = search(&Library::new(), "\"><script>alert(1)</script>");
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(html.contains("&quot;&gt;&lt;script&gt;"), "{html}");
    }
}
